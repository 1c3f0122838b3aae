//! Subscriptions that the peer has here: the items that wait to be sent to it.
//!
//! Each has a queue of its own. The loop takes items out when everything else is sent, one from each in turn: a subscription can hold up
//! neither replies nor another one.

mod remote_subscriber;

use std::{
    collections::{HashMap, VecDeque},
    sync::LazyLock,
    task::{Poll, Waker},
};

use rustc_hash::FxHashMap;
use tokio::task::AbortHandle;

use super::{
    item_queue::{Push, TotalBytes},
    on_demand::Empty,
};
use crate::jsonrpc::{BatchId, ErrorObject, subscription::SubscriptionKey};
pub(crate) use remote_subscriber::{NewRemoteSubscriber, RemoteSubscriber};

/// The subscriptions of one peer. They are numbered by the requests that made them.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    by_id: FxHashMap<u64, RemoteSubscriber>,
    by_key: HashMap<SubscriptionKey, u64>,
    /// Those that have something to send, in turn.
    ready: VecDeque<u64>,
    /// Those whose reply is part of a batch that was not answered yet: nothing of them is sent before it.
    held: Vec<(BatchId, u64)>,
    total: TotalBytes,
    /// How many items have passed by their queues since everything was sent.
    passed: usize,
}

/// What follows when something was sent: both run code of the user's.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The stream that waited for the room that it leaves.
    pub(crate) producer: Option<Waker>,
    /// The subscription, where that was its end.
    pub(crate) ended: Option<RemoteSubscriber>,
}

/// What became of an item that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It was taken, and there is room for another one.
    More,
    /// It was taken, and the stream is to wait before it brings another one.
    Full,
    /// It was not taken: the stream is to wait until there is room for it.
    Waits,
}

/// The subscription has ended: items are of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl Empty for Subscribers {
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<Subscribers> = LazyLock::new(Subscribers::default);
        &EMPTY
    }
}

impl Subscribers {
    /// Their items have so many bytes together, and each of them has one in any case. Default: no limit.
    pub(crate) const fn set_limit(&mut self, limit: usize) {
        self.total.set_limit(limit);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether a stream still works for the request with this number.
    pub(crate) fn work_for(&self, work: u64) -> bool {
        self.by_id.values().any(|subscriber| subscriber.works_for(work))
    }

    /// Whether anything waits to be sent.
    pub(crate) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds a subscription. Another one with the same key ends, and is given back: dropping it runs code of the user's.
    pub(crate) fn add(&mut self, id: u64, new: NewRemoteSubscriber) -> Option<RemoteSubscriber> {
        let key = new.writer.key().clone();
        self.by_id.insert(id, RemoteSubscriber::new(new));
        let before = self.by_key.insert(key, id)?;
        Some(self.by_id.remove(&before)?.removed(&mut self.total))
    }

    /// Nothing of a subscription is sent before the reply to the batch.
    pub(crate) fn hold(&mut self, id: u64, batch: BatchId) {
        self.held.push((batch, id));
    }

    /// The batch was answered.
    pub(crate) fn release(&mut self, batch: BatchId) {
        let released: Vec<_> = self.held.extract_if(.., |(of, _)| *of == batch).collect();
        for (_, id) in released {
            if self.by_id.get(&id).is_some_and(RemoteSubscriber::has_something) {
                self.ready.push_back(id);
            }
        }
    }

    /// Whether the request has made a subscription.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Gives `send` the bodies of everything that waits to be sent of one, which is over then.
    pub(crate) fn take(&mut self, id: u64, mut send: impl FnMut(&[u8])) -> Option<RemoteSubscriber> {
        if let Some(subscriber) = self.by_id.get_mut(&id) {
            while subscriber.next(&mut self.total, &mut send) {}
        }
        self.forget(id)
    }

    /// Ends one whose number is known.
    pub(crate) fn forget(&mut self, id: u64) -> Option<RemoteSubscriber> {
        let subscriber = self.by_id.remove(&id)?;
        if self.by_key.get(subscriber.key()) == Some(&id) {
            self.by_key.remove(subscriber.key());
        }
        Some(subscriber.removed(&mut self.total))
    }

    /// Says which task brings the items. False where there is no such subscription any more.
    pub(crate) fn set_task(&mut self, id: u64, task: &AbortHandle) -> bool {
        let subscriber = self.by_id.get_mut(&id);
        let is_there = subscriber.is_some();
        if let Some(subscriber) = subscriber {
            subscriber.set_task(task.clone());
        }
        is_there
    }

    /// Ready when an item of so many bytes may be pushed; until then the waker is kept, and one that was kept before is left in its place.
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

    /// Whether an item of this one may pass by its queue, and be sent at once: none waits, of it or of others, and of those that are
    /// being sent, `unsent` bytes with what else there is, there are no more than would have room in the queue.
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

    /// The stream has left out items: the peer is told where.
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

    /// The stream has ended: the peer is told when it has all items. False where it is not told.
    pub(crate) fn end(&mut self, id: u64, error: Option<&ErrorObject>) -> bool {
        let Some(subscriber) = self.by_id.get_mut(&id) else { return true };
        let had = subscriber.has_something();
        subscriber.end(error);
        let is_told = subscriber.sends_notices || subscriber.is_of_work();
        self.is_ready_now(id, had);
        is_told
    }

    /// Takes a subscription out that has ended, and of which nothing is left to send: its peer is not told.
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

    /// Ends a subscription, of which nothing is sent any more. `None` where there is none.
    pub(crate) fn remove(&mut self, key: &SubscriptionKey) -> Option<RemoteSubscriber> {
        let id = self.by_key.remove(key)?;
        Some(self.by_id.remove(&id)?.removed(&mut self.total))
    }

    /// Ends all but the reports of work, which has an end that can be waited for.
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

    /// Ends all of them.
    pub(crate) fn clear(&mut self) -> Vec<RemoteSubscriber> {
        self.by_key.clear();
        self.ready.clear();
        self.held.clear();
        self.by_id.drain().map(|(_, subscriber)| subscriber.removed(&mut self.total)).collect()
    }

    /// Gives `send` the body of the next thing to send, if there is any.
    pub(crate) fn next(&mut self, mut send: impl FnMut(&[u8])) -> Option<Sent> {
        loop {
            let id = self.ready.pop_front()?;
            // Those that were removed are found here for the last time.
            let Some(subscriber) = self.by_id.get_mut(&id) else { continue };
            if !subscriber.next(&mut self.total, &mut send) {
                continue;
            }
            let mut sent = Sent { producer: subscriber.take_ready_producer(&self.total), ended: None };
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

#[cfg(test)]
mod tests;
