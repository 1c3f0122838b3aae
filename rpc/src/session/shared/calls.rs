//! Calls of this side: the replies of the peer on their way to them, those that get none, those that
//! are taken back, and pings.

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

/// Fewer replies than this are no group worth a turn of its own.
const GROUP: usize = 16;

/// Replies of one read, on their way to the calls that wait for them.
#[derive(Debug, Default)]
pub(crate) struct ReplyBatch {
    replies: Vec<(Option<CallId>, Reply)>,
    /// Kept, so that handing over does not allocate.
    slots: Vec<(Arc<ReplySlot>, Reply, Option<CallPermit>)>,
    /// How many calls were in flight when the last ones were handed over, these included.
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

    /// Whether there are enough to be handed over together: a quarter of what is in flight.
    ///
    /// Then the callers have their turn, and what they send leaves, before the next ones: so
    /// neither side waits for the other to be done with everything.
    pub(crate) fn are_a_group(&self) -> bool {
        self.replies.len() >= GROUP.max(self.in_flight / 4)
    }
}

impl Shared {
    /// Hands replies to the calls that they answer. Gives the number of those that answer no call;
    /// late ones, to calls that were given up, are no fault of the peer's.
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
        // Here rather than by `Effects`: their memory is kept for the next ones.
        for (slot, reply, _place) in slots.drain(..) {
            ReplySlot::complete(slot, Ok(reply));
        }
        unasked
    }

    /// Whether a call waits for a reply that may come while nothing else is taken.
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

    /// The version that is spoken.
    pub(crate) fn version(&self) -> Version {
        self.read(|state| state.calls.version())
    }

    /// The version that the peer's first message has decided. Whether calls can no longer be taken
    /// back as was chosen.
    pub(crate) fn decided(&self, version: Version) -> bool {
        self.with(|state, _| state.calls.decided(version))
    }

    /// Ends the calls and the handlers that are late, and says when to look again.
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
                // A call that would have begun a subscription is taken back in its own way.
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

/// Calls.
impl Shared {
    /// Forgets calls for which no task waits any more, and tells the peer where it is to know.
    pub(in crate::session) fn forget(&self, calls: impl IntoIterator<Item = CallId>) {
        self.with(|state, effects| {
            for call in calls {
                let Some(forgotten) = state.calls.protocol.remove(call) else { continue };
                // The answer to a ping is small: it is not worth a word.
                if forgotten.awaited {
                    self.gave_up(state, effects, call);
                }
                effects.drop_later(Some(forgotten));
            }
        });
    }

    /// Takes a call back in a way that both sides know, unless it was answered.
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

    /// A call was given up: tells the peer, or asks it whether it can be told.
    pub(super) fn gave_up(&self, state: &mut State, effects: &mut Effects, call: CallId) {
        match state.calls.give_up(call) {
            Withdrawal::Untold => {}
            Withdrawal::Notify(cancellation) => self.tell_cancelled(state, effects, call, &cancellation),
            Withdrawal::NotifyOwn => self.tell_cancelled(state, effects, call, &Cancellation::RPC),
            Withdrawal::Ask => self.ask_to_cancel(state, effects, call),
        }
    }

    /// Takes a call back by a request, whose answer says whether the peer knows what that is.
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

    /// The peer has said whether it takes calls back.
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

    /// The peer takes calls back in the way of this crate: it knows of it.
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
        // The version may have no named parameters, or a frame no room.
        if let Err(refused) = state.append_notification(cancel_body(&mut text, cancellation, call)) {
            self.not_told(effects, refused);
        }
    }

    /// Whether the peer can be told that a call is taken back.
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

/// The message that takes `call` back, without its frame.
fn cancel_body<'a>(text: &'a mut Vec<u8>, cancellation: &'a Cancellation, call: CallId) -> Body<'a> {
    let Ok(body) = Body::write(text, cancellation.method(), |out| {
        out.extend_from_slice(cancellation.params(call.value()).as_bytes());
        Ok::<_, Infallible>(())
    });
    body
}

/// A ping that was sent.
#[derive(Debug)]
pub(crate) struct Ping {
    id: CallId,
    slot: Arc<ReplySlot>,
    outcome: PingOutcome,
}

/// What has become of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PingOutcome {
    Unknown,
    Answered,
    Failed,
}

impl Ping {
    /// What is known of it by now.
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
    /// Calls `method`. `None` where nothing can be sent now: the session is ending, or there is no room.
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

    /// Forgets a ping that was never answered, before there is another one.
    pub(crate) fn forget_ping(&self, ping: &mut Ping) {
        if ping.outcome() == PingOutcome::Unknown {
            self.forget([ping.id]);
        }
    }
}
