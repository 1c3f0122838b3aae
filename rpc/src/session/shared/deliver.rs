//! Replies of the peer, on their way to the calls that they answer, and the calls that get none.

use std::sync::Arc;

use tokio::time::Instant;

use super::Shared;
use crate::{
    jsonrpc::{CallId, Connection, Reply, version::Version},
    session::{
        CallError,
        calls::{Expired, InFlight},
        places::Place,
        slot::Slot,
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
    slots: Vec<(Arc<Slot>, Reply, Option<Place>)>,
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
    pub(crate) fn deliver(&self, batch: &mut ReplyBatch) -> usize {
        let ReplyBatch { replies, slots, in_flight } = batch;
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
                        slots.push((call.slot, reply, call.place));
                    }
                    None if id.is_some_and(|id| state.calls.protocol.has_sent(id)) => {}
                    None => unasked += 1,
                }
            }
        });
        // Here rather than by `Effects`: their memory is kept for the next ones.
        for (slot, reply, _place) in slots.drain(..) {
            Slot::complete(slot, Ok(reply));
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
