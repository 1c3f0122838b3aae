//! The calls of this side on the shared state: delivering replies, timeouts, cancellation, and
//! pings.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{send::Refused, state::State, value::Shared};
use crate::{
    jsonrpc::{Body, CallId, Cancellation, Connection, Reply, shown::brief, version::Version},
    session::{
        CallError,
        call_limiter::CallPermit,
        calls::{Expired, InFlight, Timeout, Withdrawal},
        effects::Effects,
        reply_slot::ReplySlot,
        subscriptions::{End, Unsubscribe},
    },
};

/// With fewer replies than this, an early delivery is not worth its cost.
const GROUP: usize = 16;

/// The replies of one read, to be delivered to the calls that wait for them.
#[derive(Debug, Default)]
pub(crate) struct ReplyBatch {
    replies: Vec<(Option<CallId>, Reply)>,
    /// Kept, so that a delivery does not allocate.
    slots: Vec<(Arc<ReplySlot>, Reply, Option<CallPermit>)>,
    /// The number of calls in flight at the last delivery, with those that it answered.
    in_flight: usize,
}

impl ReplyBatch {
    /// Adds the reply to a call; `None` for an id that no call of this side can have.
    pub(crate) fn push(&mut self, call: Option<CallId>, reply: Reply) {
        self.replies.push((call, reply));
    }

    pub(crate) fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether the replies are enough for an early delivery: a quarter of the calls in flight.
    ///
    /// Their callers then run, and their next requests are written, before the remaining replies
    /// are read: so neither side waits until the other has finished everything.
    pub(crate) fn are_a_group(&self) -> bool {
        self.replies.len() >= GROUP.max(self.in_flight / 4)
    }
}

impl Shared {
    /// Delivers replies to their calls. Returns the number of replies that belong to no call; a
    /// late reply, to a call that was given up, is not counted against the peer.
    pub(crate) fn deliver(&self, answers: &mut ReplyBatch) -> usize {
        let ReplyBatch { replies, slots, in_flight } = answers;
        let mut unasked = 0;
        self.with(|state, effects| {
            *in_flight = state.calls.protocol.len();
            for (id, reply) in replies.drain(..) {
                match id.and_then(|id| state.calls.protocol.answered(id)) {
                    Some(call) => {
                        if let Some(pending) = &call.pending {
                            self.opened(state, effects, pending, &reply);
                        }
                        if !call.awaited && id.is_some_and(|id| state.calls.is_asked_by(id)) {
                            self.cancelling_answered(state, effects, reply.clone().into_result().is_ok());
                        }
                        effects.drop_later(call.pending);
                        slots.push((call.slot, reply, call.permit));
                    }
                    None if id.is_some_and(|id| state.calls.protocol.has_sent(id)) => {}
                    None => unasked += 1,
                }
            }
        });
        // Not by `Effects`, so that the memory of the vector is kept for the next delivery.
        for (slot, reply, _place) in slots.drain(..) {
            ReplySlot::complete(slot, Ok(reply));
        }
        unasked
    }

    /// Whether a task waits for a reply that may come while reading is stopped.
    pub(crate) fn calls_wait(&self) -> bool {
        self.read(|state| state.calls.are_awaited())
    }

    /// Whether a call has no reply yet.
    pub(crate) fn waits_for(&self, call: CallId) -> bool {
        self.with(|state, _| state.calls.protocol.get_mut(call).is_some())
    }

    /// Lends the protocol machine.
    #[inline]
    pub(crate) fn protocol<R>(&self, look: impl FnOnce(&mut Connection<InFlight>) -> R) -> R {
        self.with(|state, _| look(&mut state.calls.protocol))
    }

    /// The protocol version of the session.
    pub(crate) fn version(&self) -> Version {
        self.read(|state| state.calls.version())
    }

    /// The peer's first message has decided the version. True if the configured cancellation cannot
    /// be used with it.
    pub(crate) fn decided(&self, version: Version) -> bool {
        self.with(|state, _| state.calls.decided(version))
    }

