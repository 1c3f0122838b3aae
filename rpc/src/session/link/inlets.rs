//! The side of the link that subscriptions of ours need.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    task::Waker,
};

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{InFlight, Link, Locked, Phase, State};
use crate::{
    jsonrpc::{
        Body, CallId, Connection, Overflow, ProtocolError, RawParams, Reply, ReplyError, SubscriptionStyle,
        subscription::{self, About, SubscriptionEvent, SubscriptionKey, Token},
    },
    session::{
        Bounds,
        link::{Refused, Timeout},
        places::Place,
        slot::Slot,
        subscription::{Destination, End, FullInlets, Inlet, Opening, Recent, Source, Unsubscribe},
    },
};

impl Link {
    /// Whether a notification may be an item of a subscription of ours.
    pub(crate) fn subscribes(&self) -> bool {
        self.subscribes.load(Ordering::Relaxed)
    }

    /// Whether somebody may take notifications, whatever they are about.
    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    /// Whether a subscription is full that has the session wait.
    pub(crate) fn has_full_inlets(&self) -> bool {
        self.full_inlets.any()
    }

    /// How many are.
    pub(in crate::session) const fn full_inlets(&self) -> &FullInlets {
        &self.full_inlets
    }

    /// Whether a call waits for a reply that may come while nothing else is taken.
    pub(crate) fn calls_wait(&self) -> bool {
        self.lock().connection.calls().any(InFlight::is_awaited)
    }

