//! The side of the link that subscriptions of ours need.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{InFlight, Link, Phase, State};
use crate::{
    jsonrpc::{
        Body, CallId, ProtocolError, RawParams, Reply, ReplyError, SubscriptionStyle,
        subscription::{self, SubscriptionEvent, Token},
    },
    session::{
        link::{Refused, Timeout},
        places::Place,
        slot::Slot,
        subscription::{Destination, End, Inlet, Opening, Put, Recent, Source, Unsubscribe},
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
        self.full_inlets.load(Ordering::Relaxed) > 0
    }

    /// Whether calls of ours wait for replies that may come while subscriptions are full. The reply to a call whose own reports are not
    /// taken comes behind them.
    pub(crate) fn calls_wait(&self) -> bool {
        self.lock().connection.len() > self.full_works.load(Ordering::Relaxed)
    }

    /// A subscription that was full has room again, or is gone.
    pub(in crate::session) fn inlet_has_room(&self, inlet: &Inlet) {
        self.full_inlets.fetch_sub(1, Ordering::Relaxed);
        if inlet.is_of_work() {
            self.full_works.fetch_sub(1, Ordering::Relaxed);
        }
        self.driver.wake();
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
        let call =
            InFlight { slot: Arc::clone(slot), timeout, opening: Some(Arc::clone(opening)), place: None };
        let sent = state.append_request(body, call);
        if sent.is_err() {
            state.inlets.end_opening(opening);
        }
        let id = sent?;
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
            self.inlet_has_room(&opening.inlet);
        }
        if let Some(key) = state.inlets.key_of(&opening.inlet)
            && state.inlets.close(&key, &opening.inlet)
            && let Some(unsubscribe) = opening.unsubscribe(&key)
        {
            let forgotten = self.tell_to_stop(&mut state, &unsubscribe);
            self.answered(state);
            drop(forgotten);
        }
    }
}

impl Link {
    /// A subscription of ours was answered.
    pub(super) fn opened(&self, state: &mut State, opening: &Opening, reply: &Reply) {
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
            opening.inlet.end(how);
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
                if opening.style == SubscriptionStyle::Electrum {
                    self.put(&opening.inlet, result.get());
                }
                let full = state.inlets.open(&key, &opening.inlet);
                self.full_inlets.fetch_add(full, Ordering::Relaxed);
                state.inlets.end_opening(opening);
            }
        }
    }

    /// Asks the peer to end a subscription. Nobody waits for the answer, if there is one; it is forgotten like any call that gets none.
    /// What is given back is not to be dropped under the lock.
    fn tell_to_stop(&self, state: &mut State, unsubscribe: &Unsubscribe) -> Option<InFlight> {
        if !matches!(state.phase, Phase::Open) {
            return None;
        }
        let (method, params) = match unsubscribe {
            Unsubscribe::Call { method, params } => (method, params),
            Unsubscribe::Cancel { call, cancellation } => return self.take_back(state, *call, cancellation),
        };
        let timeout = self.limits.call_timeout().and_then(|after| Timeout::after(Instant::now(), after));
        if let Some(Timeout { at, .. }) = timeout {
            self.expect(state, at);
        }
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, method, |out| {
            out.extend_from_slice(params.as_bytes());
            Ok::<_, std::convert::Infallible>(())
        });
        let call = InFlight { slot: Slot::waiting(None), timeout, opening: None, place: None };
        // Every version has parameters by position; but a frame may have a largest size.
        if let Err(refused) = state.append_request(body, call) {
            tracing::error!(
                rpc.system.name = "jsonrpc",
                session = self.id,
                ?refused,
                "a subscription goes on over there"
            );
        }
        None
    }
}

