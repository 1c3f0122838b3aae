//! The subscriptions that this side serves: how they begin and end, and how their items are sent.

use std::task::{Context, Poll};

use tokio::time::Instant;

use super::{state::State, value::Shared};
use crate::{
    jsonrpc::{
        ErrorCode, ErrorObject, Member, SubscriptionInfo,
        subscription::{ItemWriter, SubscriptionKey},
    },
    session::{
        Bounds,
        effects::Effects,
        requests::Running,
        subscribers::{Gone, NewRemoteSubscriber, Pushed, RemoteSubscriber},
        trace::Ending,
    },
};

/// The bytes of items that the outbox takes at once, so that replies that come meanwhile are not
/// delayed for long.
const PART: usize = 64 << 10;

/// Begin and end.
impl Shared {
    /// Whether the limit admits one more subscription; requests that may still become one count.
    pub(crate) fn admits_subscription(&self) -> bool {
        self.read(|state| {
            let pending = state.requests.subscribing().filter(|id| !state.subscribers.has(*id)).count();
            state.subscribers.len() + pending < self.limits.subscriptions()
        })
    }

    /// The peer supports notices of its subscriptions.
    pub(crate) fn takes_notices(&self) {
        self.with(|state, _| (state.takes_notices, state.takes_closing) = (true, true));
    }

    /// Whether notices of a subscription of this kind are sent to the peer.
    fn sends_notices(&self, state: &State, info: SubscriptionInfo) -> bool {
        self.notices.are_sent(state.takes_notices, info.notices())
    }

    /// The bounds of a subscription that is served, from the limits and its descriptor.
    fn bounds_of_theirs(&self, info: SubscriptionInfo) -> Bounds {
        Bounds {
            items: self.limits.subscription_items(),
            bytes: self.limits.subscription_bytes(),
            overflow: info.overflow(),
        }
    }

    /// ReplyBatch the request with `result`; from then on it is a subscription. False if the request
    /// has ended.
    pub(crate) fn accept_subscription(
        &self,
        request: u64,
        info: SubscriptionInfo,
        writer: ItemWriter,
        result: &[u8],
    ) -> bool {
        let bounds = self.bounds_of_theirs(info);
        self.with(|state, effects| {
            let sends_notices = self.sends_notices(state, info);
            let is_open = state.phase.is_open();
            let ending = match is_open {
                true => Ending::Result,
                false => Ending::Error(ErrorCode::SERVER_BUSY),
            };
            let Some(done) = state.finish(effects, request, ending) else { return false };
            let Running { id: Some(id), member, .. } = &done else { return false };
            if !is_open {
                let error = ErrorObject::new(ErrorCode::SERVER_BUSY, "the session is closing");
                self.reply_error(state, effects, &done, &error);
                return false;
            }
            let new = NewRemoteSubscriber {
                writer,
                bounds,
                sends_notices,
                task: done.task.clone(),
                work: done.work,
            };
            if let Some(replaced) = self.add_subscriber(state, request, new) {
                replaced.task().into_iter().for_each(|task| effects.abort(task.clone()));
                effects.drop_later(Some(replaced));
            }
            if let Some(Member { batch, .. }) = *member {
                state.subscribers.hold(request, batch);
            }
            let version = state.calls.version();
            let mut reply = Vec::new();
            id.with(|id| {
                version.begin_result(&mut reply, id);
                reply.extend_from_slice(result);
                version.end_result(&mut reply, id);
                state.answer(effects, *member, id, &reply);
            });
            self.close_if_due(state, effects);
            true
        })
    }

    /// Lets progress reports of a request be sent. False if the request has ended.
    pub(crate) fn accept_work(&self, request: u64, info: SubscriptionInfo, writer: ItemWriter) -> bool {
        let bounds = self.bounds_of_theirs(info);
        self.with(|state, effects| {
            let sends_notices = self.sends_notices(state, info);
            let is_running = state.requests.get_mut(request).is_some();
            if is_running {
                // Another request with the same token, which the peer has chosen, cannot report any
                // more.
                let new = NewRemoteSubscriber { writer, bounds, sends_notices, task: None, work: 0 };
                effects.drop_later(self.add_subscriber(state, request, new));
            }
            is_running
        })
    }

    /// Returns the subscriber that had the same key.
    fn add_subscriber(
        &self,
        state: &mut State,
        request: u64,
        new: NewRemoteSubscriber,
    ) -> Option<RemoteSubscriber> {
        state.subscribers.set_limit(self.limits.outgoing_bytes());
        state.subscribers.add(request, new)
    }

    /// The work for a request is alive: its timeout starts again.
    pub(crate) fn work_goes_on(&self, request: u64, now: Instant) {
        self.with(|state, _| self.goes_on(state, request, now));
    }

