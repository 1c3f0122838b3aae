//! Bytes in, bytes out: services without a session.

mod exchange;
mod requests;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;

pub use exchange::Exchange;

use super::{
    peer::OneShotPolicy,
    request::Service,
    routes::{BuiltServices, DuplicateMethod, Services},
};
#[cfg(feature = "http")]
use crate::jsonrpc::{ErrorObject, Id};
use crate::{
    jsonrpc::{Connection, Event, Protocol, Reply, version::Version},
    limits::{Limits, Reached},
    session::{BatchError, BatchItem, CallError, Caller, Outgoing, OutgoingBatch, WorkTracker},
    transport::{Endpoint, Extensions},
};

/// Answers messages one by one: bytes in, bytes out. For messages without a session of this crate:
/// the body of an HTTP request, a message queue, a lambda, a test.
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
    shared: Arc<DispatcherShared>,
}

struct DispatcherShared {
    services: Arc<BuiltServices>,
    version: Version,
    policy: Arc<OneShotPolicy>,
    /// The limits that were reached, and logged.
    reached: Reached,
}

impl Dispatcher {
    /// A builder without services, with [`Limits::server()`] and JSON-RPC 2.0.
    pub fn builder() -> DispatcherBuilder {
        DispatcherBuilder::new()
    }

    /// Answers one message, which may be a batch. `None` where no answer is due: to a notification,
    /// or to an answer.
    ///
    /// The future is ready when all handlers have finished, those of notifications too, because a
    /// dispatcher has no task of its own to drive them. (An `HttpService` has: its answer waits for
    /// calls only.) The members of a batch run at the same time, up to
    /// [`Limits::requests_in_flight`]. Dropping the future drops the handlers.
    pub async fn dispatch(&self, message: &[u8]) -> Option<Bytes> {
        self.dispatch_with(message, Extensions::default()).await
    }

    /// Like [`dispatch`](Self::dispatch). Handlers find `extensions` in their
    /// [`Context`](crate::Context): the identity of the peer, for example.
    pub async fn dispatch_with(&self, message: &[u8], extensions: Extensions) -> Option<Bytes> {
        self.exchange(message, Endpoint::MEMORY, extensions).await.answer
    }

    /// Like [`dispatch_with`](Self::dispatch_with), for a known peer: handlers see `peer` as their
    /// [`Context::peer`](crate::Context::peer). The [`Exchange`] also has the cost of the message,
    /// for the caller to add up: a dispatcher keeps no account of a peer, and delays no request.
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

    /// A dispatcher for services that may be served in other ways, too. `shielded_work` counts the
    /// work that its handlers shield, for a server that waits for it.
    pub(crate) fn of(
        services: Arc<BuiltServices>,
        limits: Limits,
        version: Version,
        shielded_work: WorkTracker,
    ) -> Self {
        let policy = Arc::new(OneShotPolicy { limits, shielded_work });
        Self { shared: Arc::new(DispatcherShared { services, version, policy, reached: Reached::default() }) }
    }

    /// The answer to a message that is refused before it is dispatched.
    #[cfg(feature = "http")]
    pub(crate) fn refuse(&self, error: &ErrorObject) -> Bytes {
        let mut out = Vec::new();
        self.shared.version.put_error(&mut out, Id::NULL, error);
        out.into()
    }

    /// The limits of each message.
    pub fn limits(&self) -> &Limits {
        &self.shared.policy.limits
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("services", &self.shared.services).finish_non_exhaustive()
    }
}

/// Builds a [`Dispatcher`].
#[derive(Debug)]
pub struct DispatcherBuilder {
    services: Services,
    limits: Limits,
    version: Version,
}

impl DispatcherBuilder {
    pub(super) fn new() -> Self {
        Self { services: Services::default(), limits: Limits::server(), version: Version::V2 }
    }

    /// Serves `service`. May be called several times, for several services.
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.add_shared(service);
        self
    }

    /// Sets the version of JSON-RPC. Default: [`Protocol::V2`]. With [`Protocol::Detect`] each
    /// message decides for itself.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.version = self.version.with_protocol(protocol);
        self
    }

    /// Sends errors as a text, the message, wherever 1.0 is spoken. Default: an object, as in 2.0.
    pub fn text_errors(mut self) -> Self {
        self.version = self.version.with_text_errors();
        self
    }

    /// Sets the limits of each message: [`frame_size`](Limits::frame_size),
    /// [`batch_length`](Limits::batch_length), [`reply_size`](Limits::reply_size),
    /// [`request_timeout`](Limits::request_timeout), and
    /// [`requests_in_flight`](Limits::requests_in_flight) for the members of a batch. Default:
    /// [`Limits::server()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits.in_force();
        self
    }

    /// Builds the dispatcher.
    ///
    /// # Errors
    ///
    /// If two services claim one method.
    pub fn build(self) -> Result<Dispatcher, DuplicateMethod> {
        let services = Arc::new(self.services.build()?);
        Ok(Dispatcher::of(services, self.limits, self.version, WorkTracker::default()))
    }
}