    /// A token for work that is to report its progress.
    pub(in crate::session) fn next_token(&self) -> Token {
        Token::of(self.tokens.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Appends the request that begins a subscription.
    pub(in crate::session) fn send_subscribe(
        &self,
        body: Body<'_>,
        slot: &Arc<Slot>,
        timeout: Option<Timeout>,
        opening: &Arc<Opening>,
        place: &mut Option<Place>,
    ) -> Result<CallId, Refused> {
        let mut state = self.admit()?;
        if let Some(Timeout { at, .. }) = timeout {
            self.expect(&mut state, at);
        }
        self.subscribes.store(true, Ordering::Relaxed);
        if opening.work().is_some() {
            self.reports.store(true, Ordering::Relaxed);
        }
        state.inlets.begin_opening(opening);
        let call = InFlight {
            opening: Some(Arc::clone(opening)),
            ..InFlight::new(state.outbox.position(), slot, timeout)
        };
        let write = |connection: &mut Connection<InFlight>, out: &mut Vec<u8>| {
            let sent = connection.request(out, body, call)?;
            subscription::mark(out);
            Ok(sent)
        };
        let (id, mut state) = match self.append(state, write, State::forget_call) {
            Ok(sent) => sent,
            Err(refused) => {
                self.lock().inlets.end_opening(opening);
                return Err(refused);
            }
        };
        opening.sent(id);
        state.take_place(place, id, 1);
        self.appended(state);
        Ok(id)
    }

    /// Nobody waits for the subscription any more. Where the peer has not answered yet, it is ended as soon as it has.
    pub(in crate::session) fn abandon(&self, opening: &Opening) {
        let mut state = self.lock();
        opening.abandon();
        // It may be full already.
        if opening.inlet.give_up() {
            self.driver.wake();
        }
        if let Some(key) = state.inlets.key_of(opening)
            && self.stop(&mut state, &key, opening)
        {
            self.answered(state);
        }
    }
}

impl Link {
    /// A subscription of ours was answered.
    pub(super) fn opened(&self, state: &mut State, opening: &Arc<Opening>, reply: &Reply) {
        if opening.work().is_some() {
            state.inlets.end_opening(opening);
            let how = match reply.clone().decode::<Box<RawValue>>() {
                Ok(result) => {
                    opening.inlet.put_last(&subscription::done(result.get()));
                    End::Finished
                }
                Err(ReplyError::Error(error)) => End::Failed(error),
                Err(ReplyError::Protocol(error)) => End::Broken(error),
                Err(ReplyError::Decode(error)) => {
                    End::Broken(ProtocolError::MalformedReply { reason: error.to_string() })
                }
            };
            state.effects.wake(opening.inlet.end(how));
            return;
        }
        match opening.key(reply) {
            None => state.inlets.end_opening(opening),
            Some((key, _)) if opening.is_abandoned() => {
                state.inlets.end_opening(opening);
                if !state.inlets.want(&key)
                    && let Some(unsubscribe) = opening.unsubscribe(&key)
                {
                    self.tell_to_stop(state, &unsubscribe);
                }
            }
            Some((key, result)) => {
                // In the style of Electrum the reply is the first value.
                let State { inlets, effects, .. } = state;
                if opening.style == SubscriptionStyle::Electrum {
                    effects.wake(opening.inlet.put(result.get()).reader());
                }
                let goes_on = inlets.open(&key, opening, effects);
                inlets.end_opening(opening);
                if !goes_on {
                    self.stop(state, &key, opening);
                }
            }
        }
    }

    /// A subscriber takes no more, or can take no more. Where it was the last one of a subscription that
    /// goes on over there, the peer is told at once, and true is returned: there is something to send.
    fn stop(&self, state: &mut State, key: &SubscriptionKey, opening: &Opening) -> bool {
        if state.inlets.close(key, opening)
            && let Some(unsubscribe) = opening.unsubscribe(key)
        {
            self.tell_to_stop(state, &unsubscribe);
            return true;
        }
        false
    }

    /// Asks the peer to end a subscription. No call waits for the answer, if there is one; it is forgotten like any that gets none.
    fn tell_to_stop(&self, state: &mut State, unsubscribe: &Unsubscribe) {
        if !matches!(state.phase, Phase::Open) {
            return;
        }
        let (method, params, empty_params) = match unsubscribe {
            Unsubscribe::Call { method, params, empty_params } => (method, params, empty_params),
            Unsubscribe::Cancel { call, cancellation } => {
                let forgotten = self.take_back_by(state, *call, cancellation);
                state.effects.drop_later(forgotten);
                return;
            }
        };
        let timeout = self.limits.call_timeout().and_then(|after| Timeout::after(Instant::now(), after));
        if let Some(Timeout { at, .. }) = timeout {
            self.expect(state, at);
        }
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, method, |out| {
            out.extend_from_slice(params.as_deref().unwrap_or_default().as_bytes());
            Ok::<_, std::convert::Infallible>(())
        });
        let body = empty_params.map_or(body, |empty| body.with_empty_params(empty));
        let call = InFlight::unawaited(state.outbox.position(), &Slot::waiting(None), timeout);
        // Every version has parameters by position; but a frame may have a largest size.
        if let Err(refused) = state.append_request(body, call) {
            let session = self.id;
            state.effects.later(move || {
                tracing::error!(
                    rpc.system.name = "jsonrpc",
                    session,
                    ?refused,
                    "a subscription goes on over there"
                );
            });
        }
    }
}

impl Link {
    /// The subscriber is gone. The peer is told, unless the subscription has ended before.
    pub(in crate::session) fn close_inlet(&self, source: &Source, inlet: &Arc<Inlet>) {
        let mut state = self.lock();
        match source {
            Source::Notifications(method) => state.inlets.stop_listening(method, inlet),
            Source::Subscription { key, opening } => {
                if self.stop(&mut state, key, opening) {
                    self.answered(state);
                }
            }
        }
    }

    /// Takes the notifications of a name.
    pub(in crate::session) fn listen(&self, method: &str, inlet: &Arc<Inlet>) {
        self.listens.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        match state.phase.reason().cloned() {
            None => state.inlets.listen(method, inlet),
            Some(reason) => state.effects.wake(inlet.end(End::Closed(reason))),
        }
    }

