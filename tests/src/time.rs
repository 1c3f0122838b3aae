//! Waiting, where tokio's time stands still.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

/// Waits until nothing can go on without time passing.
///
/// Paused time only moves when every task waits: a moment later, all that could happen has happened.
pub async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// For what happens at once, or not at all: gives a test up that would wait for ever. On real time it is patient.
pub async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it happens soon")
}

/// Polls a future once, and says whether it has to wait. What is sent when it is first polled has been handed over then.
pub fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}