/// Calls services in the same process: generated clients work over a `Dispatcher` as over a
/// connection, and every message is written and read as it would be there.
///
/// Calls use 2.0, whatever version the dispatcher speaks to others.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
/// let dispatcher = Dispatcher::builder().service(CalcServer::new(MyCalc)).build()?;
/// assert_eq!(CalcClient::from(dispatcher).add(1, 2).await?, 3);
/// # Ok(()) }
/// ```
impl Caller for Dispatcher {
    type Call<'a> = BoxFuture<'a, Result<Reply, CallError>>;
    type Notify<'a> = BoxFuture<'a, Result<(), CallError>>;
    type Batch<'a> = BoxFuture<'a, Result<Vec<Result<Reply, CallError>>, BatchError>>;

    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
        let dispatcher = self.clone();
        Box::pin(async move {
            if call.is_late() {
                return Err(CallError::Timeout(Duration::ZERO));
            }
            let (mut connection, mut message) = (Connection::of(Version::V2), Vec::new());
            let sent = connection.request(&mut message, call.body(), 0);
            debug_assert!(sent.is_ok(), "2.0 has calls of every kind");
            let timeout = call.timeout_or(dispatcher.limits().call_timeout);
            let mut replies = dispatcher.ask(connection, &message, timeout, 1).await;
            replies.pop().unwrap_or_else(|| Ok(no_reply()))
        })
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        let dispatcher = self.clone();
        Box::pin(async move {
            if notification.is_late() {
                return Err(CallError::Timeout(Duration::ZERO));
            }
            let (mut connection, mut message) = (Connection::of(Version::V2), Vec::new());
            let sent = connection.notification(&mut message, notification.body());
            debug_assert!(sent.is_ok(), "2.0 has notifications of every kind");
            dispatcher.ask(connection, &message, None, 0).await;
            Ok(())
        })
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        let dispatcher = self.clone();
        Box::pin(async move {
            if batch.items().iter().any(|item| item.outgoing().is_late()) {
                return Err(BatchError::Timeout(Duration::ZERO));
            }
            let (mut connection, mut message) = (Connection::of(Version::V2), Vec::new());
            let mut calls = 0..;
            let mut timeouts = Vec::new();
            let members = batch.items().iter().map(|item| {
                let outgoing = item.outgoing();
                if let BatchItem::Notification(_) = item {
                    return (outgoing.body(), None);
                }
                timeouts.push(outgoing.timeout_or(dispatcher.limits().call_timeout));
                (outgoing.body(), calls.next())
            });
            connection.batch(&mut message, members).map_err(BatchError::Unsupported)?;
            // One message has one answer, so the longest of the timeouts counts for all calls.
            let timeout =
                timeouts.iter().copied().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
            Ok(dispatcher.ask(connection, &message, timeout, timeouts.len()).await)
        })
    }
}

impl Dispatcher {
    /// Dispatches `message`, and returns the replies to its calls, whose numbers `connection`
    /// knows.
    async fn ask(
        &self,
        mut connection: Connection<usize>,
        message: &[u8],
        timeout: Option<Duration>,
        calls: usize,
    ) -> Vec<Result<Reply, CallError>> {
        let answer = self.answer(Version::V2, message, Extensions::default());
        let answer = match timeout {
            None => answer.await,
            Some(after) => match tokio::time::timeout(after, answer).await {
                Ok(answer) => answer,
                Err(_) => return (0..calls).map(|_| Err(CallError::Timeout(after))).collect(),
            },
        };
        let mut replies: Vec<_> = (0..calls).map(|_| Ok(no_reply())).collect();
        let (answer, mut nothing) = (answer.unwrap_or_default(), Vec::new());
        let mut events = connection.events(&answer);
        while let Some(event) = events.next(&mut connection, &mut nothing) {
            match event {
                Event::Reply { call, reply } => replies[call] = Ok(reply),
                // The message as a whole was refused.
                Event::Unasked(reply) => {
                    replies.iter_mut().for_each(|kept| *kept = Ok(reply.clone()));
                }
                _ => {}
            }
        }
        replies
    }
}

fn no_reply() -> Reply {
    Reply::malformed("the dispatcher gave no reply to this call")
}