    /// Gives an event of a subscription to its subscribers. False where there are none, and it is none of ours.
    pub(crate) fn take_event(&self, recent: &mut Recent, method: &str, about: &About<'_>) -> bool {
        let event = &about.event;
        if let SubscriptionEvent::Item(item) = event
            && let Some(inlet) = recent.find(&about.key)
        {
            if inlet.give(item) {
                return true;
            }
            recent.forget();
        }
        let mut state = self.lock();
        let State { inlets, effects, .. } = &mut *state;
        let key = inlets.key(method, about);
        if let SubscriptionEvent::Item(item) = event
            && let Some(takers) = inlets.takers(key)
        {
            let mut ended = Vec::new();
            for opening in takers.iter() {
                let put = opening.inlet.put(item);
                if !put.is_kept() {
                    ended.push(Arc::clone(opening));
                }
                effects.wake(put.reader());
            }
            if let Some(inlet) = takers.only().filter(|_| ended.is_empty()) {
                recent.set(key, inlet);
            }
            self.stop_all(state, ended);
            return true;
        }
        let bounds = self.bounds_of_ours(Overflow::DropOldest);
        let destination = inlets.find(method, key, event, bounds, effects);
        drop(state);
        match destination {
            Destination::Done => true,
            Destination::Nobody => false,
            Destination::Inlets(takers) => {
                for opening in takers.iter() {
                    let inlet = &opening.inlet;
                    wake(match event {
                        SubscriptionEvent::Item(item) => inlet.put(item).reader(),
                        SubscriptionEvent::Lost(items) => inlet.lose(*items),
                        SubscriptionEvent::Ended(None) => inlet.end(End::Finished),
                        SubscriptionEvent::Ended(Some(error)) => inlet.end(End::Failed(error.clone())),
                    });
                }
                true
            }
        }
    }

    /// Subscribers that can take no more, because too much waits for them, have ended: the peer need not
    /// go on until they are dropped.
    fn stop_all(&self, mut state: Locked<'_>, ended: Vec<Arc<Opening>>) {
        let mut tells = false;
        for opening in ended {
            if let Some(key) = state.inlets.key_of(&opening) {
                tells |= self.stop(&mut state, &key, &opening);
            }
            state.effects.drop_later(Some(opening));
        }
        if tells {
            self.answered(state);
        }
    }

    /// Gives what is reported of some work to its subscriber. False where the notification is no report.
    pub(crate) fn take_report(&self, method: &str, params: RawParams<'_>) -> bool {
        if !self.reports.load(Ordering::Relaxed) {
            return false;
        }
        let Some(style) = self.lock().inlets.report(method) else { return false };
        let Some((key, step)) = subscription::read_report(style, params) else { return false };
        // Reports of what is over may still come.
        let worker = self.lock().inlets.worker(&key);
        if let Some(opening) = worker {
            opening.inlet.is_alive(Instant::now());
            if !opening.inlet.give(&step) {
                self.stop_all(self.lock(), vec![opening]);
            }
        }
        true
    }

    /// Gives the parameters of a notification to the listeners for its name. False where there are none.
    pub(crate) fn take_notification(&self, method: &str, params: &str) -> bool {
        let listeners = self.lock().inlets.listeners(method).to_vec();
        for inlet in &listeners {
            inlet.give(params);
        }
        !listeners.is_empty()
    }

    /// An item has turned out to be no JSON: the message that it stood in is to be judged in full.
    pub(in crate::session) fn judge_later(&self, message: Vec<u8>) {
        self.to_judge.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.has_to_judge.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn has_to_judge(&self) -> bool {
        self.has_to_judge.load(Ordering::Acquire)
    }

    pub(crate) fn take_to_judge(&self) -> Vec<Vec<u8>> {
        self.has_to_judge.store(false, Ordering::Release);
        std::mem::take(&mut *self.to_judge.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every notification that is an item is one of a subscription, and of nothing else.
    pub(crate) fn only_subscribes(&self) -> bool {
        self.subscribes() && !self.listens() && !self.reports.load(Ordering::Relaxed)
    }

    /// What a subscription of ours keeps, as the limits have it.
    pub(in crate::session) fn bounds_of_ours(&self, overflow: Overflow) -> Bounds {
        Bounds { items: self.limits.subscription_items(), bytes: self.limits.subscription_bytes(), overflow }
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}
