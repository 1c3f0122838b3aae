//! Requests that were admitted and wait for others: their methods, or those of others, are ordered or exclusive.

use std::collections::VecDeque;

use super::{Driver, batch::OpenBatch, serve::Served};
use crate::{
    jsonrpc::{self, Id, Message, Order, version::Version},
    session::{Ahead, Member},
};

/// The requests that wait, in the order in which they came. They count as being worked on.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    /// The whole message.
    text: Box<[u8]>,
    member: Option<Member>,
    order: Order,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a request that comes now may start.
    fn lets_start(&self, running: Ahead, order: Order) -> bool {
        self.waiting.iter().fold(running, |ahead, waiting| ahead.and(waiting.order)).lets_start(order)
    }

    /// Takes out the first that may start.
    fn next(&mut self, running: Ahead) -> Option<Waiting> {
        let mut ahead = running;
        let at = self.waiting.iter().position(|waiting| {
            let starts = ahead.lets_start(waiting.order);
            ahead = ahead.and(waiting.order);
            starts
        })?;
        let next = self.waiting.remove(at)?;
        self.bytes -= next.text.len();
        Some(next)
    }

    /// Takes out the request with this id: gives the place of its reply, if that is in a batch.
    pub(super) fn remove(&mut self, id: Id<'_>, version: Version) -> Option<Option<Member>> {
        let is_it = |waiting: &Waiting| match version.read_in_full(&waiting.text) {
            Message::Request(request) => request.id == Some(id),
            _ => false,
        };
        let at = self.waiting.iter().position(is_it)?;
        let taken = self.waiting.remove(at)?;
        self.bytes -= taken.text.len();
        Some(taken.member)
    }

    fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.text.len();
        self.waiting.push_back(waiting);
    }
}

impl Driver {
    /// Whether the request has to wait for others; then it does, and needs no further attention.
    pub(super) fn waits_for_turn(
        &mut self,
        request: &jsonrpc::Request<'_>,
        text: &[u8],
        batch: Option<&OpenBatch>,
    ) -> bool {
        // Nearly always no method asks for an order.
        let Some(order) = self.routes.order(&request.method) else { return false };
        if self.queue.lets_start(self.link.running_orders(), order) {
            return false;
        }
        let member = batch.map(OpenBatch::member);
        if let (Some(member), Some(_)) = (member, request.id) {
            self.link.expect_member(member);
        }
        self.queue.push(Waiting { text: text.into(), member, order });
        true
    }

    /// Starts those whose turn has come.
    pub(super) fn start_waiting(&mut self) {
        while self.queue.len() > 0
            && let Some(waiting) = self.queue.next(self.link.running_orders())
        {
            self.start(&waiting);
        }
    }

    fn start(&mut self, waiting: &Waiting) {
        let request = match self.version.read_in_full(&waiting.text) {
            Message::Request(request) => request,
            // It looked like a request to the scan, which does not look into parameters. (Members of batches were read in full.)
            other => {
                self.dispatch(&waiting.text, other, false);
                return;
            }
        };
        let mut batch = waiting.member.map(|member| OpenBatch::of(member, self.version, &self.link));
        if let Served::Refused(error) = self.start_handler(&request, waiting.text.len(), batch.as_mut()) {
            // What it costs is charged; where that is too much the session is closing, and finishes what it has begun.
            self.refuse(&request, &error, batch.as_ref());
        }
        if let (Some(member), Some(_)) = (waiting.member, request.id) {
            self.link.end_batch(member.batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(orders: &[Order]) -> Queue {
        let mut queue = Queue::default();
        for order in orders {
            queue.push(Waiting { text: Box::default(), member: None, order: *order });
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
    fn what_need_not_wait_overtakes_what_must() {
        let mut waiting = queue(&[Order::Ordered, Order::Concurrent]);
        let next = waiting.next(IDLE.and(Order::Ordered));
        assert_eq!(next.map(|next| next.order), Some(Order::Concurrent));
    }
}
