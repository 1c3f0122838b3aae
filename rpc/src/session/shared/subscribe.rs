//! The subscriptions of this side at the peer: how they begin and end, and the way of their items.

use std::{convert::Infallible, sync::Arc, task::Waker};

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{guarded::Flags, state::State, value::Shared};
use crate::{
    jsonrpc::{
        Body, Overflow, ProtocolError, RawParams, Reply, ReplyError, SubscriptionStyle,
        subscription::{self, About, SubscriptionEvent, SubscriptionKey, Token},
    },
    session::{
        Bounds,
        calls::{InFlight, Timeout},
        effects::Effects,
        reply_slot::ReplySlot,
        subscriptions::{
            Destination, End, ItemChannel, ItemSource, LastHit, PendingSubscription, Unsubscribe,
        },
    },
};

/// Begin and end.
impl Shared {
    /// A token for a call that asks for progress reports.
    pub(in crate::session) fn next_token(&self) -> Token {
        self.numbers.next_token()
    }

    /// The subscriber was dropped before the reply: the subscription is ended as soon as it begins.
    pub(in crate::session) fn abandon(&self, pending: &PendingSubscription) {
        self.with(|state, effects| {
            pending.abandon();
            if let Some(key) = state.subscriptions.key_of(pending) {
                self.stop(state, effects, &key, pending);
            }
        });
        // The channel may be full already.
        if pending.channel.give_up() {
            self.wake();
        }
    }

    /// The reply to a subscription's call has come.
    pub(super) fn opened(
        &self,
        state: &mut State,
        effects: &mut Effects,
        pending: &Arc<PendingSubscription>,
        reply: &Reply,
    ) {
        if pending.work().is_some() {
            state.subscriptions.end_pending(pending);
            let how = match reply.clone().decode::<Box<RawValue>>() {
                Ok(result) => {
                    pending.channel.put_last(&subscription::done(result.get()));
                    End::Finished
                }
                Err(ReplyError::Error(error)) => End::Failed(error),
                Err(ReplyError::Protocol(error)) => End::Broken(error),
                Err(ReplyError::Decode(error)) => {
                    End::Broken(ProtocolError::MalformedReply { reason: error.to_string() })
                }
            };
            effects.wake(pending.channel.end(how));
            return;
        }
        match pending.key(reply) {
            None => state.subscriptions.end_pending(pending),
            Some((key, _)) if pending.is_abandoned() => {
                state.subscriptions.end_pending(pending);
                if !state.subscriptions.want(&key)
                    && let Some(unsubscribe) = pending.unsubscribe(&key)
                {
                    self.tell_to_stop(state, effects, &unsubscribe);
                }
            }
            Some((key, result)) => {
                // In the style of Electrum the reply is the first item.
                if pending.style == SubscriptionStyle::Electrum {
                    effects.wake(pending.channel.put(result.get()).reader());
                }
                let goes_on = state.subscriptions.open(&key, pending, effects);
                state.subscriptions.end_pending(pending);
                if !goes_on {
                    self.stop(state, effects, &key, pending);
                }
            }
        }
    }

    /// Removes a subscriber that takes no more items. If it was the last of a subscription that is
    /// not over, the peer is told at once.
    fn stop(
        &self,
        state: &mut State,
        effects: &mut Effects,
        key: &SubscriptionKey,
        pending: &PendingSubscription,
    ) {
        if state.subscriptions.close(key, pending)
            && let Some(unsubscribe) = pending.unsubscribe(key)
        {
            self.tell_to_stop(state, effects, &unsubscribe);
        }
    }

    /// Asks the peer to end a subscription. No task waits for the reply; without one, the call
    /// times out.
    fn tell_to_stop(&self, state: &mut State, effects: &mut Effects, unsubscribe: &Unsubscribe) {
        if !state.phase.is_open() {
            return;
        }
        let (method, params, empty_params) = match unsubscribe {
            Unsubscribe::Call { method, params, empty_params } => (method, params, empty_params),
            Unsubscribe::Cancel { call, cancellation } => {
                self.take_back_by(state, effects, *call, cancellation);
                return;
            }
        };
        let timeout = self.limits.call_timeout().and_then(|after| Timeout::after(Instant::now(), after));
        state.expect(timeout);
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, method, |out| {
            out.extend_from_slice(params.as_deref().unwrap_or_default().as_bytes());
            Ok::<_, Infallible>(())
        });
        let body = empty_params.map_or(body, |empty| body.with_empty_params(empty));
        let call = InFlight::unawaited(state.outbox.position(), &ReplySlot::waiting(None), timeout);
        // Every version has parameters by position, but the frame may be too small.
        if let Err(refused) = state.append_request(effects, body, call) {
            let session = self.id;
            effects.later(move || {
                tracing::error!(
                    rpc.system.name = "jsonrpc",
                    session,
                    ?refused,
                    "a subscription goes on over there"
                );
            });
        }
    }

    /// The subscriber was dropped. The peer is told, unless the subscription has ended before.
    pub(in crate::session) fn close_channel(&self, source: &ItemSource, channel: &Arc<ItemChannel>) {
        self.with(|state, effects| match source {
            ItemSource::Notifications(method) => {
                if let Some(subscriptions) = state.subscriptions.if_made() {
                    subscriptions.stop_listening(method, channel);
                }
            }
            ItemSource::Subscription { key, pending } => self.stop(state, effects, key, pending),
        });
    }

    /// Adds a listener for the notifications of one method.
    pub(in crate::session) fn listen(&self, method: &str, channel: &Arc<ItemChannel>) {
        self.with(|state, effects| match state.phase.reason().cloned() {
            None => {
                state.facts.set(Flags::LISTENS);
                state.subscriptions.listen(method, channel);
            }
            Some(reason) => effects.wake(channel.end(End::Closed(reason))),
        });
    }
}

