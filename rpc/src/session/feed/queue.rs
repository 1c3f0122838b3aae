//! One subscription that the peer has here.

use std::{
    collections::VecDeque,
    task::{Poll, Waker},
};

use tokio::task::AbortHandle;

use crate::{
    jsonrpc::{
        ErrorObject, Overflow,
        subscription::{ItemWriter, SubscriptionKey},
    },
    session::{Bounds, byte_queue::ByteQueue},
};

/// What a subscription is made from.
#[derive(Debug)]
pub(crate) struct NewFeed {
    pub(crate) writer: ItemWriter,
    pub(crate) bounds: Bounds,
    /// Whether the peer is told of lost items, and of the end.
    pub(crate) sends_notices: bool,
    pub(crate) task: Option<AbortHandle>,
    /// The number under which the context of its request asks.
    pub(crate) work: u64,
}

/// The items of all subscriptions of a session.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) bytes: usize,
    pub(super) limit: usize,
}

impl Default for Together {
    fn default() -> Self {
        Self { bytes: 0, limit: usize::MAX }
    }
}

impl Together {
    const fn have_room(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) <= self.limit
    }
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Push {
    Kept,
    /// It does not fit beside those that wait, and the stream is to wait until it does.
    Waits,
    /// There is no room, and the subscription is to end for it.
    Ends,
}

#[derive(Debug)]
enum Queued {
    /// How many bytes the body of its notification has.
    Item(usize),
    /// Here items are missing, which the stream itself has left out.
    Lost(u64),
}

#[derive(Debug)]
pub(crate) struct Feed {
    writer: ItemWriter,
    pub(super) bounds: Bounds,
    pub(super) sends_notices: bool,
    /// Brings the items.
    task: Option<AbortHandle>,
    queue: VecDeque<Queued>,
    /// The bodies of the items in the queue.
    bodies: ByteQueue,
    /// How many items are missing before the first that is queued.
    lost: u64,
    /// What is said when the last one has left.
    ended: Option<Vec<u8>>,
    /// Whether that was said, or is about to be.
    is_over: bool,
    work: u64,
    /// The stream, while it waits for room.
    producer: Option<Waker>,
}

impl Feed {
    pub(super) fn new(new: NewFeed) -> Self {
        let NewFeed { writer, bounds, sends_notices, task, work } = new;
        Self {
            writer,
            bounds,
            sends_notices,
            task,
            queue: VecDeque::new(),
            bodies: ByteQueue::default(),
            lost: 0,
            ended: None,
            is_over: false,
            work,
            producer: None,
        }
    }

    pub(super) const fn key(&self) -> &SubscriptionKey {
        self.writer.key()
    }

    pub(super) const fn is_of_work(&self) -> bool {
        self.writer.is_of_work()
    }

    pub(super) fn set_task(&mut self, task: AbortHandle) {
        self.task = Some(task);
    }

    /// It was removed: its items wait no more.
    pub(super) const fn removed(self, all: &mut Together) -> Self {
        all.bytes -= self.bodies.len();
        self
    }

    /// The task that brings the items. To abort it, and to drop the rest, runs code of the user's.
    pub(crate) const fn task(&self) -> Option<&AbortHandle> {
        self.task.as_ref()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn has_something(&self) -> bool {
        !self.queue.is_empty() || self.ended.is_some() || self.lost > 0
    }

    /// Whether a further item need not wait here, where so many have not.
    pub(super) fn is_passed(&self, items: usize, bytes: usize) -> bool {
        !self.has_something() && !self.is_over && self.bounds.have_room(items, bytes, 1)
    }

    /// Whether nothing will come any more.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether its stream still works for the request with this number.
    pub(super) const fn works_for(&self, work: u64) -> bool {
        self.work == work && !self.is_over
    }

    /// Whether an item of some bytes has room here, and among those of all subscriptions. A first one always has.
    fn has_room(&self, bytes: usize, all: &Together) -> bool {
        self.queue.is_empty()
            || (self.bounds.have_room(self.queue.len(), self.bodies.len(), bytes) && all.have_room(bytes))
    }

    /// Whether the stream need not wait before it brings an item of so many bytes.
    pub(super) fn takes_more(&self, size: usize, all: &Together) -> bool {
        self.bounds.overflow != Overflow::Wait || self.has_room(size, all)
    }

    /// The waker is kept while there is no room, and the one before is left in its place.
    pub(super) fn poll_room(&mut self, size: usize, all: &Together, waker: &mut Option<Waker>) -> Poll<()> {
        if self.takes_more(size, all) {
            return Poll::Ready(());
        }
        std::mem::swap(&mut self.producer, waker);
        Poll::Pending
    }

    pub(super) fn push(&mut self, body: &[u8], all: &mut Together) -> Push {
        while !self.has_room(body.len(), all) {
            match self.bounds.overflow {
                Overflow::Wait => return Push::Waits,
                Overflow::End => return Push::Ends,
                Overflow::DropOldest => match self.queue.pop_front() {
                    Some(Queued::Item(dropped)) => {
                        self.bodies.pop(dropped);
                        all.bytes -= dropped;
                        self.lost += u64::from(self.sends_notices);
                    }
                    Some(Queued::Lost(items)) => self.lost += items,
                    None => break,
                },
            }
        }
        all.bytes += body.len();
        self.bodies.push(body);
        self.queue.push_back(Queued::Item(body.len()));
        Push::Kept
    }

    /// The stream has left out items. False where the subscription is to end for it.
    pub(super) fn lose(&mut self, items: u64) -> bool {
        match self.queue.back_mut() {
            _ if !self.sends_notices => {}
            None => self.lost += items,
            Some(Queued::Lost(before)) => *before += items,
            Some(Queued::Item(_)) => self.queue.push_back(Queued::Lost(items)),
        }
        self.bounds.overflow != Overflow::End
    }

    pub(super) fn end(&mut self, error: Option<&ErrorObject>) {
        // The end of work is told by the reply to its call.
        if !self.is_over && !self.is_of_work() && self.sends_notices {
            let mut body = Vec::new();
            self.writer.ended(&mut body, error);
            self.ended = Some(body);
        }
        self.is_over = true;
    }

    /// Gives `send` the body of the next thing to send. False where there is none.
    pub(super) fn next(&mut self, all: &mut Together, send: impl FnOnce(&[u8])) -> bool {
        if self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            send(&self.body_of_lost(lost));
            return true;
        }
        match self.queue.pop_front() {
            Some(Queued::Item(length)) => {
                send(self.bodies.first(length));
                self.bodies.pop(length);
                all.bytes -= length;
            }
            Some(Queued::Lost(items)) => send(&self.body_of_lost(items)),
            None => match self.ended.take() {
                Some(ended) => send(&ended),
                None => return false,
            },
        }
        true
    }

    fn body_of_lost(&self, items: u64) -> Vec<u8> {
        let mut body = Vec::new();
        self.writer.lost(&mut body, items);
        body
    }

    /// The stream that waits for room, if there is some now.
    pub(super) fn room_for(&mut self, all: &Together) -> Option<Waker> {
        if self.has_room(1, all) { self.producer.take() } else { None }
    }
}
