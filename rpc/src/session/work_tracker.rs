//! Counts work in flight, for a shutdown that waits for its end.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts work in flight. Clones count together.
///
/// `tokio_util`'s `TaskTracker` would do the same, and bring a procedural macro into every build.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkTracker(Arc<watch::Sender<usize>>);

impl WorkTracker {
    /// Counts one more, until the token is dropped.
    pub(crate) fn token(&self) -> WorkToken {
        self.0.send_modify(|count| *count += 1);
        WorkToken(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until nothing is in flight. Cancel safe.
    pub(crate) async fn wait(&self) {
        let mut count = self.0.subscribe();
        // The sender lives in `self`: it cannot be gone.
        drop(count.wait_for(|count| *count == 0).await);
    }
}

/// Stands for work in flight, which is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct WorkToken(WorkTracker);

impl Drop for WorkToken {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
