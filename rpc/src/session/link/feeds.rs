//! The side of the link that streams of items use, and how the loop takes items from them.

use std::{
    sync::atomic::Ordering,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::{Link, Locked, Member, Phase, Running, State};
use crate::{
    jsonrpc::{
        ErrorCode, ErrorObject, SubscriptionInfo,
        subscription::{ItemWriter, SubscriptionKey},
    },
    limits::deadline,
    session::{
        Bounds,
        feed::{Feed, Gone, NewFeed, Pushed},
        trace::Ending,
    },
};

/// How many bytes of items are taken at once, so that replies that come meanwhile do not wait for long.
const PART: usize = 64 << 10;

impl Link {
    /// Whether one more subscription may be begun, those counted that are about to be.
    pub(crate) fn admits_subscription(&self) -> bool {
        let state = self.lock();
        let opening =
            state.running.iter().filter(|(id, running)| running.subscribes && !state.feeds.has(*id)).count();
        state.feeds.len() + opening < self.limits.subscriptions()
    }

    /// The peer has said that it takes notices of its subscriptions.
    pub(crate) fn takes_notices(&self) {
        self.takes_notices.store(true, Ordering::Relaxed);
        self.takes_closing();
    }

    /// Whether the peer is sent notices of a subscription like this one.
    fn sends_notices(&self, info: SubscriptionInfo) -> bool {
        self.notices.are_sent(self.takes_notices.load(Ordering::Relaxed), info.notices())
    }

    /// Answers the request with `result`, from where on it is a subscription. False where the request is
    /// waited for no more.
    pub(crate) fn accept_subscription(
        &self,
        request: u64,
        info: SubscriptionInfo,
        writer: ItemWriter,
        result: &[u8],
    ) -> bool {
        let bounds = self.bounds_of_theirs(info);
        let sends_notices = self.sends_notices(info);
        let mut state = self.lock();
        let is_open = matches!(state.phase, Phase::Open);
        let ending = match is_open {
            true => Ending::Result,
            false => Ending::Error(ErrorCode::SERVER_BUSY),
        };
        let Some(Running { id: Some(id), member, task, work, .. }) = self.finish(&mut state, request, ending)
        else {
            return false;
        };
        let replaced = match is_open {
            true => self.add_feed(&mut state, request, NewFeed { writer, bounds, sends_notices, task, work }),
            false => None,
        };
        if let Some(Member { batch, .. }) = member
            && is_open
        {
            state.feeds.hold(request, batch);
        }
        let version = state.connection.version();
        let mut reply = Vec::new();
        id.with(|id| {
            if is_open {
                version.begin_result(&mut reply, id);
                reply.extend_from_slice(result);
                version.end_result(&mut reply, id);
            } else {
                let error = ErrorObject::new(ErrorCode::SERVER_BUSY, "the session is closing");
                version.put_error(&mut reply, id, &error);
            }
            self.answer(&mut state, member, id, &reply);
        });
        self.answered(state);
        if let Some(task) = replaced.as_ref().and_then(Feed::task) {
            task.abort();
        }
        is_open
    }

    /// Gives back the one that had the same key. To drop it runs code of the user's.
    fn add_feed(&self, state: &mut State, request: u64, new: NewFeed) -> Option<Feed> {
        state.feeds.set_limit(self.limits.outgoing_bytes());
        state.feeds.add(request, new)
    }

    /// Lets the reports of some work be sent. False where the request is waited for no more.
    pub(crate) fn accept_work(&self, request: u64, info: SubscriptionInfo, writer: ItemWriter) -> bool {
        let bounds = self.bounds_of_theirs(info);
        let sends_notices = self.sends_notices(info);
        let mut state = self.lock();
        let is_running = state.running.get_mut(request).is_some();
        if is_running {
            // Another one whose token the peer has chosen for both reports nothing any more.
            let new = NewFeed { writer, bounds, sends_notices, task: None, work: 0 };
            let replaced = self.add_feed(&mut state, request, new);
            state.effects.drop_later(replaced);
        }
        is_running
    }

    /// Hands a report of work over for sending, like [`push_item`](Self::push_item): the time of the work is counted anew.
    pub(crate) fn push_report(&self, request: u64, body: &[u8], now: Instant) -> Result<Pushed, Gone> {
        let mut state = self.lock();
        self.goes_on(&mut state, request, now);
        let had = state.feeds.are_ready();
        let pushed = state.feeds.push(request, body);
        self.feeds_changed(state, had);
        pushed
    }

    /// What a subscription of the peer's keeps, as the limits and the service have it.
    fn bounds_of_theirs(&self, info: SubscriptionInfo) -> Bounds {
        Bounds {
            items: self.limits.subscription_items(),
            bytes: self.limits.subscription_bytes(),
            overflow: info.overflow(),
        }
    }

    /// Work is going on: its time is counted anew.
    pub(crate) fn work_goes_on(&self, request: u64, now: Instant) {
        self.goes_on(&mut self.lock(), request, now);
    }

    fn goes_on(&self, state: &mut State, request: u64, now: Instant) {
        if let Some(running) = state.running.get_mut(request)
            && let Some(timeout) = self.limits.request_timeout()
        {
            running.deadline = deadline::after(now, timeout);
        }
    }

    /// Answers the request that has asked for some work, behind all that was reported of it.
    pub(crate) fn finish_work(&self, request: u64, result: &Result<Vec<u8>, ErrorObject>) {
        let mut state = self.lock();
        let version = state.connection.version();
        let State { outbox, feeds, running, effects, .. } = &mut *state;
        let is_awaited = running.get_mut(request).is_some();
        let over = feeds.take(request, |report| {
            if is_awaited {
                outbox.item(effects, |out| version.put_notification(out, report));
            }
        });
        effects.drop_later(over);
        let ending = Ending::of_reply(result.as_ref().err().map(ErrorObject::code));
        let Some(Running { id: Some(id), member, .. }) = self.finish(&mut state, request, ending) else {
            return;
        };
        let mut reply = Vec::new();
        id.with(|id| {
            match result {
                Ok(result) => {
                    version.begin_result(&mut reply, id);
                    reply.extend_from_slice(result);
                    version.end_result(&mut reply, id);
                }
                Err(error) => version.put_error(&mut reply, id, error),
            }
            self.answer(&mut state, member, id, &reply);
        });
        self.answered(state);
    }

    /// Answers the request of a subscription that does not come about.
    pub(crate) fn refuse_subscription(&self, request: u64, error: &ErrorObject, ending: Ending) {
        let mut state = self.lock();
        let Some(Running { id: Some(id), member, .. }) = self.finish(&mut state, request, ending) else {
            return;
        };
        let mut reply = Vec::new();
        id.with(|id| {
            state.connection.version().put_error(&mut reply, id, error);
            self.answer(&mut state, member, id, &reply);
        });
        self.answered(state);
    }

    /// Ready when an item of so many bytes may be pushed.
    pub(crate) fn poll_feed_room(&self, feed: u64, size: usize, cx: &Context<'_>) -> Poll<Result<(), Gone>> {
        // Cloned before, and dropped after: both are code of the user's.
        let mut waker = Some(cx.waker().clone());
        let polled = self.lock().feeds.poll_room(feed, size, &mut waker);
        drop(waker);
        polled
    }

    /// Hands the body of an item over for sending.
    pub(crate) fn push_item(&self, feed: u64, body: &[u8]) -> Result<Pushed, Gone> {
        let mut state = self.lock();
        // What would be sent next anyway need not wait in a queue of its own.
        let unsent = state.outbox.len();
        let is_next = self.unwritten.load(Ordering::Relaxed) == 0
            && unsent < PART.min(self.limits.outgoing_bytes())
            && state.feeds.pass(feed, unsent);
        if is_next {
            let version = state.connection.version();
            let State { outbox, effects, .. } = &mut *state;
            outbox.item(effects, |out| version.put_notification(out, body));
            self.appended(state);
            return Ok(Pushed::More);
        }
        let had = state.feeds.are_ready();
        let pushed = state.feeds.push(feed, body);
        self.feeds_changed(state, had);
        pushed
    }

    /// Says that a stream has left out items.
    pub(crate) fn lose_items(&self, feed: u64, items: u64) -> Result<(), Gone> {
        let mut state = self.lock();
        let had = state.feeds.are_ready();
        let lost = state.feeds.lose(feed, items);
        let ended = state.feeds.take_ended(feed);
        state.effects.drop_later(ended);
        self.feeds_changed(state, had);
        lost
    }

    /// Says that a stream has ended. False where the peer does not learn of it.
    pub(crate) fn end_feed(&self, feed: u64, error: Option<&ErrorObject>) -> bool {
        let mut state = self.lock();
        let had = state.feeds.are_ready();
        let is_told = state.feeds.end(feed, error);
        let ended = state.feeds.take_ended(feed);
        state.effects.drop_later(ended);
        self.feeds_changed(state, had);
        is_told
    }

    fn feeds_changed(&self, state: Locked<'_>, had: bool) {
        let has = state.feeds.are_ready();
        self.items_wait.store(has, Ordering::Release);
        drop(state);
        if has && !had {
            self.driver.wake();
        }
    }

    /// The peer wants no more of a subscription. False where it had none of the name.
    pub(crate) fn unsubscribe(&self, key: &SubscriptionKey) -> bool {
        let removed = self.lock().feeds.remove(key);
        if let Some(task) = removed.as_ref().and_then(Feed::task) {
            task.abort();
        }
        removed.is_some()
    }

    /// Moves items to the messages that are to be sent, if there are any. Called when everything else was sent.
    pub(crate) fn gather_items(&self) -> bool {
        if !self.items_wait.load(Ordering::Acquire) {
            return false;
        }
        let mut state = self.lock();
        let State { connection, outbox, feeds, effects, .. } = &mut *state;
        let version = connection.version();
        while outbox.len() < PART
            && let Some(sent) =
                feeds.next(|body| outbox.item(effects, |out| version.put_notification(out, body)))
        {
            effects.wake(sent.producer);
            effects.drop_later(sent.ended);
        }
        let (waiting, gathered) = (feeds.are_ready(), outbox.len());
        self.items_wait.store(waiting, Ordering::Release);
        self.queued.store(gathered, Ordering::SeqCst);
        gathered > 0
    }
}
