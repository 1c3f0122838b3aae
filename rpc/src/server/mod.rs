//! Listening: where peers come from, and how a server stops.

mod accept;
mod accept_backoff;
mod builder;
mod ending;
mod error;
mod handle;
mod handshakes;
#[cfg(feature = "http")]
mod http;
mod listen;
mod listener;
mod reached;
mod refusals;
mod sockets;
mod terms;

use std::sync::Arc;

pub use builder::ServerBuilder;
pub use error::BindError;
pub use handle::ServerHandle;
use handle::Shared;
#[cfg(feature = "http")]
pub use http::{HttpBody, HttpOptions, HttpService};
pub use listen::Listen;
use listener::Listener;

use crate::transport::Endpoint;

/// A server that is bound and not yet started: peers can connect already, and are accepted once it is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Context, ErrorObject, Params, Router, Server};
///
/// let router = Router::new()
///     .method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
/// let server = Server::builder().service(router).bind("tcp://127.0.0.1:0").await?;
/// let endpoint = server.endpoint().to_string();
/// let handle = server.start();
///
/// let session = rpc::connect(&endpoint).await?;
/// let pong: String = session.call("ping", ()).await?;
/// assert_eq!(pong, "pong");
///
/// handle.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Server {
    endpoints: Vec<Endpoint>,
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
}

impl Server {
    /// A server without services.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// Where it listens: with the port that it was given, where port 0 was asked for. A server that listens nowhere has none, and
    /// shows `memory:`.
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoints.first().unwrap_or(&Endpoint::MEMORY)
    }

    /// Everywhere it listens.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Listens at one more place, in the same way as [`ServerBuilder::bind`].
    ///
    /// # Errors
    ///
    /// Where the URL is wrong, the place cannot be listened at, or what the [`Listen`] says of services and
    /// dialect does not go together.
    pub async fn and_bind<L>(mut self, at: L) -> Result<Self, BindError>
    where
        L: TryInto<Listen>,
        BindError: From<L::Error>,
    {
        let mut listen = at.try_into()?;
        let endpoint = listen.endpoint.clone().redacted();
        let terms = std::mem::take(&mut listen.terms).over(&self.shared.terms)?;
        let listeners = Listener::bind(listen, &self.shared, &terms).await;
        let listeners = listeners.map_err(|source| BindError::Io { endpoint, source })?;
        let endpoints = listeners.iter().map(|listener| listener.endpoint().clone());
        self.endpoints.extend(endpoints.inspect(|endpoint| terms.log_reach(endpoint)));
        self.listeners.extend(listeners);
        Ok(self)
    }

    /// Begins to accept, on the runtime that this is called on. The handle stops it; without the handle it goes on.
    pub fn start(self) -> ServerHandle {
        let handle = ServerHandle::new(self.shared, self.endpoints);
        for listener in self.listeners {
            handle.accept_from(listener);
        }
        handle
    }
}
