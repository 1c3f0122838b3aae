//! How a session ends: closing, which finishes what was begun, and the end, which does not.

use std::convert::Infallible;

use super::{
    guarded::Flags,
    state::{Phase, State},
    value::Shared,
};
use crate::{
    jsonrpc::{Body, subscription::CLOSING},
    session::{
        CallError, CloseReason,
        effects::Effects,
        subscribers::{RemoteSubscriber, Subscribers},
        write_buffer::{Position, WriteBuffer},
    },
};

impl Shared {
    /// See [`Session::close`](crate::Session::close).
    pub(crate) fn start_close(&self, reason: CloseReason) {
        self.with(|state, effects| self.begin_close(state, effects, reason));
    }

    pub(super) fn begin_close(&self, state: &mut State, effects: &mut Effects, reason: CloseReason) {
        if !state.phase.is_open() {
            return;
        }
        if matches!(reason, CloseReason::Shutdown) {
            self.tell_closing(state);
        }
        state.phase = Phase::Closing(reason.clone());
        // Messages that were sent still leave.
        end_calls(state, effects, &reason, |_| true);
        // A stream may have no end that could be waited for.
        let streams = state.subscribers.if_made().map(Subscribers::clear_streams).unwrap_or_default();
        abort_subscribers(effects, streams);
    }

    /// Closes the session where the request that has asked for that is answered.
    pub(super) fn close_if_due(&self, state: &mut State, effects: &mut Effects) -> bool {
        let is_due = state.requests.take_close_due();
        if is_due {
            self.begin_close(state, effects, CloseReason::Local);
        }
        is_due
    }

    /// The session ends now: nothing more is begun, and what waits is sent only where the reason
    /// lets it leave.
    pub(crate) fn abort(&self, reason: CloseReason) {
        self.with(|state, effects| {
            if state.phase.has_ended() {
                return;
            }
            state.phase = Phase::Ended(reason.clone());
            // Unless it still leaves, the loop takes no more of it.
            let (chunk, leaves) = (state.outbox.position().chunk, reason.lets_leave());
            end_calls(state, effects, &reason, |position| leaves || position.chunk != chunk);
            effects.requests_changed();
        });
    }

    /// The loop has ended: so do the calls and handlers that are left. Gives the reason that came
    /// first.
    ///
    /// Calls have left where `buffer` has written them, or where all that the loop has taken
    /// `still_leaves`.
    pub(crate) fn end(&self, reason: CloseReason, buffer: &WriteBuffer, still_leaves: bool) -> CloseReason {
        self.with(|state, effects| {
            let reason = match std::mem::replace(&mut state.phase, Phase::Open) {
                Phase::Open => reason,
                Phase::Closing(first) | Phase::Ended(first) | Phase::Gone(first) => first,
            };
            state.phase = Phase::Ended(reason.clone());
            state.calls.protocol.drop_batches();
            end_calls(state, effects, &reason, |position| still_leaves || buffer.has_written(position));
            let running = state.requests.end();
            running.iter().filter_map(|running| running.task.clone()).for_each(|task| effects.abort(task));
            effects.drop_later(Some(running).filter(|running| !running.is_empty()));
            abort_subscribers(
                effects,
                state.subscribers.if_made().map(Subscribers::clear).unwrap_or_default(),
            );
            effects.requests_changed();
            reason
        })
    }

    /// Why the session is closing, if it is; the error is why it has ended.
    pub(crate) fn closing(&self) -> Result<Option<CloseReason>, CloseReason> {
        self.read(|state| match &state.phase {
            Phase::Open => Ok(None),
            Phase::Closing(reason) => Ok(Some(reason.clone())),
            Phase::Ended(reason) | Phase::Gone(reason) => Err(reason.clone()),
        })
    }

    /// Whether it has ended, and its loop is there.
    pub(crate) fn has_ended(&self) -> bool {
        self.read(|state| matches!(state.phase, Phase::Ended(_)))
    }

    /// Whether its loop is gone, too.
    pub(crate) fn is_gone(&self) -> bool {
        self.read(|state| matches!(state.phase, Phase::Gone(_)))
    }

    /// The loop is gone, and tasks that wait for that are told.
    pub(crate) fn gone(&self, reason: CloseReason) {
        self.with(|state, effects| {
            state.phase = Phase::Gone(reason);
            effects.gone();
        });
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        loop {
            let mut changed = std::pin::pin!(self.closed.notified());
            changed.as_mut().enable();
            let gone = self.read(|state| match &state.phase {
                Phase::Gone(reason) => Some(reason.clone()),
                _ => None,
            });
            if let Some(reason) = gone {
                return reason;
            }
            changed.await;
        }
    }
}

/// The shutdown of a server: what this side says of its own, and what the peer has said.
impl Shared {
    /// This side shuts down: says so, where the peer knows what that means.
    fn tell_closing(&self, state: &mut State) {
        if self.carries_messages || !self.notices.are_sent(state.takes_closing, false) {
            return;
        }
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, CLOSING, |_| Ok::<_, Infallible>(()));
        // A frame may have no room for it: the end itself says it too.
        drop(state.append_notification(body));
    }

    /// The peer shuts down: nothing more is sent to it.
    pub(crate) fn peer_closes(&self) {
        self.with(|state, effects| {
            state.facts.set(Flags::PEER_CLOSING);
            effects.senders_look_again();
        });
    }
}

/// Ends every call with the same reason, and the wait of those that were not sent. `has_left` says
/// which of them have left.
fn end_calls(
    state: &mut State,
    effects: &mut Effects,
    reason: &CloseReason,
    has_left: impl Fn(Position) -> bool,
) {
    for call in state.calls.end() {
        let sent = has_left(call.position);
        effects.complete(call.slot, Err(CallError::Closed { reason: reason.clone(), sent }));
        effects.drop_later(call.permit);
        effects.drop_later(call.pending);
    }
    let subscriptions = state.subscriptions.if_made().map(|subscriptions| subscriptions.end(reason, effects));
    effects.drop_later(subscriptions);
    effects.senders_look_again();
}

fn abort_subscribers(effects: &mut Effects, subscribers: Vec<RemoteSubscriber>) {
    subscribers.iter().filter_map(RemoteSubscriber::task).for_each(|task| effects.abort(task.clone()));
    effects.drop_later(Some(subscribers).filter(|subscribers| !subscribers.is_empty()));
}
