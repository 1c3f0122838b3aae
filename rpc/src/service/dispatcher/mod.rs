//! Bytes in, bytes out: services without a session.

mod builder;
mod caller;
mod exchange;
mod requests;

use std::{fmt, sync::Arc};

use bytes::Bytes;

pub use builder::DispatcherBuilder;
pub use exchange::Exchange;

use super::{BuiltServices, one_shot::OneShotPolicy};
#[cfg(feature = "http")]
use crate::jsonrpc::{ErrorObject, Id};
use crate::{
    jsonrpc::version::Version,
    limits::{Limits, Reached},
    session::Tally,
    transport::{Endpoint, Extensions},
};

/// Answers messages one by one: bytes in, bytes out. For messages that come by no session of ours: the body of an HTTP request, a
/// message queue, a lambda, a test.
///
/// Clones are the same dispatcher.
///
/// ```
/// use rpc::{Dispatcher, rpc_service};
///
/// #[rpc_service]
/// trait Calc {
///     async fn add(&self, a: i64, b: i64) -> i64;
/// }
///
/// struct MyCalc;
/// impl Calc for MyCalc {
///     async fn add(&self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dispatcher = Dispatcher::builder().service(CalcServer::new(MyCalc)).build()?;
///
/// let reply = dispatcher.dispatch(br#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#).await;
/// assert_eq!(reply.unwrap(), br#"{"jsonrpc":"2.0","id":1,"result":3}"#[..]);
///
/// // A batch is answered as a whole, a notification not at all.
/// let reply = dispatcher
///     .dispatch(br#"[{"jsonrpc":"2.0","id":"a","method":"add","params":{"a":1,"b":1}},{"jsonrpc":"2.0","method":"x"}]"#)
///     .await;
/// assert_eq!(reply.unwrap(), br#"[{"jsonrpc":"2.0","id":"a","result":2}]"#[..]);
/// assert_eq!(dispatcher.dispatch(br#"{"jsonrpc":"2.0","method":"add","params":[1,2]}"#).await, None);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    services: Arc<BuiltServices>,
    version: Version,
    policy: Arc<OneShotPolicy>,
    /// Limits that were reached, as far as the log has them.
    reached: Reached,
}

impl Dispatcher {
    /// Begins with no services, [`Limits::server()`] and JSON-RPC 2.0.
    pub fn builder() -> DispatcherBuilder {
        DispatcherBuilder::new()
    }

    /// Answers one message, which may be a batch. `None` where no answer is due: it was a notification, or an answer itself.
    ///
    /// It returns when all handlers have, those of notifications too: a dispatcher has no task of its own on which they could go on. (An
    /// `HttpService` over it has: there the answer waits for calls alone.) The members of a batch run at the same time, up to
    /// [`Limits::requests_in_flight`]. Dropping the future drops the handlers.
    pub async fn dispatch(&self, message: &[u8]) -> Option<Bytes> {
        self.dispatch_with(message, Extensions::default()).await
    }

    /// Like [`dispatch`](Self::dispatch). Handlers find `extensions` in their [`Context`](crate::Context): who is asking, for one.
    pub async fn dispatch_with(&self, message: &[u8], extensions: Extensions) -> Option<Bytes> {
        self.exchange(message, Endpoint::MEMORY, extensions).await.answer
    }

    /// Like [`dispatch_with`](Self::dispatch_with), for a peer that is known: handlers see `peer` as their
    /// [`Context::peer`](crate::Context::peer), and what the peer has cost is told, to be added up by who knows it. There is no account here,
    /// and nobody is slowed down.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Dispatcher, Extensions, Limits};
    ///
    /// let dispatcher = Dispatcher::builder().build()?;
    /// let peer = "tcp://192.0.2.7:50001".parse()?;
    /// let exchange = dispatcher.exchange(b"what?", peer, Extensions::default()).await;
    /// assert!(exchange.answer.is_some());
    /// assert!(exchange.cost >= Limits::server().cost_of_unreadable);
    /// # Ok(()) }
    /// ```
    pub async fn exchange(&self, message: &[u8], peer: Endpoint, extensions: Extensions) -> Exchange {
        self.exchange_in(self.shared.version, message, peer, extensions).await
    }

    /// For services that may be served in other ways, too, by somebody who may wait for what they shield.
    pub(crate) fn of(
        services: Arc<BuiltServices>,
        limits: Limits,
        version: Version,
        shielded_work: Tally,
    ) -> Self {
        let policy = Arc::new(OneShotPolicy { limits, shielded_work });
        Self { shared: Arc::new(Shared { services, version, policy, reached: Reached::default() }) }
    }

    /// What is sent in place of an answer to a message that does not get this far.
    #[cfg(feature = "http")]
    pub(crate) fn refuse(&self, error: &ErrorObject) -> Bytes {
        let mut out = Vec::new();
        self.shared.version.put_error(&mut out, Id::NULL, error);
        out.into()
    }

    /// What each message may use.
    pub fn limits(&self) -> &Limits {
        &self.shared.policy.limits
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("services", &self.shared.services).finish_non_exhaustive()
    }
}
