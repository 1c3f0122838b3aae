//! The cost of the peer, and its limits. The loop charges for what the peer does, the application
//! for whatever it likes.

use tokio::time::Instant;

use super::{Flags, Shared};
use crate::limits::{Cost, Limits};

/// The cost of one session, without that of its group.
#[derive(Debug)]
pub(super) struct OwnCost {
    running: Cost<Instant>,
    by_application: f64,
}

/// The cost of a session without its group's, and all that the application has added to it,
/// forgiven or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CostNow {
    pub(crate) cost: f64,
    pub(crate) by_application: f64,
}

impl OwnCost {
    pub(super) const fn new() -> Self {
        Self { running: Cost::new(), by_application: 0.0 }
    }

    fn add(&mut self, amount: f64, forgiven_per_second: f64, now: Instant) -> f64 {
        // The clock may have been read before the lock was waited for.
        self.running.add(amount, forgiven_per_second, now, |now, then| now.saturating_duration_since(then))
    }
}

impl Shared {
    /// Adds to the cost, and gives what it comes to: the session's own, or its group's where that
    /// is more.
    pub(crate) fn add_cost(&self, amount: f64, now: Instant) -> f64 {
        let forgiven = self.limits.cost_forgiven_per_second();
        let own = self.with(|state, _| state.cost.add(amount, forgiven, now));
        own.max(self.group.charge(amount, now))
    }

    /// The cost that a session starts with: that of its group.
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

    /// Adds what the application charges.
    pub(in crate::session) fn add_application_cost(&self, amount: f64, now: Instant) {
        self.add_cost(amount, now);
        self.with(|state, _| {
            if !amount.is_nan() {
                state.cost.by_application += amount;
            }
            state.facts.set(Flags::POLICY);
        });
    }

    pub(crate) fn own_cost(&self, now: Instant) -> CostNow {
        let forgiven = self.limits.cost_forgiven_per_second();
        self.with(|state, _| CostNow {
            cost: state.cost.add(0.0, forgiven, now),
            by_application: state.cost.by_application,
        })
    }

    /// Changes the limits, and has the loop see to what follows.
    pub(in crate::session) fn set_limits(&self, limits: &Limits) {
        self.with(|state, _| {
            self.limits.store(limits);
            state.calls.protocol.set_limits(limits.batch_length, limits.reply_size);
            if let Some(subscribers) = state.subscribers.if_made() {
                subscribers.set_limit(limits.outgoing_bytes);
            }
            state.facts.set(Flags::POLICY);
        });
        if let Some(places) = self.places.get() {
            places.set_limits(limits);
        }
    }

    /// Has the loop see to what follows from other hooks or groups.
    pub(in crate::session) fn policy_changed(&self) {
        self.with(|state, _| state.facts.set(Flags::POLICY));
    }

    /// Whether the application has added to the cost, or changed the limits, since this was asked.
    #[inline]
    pub(crate) fn take_policy_changed(&self) -> bool {
        self.hints().has(Flags::POLICY) && self.with(|state, _| state.facts.take(Flags::POLICY))
    }
}
