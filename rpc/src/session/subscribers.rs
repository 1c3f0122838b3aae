//! The subscribers at the peer that this side serves, and the items that wait to be sent to them.
//!
//! Each has a queue of its own. Once the write buffer is empty the loop takes items out, one from
//! each queue in turn, so that a busy producer delays neither replies nor other subscribers. A
//! plain value: it knows neither the shared state nor the subscriptions of this side.

use std::{
    collections::{HashMap, VecDeque},
    sync::LazyLock,
    task::{Poll, Waker},
};

use rustc_hash::FxHashMap;
use tokio::task::AbortHandle;

use super::{
    Bounds,
    effects::Empty,
    item_queue::{ItemQueue, Next, Push, TotalBytes},
};
use crate::jsonrpc::{
    BatchId, ErrorCode, ErrorObject, Overflow,
    subscription::{ItemWriter, SubscriptionKey},
};

/// The subscribers of one peer, by the numbers of the requests that began them.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    by_id: FxHashMap<u64, RemoteSubscriber>,
    by_key: HashMap<SubscriptionKey, u64>,
    /// Subscribers with items to send, in turn.
    ready: VecDeque<u64>,
    /// Subscribers whose reply is part of an unanswered batch: no item is sent before it.
    held: Vec<(BatchId, u64)>,
    total: TotalBytes,
    /// The items that have skipped the queue since the write buffer was last empty.
    passed: usize,
}

/// The results of sending an item. Both hold user code: use them outside the lock.
#[derive(Debug, Default)]
pub(crate) struct SentItem {
    /// The waiting producer, if there is capacity for it now.
    pub(crate) producer: Option<Waker>,
    /// The subscriber, if that was its last item.
    pub(crate) ended: Option<RemoteSubscriber>,
}

/// The outcome of pushing an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The item was taken, and there is capacity for another one.
    More,
    /// The item was taken. Back-pressure: the producer has to wait before it pushes another one.
    Full,
    /// The item was not taken: the producer has to wait until there is capacity for it.
    Waits,
}

/// The subscription has ended, and takes no more items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl Empty for Subscribers {
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Subscribers> = LazyLock::new(Subscribers::default);
        &EMPTY
    }
}