    /// Ends the calls and handlers whose deadline has passed. Returns the next deadline.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut is_late = false;
        let next = self.with(|state, effects| {
            let mut next: Option<Instant> = None;
            let Expired { late, silent, ended } = state.calls.expire(now, &mut next);
            let late_requests = state.requests.late(now, &mut next);
            state.deadline.set(next);
            for (slot, after) in late {
                effects.complete(slot, Err(CallError::Timeout(after)));
            }
            for (call, ended) in ended {
                // A call that would have begun a subscription is cancelled in its own way.
                if ended.awaited && ended.pending.is_none() {
                    self.gave_up(state, effects, call);
                } else if state.calls.is_asked_by(call) {
                    self.cancelling_answered(state, effects, false);
                }
                if let Some(pending) = &ended.pending {
                    state.subscriptions.end_pending(pending);
                }
                effects.drop_later(Some(ended));
            }
            for (pending, after) in silent {
                effects.wake(pending.channel.end(End::Timeout(after)));
                if let Some(Unsubscribe::Cancel { call, cancellation }) =
                    pending.work().and_then(|key| pending.unsubscribe(key))
                {
                    self.tell_cancelled(state, effects, call, &cancellation);
                }
                effects.drop_later(Some(pending));
            }
            for request in late_requests {
                self.time_out(state, effects, request);
                is_late = true;
            }
            next
        });
        if is_late {
            self.limits.reached.request_timeout(&self.peer, Some(self.id), self.limits.request_timeout());
        }
        next
    }
}

/// Cancellation of calls.
impl Shared {
    /// Removes calls for which no task waits any more, and tells the peer if it supports that.
    pub(in crate::session) fn forget(&self, calls: impl IntoIterator<Item = CallId>) {
        self.with(|state, effects| {
            for call in calls {
                let Some(forgotten) = state.calls.protocol.remove(call) else { continue };
                // The answer to a ping is small: cancelling it costs more.
                if forgotten.awaited {
                    self.gave_up(state, effects, call);
                }
                effects.drop_later(Some(forgotten));
            }
        });
    }

    /// Cancels a call by a notification that both sides support, unless it was answered.
    pub(super) fn take_back_by(
        &self,
        state: &mut State,
        effects: &mut Effects,
        call: CallId,
        cancellation: &Cancellation,
    ) {
        if let Some(forgotten) = state.calls.protocol.remove(call) {
            self.tell_cancelled(state, effects, call, cancellation);
            effects.drop_later(Some(forgotten));
        }
    }

    /// A call was given up: cancels it at the peer, or asks the peer whether it supports that.
    pub(super) fn gave_up(&self, state: &mut State, effects: &mut Effects, call: CallId) {
        match state.calls.give_up(call) {
            Withdrawal::Untold => {}
            Withdrawal::Notify(cancellation) => self.tell_cancelled(state, effects, call, &cancellation),
            Withdrawal::NotifyOwn => self.tell_cancelled(state, effects, call, &Cancellation::RPC),
            Withdrawal::Ask => self.ask_to_cancel(state, effects, call),
        }
    }

    /// Cancels a call by a request, whose reply says whether the peer supports cancellation.
    fn ask_to_cancel(&self, state: &mut State, effects: &mut Effects, call: CallId) {
        if !self.may_tell(state, effects, call) {
            return;
        }
        let timeout = self.limits.call_timeout().and_then(|after| Timeout::after(Instant::now(), after));
        let (mut text, cancellation) = (Vec::new(), Cancellation::RPC);
        let body = cancel_body(&mut text, &cancellation, call);
        let question = InFlight::unawaited(state.outbox.position(), &ReplySlot::waiting(None), timeout);
        match state.append_request(effects, body, question) {
            Ok(by) => {
                state.expect(timeout);
                state.calls.asked(by);
            }
            Err(refused) => self.not_told(effects, refused),
        }
    }

    /// The peer has answered whether it supports cancellation.
    pub(super) fn cancelling_answered(&self, state: &mut State, effects: &mut Effects, takes: bool) {
        state.takes_closing |= takes;
        for call in state.calls.answered_asking(takes) {
            self.gave_up(state, effects, call);
        }
        let session = self.id;
        effects.later(move || {
            tracing::debug!(
                rpc.system.name = "jsonrpc",
                session,
                takes,
                "the peer was asked whether calls can be taken back by `rpc.cancel`"
            );
        });
    }