    /// ReplyBatch a request that reports its progress, behind all of its reports.
    pub(crate) fn finish_work(&self, request: u64, result: &Result<Vec<u8>, ErrorObject>) {
        self.with(|state, effects| {
            let version = state.calls.version();
            let is_awaited = state.requests.get_mut(request).is_some();
            let State { outbox, subscribers, .. } = state;
            let over = subscribers.if_made().and_then(|subscribers| {
                subscribers.take(request, |report| {
                    if is_awaited {
                        outbox.item(effects, |out| version.put_notification(out, report));
                    }
                })
            });
            effects.drop_later(over);
            let ending = Ending::of_reply(result.as_ref().err().map(ErrorObject::code));
            let Some(done) = state.finish(effects, request, ending) else { return };
            let result = match result {
                Ok(result) => result,
                Err(error) => return self.reply_error(state, effects, &done, error),
            };
            if let Some(id) = &done.id {
                let mut reply = Vec::new();
                id.with(|id| {
                    version.begin_result(&mut reply, id);
                    reply.extend_from_slice(result);
                    version.end_result(&mut reply, id);
                    state.answer(effects, done.member, id, &reply);
                });
            }
            self.close_if_due(state, effects);
        });
    }

    /// ReplyBatch the request of a subscription with an error.
    pub(crate) fn refuse_subscription(&self, request: u64, error: &ErrorObject, ending: Ending) {
        self.with(|state, effects| {
            if let Some(done) = state.finish(effects, request, ending) {
                self.reply_error(state, effects, &done, error);
            }
        });
    }

    /// Ends a stream. False if the peer is not told of the end.
    pub(crate) fn end_subscriber(&self, feed: u64, error: Option<&ErrorObject>) -> bool {
        self.with(|state, effects| {
            let Some(subscribers) = state.subscribers.if_made() else { return true };
            let is_told = subscribers.end(feed, error);
            effects.drop_later(subscribers.take_ended(feed));
            is_told
        })
    }

    /// Removes a subscription for the peer. False if there is none with this key.
    pub(crate) fn unsubscribe(&self, key: &SubscriptionKey) -> bool {
        self.with(|state, effects| {
            let Some(removed) = state.subscribers.if_made().and_then(|subscribers| subscribers.remove(key))
            else {
                return false;
            };
            removed.task().into_iter().for_each(|task| effects.abort(task.clone()));
            effects.drop_later(Some(removed));
            true
        })
    }
}

/// Sending of items.
impl Shared {
    /// Ready when an item of `size` bytes may be pushed.
    pub(crate) fn poll_item_capacity(
        &self,
        feed: u64,
        size: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        // Cloning and dropping a waker runs user code, so both happen outside the lock.
        let mut waker = Some(cx.waker().clone());
        let polled = self.with(|state, _| state.subscribers.poll_capacity(feed, size, &mut waker));
        drop(waker);
        polled
    }

    /// Hands the body of an item over for sending.
    pub(crate) fn push_item(&self, feed: u64, body: &[u8]) -> Result<Pushed, Gone> {
        self.with(|state, effects| {
            // An item that would be sent next anyway skips the queue.
            let unsent = state.outbox.len();
            let is_next = self.capacity.unwritten() == 0
                && unsent < PART.min(self.limits.outgoing_bytes())
                && state.subscribers.pass(feed, unsent);
            if is_next {
                let version = state.calls.version();
                state.outbox.item(effects, |out| version.put_notification(out, body));
                return Ok(Pushed::More);
            }
            state.subscribers.push(feed, body)
        })
    }

    /// Hands a progress report over for sending, like [`push_item`](Self::push_item), and restarts
    /// the timeout of the work.
    pub(crate) fn push_report(&self, request: u64, body: &[u8], now: Instant) -> Result<Pushed, Gone> {
        self.with(|state, _| {
            self.goes_on(state, request, now);
            state.subscribers.push(request, body)
        })
    }

    /// Marks items of a stream as missing.
    pub(crate) fn lose_items(&self, feed: u64, items: u64) -> Result<(), Gone> {
        self.with(|state, effects| {
            let lost = state.subscribers.lose(feed, items);
            effects.drop_later(state.subscribers.take_ended(feed));
            lost
        })
    }
}

impl State {
    /// Moves items from their queues to the outbox.
    pub(super) fn gather_items(&mut self, effects: &mut Effects) {
        let version = self.calls.version();
        let Self { outbox, subscribers, .. } = self;
        let Some(subscribers) = subscribers.if_made() else { return };
        while outbox.len() < PART
            && let Some(sent) =
                subscribers.next(|body| outbox.item(effects, |out| version.put_notification(out, body)))
        {
            effects.wake(sent.producer);
            effects.drop_later(sent.ended);
        }
    }
}
