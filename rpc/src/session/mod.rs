//! The handle of a live peer, and what it shares with the loop that serves it.
//!
//! Nothing here reads, writes or waits for the network: handles append to the outgoing messages and wait for
//! what the [driver](crate#the-way-of-a-request) brings.

#[macro_use]
mod through;

mod batch;
mod call;
mod caller;
mod calls;
mod cost;
mod effects;
mod error;
mod group;
mod hooks;
mod item_queue;
mod lazy;
mod limits;
mod messages;
mod notify;
mod on_demand;
mod outgoing;
mod passed_on;
mod pending;
mod ping;
mod places;
mod requests;
mod room;
mod shared;
mod slot;
mod statistics;
mod subscribers;
mod subscription;
mod subscriptions;
mod tally;
mod task;
mod trace;
mod with_empty_params;
mod within;
mod write_buffer;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

pub use batch::{
    Batch, BatchError, BatchItem, BatchMember, BatchMembers, BatchReplies, BatchShape, MemberShape,
    OutgoingBatch, PendingBatch,
};
pub use call::Call;
pub use caller::{Caller, Readable, Returns};
pub(crate) use calls::{Cancelling, InFlight};
pub use error::{CallError, CloseReason};
pub use group::GroupFull;
pub(crate) use group::{InstalledGroups, Membership};
pub use hooks::Hooks;
pub(crate) use hooks::InstalledHooks;
pub(crate) use item_queue::Bounds;
pub use messages::{Message, MessageSession, SendError};
pub use notify::Notify;
pub use outgoing::Outgoing;
pub(crate) use requests::{Ahead, Requests, Running, WorkNumber};
pub(crate) use shared::{NewShared, ReplyBatch, Shared, Shield, TellsWorkEnded, next_session_id};

pub use pending::{PendingCall, PendingNotify};
pub(crate) use ping::{Ping, PingOutcome};
pub use statistics::Statistics;
pub(crate) use subscribers::{Gone, Pushed};
pub use subscription::{
    Items, OutgoingSubscription, RawSubscription, Subscribe, Subscriber, Subscription, SubscriptionError,
};
pub(crate) use subscriptions::LastHit;
pub(crate) use tally::{Counted, Tally};
pub(crate) use task::panic_message;
pub(crate) use trace::{Ending, Trace, log_refused};
pub use with_empty_params::WithEmptyParams;
pub use within::Within;
pub(crate) use write_buffer::{WriteBuffer, put_framed};

use serde::Serialize;

use crate::{
    jsonrpc::Protocol,
    transport::{Endpoint, Extensions},
};

/// A live connection to a peer, to call it, to notify it, and to end it.
///
/// It is the same type on both sides: after connecting there is no client and no server, and either side calls what the other one
/// serves, at any time. Clones share the connection. Where the session serves nothing, it closes when its last handle is
/// dropped, and a call that is held is one; where it serves, it lives until either side closes it.
///
/// Typed calls go through a generated client (`CalcClient::from(session)`); [`call`](Self::call) and [`notify`](Self::notify) are
/// for those who have no trait.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Context, ErrorObject, Params, Router};
///
/// let router = Router::new().method("add", async |params: Params, _: Context| {
///     let (a, b): (i64, i64) = params.parse()?;
///     Ok::<_, ErrorObject>(a + b)
/// });
/// let (session, _peer) = rpc::testing::pair((), router);
/// let sum: i64 = session.call("add", (1, 2)).await?;
/// assert_eq!(sum, 3);
/// # Ok(()) }
/// ```
pub struct Session {
    link: Arc<Shared>,
}

impl Session {
    pub(crate) fn new(link: Arc<Shared>) -> Self {
        link.handles.fetch_add(1, Ordering::Relaxed);
        Self { link }
    }

    pub(crate) fn link(&self) -> &Arc<Shared> {
        &self.link
    }

