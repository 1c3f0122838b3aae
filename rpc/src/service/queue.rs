//! Requests that were admitted and wait for their turn: for other requests, where methods are
//! ordered or exclusive; for a time, where the peer is slowed down; or for a permit, where all were
//! taken.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::{
    jsonrpc::{Member, Message, Order, RequestId, version::Version},
    session::{Ahead, Trace},
};

/// The waiting requests, in the order in which they came. They count as in flight.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The number of them that are delayed.
    delayed: usize,
    /// The number that came while all permits were taken.
    kept: usize,
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The whole message.
    pub(crate) text: Box<[u8]>,
    pub(crate) member: Option<Member>,
    pub(super) order: Order,
    /// The end of its delay. No later request starts before.
    pub(super) not_before: Option<Instant>,
    /// True if it came while all permits were taken.
    pub(super) kept: bool,
    pub(crate) trace: Trace,
}

impl Waiting {
    /// The memory of one, without its message, in bytes.
    pub(crate) const SIZE: usize = size_of::<Self>();
}

/// A request that was cancelled before it started.
#[derive(Debug)]
pub(crate) struct Removed {
    /// The id of the request, owned.
    pub(crate) id: RequestId,
    /// The place of its reply, if it came in a batch.
    pub(crate) member: Option<Member>,
    pub(crate) trace: Trace,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if any came while all permits were taken. Later requests do not overtake them.
    pub(crate) const fn has_kept(&self) -> bool {
        self.kept > 0
    }

