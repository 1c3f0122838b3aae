//! The connections of a server that carry no session: how many there are, and their end.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Those of one server.
#[derive(Debug)]
pub(in crate::server) struct Connections {
    open: Arc<watch::Sender<usize>>,
    forced: CancellationToken,
}

impl Connections {
    pub(in crate::server) fn new() -> Self {
        Self { open: Arc::new(watch::Sender::new(0)), forced: CancellationToken::new() }
    }

    pub(in crate::server) fn count(&self) -> usize {
        *self.open.borrow()
    }

    /// One more, until what this gives is dropped.
    pub(super) fn begin(&self) -> Open {
        self.open.send_modify(|open| *open += 1);
        Open(Arc::clone(&self.open))
    }

    /// Ends all of them at once.
    pub(in crate::server) fn force(&self) {
        self.forced.cancel();
    }

    /// Waits until they have to end at once. Cancel safe.
    pub(super) async fn are_forced(&self) {
        self.forced.cancelled().await;
    }

    /// Waits until there are none.
    pub(in crate::server) async fn all_ended(&self) {
        let mut open = self.open.subscribe();
        // The sender lives in `self`: it cannot be gone.
        let _none = open.wait_for(|open| *open == 0).await;
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Open(Arc<watch::Sender<usize>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}
