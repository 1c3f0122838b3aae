//! What the application wants to know of its sessions, and how they are kept from being hurt by it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{CloseReason, Session};

/// What happens to sessions, told to the application: set with [`ServerBuilder::hooks`](crate::ServerBuilder::hooks) or
/// [`Connector::hooks`](crate::Connector::hooks).
///
/// Every method may be left out. They run on the session's loop and must not block: start a task for whatever takes time. One that
/// panics does its session no harm; the panic is logged.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
///
/// use rpc::{CloseReason, Connector, Hooks, Server, Session};
///
/// static OPEN: AtomicUsize = AtomicUsize::new(0);
///
/// struct Count;
/// impl Hooks for Count {
///     fn opened(&self, _: &Session) {
///         OPEN.fetch_add(1, Relaxed);
///     }
///     fn closed(&self, session: &Session, reason: &CloseReason) {
///         OPEN.fetch_sub(1, Relaxed);
///         println!("{}: {}", session.peer(), rpc::chain(reason));
///     }
/// }
///
/// let server = Server::builder().hooks(Count).build()?.start();
/// let (here, there) = rpc::transport::memory(4096);
/// server.attach(there);
/// assert_eq!(OPEN.load(Relaxed), 1);
/// server.shutdown().await;
/// assert_eq!(OPEN.load(Relaxed), 0);
/// # drop(here); Ok(()) }
/// ```
pub trait Hooks: Send + Sync + 'static {
    /// A session begins: nothing was read yet. Its services exist.
    fn opened(&self, session: &Session) {
        let _ = session;
    }

    /// A session has ended, for `reason`. Told once of each that was opened, before [`Session::closed`] returns anywhere and a server has
    /// shut down.
    fn closed(&self, session: &Session, reason: &CloseReason) {
        let _ = (session, reason);
    }

    /// The peer's cost has come to more than [`Limits::cost_soft`](crate::Limits::cost_soft). Told again only when it was less meanwhile.
    fn over_soft_limit(&self, session: &Session, cost: f64) {
        let _ = (session, cost);
    }

    /// The peer's cost has come to [`Limits::cost_hard`](crate::Limits::cost_hard): it is told so, and the session closes.
    fn over_hard_limit(&self, session: &Session, cost: f64) {
        let _ = (session, cost);
    }

    /// What the peer costs besides what was charged, at this moment: how much it has stored, for example. It is added whenever the cost is
    /// reckoned (when something is charged, for each request that is slowed down, and by [`Session::cost`]), and neither kept nor
    /// forgiven.
    ///
    /// Default: 0.
    fn extra_cost(&self, session: &Session) -> f64 {
        let _ = session;
        0.0
    }
}

/// The hooks of the application's, if it has any.
#[derive(Clone, Default)]
pub(crate) struct InstalledHooks(Option<Arc<dyn Hooks>>);

impl InstalledHooks {
    pub(crate) fn new(hooks: impl Hooks) -> Self {
        Self(Some(Arc::new(hooks)))
    }

    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Runs one of them. `None` where there are none, and where it panics.
    pub(crate) fn run<R>(&self, hook: impl FnOnce(&dyn Hooks) -> R) -> Option<R> {
        let hooks = self.0.as_deref()?;
        let ran = catch_unwind(AssertUnwindSafe(|| hook(hooks)));
        if ran.is_err() {
            tracing::error!(rpc.system.name = "jsonrpc", "a hook of a session panicked");
        }
        ran.ok()
    }
}

impl fmt::Debug for InstalledHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_some() { "Hooks" } else { "no hooks" })
    }
}