    /// The memory of all waiting requests, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes + self.waiting.len() * Waiting::SIZE
    }

    pub(crate) const fn is_delayed(&self) -> bool {
        self.delayed > 0
    }

    /// The end of the first delay.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.delayed == 0 {
            return None;
        }
        self.waiting.iter().find_map(|waiting| waiting.not_before)
    }

    /// `at`, or the end of a longer delay of an earlier request.
    pub(crate) fn after_those_before(&self, at: Instant) -> Instant {
        // Each is delayed at least as long as the one before it.
        self.waiting.back().and_then(|last| last.not_before).map_or(at, |last| last.max(at))
    }

    /// Ends the delays that are due at `now`.
    pub(crate) fn release(&mut self, now: Instant) {
        let delayed = self.waiting.iter_mut().filter(|waiting| waiting.not_before.is_some());
        for due in delayed.take_while(|waiting| waiting.not_before <= Some(now)) {
            due.not_before = None;
            self.delayed -= 1;
        }
    }

    /// True if a request that comes now may start.
    pub(super) fn lets_start(&self, running: Ahead, order: Order) -> bool {
        self.waiting.iter().fold(running, |ahead, waiting| ahead.and(waiting.order)).lets_start(order)
    }

    /// Removes the first request that may start.
    pub(super) fn next(&mut self, running: Ahead) -> Option<Waiting> {
        let mut ahead = running;
        let mut due = self.waiting.iter().take_while(|waiting| waiting.not_before.is_none());
        let at = due.position(|waiting| {
            let starts = ahead.lets_start(waiting.order);
            ahead = ahead.and(waiting.order);
            starts
        })?;
        let next = self.waiting.remove(at)?;
        self.bytes -= next.text.len();
        self.kept -= usize::from(next.kept);
        Some(next)
    }

    /// Removes the request whose id is known (`Id::known`) as `known`.
    pub(crate) fn remove(&mut self, known: &str, version: Version) -> Option<Removed> {
        let own = |waiting: &Waiting| match version.read_in_full(&waiting.text) {
            Message::Request(request) => Some(request.id.filter(|own| own.is_known_as(known))?.to_owned()),
            _ => None,
        };
        let (at, id) = self.waiting.iter().enumerate().find_map(|(at, waiting)| Some((at, own(waiting)?)))?;
        let taken = self.waiting.remove(at)?;
        self.bytes -= taken.text.len();
        self.delayed -= usize::from(taken.not_before.is_some());
        self.kept -= usize::from(taken.kept);
        Some(Removed { id, member: taken.member, trace: taken.trace })
    }

    /// Removes the requests that came while all permits were taken.
    pub(crate) fn take_kept(&mut self) -> Vec<(Box<[u8]>, Option<Member>, Trace)> {
        if !self.has_kept() {
            return Vec::new();
        }
        let (kept, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| waiting.kept);
        *self = Self::default();
        others.into_iter().for_each(|waiting| self.push(waiting));
        kept.into_iter().map(|Waiting { text, member, trace, .. }| (text, member, trace)).collect()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.text.len();
        self.delayed += usize::from(waiting.not_before.is_some());
        self.kept += usize::from(waiting.kept);
        self.waiting.push_back(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(orders: &[Order]) -> Queue {
        let mut queue = Queue::default();
        for order in orders {
            queue.push(Waiting {
                text: Box::default(),
                member: None,
                order: *order,
                not_before: None,
                kept: false,
                trace: Trace::NONE,
            });
        }
        queue
    }

    const IDLE: Ahead = Ahead::NOTHING;

    #[test]
    fn concurrent_requests_wait_for_exclusive_ones_alone() {
        assert!(queue(&[]).lets_start(IDLE, Order::Concurrent));
        assert!(queue(&[]).lets_start(IDLE.and(Order::Concurrent), Order::Concurrent));
        assert!(queue(&[Order::Ordered]).lets_start(IDLE.and(Order::Ordered), Order::Concurrent));
        assert!(!queue(&[]).lets_start(IDLE.and(Order::Exclusive), Order::Concurrent));
        assert!(!queue(&[Order::Exclusive]).lets_start(IDLE.and(Order::Concurrent), Order::Concurrent));
    }

    #[test]
    fn ordered_requests_wait_for_each_other() {
        assert!(queue(&[]).lets_start(IDLE.and(Order::Concurrent), Order::Ordered));
        assert!(!queue(&[]).lets_start(IDLE.and(Order::Ordered), Order::Ordered));
        assert!(!queue(&[Order::Ordered]).lets_start(IDLE, Order::Ordered));
    }

    #[test]
    fn exclusive_requests_are_alone_and_come_in_their_turn() {
        assert!(queue(&[]).lets_start(IDLE, Order::Exclusive));
        assert!(!queue(&[]).lets_start(IDLE.and(Order::Concurrent), Order::Exclusive));
        let mut waiting = queue(&[Order::Exclusive, Order::Concurrent, Order::Ordered]);
        assert!(waiting.next(IDLE.and(Order::Concurrent)).is_none(), "nothing overtakes it");
        assert_eq!(waiting.next(IDLE).map(|next| next.order), Some(Order::Exclusive));
        assert!(waiting.next(IDLE.and(Order::Exclusive)).is_none(), "it is alone");
        assert_eq!(waiting.next(IDLE).map(|next| next.order), Some(Order::Concurrent));
    }

    #[test]
    fn concurrent_requests_overtake_ordered_ones_that_wait() {
        let mut waiting = queue(&[Order::Ordered, Order::Concurrent]);
        let next = waiting.next(IDLE.and(Order::Ordered));
        assert_eq!(next.map(|next| next.order), Some(Order::Concurrent));
    }

    fn delayed(id: u8, not_before: Instant) -> Waiting {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#).into_bytes();
        let order = Order::Concurrent;
        Waiting {
            text: text.into(),
            member: None,
            order,
            not_before: Some(not_before),
            kept: false,
            trace: Trace::NONE,
        }
    }

    #[test]
    fn delayed_requests_start_when_their_time_has_come_and_in_order() {
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(1);
        let mut waiting = Queue::default();
        waiting.push(delayed(1, now));
        waiting.push(delayed(2, later));
        assert_eq!(waiting.after_those_before(now), later, "a third waits as long as the second");
        assert!(waiting.next(IDLE).is_none());
        waiting.release(now);
        assert!(waiting.next(IDLE).is_some());
        assert!(waiting.next(IDLE).is_none());
        assert_eq!(waiting.next_due(), Some(later));
        waiting.release(later);
        assert!(waiting.next(IDLE).is_some() && !waiting.is_delayed());
    }

    #[test]
    fn a_delayed_request_that_is_cancelled_delays_nothing() {
        let mut waiting = Queue::default();
        waiting.push(delayed(1, Instant::now()));
        waiting.push(delayed(2, Instant::now()));
        for id in ["1", "2"] {
            assert!(waiting.remove(id, Version::V2).is_some());
        }
        assert!(!waiting.is_delayed());
        assert_eq!(waiting.next_due(), None);
    }
}