impl Subscribers {
    /// Limits the bytes in all queues together. Each queue may hold one item in any case, so that
    /// none starves. Default: no limit.
    pub(crate) const fn set_limit(&mut self, limit: usize) {
        self.total.set_limit(limit);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether a producer still works for the request with this number.
    pub(crate) fn work_for(&self, work: u64) -> bool {
        self.by_id.values().any(|subscriber| subscriber.works_for(work))
    }

    /// Whether an item waits to be sent.
    pub(crate) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds a subscriber. Another one with the same key ends, and is returned: dropping it runs
    /// user code, so do that outside the lock.
    pub(crate) fn add(&mut self, id: u64, new: NewRemoteSubscriber) -> Option<RemoteSubscriber> {
        let key = new.writer.key().clone();
        self.by_id.insert(id, RemoteSubscriber::new(new));
        let before = self.by_key.insert(key, id)?;
        Some(self.by_id.remove(&before)?.removed(&mut self.total))
    }

    /// Holds items of a subscriber back until the batch is answered.
    pub(crate) fn hold(&mut self, id: u64, batch: BatchId) {
        self.held.push((batch, id));
    }

    /// Releases the items that were held back for the batch.
    pub(crate) fn release(&mut self, batch: BatchId) {
        let released: Vec<_> = self.held.extract_if(.., |(of, _)| *of == batch).collect();
        for (_, id) in released {
            if self.by_id.get(&id).is_some_and(RemoteSubscriber::has_something) {
                self.ready.push_back(id);
            }
        }
    }

    /// Whether the request has begun a subscription.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Removes a subscriber after passing the bodies of all waiting items to `send`.
    pub(crate) fn take(&mut self, id: u64, mut send: impl FnMut(&[u8])) -> Option<RemoteSubscriber> {
        if let Some(subscriber) = self.by_id.get_mut(&id) {
            while subscriber.next(&mut self.total, &mut send) {}
        }
        self.forget(id)
    }

    /// Removes the subscriber of this request.
    pub(crate) fn forget(&mut self, id: u64) -> Option<RemoteSubscriber> {
        let subscriber = self.by_id.remove(&id)?;
        if self.by_key.get(subscriber.key()) == Some(&id) {
            self.by_key.remove(subscriber.key());
        }
        Some(subscriber.removed(&mut self.total))
    }

    /// Sets the task of the producer. False if the subscription has ended.
    pub(crate) fn set_task(&mut self, id: u64, task: &AbortHandle) -> bool {
        let subscriber = self.by_id.get_mut(&id);
        let is_there = subscriber.is_some();
        if let Some(subscriber) = subscriber {
            subscriber.set_task(task.clone());
        }
        is_there
    }

    /// Ready when an item of `size` bytes may be pushed. Until then the waker is kept, and the
    /// previous one is left in its place: drop it outside the lock.
    pub(crate) fn poll_capacity(
        &mut self,
        id: u64,
        size: usize,
        waker: &mut Option<Waker>,
    ) -> Poll<Result<(), Gone>> {
        match self.by_id.get_mut(&id) {
            None => Poll::Ready(Err(Gone)),
            Some(subscriber) if subscriber.is_over() => Poll::Ready(Err(Gone)),
            Some(subscriber) => subscriber.poll_capacity(size, &self.total, waker).map(Ok),
        }
    }

    /// Whether an item may skip the queue and be written at once. No item waits anywhere, so it
    /// overtakes none, and the `unsent` bytes of the write buffer are bounded like a queue.
    pub(crate) fn pass(&mut self, id: u64, unsent: usize) -> bool {
        if unsent == 0 {
            self.passed = 0;
        }
        let passes = self.ready.is_empty()
            && self.by_id.get(&id).is_some_and(|subscriber| subscriber.is_passed(self.passed, unsent))
            && !self.is_held(id);
        self.passed += usize::from(passes);
        passes
    }

    /// Adds the body of an item.
    pub(crate) fn push(&mut self, id: u64, body: &[u8]) -> Result<Pushed, Gone> {
        let subscriber = self.by_id.get_mut(&id).filter(|subscriber| !subscriber.is_over()).ok_or(Gone)?;
        let had = subscriber.has_something();
        let pushed = match subscriber.push(body, &mut self.total) {
            Push::Kept if subscriber.is_ready(1, &self.total) => Ok(Pushed::More),
            Push::Kept => Ok(Pushed::Full),
            Push::Full => return Ok(Pushed::Waits),
            Push::Ends => {
                subscriber.end_as_too_slow();
                Err(Gone)
            }
        };
        self.is_ready_now(id, had);
        pushed
    }

    /// Marks items as missing, which the producer has left out.
    pub(crate) fn lose(&mut self, id: u64, items: u64) -> Result<(), Gone> {
        let subscriber = self.by_id.get_mut(&id).filter(|subscriber| !subscriber.is_over()).ok_or(Gone)?;
        let had = subscriber.has_something();
        let goes_on = subscriber.lose(items);
        if !goes_on {
            subscriber.end_as_too_slow();
        }
        self.is_ready_now(id, had);
        if goes_on { Ok(()) } else { Err(Gone) }
    }

    /// Ends a subscription: the peer is told behind all items. False if it is not told.
    pub(crate) fn end(&mut self, id: u64, error: Option<&ErrorObject>) -> bool {
        let Some(subscriber) = self.by_id.get_mut(&id) else { return true };
        let had = subscriber.has_something();
        subscriber.end(error);
        let is_told = subscriber.sends_notices || subscriber.is_of_work();
        self.is_ready_now(id, had);
        is_told
    }

    /// Removes a subscription that has ended, if nothing is left to send, not even the notice of
    /// its end.
    pub(crate) fn take_ended(&mut self, id: u64) -> Option<RemoteSubscriber> {
        let subscriber = self.by_id.get(&id)?;
        let is_done = subscriber.is_over() && !subscriber.has_something() && !subscriber.is_of_work();
        if is_done { self.forget(id) } else { None }
    }

    fn is_ready_now(&mut self, id: u64, had: bool) {
        let has = self.by_id.get(&id).is_some_and(RemoteSubscriber::has_something);
        if has && !had && !self.is_held(id) {
            self.ready.push_back(id);
        }
    }

    fn is_held(&self, id: u64) -> bool {
        self.held.iter().any(|(_, held)| *held == id)
    }

    /// Removes a subscriber at once: its waiting items are not sent. `None` if there is none.
    pub(crate) fn remove(&mut self, key: &SubscriptionKey) -> Option<RemoteSubscriber> {
        let id = self.by_key.remove(key)?;
        Some(self.by_id.remove(&id)?.removed(&mut self.total))
    }

    /// Removes all subscribers except those of work that reports its progress: such work ends, and
    /// a graceful shutdown waits for it.
    pub(crate) fn clear_streams(&mut self) -> Vec<RemoteSubscriber> {
        let streams: Vec<u64> =
            self.by_id.iter().filter(|(_, subscriber)| !subscriber.is_of_work()).map(|(id, _)| *id).collect();
        streams
            .into_iter()
            .filter_map(|id| {
                let subscriber = self.by_id.remove(&id)?;
                self.by_key.remove(subscriber.key());
                Some(subscriber.removed(&mut self.total))
            })
            .collect()
    }

    /// Removes all subscribers.
    pub(crate) fn clear(&mut self) -> Vec<RemoteSubscriber> {
        self.by_key.clear();
        self.ready.clear();
        self.held.clear();
        self.by_id.drain().map(|(_, subscriber)| subscriber.removed(&mut self.total)).collect()
    }

    /// Passes the body of the next item to `send`, if there is one.
    pub(crate) fn next(&mut self, mut send: impl FnMut(&[u8])) -> Option<SentItem> {
        loop {
            let id = self.ready.pop_front()?;
            // A subscriber that was removed leaves its entry here.
            let Some(subscriber) = self.by_id.get_mut(&id) else { continue };
            if !subscriber.next(&mut self.total, &mut send) {
                continue;
            }
            let mut sent = SentItem { producer: subscriber.take_ready_producer(&self.total), ended: None };
            if subscriber.has_something() {
                self.ready.push_back(id);
            } else if subscriber.is_over() {
                let key = subscriber.key().clone();
                sent.ended = self.by_id.remove(&id);
                self.by_key.remove(&key);
            }
            return Some(sent);
        }
    }
}

/// The parts of a new [`RemoteSubscriber`].
#[derive(Debug)]
pub(crate) struct NewRemoteSubscriber {
    pub(crate) writer: ItemWriter,
    pub(crate) bounds: Bounds,
    /// Whether the peer is told of lost items, and of the end.
    pub(crate) sends_notices: bool,
    pub(crate) task: Option<AbortHandle>,
    /// The number that the context of its request uses: see [`RemoteSubscriber::works_for`].
    pub(crate) work: u64,
}

#[derive(Debug)]
pub(crate) struct RemoteSubscriber {
    writer: ItemWriter,
    /// The bodies of notifications that are not sent yet.
    queue: ItemQueue<Vec<u8>>,
    pub(super) sends_notices: bool,
    /// The task of the producer.
    task: Option<AbortHandle>,
    work: u64,
    /// The waker of the producer, while it waits for capacity.
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

