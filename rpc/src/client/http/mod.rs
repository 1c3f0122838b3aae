//! Calls over HTTP: each is a POST of its own, over connections that are kept and used again. There is no session, so nobody is called
//! back.

mod answer;
mod body;
mod builder;
mod caller;
mod connections;
mod credentials;
mod exchange;
mod places;

use std::{fmt, sync::Arc};

pub use builder::{HttpClientBuilder, HttpClientError};

use self::exchange::Exchanges;
use crate::session::{Batch, BatchMembers, Call, Notify};

/// Calls a JSON-RPC server over HTTP. It is a [`Caller`](crate::Caller): generated clients, typed errors and typed batches work over it as over a
/// session.
///
/// Each call, and each batch, is a POST. Connections are kept and used again; clones share them. Nothing is sent before the first call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{HttpClient, Protocol, rpc_service};
///
/// #[rpc_service(rename_all = "lowercase")]
/// trait Node {
///     async fn get_block_count(&self) -> u64;
///     async fn get_block_hash(&self, height: u64) -> String;
/// }
///
/// let http = HttpClient::builder("http://127.0.0.1:8332")?
///     .basic_auth("alice", "secret")
///     .protocol(Protocol::V1)
///     .build()?;
/// let node = NodeClient::from(http);
/// # if false {
/// println!("{}", node.get_block_hash(node.get_block_count().await?).await?);
/// # }
/// # Ok(()) }
/// ```
///
/// # What is read
///
/// A JSON-RPC reply is a reply, whatever the status it comes with and the type that the server gives it: servers send errors with 400, 401, 415
/// and 500 too. Anything else is a [`CallError::Http`](crate::CallError::Http) that says the status and the start of the text. An error that
/// names no call of the exchange, or none at all, is the answer to all that it carried: nothing else can be meant.
///
/// A notification is sent well where the status is one of success; what is answered to it is ignored.
///
/// # What is repeated
///
/// A call is sent again where the connection that it was to go out on turns out to have been closed by the server before anything of it was
/// written. Nothing else is: a call that may have been carried out is never repeated. Redirects are not followed.
///
/// # Cancelling
///
/// Dropping a call ends its exchange; where that has a connection of its own, as in HTTP/1.1, it is closed. The server may have carried
/// the call out.
///
/// # Subscriptions
///
/// They fail with [`Unsupported::Subscriptions`](crate::Unsupported::Subscriptions): nothing comes unasked over HTTP.
#[derive(Clone)]
pub struct HttpClient {
    exchanges: Arc<Exchanges>,
}

impl HttpClient {
    /// Calls the server at `url`, for example `http://127.0.0.1:8545/path`, with everything as it is by default.
    ///
    /// # Errors
    ///
    /// As [`HttpClientBuilder::build`].
    pub fn new(url: &str) -> Result<Self, HttpClientError> {
        Self::builder(url)?.build()
    }

    /// Begins one for the server at `url`, `http://` or `https://`.
    ///
    /// # Errors
    ///
    /// Where the URL is wrong, or holds credentials: URLs are logged. See [`basic_auth`](HttpClientBuilder::basic_auth).
    pub fn builder(url: &str) -> Result<HttpClientBuilder, HttpClientError> {
        HttpClientBuilder::new(url)
    }

    /// A call of `method`, typed by what it returns: see [`Session::call`](crate::Session::call).
    pub fn call<'a, R>(
        &'a self,
        method: &'a str,
        params: impl serde::Serialize,
    ) -> Call<'a, Self, impl serde::Serialize, R> {
        Call::untyped(self, method, params)
    }

    /// A notification of `method`: see [`Session::notify`](crate::Session::notify). It has arrived when this returns.
    pub fn notify<'a>(
        &'a self,
        method: &'a str,
        params: impl serde::Serialize,
    ) -> Notify<'a, Self, impl serde::Serialize> {
        Notify::untyped(self, method, params)
    }

    /// Several calls and notifications in one message, with a result for each: see [`Session::batch`](crate::Session::batch).
    pub const fn batch<'a, M: BatchMembers<'a, Self>>(&'a self, members: M) -> Batch<'a, Self, M> {
        Batch::over(self, members)
    }

    /// Like [`batch`](Self::batch), all or nothing: see [`Session::try_batch`](crate::Session::try_batch).
    pub const fn try_batch<'a, M: BatchMembers<'a, Self>>(&'a self, members: M) -> Batch<'a, Self, M, true> {
        Batch::try_over(self, members)
    }

    /// The server: scheme, host and port. Not the path, which may hold a key.
    pub fn server(&self) -> &str {
        self.exchanges.server()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("server", &self.server()).finish_non_exhaustive()
    }
}
