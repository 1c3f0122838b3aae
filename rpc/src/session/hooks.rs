//! What the application wants to know of its sessions, and how they are kept from being hurt by it.

use std::sync::Arc;

use super::{CloseReason, Session, Shared, shared::SharedHooks};

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

/// The shared state knows the application's hooks like this: it cannot name the handle, which is made
/// of it.
impl<H: Hooks> SharedHooks for H {
    fn opened(&self, shared: &Arc<Shared>) {
        Hooks::opened(self, &handle(shared));
    }

    fn closed(&self, shared: &Arc<Shared>, reason: &CloseReason) {
        Hooks::closed(self, &handle(shared), reason);
    }

    fn over_soft_limit(&self, shared: &Arc<Shared>, cost: f64) {
        Hooks::over_soft_limit(self, &handle(shared), cost);
    }

    fn over_hard_limit(&self, shared: &Arc<Shared>, cost: f64) {
        Hooks::over_hard_limit(self, &handle(shared), cost);
    }

    fn extra_cost(&self, shared: &Arc<Shared>) -> f64 {
        Hooks::extra_cost(self, &handle(shared))
    }
}

fn handle(shared: &Arc<Shared>) -> Session {
    Session::new(Arc::clone(shared))
}