    /// The peer has sent a cancellation of this crate itself, so it supports it.
    pub(crate) fn peer_cancels(&self) {
        self.with(|state, _| {
            state.takes_closing = true;
            state.calls.peer_cancels();
        });
    }

    /// Tells the peer that no caller waits for a call any more.
    pub(super) fn tell_cancelled(
        &self,
        state: &mut State,
        effects: &mut Effects,
        call: CallId,
        cancellation: &Cancellation,
    ) {
        if !self.may_tell(state, effects, call) {
            return;
        }
        let mut text = Vec::new();
        // The version may have no named parameters, or the frame may be too small.
        if let Err(refused) = state.append_notification(cancel_body(&mut text, cancellation, call)) {
            self.not_told(effects, refused);
        }
    }

    /// Whether a cancellation may be sent to the peer.
    fn may_tell(&self, state: &State, effects: &mut Effects, call: CallId) -> bool {
        if !state.phase.is_open() {
            return false;
        }
        let waiting = self.capacity.waiting(state.outbox.len());
        let has_capacity = waiting < self.limits.outgoing_bytes().saturating_mul(2);
        if !has_capacity {
            let (session, id) = (self.id, call.value());
            effects.later(move || {
                tracing::debug!(
                    rpc.system.name = "jsonrpc",
                    jsonrpc.request.id = id,
                    session,
                    "a cancellation was not sent: too many bytes wait"
                );
            });
        }
        has_capacity
    }

    #[cold]
    fn not_told(&self, effects: &mut Effects, refused: Refused) {
        let session = self.id;
        effects.later(move || {
            tracing::debug!(rpc.system.name = "jsonrpc", session, ?refused, "a cancellation was not sent");
        });
    }
}

/// The message that cancels `call`, without its frame.
fn cancel_body<'a>(text: &'a mut Vec<u8>, cancellation: &'a Cancellation, call: CallId) -> Body<'a> {
    let Ok(body) = Body::write(text, cancellation.method(), |out| {
        out.extend_from_slice(cancellation.params(call.value()).as_bytes());
        Ok::<_, Infallible>(())
    });
    body
}

/// A ping in flight.
#[derive(Debug)]
pub(crate) struct Ping {
    id: CallId,
    slot: Arc<ReplySlot>,
    outcome: PingOutcome,
}

/// The outcome of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PingOutcome {
    Unknown,
    Answered,
    Failed,
}

impl Ping {
    /// The outcome, as far as it is known by now.
    pub(crate) fn outcome(&mut self) -> PingOutcome {
        if self.outcome == PingOutcome::Unknown
            && let Poll::Ready(reply) = self.slot.poll(Waker::noop())
        {
            self.outcome = if reply.is_ok() { PingOutcome::Answered } else { PingOutcome::Failed };
        }
        self.outcome
    }
}

impl Shared {
    /// Sends a ping: a call of `method` for whose reply no task waits. `None` if nothing can be
    /// sent now, because the session is ending or there is no capacity.
    pub(crate) fn ping(&self, method: &str, now: Instant, after: Duration) -> Option<Ping> {
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, method, |_| Ok::<_, Infallible>(()));
        let slot = ReplySlot::waiting(None);
        let timeout = Timeout::after(now, after);
        let id = self.send_ping(body, &slot, timeout).ok()?;
        tracing::debug!(
            rpc.system.name = "jsonrpc",
            rpc.method = %brief(method),
            jsonrpc.request.id = id.value(),
            session = self.id,
            "ping"
        );
        Some(Ping { id, slot, outcome: PingOutcome::Unknown })
    }

    /// Removes a ping that was never answered, before the next one is sent.
    pub(crate) fn forget_ping(&self, ping: &mut Ping) {
        if ping.outcome() == PingOutcome::Unknown {
            self.forget([ping.id]);
        }
    }
}