/// The way of the items.
impl Shared {
    /// Delivers an event to the subscribers of its subscription. False if it belongs to no
    /// subscription of this side.
    pub(crate) fn take_event(&self, last_hit: &mut LastHit, method: &str, about: &About<'_>) -> bool {
        let event = &about.event;
        if let SubscriptionEvent::Item(item) = event
            && let Some(channel) = last_hit.find(&about.key)
        {
            if channel.give(item) {
                return true;
            }
            last_hit.forget();
        }
        let destination = self.with(|state, effects| {
            let subscriptions = &mut state.subscriptions;
            let key = subscriptions.key(method, about);
            if let SubscriptionEvent::Item(item) = event
                && let Some(found) = subscriptions.get(key)
            {
                let mut ended = Vec::new();
                for pending in found.iter() {
                    let put = pending.channel.put(item);
                    if !put.is_kept() {
                        ended.push(Arc::clone(pending));
                    }
                    effects.wake(put.reader());
                }
                if let Some(channel) = found.only().filter(|_| ended.is_empty()) {
                    last_hit.set(key, channel);
                }
                self.stop_all(state, effects, ended);
                return Destination::Done;
            }
            subscriptions.find(method, key, event, self.bounds_of_ours(Overflow::DropOldest), effects)
        });
        match destination {
            Destination::Done => true,
            Destination::Nobody => false,
            Destination::Found(found) => {
                for pending in found.iter() {
                    let channel = &pending.channel;
                    wake(match event {
                        SubscriptionEvent::Item(item) => channel.put(item).reader(),
                        SubscriptionEvent::Lost(items) => channel.lose(*items),
                        SubscriptionEvent::Ended(None) => channel.end(End::Finished),
                        SubscriptionEvent::Ended(Some(error)) => channel.end(End::Failed(error.clone())),
                    });
                }
                true
            }
        }
    }

    /// Ends the subscriptions of subscribers whose queue has overflowed: the peer need not send
    /// items until they are dropped.
    fn stop_all(&self, state: &mut State, effects: &mut Effects, ended: Vec<Arc<PendingSubscription>>) {
        for pending in ended {
            if let Some(key) = state.subscriptions.key_of(&pending) {
                self.stop(state, effects, &key, &pending);
            }
            effects.drop_later(Some(pending));
        }
    }

    /// Delivers a progress report. False if the notification is not a report.
    pub(crate) fn take_report(&self, method: &str, params: RawParams<'_>) -> bool {
        if !self.hints().has(Flags::REPORTS) {
            return false;
        }
        let Some(style) = self.read(|state| state.subscriptions.report(method)) else { return false };
        let Some((key, step)) = subscription::read_report(style, params) else { return false };
        // Reports may still come after the end of the work.
        let worker = self.read(|state| state.subscriptions.worker(&key));
        if let Some(pending) = worker {
            pending.channel.is_alive(Instant::now());
            if !pending.channel.give(&step) {
                self.with(|state, effects| self.stop_all(state, effects, vec![pending]));
            }
        }
        true
    }

    /// Delivers a notification to the listeners for its method. False if there are none.
    pub(crate) fn take_notification(&self, method: &str, params: &str) -> bool {
        let listeners = self.read(|state| state.subscriptions.listeners(method).to_vec());
        for channel in &listeners {
            channel.give(params);
        }
        !listeners.is_empty()
    }

    /// Queues a message to be checked in full, since an item in it is not valid JSON.
    pub(in crate::session) fn judge_later(&self, message: Vec<u8>) {
        self.with(|state, _| state.unjudged.push(message));
    }

    pub(crate) fn take_unjudged(&self) -> Vec<Vec<u8>> {
        self.with(|state, _| std::mem::take(&mut state.unjudged))
    }

    /// The bounds of a subscription at the peer, from the limits.
    pub(in crate::session) fn bounds_of_ours(&self, overflow: Overflow) -> Bounds {
        Bounds { items: self.limits.subscription_items(), bytes: self.limits.subscription_bytes(), overflow }
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}
