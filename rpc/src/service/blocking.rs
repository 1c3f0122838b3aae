//! Handlers that block their thread: they run where that hurts nobody.

use std::panic::resume_unwind;

use tokio::task::{AbortHandle, spawn_blocking};
use tracing::Span;

/// Runs `handler` on one of the threads that tokio keeps for the purpose, and gives what it returns.
///
/// Nothing can end a handler that has begun; one that still waits for a thread when its call is dropped is not run. A panic comes
/// out here.
pub async fn blocking<R: Send + 'static>(handler: impl FnOnce() -> R + Send + 'static) -> R {
    // What it logs belongs to its request there, too.
    let span = Span::current();
    let task = spawn_blocking(move || span.in_scope(handler));
    let _unless_begun = AbortOnDrop(task.abort_handle());
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime shuts down, and drops whoever waits.
            Err(_) => std::future::pending().await,
        },
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