    /// The same without its items, which are taken off the common limit.
    pub(super) fn removed(mut self, total: &mut TotalBytes) -> Self {
        self.queue.clear(total);
        self
    }

    /// The task of the producer. Aborting it, or dropping the subscriber, runs user code.
    pub(crate) const fn task(&self) -> Option<&AbortHandle> {
        self.task.as_ref()
    }

    pub(super) fn has_something(&self) -> bool {
        !self.queue.is_drained()
    }

    /// Whether an item may skip the queue, if `items` items have done so while `bytes` bytes wait
    /// in the write buffer.
    pub(super) fn is_passed(&self, items: usize, bytes: usize) -> bool {
        self.queue.is_drained() && self.queue.is_open() && self.queue.bounds().fit(items, bytes, 1)
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

    /// Until there is capacity the waker is kept, and the previous one is left in its place.
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

    /// Marks items as missing. False if the overflow rule ends the subscription for that.
    pub(super) fn lose(&mut self, items: u64) -> bool {
        self.queue.lose(items);
        self.queue.bounds().overflow != Overflow::End
    }

    /// Ends the subscription: the peer reads more slowly than the producer pushes.
    pub(super) fn end_as_too_slow(&mut self) {
        let waiting = self.queue.len();
        let error = format!("the subscriber is too slow: {waiting} items wait");
        self.end(Some(&ErrorObject::new(ErrorCode::SERVER_BUSY, error)));
    }

    pub(super) fn end(&mut self, error: Option<&ErrorObject>) {
        if self.is_over() {
            return;
        }
        // The end of progress reports is the reply to the call.
        let is_told = !self.is_of_work() && self.sends_notices;
        let body = is_told.then(|| {
            let mut body = Vec::new();
            self.writer.ended(&mut body, error);
            body
        });
        self.queue.end(body);
    }

    /// Passes the body of the next notification to `send`. False if there is none.
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

    /// The waiting producer, if there is capacity now.
    pub(super) fn take_ready_producer(&mut self, total: &TotalBytes) -> Option<Waker> {
        if self.queue.has_capacity(1, total) { self.producer.take() } else { None }
    }
}

#[cfg(test)]
mod tests;
