//! Counting what is under way, for whoever waits until nothing is.

use std::sync::Arc;

use tokio::sync::watch;

/// How much is under way. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<watch::Sender<usize>>);

impl Tally {
    /// One more, until what this gives is dropped.
    pub(crate) fn begin(&self) -> Counted {
        self.0.send_modify(|count| *count += 1);
        Counted(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there is nothing. Cancel safe.
    pub(crate) async fn until_none(&self) {
        let mut count = self.0.subscribe();
        // The sender lives in `self`: it cannot be gone.
        drop(count.wait_for(|count| *count == 0).await);
    }
}

/// One that is counted.
#[derive(Debug)]
pub(crate) struct Counted(Tally);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