    /// A call of `method`, typed by what it returns. `params` is what serializes as an array (a tuple, a `Vec`) or an object (a
    /// struct, a map); `()` is no parameters.
    ///
    /// Nothing is sent before the call is awaited; what this gives is a future that borrows nothing but `method`. Every error is a
    /// [`CallError`]; those that the peer answers with are [`CallError::Rpc`].
    pub fn call<'a, R>(&self, method: &'a str, params: impl Serialize) -> Call<'a, Self, R> {
        Call::untyped(self, method, params)
    }

    /// A notification of `method`: the peer does not answer. It is sent when it is awaited.
    pub fn notify<'a>(&self, method: &'a str, params: impl Serialize) -> Notify<'a, Self> {
        Notify::untyped(self, method, params)
    }

    /// Several calls and notifications in one message, with a result for each: a tuple of up to twelve, or a `Vec` or an array of
    /// calls of one kind. Sent through this session, whichever clone of it the calls were made from.
    ///
    /// The calls are made as ever, and not awaited: one that was polled is [`BatchError::Polled`]. The peer may work on them in any order, and at the same time. It may have a limit on
    /// the length of a batch; ours is [`Limits::batch_length`](crate::Limits::batch_length).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::rpc_service;
    ///
    /// #[rpc_service]
    /// trait Calc {
    ///     async fn add(&self, a: i64, b: i64) -> i64;
    ///     async fn greet(&self, name: &str) -> String;
    ///     #[rpc(notification)]
    ///     async fn log(&self, line: &str);
    /// }
    /// # struct MyCalc;
    /// # impl Calc for MyCalc {
    /// #     async fn add(&self, a: i64, b: i64) -> i64 { a + b }
    /// #     async fn greet(&self, name: &str) -> String { format!("Hello, {name}") }
    /// #     async fn log(&self, _: &str) {}
    /// # }
    /// # let (session, _peer) = rpc::testing::pair((), CalcServer::new(MyCalc));
    ///
    /// let calc = CalcClient::from(session.clone());
    /// let (sum, (), hello) = session.batch((calc.add(1, 2), calc.log("two calls"), calc.greet("Ann"))).await?;
    /// assert_eq!(sum?, 3);
    /// assert_eq!(hello?, "Hello, Ann");
    ///
    /// let sums = session.batch((1..=3).map(|n| calc.add(n, n)).collect::<Vec<_>>()).await?;
    /// assert_eq!(sums.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2, 4, 6]);
    /// # Ok(()) }
    /// ```
    ///
    /// What befalls a single call is in its own result. Awaiting the batch gives a [`BatchError`] where nothing was sent at all.
    pub fn batch<'a, M: BatchMembers<'a, Self>>(&self, members: M) -> Batch<'a, Self, M::Shape> {
        Batch::over(self, members)
    }

    /// Like [`batch`](Self::batch), for those who need all of it or nothing: gives the values, or fails with the first member that
    /// failed, and says which. (The others may have been carried out.)
    pub fn try_batch<'a, M: BatchMembers<'a, Self>>(&self, members: M) -> Batch<'a, Self, M::Shape, true> {
        Batch::try_over(self, members)
    }

    /// A subscription to `method`: a stream of the items that the peer sends. `params` is as for [`call`](Self::call).
    ///
    /// How it looks on the wire, what ends it, and how many items are kept is said on what this gives, before it is awaited. Typed
    /// subscriptions go through a generated client.
    pub fn subscribe<'a, T>(&self, method: &'a str, params: impl Serialize) -> Subscribe<'a, Self, Items<T>> {
        Subscribe::untyped(self, method, params)
    }

    /// The notifications called `method`, as a stream, for peers that send them without being asked. Items are what the parameters
    /// are read into: a tuple for an array, a struct for an object.
    ///
    /// It takes those that come from now on. A service here that serves the same method still does. Of more than
    /// [`Limits::subscription_items`](crate::Limits::subscription_items) that nobody has taken, the oldest are dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::StreamExt;
    ///
    /// let (session, peer) = rpc::testing::pair((), ());
    /// let mut news = session.notifications::<(String,)>("news");
    /// peer.notify("news", ("rain",)).await?;
    /// assert_eq!(news.next().await.unwrap()?.0, "rain");
    /// # Ok(()) }
    /// ```
    pub fn notifications<T>(&self, method: &str) -> Subscription<T> {
        Subscription::new(RawSubscription::listening(self, method))
    }

    /// Which version of JSON-RPC is spoken: [`Protocol::Detect`] until the peer's first message has come.
    pub fn protocol(&self) -> Protocol {
        self.link.read(|state| state.calls.protocol.protocol())
    }

    /// A number that no other session of this process has.
    pub fn id(&self) -> u64 {
        self.link.id
    }

    /// Where the peer is.
    pub fn peer(&self) -> &Endpoint {
        &self.link.peer
    }

    /// What the application keeps with this session: who has logged in, for one.
    pub fn extensions(&self) -> &Extensions {
        &self.link.extensions
    }

    /// Ends the session in good order, and returns when it has ended.
    ///
    /// New calls are refused at once, and calls that wait for a reply end with [`CloseReason::Local`]. The peer's requests that
    /// are being worked on are finished and answered, then the connection is closed; after
    /// [`Limits::close_timeout`](crate::Limits::close_timeout) that is forced. From inside a handler, call [`start_close`](Self::start_close):
    /// waiting here would wait for the handler itself.
    ///
    /// Dropping the future does not undo it: the session goes on closing.
    pub async fn close(&self) -> CloseReason {
        self.start_close();
        self.closed().await
    }

    /// Begins what [`close`](Self::close) does, without waiting for it.
    pub fn start_close(&self) {
        self.link.start_close(CloseReason::Local);
    }

    /// Ends the session now: bytes that wait to be sent are lost, and handlers are dropped.
    pub fn abort(&self) {
        self.link.abort(CloseReason::Aborted);
    }

    /// Waits until the session has ended, and says why. Cancel safe.
    pub async fn closed(&self) -> CloseReason {
        self.link.closed().await
    }

    /// Why the session ended, or is ending; `None` while it is open.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.link.read(|state| state.phase.reason().cloned())
    }

    /// Whether new calls are refused.
    pub fn is_closed(&self) -> bool {
        self.close_reason().is_some()
    }

    /// What the session has done so far, and what it is doing. May be asked at any time, from anywhere, and after the end too.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use rpc::{Context, ErrorObject, Params, Router};
    /// # let router = Router::new().method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
    /// # let (session, _peer) = rpc::testing::pair((), router);
    /// session.call::<String>("ping", ()).await?;
    /// let statistics = session.statistics();
    /// assert_eq!((statistics.messages_sent, statistics.messages_received), (1, 1));
    /// # Ok(()) }
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.link.statistics()
    }

    /// How many calls of ours wait for a reply.
    pub fn calls_in_flight(&self) -> usize {
        self.link.read(|state| state.calls.in_flight())
    }

    /// How many subscriptions the peer has here.
    pub fn subscriptions_served(&self) -> usize {
        self.link.read(|state| state.subscribers.len())
    }

    /// How many subscriptions we have at the peer.
    pub fn subscriptions(&self) -> usize {
        self.link.read(|state| state.subscriptions.len())
    }

    /// How many of the peer's requests are being worked on.
    pub fn requests_in_flight(&self) -> usize {
        self.link.read(|state| state.requests.len())
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.link))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.link.handles.fetch_sub(1, Ordering::Release) == 1 && !self.link.serves {
            self.link.start_close(CloseReason::Local);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.link.id)
            .field("peer", &format_args!("{}", self.link.peer))
            .finish_non_exhaustive()
    }
}
