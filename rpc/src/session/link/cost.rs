//! What the peer has cost, and what it may: the loop charges for what it sees, the application for what it likes.

use std::sync::{PoisonError, atomic::Ordering};

use tokio::time::Instant;

use super::Link;
use crate::limits::Limits;

impl Link {
    /// Adds to the cost, and gives what it comes to.
    pub(crate) fn add_cost(&self, amount: f64, now: Instant) -> f64 {
        let mut cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waited for the lock may have read the clock before the last one.
        cost.add(amount, self.limits.cost_forgiven_per_second(), now, |now, then| {
            now.saturating_duration_since(then)
        })
    }

    /// Changes the limits, and has the loop see to what follows.
    pub(in crate::session) fn set_limits(&self, limits: &Limits) {
        let mut state = self.lock();
        self.limits.store(limits);
        state.connection.set_limits(limits.batch_length, limits.reply_size);
        state.feeds.set_limit(limits.outgoing_bytes);
        drop(state);
        self.terms_have_moved();
    }

    /// Has the loop see to what follows from a cost that the application has added, or from other limits.
    pub(in crate::session) fn terms_have_moved(&self) {
        self.terms_moved.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Whether the application has added to the cost, or changed the limits, since this was asked.
    pub(crate) fn take_terms_moved(&self) -> bool {
        self.terms_moved.load(Ordering::Relaxed) && self.terms_moved.swap(false, Ordering::AcqRel)
    }
}
