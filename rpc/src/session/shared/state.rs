//! The state of a session: components that know nothing of each other, and the hints that are
//! derived from them.

use tokio::time::Instant;

use super::guarded::{Flags, Hinted, Snapshot};
use crate::{
    limits::Cost,
    session::{
        CloseReason, calls::Calls, effects::OnDemand, outbox::Outbox, requests::Requests,
        subscribers::Subscribers, subscriptions::Subscriptions,
    },
};

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// The calls in flight, with the protocol machine.
    pub(crate) calls: Calls,
    /// The peer's requests in flight.
    pub(crate) requests: Requests,
    /// Messages that the loop has not taken yet.
    pub(crate) outbox: Outbox,
    /// The subscriptions that this side serves.
    pub(crate) subscribers: OnDemand<Subscribers>,
    /// The subscriptions of this side at the peer.
    pub(crate) subscriptions: OnDemand<Subscriptions>,
    pub(crate) deadline: Deadline,
    /// Facts that are only hints: [`SUBSCRIBES`](Flags::SUBSCRIBES), [`REPORTS`](Flags::REPORTS)
    /// and [`LISTENS`](Flags::LISTENS), which stay set, [`PEER_CLOSING`](Flags::PEER_CLOSING), and
    /// [`POLICY`](Flags::POLICY).
    pub(super) facts: Flags,
    /// Whether the peer supports notices of its subscriptions.
    pub(super) takes_notices: bool,
    /// Whether the peer supports the notice that this side shuts down.
    pub(super) takes_closing: bool,
    pub(super) cost: OwnCost,
    /// Messages to be checked in full, since an item in them is not valid JSON.
    pub(super) unjudged: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    Open,
    /// Graceful shutdown: requests in flight are finished.
    Closing(CloseReason),
    /// The connection is to be dropped; the loop may not have noticed yet.
    Ended(CloseReason),
    /// The loop has ended, too.
    Gone(CloseReason),
}

impl Phase {
    pub(crate) const fn reason(&self) -> Option<&CloseReason> {
        match self {
            Self::Open => None,
            Self::Closing(reason) | Self::Ended(reason) | Self::Gone(reason) => Some(reason),
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Gone(_))
    }
}

/// The cost of one session, without that of its group.
#[derive(Debug)]
pub(super) struct OwnCost {
    running: Cost<Instant>,
    pub(super) by_application: f64,
}

/// The cost of a session without that of its group, and the total that the application has added,
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

    pub(super) fn add(&mut self, amount: f64, forgiven_per_second: f64, now: Instant) -> f64 {
        // The clock may have been read before the lock was acquired.
        self.running.add(amount, forgiven_per_second, now, |now, then| now.saturating_duration_since(then))
    }
}

/// The earliest deadline of any call or request, or an earlier time.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    next: Option<Instant>,
    /// Whether it has moved since the loop last looked.
    has_moved: bool,
}

impl Deadline {
    /// Makes the loop check the deadlines at `at`, unless it does so earlier.
    #[inline]
    pub(super) fn expect(&mut self, at: Instant) {
        if self.next.is_none_or(|next| at < next) {
            (self.next, self.has_moved) = (Some(at), true);
        }
    }

    /// The deadline, read by the loop.
    pub(super) const fn look(&mut self) -> Option<Instant> {
        self.has_moved = false;
        self.next
    }

    /// Sets the deadline after the loop has checked all calls and requests.
    pub(super) const fn set(&mut self, next: Option<Instant>) {
        self.next = next;
    }
}

impl Hinted for State {
    #[inline]
    fn snapshot(&self) -> Snapshot {
        let flags = Flags::ENDING
            .when(!self.phase.is_open())
            .and(Flags::ENDED.when(self.phase.has_ended()))
            .and(Flags::ITEMS.when(self.subscribers.made().is_some_and(Subscribers::are_ready)))
            .and(Flags::DEADLINE.when(self.deadline.has_moved))
            .and(Flags::UNJUDGED.when(!self.unjudged.is_empty()))
            .and(Flags::CLOSES_AFTER.when(self.requests.any_closes_after()))
            .and(self.facts);
        Snapshot {
            flags,
            queued: self.outbox.len(),
            requests: self.requests.permits(),
            request_bytes: self.requests.bytes(),
            open_batches: self.calls.protocol.batches_in_progress(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_loop_looks_at_a_deadline_that_is_earlier_and_at_no_other() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut deadline = Deadline::default();
        deadline.expect(now + 2 * second);
        assert!(deadline.has_moved);
        assert_eq!(deadline.look(), Some(now + 2 * second));
        deadline.expect(now + 3 * second);
        assert!(!deadline.has_moved, "it will have looked by then");
        deadline.expect(now + second);
        assert!(deadline.has_moved);
        assert_eq!(deadline.look(), Some(now + second));
        deadline.set(None);
        deadline.expect(now + 5 * second);
        assert_eq!(deadline.look(), Some(now + 5 * second));
    }
}
