//! Work that is finished whatever becomes of the handler that began it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::FutureExt;
use tokio::task::JoinHandle;

use super::{
    RequestPeer,
    panics::{Panic, log_panic},
};

/// Work that is finished whatever becomes of its handler: made by [`Context::shield`](crate::Context::shield). Awaiting it gives the
/// work's value; dropping it lets the work go on.
pub struct Shielded<T>(JoinHandle<Result<T, Panic>>);

impl<T: Send + 'static> Shielded<T> {
    pub(super) fn start(
        peer: &RequestPeer,
        method: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        let shield = peer.shield();
        Self(tokio::spawn(async move {
            let done = AssertUnwindSafe(work).catch_unwind().await;
            drop(shield);
            // Nobody may be left to hear of it.
            done.inspect_err(|panic| log_panic(method, &**panic))
        }))
    }
}

impl<T> Future for Shielded<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(Ok(value)) => Poll::Ready(value),
            Ok(Err(panic)) => resume_unwind(panic),
            // The runtime is stopping, and drops whoever waits here, too.
            Err(_) => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for Shielded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shielded").finish_non_exhaustive()
    }
}