impl Link {
    /// Nobody takes items any more: tells the peer, unless it has ended the subscription itself.
    pub(in crate::session) fn close_inlet(&self, source: &Source, inlet: &Arc<Inlet>) {
        let mut state = self.lock();
        match source {
            Source::Notifications(method) => state.inlets.stop_listening(method, inlet),
            Source::Subscription { key, unsubscribe } => {
                if state.inlets.close(key, inlet)
                    && let Some(unsubscribe) = unsubscribe
                {
                    let forgotten = self.tell_to_stop(&mut state, unsubscribe);
                    self.answered(state);
                    drop(forgotten);
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
            Some(reason) => inlet.end(End::Closed(reason)),
        }
    }

    /// Gives an event of a subscription to the one who waits for it. False where that is nobody, and it is none of ours.
    pub(crate) fn take_event(
        &self,
        recent: &mut Recent,
        method: &str,
        key: &str,
        event: SubscriptionEvent<'_>,
    ) -> bool {
        if let SubscriptionEvent::Item(item) = event
            && let Some(inlet) = recent.find(key)
        {
            if self.put(inlet, item) {
                return true;
            }
            recent.forget();
        }
        let mut state = self.lock();
        if let SubscriptionEvent::Item(item) = event {
            if let Some(takers) = state.inlets.takers(key) {
                let mut readers: Vec<Waker> = Vec::new();
                for inlet in takers.iter() {
                    readers.extend(self.put_quietly(inlet, item).unwrap_or_default());
                }
                if let Some(inlet) = takers.only() {
                    recent.set(key, inlet);
                }
                drop(state);
                readers.into_iter().for_each(Waker::wake);
                return true;
            }
            // Nobody will find out that it is none.
            if !subscription::is_item(item) {
                return false;
            }
        }
        let destination = state.inlets.find(method, key, &event);
        drop(state);
        match destination {
            Destination::Done => true,
            Destination::Nobody => false,
            Destination::Inlets(takers) => {
                for inlet in takers.iter() {
                    match &event {
                        SubscriptionEvent::Item(item) => {
                            self.put(inlet, item);
                        }
                        SubscriptionEvent::Lost(items) => inlet.lose(*items),
                        SubscriptionEvent::Ended(None) => inlet.end(End::Finished),
                        SubscriptionEvent::Ended(Some(error)) => inlet.end(End::Failed(error.clone())),
                    }
                }
                true
            }
        }
    }

    /// Gives what is reported of some work to the one who waits for it. False where the notification is no report.
    pub(crate) fn take_report(&self, method: &str, params: RawParams<'_>) -> bool {
        if !self.reports.load(Ordering::Relaxed) {
            return false;
        }
        let Some(style) = self.lock().inlets.report(method) else { return false };
        let Some((key, step)) = subscription::read_report(style, params) else { return false };
        // Reports of what is over may still come.
        let worker = self.lock().inlets.worker(&key);
        if let Some(inlet) = worker {
            inlet.is_alive(Instant::now());
            self.put(&inlet, &step);
        }
        true
    }

    /// Gives the parameters of a notification to those who listen for its name. Whether there is anybody.
    pub(crate) fn take_notification(&self, method: &str, params: &str) -> bool {
        let listeners = self.lock().inlets.listeners(method).to_vec();
        for inlet in &listeners {
            self.put(inlet, params);
        }
        !listeners.is_empty()
    }

    /// False where it has ended.
    fn put(&self, inlet: &Inlet, item: &str) -> bool {
        let put = self.put_quietly(inlet, item);
        let is_kept = put.is_some();
        if let Some(reader) = put.flatten() {
            reader.wake();
        }
        is_kept
    }

    /// Gives whoever is to be woken, which may be code of the user's. `None` where it has ended.
    fn put_quietly(&self, inlet: &Inlet, item: &str) -> Option<Option<Waker>> {
        match inlet.put(item) {
            Put::Kept(reader) => Some(reader),
            Put::Full(reader) => {
                self.full_inlets.fetch_add(1, Ordering::Relaxed);
                if inlet.is_of_work() {
                    self.full_works.fetch_add(1, Ordering::Relaxed);
                }
                Some(reader)
            }
            Put::Ended => None,
        }
    }
}
