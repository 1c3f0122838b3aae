//! The handle of a session.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use futures::{
    FutureExt,
    future::{Either, select},
};
use tokio::time::Instant;

use super::{CloseReason, GroupFull, Shared, Statistics, trace::panic_message};
use crate::{
    jsonrpc::{Protocol, shown::brief},
    limits::{GroupKey, Limits},
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
    shared: Arc<Shared>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.handles.fetch_add(1, Ordering::Relaxed);
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Which version of JSON-RPC is spoken: [`Protocol::Detect`] until the peer's first message has come.
    pub fn protocol(&self) -> Protocol {
        self.shared.read(|state| state.calls.protocol.protocol())
    }

    /// A number that no other session of this process has.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Where the peer is.
    pub fn peer(&self) -> &Endpoint {
        &self.shared.peer
    }

    /// What the application keeps with this session: who has logged in, for one.
    pub fn extensions(&self) -> &Extensions {
        &self.shared.extensions
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
        self.shared.start_close(CloseReason::Local);
    }

    /// Ends the session now: bytes that wait to be sent are lost, and handlers are dropped.
    pub fn abort(&self) {
        self.shared.abort(CloseReason::Aborted);
    }

    /// Waits until the session has ended, and says why. Cancel safe.
    pub async fn closed(&self) -> CloseReason {
        self.shared.closed().await
    }

    /// Why the session ended, or is ending; `None` while it is open.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.read(|state| state.phase.reason().cloned())
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
        self.shared.statistics()
    }

    /// How many calls of ours wait for a reply.
    pub fn calls_in_flight(&self) -> usize {
        self.shared.read(|state| state.calls.in_flight())
    }

    /// How many subscriptions the peer has here.
    pub fn subscriptions_served(&self) -> usize {
        self.shared.read(|state| state.subscribers.len())
    }

    /// How many subscriptions we have at the peer.
    pub fn subscriptions(&self) -> usize {
        self.shared.read(|state| state.subscriptions.len())
    }

    /// How many of the peer's requests are being worked on.
    pub fn requests_in_flight(&self) -> usize {
        self.shared.read(|state| state.requests.len())
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::Release) == 1 && !self.shared.serves {
            self.shared.start_close(CloseReason::Local);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.shared.id)
            .field("peer", &format_args!("{}", self.shared.peer))
            .finish_non_exhaustive()
    }
}

/// Its limits, read and changed while it is open, its cost, and its group.
impl Session {
    /// What the session may use at the moment.
    pub fn limits(&self) -> Limits {
        self.shared.limits.load()
    }

    /// Changes what the session may use from now on: a peer that has logged in may get more, one that misbehaves less.
    ///
    /// What is under way keeps what it began with: the timeouts of calls and requests, and the buffers of subscriptions. More requests than
    /// may be worked on any more are finished, and so are subscriptions kept. Of several who change limits at once the last one counts,
    /// whole.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, Params, Router};
    ///
    /// let router = Router::new().method("login", async |_: Params, cx: Context| {
    ///     let limits = cx.session().limits();
    ///     cx.session().set_limits(&limits.with_requests_in_flight(200).with_cost_hard(f64::INFINITY));
    ///     Ok::<_, ErrorObject>("welcome")
    /// });
    /// let (session, peer) = rpc::testing::pair((), router);
    /// session.call::<String>("login", ()).await?;
    /// assert_eq!(peer.limits().requests_in_flight, 200);
    /// # Ok(()) }
    /// ```
    pub fn set_limits(&self, limits: &Limits) {
        self.shared.set_limits(&limits.clone().in_force());
    }

    /// What the peer has cost: what it did, by the numbers in [`Limits`](crate::Limits), and what was [added](Self::add_cost), less what
    /// time has forgiven, and the [extra cost](crate::Hooks::extra_cost). Bytes that do not come to a cost of 1 yet are not in it.
    ///
    /// Where its [group](crate::Groups) has cost more than the session, it is that.
    ///
    /// From [`Limits::cost_soft`](crate::Limits::cost_soft) on the peer is slowed down, at
    /// [`Limits::cost_hard`](crate::Limits::cost_hard) the session ends.
    pub fn cost(&self) -> f64 {
        self.shared.add_cost(0.0, Instant::now()) + self.extra_cost()
    }

