//! Tasks that belong to a session.

use std::{any::Any, panic::AssertUnwindSafe, pin::pin, sync::Arc};

use futures::{
    FutureExt,
    future::{Either, select},
};

use super::Session;
use crate::jsonrpc::shown::brief;

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
        let link = Arc::clone(self.link());
        tokio::spawn(async move {
            let task = AssertUnwindSafe(task).catch_unwind();
            // The end first: it is looked at before the task is.
            if let Either::Right((Err(panic), _)) = select(pin!(link.closed()), pin!(task)).await {
                tracing::error!(
                    rpc.system.name = "jsonrpc",
                    session = link.id,
                    panic = %brief(panic_message(&*panic)),
                    "a task of a session panicked"
                );
            }
        });
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
