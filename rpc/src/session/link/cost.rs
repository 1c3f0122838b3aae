//! What the peer has cost: the loop charges for what it sees, the application for what it likes.

use std::sync::{PoisonError, atomic::Ordering};

use tokio::time::Instant;

use super::Link;

impl Link {
    /// Adds to the cost, and gives what it comes to.
    pub(crate) fn add_cost(&self, amount: f64, now: Instant) -> f64 {
        let mut cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waited for the lock may have read the clock before the last one.
        cost.add(amount, self.limits.cost_forgiven_per_second, now, |now, then| {
            now.saturating_duration_since(then)
        })
    }

    /// Has the loop see to what follows from a cost that the application has added.
    pub(in crate::session) fn cost_was_added(&self) {
        self.cost_moved.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Whether the application has added to the cost since this was asked.
    pub(crate) fn cost_moved(&self) -> bool {
        self.cost_moved.load(Ordering::Relaxed) && self.cost_moved.swap(false, Ordering::AcqRel)
    }
}
