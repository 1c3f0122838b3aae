//! What the peer has cost, and what it may: the loop charges for what it sees, the application for what it likes.

use std::sync::{MutexGuard, PoisonError, atomic::Ordering};

use tokio::time::Instant;

use super::Link;
use crate::limits::{Cost, Limits};

/// What a session has cost.
#[derive(Debug)]
pub(in crate::session) struct OwnCost {
    running: Cost<Instant>,
    by_application: f64,
}

/// What a session has cost without its group, and what the application has added since it began, forgiven or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CostNow {
    pub(crate) cost: f64,
    pub(crate) by_application: f64,
}

impl OwnCost {
    pub(super) const fn new() -> Self {
        Self { running: Cost::new(), by_application: 0.0 }
    }
}

impl Link {
    /// Adds to the cost, and gives what it comes to: the session's own, or its group's where that is more.
    pub(crate) fn add_cost(&self, amount: f64, now: Instant) -> f64 {
        self.add_own_cost(amount, now).max(self.group.charge(amount, now))
    }

    /// What the session costs from the start, for what its group has cost.
    pub(crate) fn first_cost(&self) -> f64 {
        if self.group.is_some() { self.group.charge(0.0, Instant::now()) } else { 0.0 }
    }

    /// The session has ended: its group is charged for the rest, and has one connection less.
    pub(crate) fn leave_group(&self, rest: f64) {
        if self.group.is_some() {
            self.add_cost(rest, Instant::now());
            self.group.leave();
        }
    }

    fn add_own_cost(&self, amount: f64, now: Instant) -> f64 {
        let mut cost = self.lock_cost();
        // The clock may have been read before the lock was waited for.
        cost.running.add(amount, self.limits.cost_forgiven_per_second(), now, |now, then| {
            now.saturating_duration_since(then)
        })
    }

    fn lock_cost(&self) -> MutexGuard<'_, OwnCost> {
        self.cost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the application adds.
    pub(in crate::session) fn add_application_cost(&self, amount: f64, now: Instant) {
        if !amount.is_nan() {
            self.lock_cost().by_application += amount;
        }
        self.add_cost(amount, now);
        self.terms_have_moved();
    }

    pub(crate) fn own_cost(&self, now: Instant) -> CostNow {
        let cost = self.add_own_cost(0.0, now);
        CostNow { cost, by_application: self.lock_cost().by_application }
    }

    /// Changes the limits, and has the loop see to what follows.
    pub(in crate::session) fn set_limits(&self, limits: &Limits) {
        let mut state = self.lock();
        self.limits.store(limits);
        state.connection.set_limits(limits.batch_length, limits.reply_size);
        if let Some(feeds) = state.feeds.if_made() {
            feeds.set_limit(limits.outgoing_bytes);
        }
        drop(state);
        if let Some(places) = self.places.get() {
            places.set_limits(limits);
        }
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
