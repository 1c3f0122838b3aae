//! [`Session`]: the handle of a live connection.

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

/// A live connection to a peer: make calls, send notifications, and close it.
///
/// Both sides have the same type: once connected there is no client and no server, and each side
/// calls the methods that the other serves, at any time. Clones share the connection. A session
/// that serves nothing closes when its last handle is dropped (a call that is held counts as a
/// handle); a session that serves lives until one side closes it.
///
/// Typed calls go through a generated client (`CalcClient::from(session)`); [`call`](Self::call)
/// and [`notify`](Self::notify) work without a trait.
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

    /// The JSON-RPC version of the session: [`Protocol::Detect`] until the peer's first message has
    /// come.
    pub fn protocol(&self) -> Protocol {
        self.shared.read(|state| state.calls.protocol.protocol())
    }

    /// The id of the session, unique within the process.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// The address of the peer.
    pub fn peer(&self) -> &Endpoint {
        &self.shared.peer
    }

    /// Values of the application for this session, for example the user who has logged in.
    pub fn extensions(&self) -> &Extensions {
        &self.shared.extensions
    }

    /// Closes the session gracefully, and returns when it has ended.
    ///
    /// New calls are refused at once, and calls in flight end with [`CloseReason::Local`]. The
    /// peer's requests in flight are finished and answered, then the connection is closed; after
    /// [`Limits::close_timeout`](crate::Limits::close_timeout) it is closed in any case. A handler
    /// must call [`start_close`](Self::start_close) instead: here it would wait for itself.
    ///
    /// Dropping the future does not stop the graceful shutdown.
    pub async fn close(&self) -> CloseReason {
        self.start_close();
        self.closed().await
    }

    /// Starts a graceful shutdown, like [`close`](Self::close), and does not wait for it.
    pub fn start_close(&self) {
        self.shared.start_close(CloseReason::Local);
    }

    /// Ends the session at once: bytes that wait to be sent are lost, and handlers are dropped.
    pub fn abort(&self) {
        self.shared.abort(CloseReason::Aborted);
    }

    /// Waits for the end of the session, and returns its reason. Cancel safe.
    pub async fn closed(&self) -> CloseReason {
        self.shared.closed().await
    }

    /// The reason why the session has ended or is closing; `None` while it is open.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.read(|state| state.phase.reason().cloned())
    }

    /// Whether new calls are refused.
    pub fn is_closed(&self) -> bool {
        self.close_reason().is_some()
    }

    /// Counters of the session, and its current state. Available at any time, even after the end.
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

    /// The number of calls of this side in flight.
    pub fn calls_in_flight(&self) -> usize {
        self.shared.read(|state| state.calls.in_flight())
    }

    /// The number of subscriptions that this side serves to the peer.
    pub fn subscriptions_served(&self) -> usize {
        self.shared.read(|state| state.subscribers.len())
    }

    /// The number of subscriptions of this side at the peer.
    pub fn subscriptions(&self) -> usize {
        self.shared.read(|state| state.subscriptions.len())
    }

    /// The number of the peer's requests in flight.
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

/// Limits, cost and group of the session.
impl Session {
    /// The limits that apply now.
    pub fn limits(&self) -> Limits {
        self.shared.limits.load()
    }

    /// Changes the limits from now on: more for a peer that has logged in, less for one that
    /// misbehaves.
    ///
    /// Calls, requests and subscriptions in flight keep the timeouts and buffers that they started
    /// with. Requests and subscriptions beyond a lowered limit are not ended. Concurrent changes do
    /// not mix: the last one applies as a whole.
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

    /// The cost of the peer: the charges by the numbers in [`Limits`](crate::Limits), the
    /// [added](Self::add_cost) cost, less the part that is forgiven with time, and the [extra
    /// cost](crate::Hooks::extra_cost). Bytes that amount to less than 1 are not charged yet.
    ///
    /// If the cost of its [group](crate::Groups) is higher than its own, it is the group's.
    ///
    /// From [`Limits::cost_soft`](crate::Limits::cost_soft) on the peer is slowed down, and at
    /// [`Limits::cost_hard`](crate::Limits::cost_hard) the session ends.
    pub fn cost(&self) -> f64 {
        self.shared.add_cost(0.0, Instant::now()) + self.extra_cost()
    }

    /// See [`Hooks::extra_cost`](crate::Hooks::extra_cost).
    pub(crate) fn extra_cost(&self) -> f64 {
        let extra = self.shared.hooks.run(|hooks| hooks.extra_cost(&self.shared)).unwrap_or(0.0);
        if extra.is_nan() { 0.0 } else { extra }
    }

    /// Charges the peer for work that only the application can judge: a full scan, an expensive
    /// computation. A negative amount is a refund; the cost never falls below 0.
    ///
    /// The limits on the [`cost`](Self::cost) are applied in the next turn of the session's loop.
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

    /// Moves the session to another [group](crate::Groups), once the peer is known: after a login.
    ///
    /// The cost charged so far stays with the group that it leaves; the session's own cost stays
    /// with the session. If the new group is at its cost limit, the session ends as if it had
    /// reached it itself. Without groups on the server, this does nothing.
    ///
    /// A key that peers can choose freely (a name that is not verified) lets them leave the group
    /// of their address at will.
    ///
    /// # Errors
    ///
    /// If the group is at its limit of connections: then the session stays in its group.
    /// [Close](Self::start_close) it, or refuse the login.
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

/// Tasks that belong to the session.
impl Session {
    /// Runs `task` on the current runtime until it finishes or the session ends; then it is
    /// dropped. If the session has ended already, the task is not run.
    ///
    /// A graceful shutdown does not wait for it. The task may hold a clone of the session: that
    /// keeps a session that serves nothing open, so a task without an end of its own should hold
    /// none. A panic is logged, and affects nothing else. The number of tasks is not limited: an
    /// application that spawns one for each request of a peer has to limit them.
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
        // Not a `Session`, which would count as a handle.
        let shared = Arc::clone(self.shared());
        tokio::spawn(async move {
            let task = AssertUnwindSafe(task).catch_unwind();
            // `select` polls the first future first: the end of the session takes precedence.
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
