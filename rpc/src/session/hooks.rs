//! Hooks: callbacks of the application for the life of its sessions.

use std::sync::Arc;

use super::{CloseReason, Session, Shared, shared::SharedHooks};

/// Callbacks for the life of a session, set with
/// [`ServerBuilder::hooks`](crate::ServerBuilder::hooks) or
/// [`Connector::hooks`](crate::Connector::hooks).
///
/// Every method is optional. Hooks run on the session's loop and must not block: spawn a task for
/// anything slow. A hook that panics does not affect its session; the panic is logged.
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
    /// A session has been opened: its services exist, and nothing was read yet.
    fn opened(&self, session: &Session) {
        let _ = session;
    }

    /// A session has ended with `reason`. Called once for each opened session, before
    /// [`Session::closed`] returns and before the shutdown of its server is complete.
    fn closed(&self, session: &Session, reason: &CloseReason) {
        let _ = (session, reason);
    }

    /// The peer's cost has exceeded [`Limits::cost_soft`](crate::Limits::cost_soft). Called again
    /// only after it was lower.
    fn over_soft_limit(&self, session: &Session, cost: f64) {
        let _ = (session, cost);
    }

    /// The peer's cost has reached [`Limits::cost_hard`](crate::Limits::cost_hard): the peer is
    /// told, and the session closes.
    fn over_hard_limit(&self, session: &Session, cost: f64) {
        let _ = (session, cost);
    }

    /// A cost of the peer at this moment besides the charges, for example for the data that it has
    /// stored. It is added whenever the cost is computed (when cost is charged, for each request
    /// that is slowed down, and by [`Session::cost`]), and neither kept nor forgiven.
    ///
    /// Default: 0.
    fn extra_cost(&self, session: &Session) -> f64 {
        let _ = session;
        0.0
    }
}

/// Connects the application's hooks to the shared state, which cannot name the handle that the
/// hooks get.
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