    /// See [`Hooks::extra_cost`](crate::Hooks::extra_cost).
    pub(crate) fn extra_cost(&self) -> f64 {
        let extra = self.shared.hooks.run(|hooks| hooks.extra_cost(&self.shared)).unwrap_or(0.0);
        if extra.is_nan() { 0.0 } else { extra }
    }

    /// Charges the peer for what only the application knows: a search through everything, an answer that had to be computed. A negative
    /// amount is given back; the cost never falls below 0.
    ///
    /// What follows from it (see [`cost`](Self::cost)) follows when the session's loop has its next turn.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorObject, Params, Router};
    ///
    /// let router = Router::new().method("search", async |_: Params, cx: Context| {
    ///     cx.session().add_cost(50.0);
    ///     Ok::<_, ErrorObject>("nothing found")
    /// });
    /// let (session, peer) = rpc::testing::pair((), router);
    /// session.call::<String>("search", ()).await?;
    /// assert_eq!(peer.cost().round(), 50.0);
    /// # Ok(()) }
    /// ```
    pub fn add_cost(&self, amount: f64) {
        self.shared.add_application_cost(amount, Instant::now());
    }

    /// Has the session share the account of another [group](crate::Groups) from now on, once it is known who the peer is: after a login.
    ///
    /// It leaves the group in which it was, where what it has cost so far stays. Its own cost it takes along. If the group that it joins
    /// has cost too much, the session ends as if it had itself. Where the server has no groups, nothing happens.
    ///
    /// A key that anybody may make for himself (a name that is not checked) lets peers leave the group of their address whenever they like.
    ///
    /// # Errors
    ///
    /// Where the group has as many connections as it may have: then the session stays where it was. [Close](Self::start_close) it, or refuse
    /// the login.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Context, ErrorCode, ErrorObject, GroupKey, Groups, Params, Router, Server};
    ///
    /// let router = Router::new().method("login", async |params: Params, cx: Context| {
    ///     let (user, _password): (String, String) = params.parse()?;
    ///     // Once the password was found to be right:
    ///     let joined = cx.session().join_group(GroupKey::name(&user));
    ///     joined.map_err(|full| ErrorObject::new(ErrorCode::SERVER_BUSY, full.to_string()))
    /// });
    /// let server = Server::builder().service(router).groups(Groups::by_subnet().connections(2)).build()?.start();
    /// let mut sessions = Vec::new();
    /// for is_welcome in [true, true, false] {
    ///     let (here, there) = rpc::transport::memory(1024);
    ///     server.attach(there);
    ///     let session = rpc::Connector::over(here).connect().await?;
    ///     let reply = session.call::<()>("login", ("ann", "secret")).await;
    ///     assert_eq!(reply.is_ok(), is_welcome);
    ///     sessions.push(session);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn join_group(&self, key: GroupKey) -> Result<(), GroupFull> {
        self.shared.group.join(key)?;
        self.shared.policy_changed();
        Ok(())
    }
}

/// Tasks that belong to it.
impl Session {
    /// Runs `task` beside the session, on the runtime that this is called on, until it finishes or the session has ended; then it is
    /// dropped. A session that has ended already does not run it at all.
    ///
    /// A close in good order does not wait for it. It may keep a clone of the session: where the session serves nothing, that keeps it
    /// open, so a task that has no end of its own better keeps none. A panic is logged and hurts nobody else. How many there are is the
    /// application's own affair: what starts one for each request of a peer's has to bound them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let (session, peer) = rpc::testing::pair((), ());
    /// let news = session.clone();
    /// session.spawn(async move {
    ///     while news.notify("still_here", ()).await.is_ok() {
    ///         tokio::time::sleep(Duration::from_secs(60)).await;
    ///     }
    /// });
    /// # peer.close().await;
    /// # Ok(()) }
    /// ```
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Not a session: it would be a handle.
        let shared = Arc::clone(self.shared());
        tokio::spawn(async move {
            let task = AssertUnwindSafe(task).catch_unwind();
            // The end first: it is looked at before the task is.
            if let Either::Right((Err(panic), _)) = select(pin!(shared.closed()), pin!(task)).await {
                tracing::error!(
                    rpc.system.name = "jsonrpc",
                    session = shared.id,
                    panic = %brief(panic_message(&*panic)),
                    "a task of a session panicked"
                );
            }
        });
    }
}
