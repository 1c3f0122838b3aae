//! One subscriber at the peer, and its producer here.

use std::task::{Poll, Waker};

use tokio::task::AbortHandle;

use crate::{
    jsonrpc::{
        ErrorCode, ErrorObject, Overflow,
        subscription::{ItemWriter, SubscriptionKey},
    },
    session::{
        Bounds,
        item_queue::{ItemQueue, Next, Push, TotalBytes},
    },
};

/// The parts of a [`RemoteSubscriber`].
#[derive(Debug)]
pub(crate) struct NewRemoteSubscriber {
    pub(crate) writer: ItemWriter,
    pub(crate) bounds: Bounds,
    /// Whether the peer is told of lost items, and of the end.
    pub(crate) sends_notices: bool,
    pub(crate) task: Option<AbortHandle>,
    /// The number that the context of its request asks by, see [`RemoteSubscriber::works_for`].
    pub(crate) work: u64,
}

#[derive(Debug)]
pub(crate) struct RemoteSubscriber {
    writer: ItemWriter,
    /// The bodies of notifications that are not sent yet.
    queue: ItemQueue<Vec<u8>>,
    pub(super) sends_notices: bool,
    /// Runs the producer.
    task: Option<AbortHandle>,
    work: u64,
    /// The producer, while it waits for capacity.
    producer: Option<Waker>,
}

impl RemoteSubscriber {
    pub(super) fn new(new: NewRemoteSubscriber) -> Self {
        let NewRemoteSubscriber { writer, bounds, sends_notices, task, work } = new;
        let queue = ItemQueue::new(bounds).counting_lost(sends_notices);
        Self { writer, queue, sends_notices, task, work, producer: None }
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

    /// The same without its items, which count no more towards the common limit.
    pub(super) fn removed(mut self, total: &mut TotalBytes) -> Self {
        self.queue.clear(total);
        self
    }

    /// The task of the producer. Aborting it, or dropping the rest, runs the user's code.
    pub(crate) const fn task(&self) -> Option<&AbortHandle> {
        self.task.as_ref()
    }

    pub(super) fn has_something(&self) -> bool {
        !self.queue.is_drained()
    }

    /// Whether an item may skip the queue, after `items` that have done so while `bytes` wait in
    /// the write buffer.
    pub(super) fn is_passed(&self, items: usize, bytes: usize) -> bool {
        self.queue.is_drained() && self.queue.is_open() && self.queue.bounds().have_room(items, bytes, 1)
    }

    /// Whether the producer has ended.
    pub(super) const fn is_over(&self) -> bool {
        !self.queue.is_open()
    }

    /// Whether its producer still works for the request with this number.
    pub(super) const fn works_for(&self, work: u64) -> bool {
        self.work == work && self.queue.is_open()
    }

    /// Whether the producer may push an item of `size` bytes without waiting.
    pub(super) fn is_ready(&self, size: usize, total: &TotalBytes) -> bool {
        self.queue.is_ready(size, total)
    }

    /// Until there is capacity the waker is kept, and the one that was kept before is left in its
    /// place.
    pub(super) fn poll_capacity(
        &mut self,
        size: usize,
        total: &TotalBytes,
        waker: &mut Option<Waker>,
    ) -> Poll<()> {
        if self.is_ready(size, total) {
            return Poll::Ready(());
        }
        std::mem::swap(&mut self.producer, waker);
        Poll::Pending
    }

    pub(super) fn push(&mut self, body: &[u8], total: &mut TotalBytes) -> Push {
        self.queue.push(body, total)
    }

    /// The producer has left out items. False if the overflow rule ends the subscription for it.
    pub(super) fn lose(&mut self, items: u64) -> bool {
        self.queue.lose(items);
        self.queue.bounds().overflow != Overflow::End
    }

    /// Ends it because the peer reads more slowly than the producer pushes.
    pub(super) fn end_as_too_slow(&mut self) {
        let waiting = self.queue.len();
        let error = format!("the subscriber is too slow: {waiting} items wait");
        self.end(Some(&ErrorObject::new(ErrorCode::SERVER_BUSY, error)));
    }

    pub(super) fn end(&mut self, error: Option<&ErrorObject>) {
        if self.is_over() {
            return;
        }
        // Where the items report progress, the reply to the call is the end.
        let is_told = !self.is_of_work() && self.sends_notices;
        let body = is_told.then(|| {
            let mut body = Vec::new();
            self.writer.ended(&mut body, error);
            body
        });
        self.queue.end(body);
    }

    /// Gives `send` the body of the next notification. False if there is none.
    pub(super) fn next(&mut self, total: &mut TotalBytes, send: impl FnOnce(&[u8])) -> bool {
        let Self { writer, queue, .. } = self;
        let sent = queue.take(total, |next| match next {
            Next::Item(body) => send(body),
            Next::End(body) => send(&body),
            Next::Lost(items) => {
                let mut body = Vec::new();
                writer.lost(&mut body, items);
                send(&body);
            }
        });
        sent.is_some()
    }

    /// The producer that waits for capacity, if there is some now.
    pub(super) fn take_ready_producer(&mut self, total: &TotalBytes) -> Option<Waker> {
        if self.queue.has_capacity(1, total) { self.producer.take() } else { None }
    }
}
