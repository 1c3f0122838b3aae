//! The end of a session: graceful shutdown, which finishes requests in flight, and the immediate
//! end.

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
        // Messages that were queued are still written.
        end_calls(state, effects, &reason, |_| true);
        // A stream may never end, so the shutdown does not wait for it.
        let streams = state.subscribers.if_made().map(Subscribers::clear_streams).unwrap_or_default();
        abort_subscribers(effects, streams);
    }

    /// Starts the shutdown if a request that has asked for it is answered.
    pub(super) fn close_if_due(&self, state: &mut State, effects: &mut Effects) -> bool {
        let is_due = state.requests.take_close_due();
        if is_due {
            self.begin_close(state, effects, CloseReason::Local);
        }
        is_due
    }

    /// Ends the session at once: nothing more is started, and queued messages are written only if
    /// the reason allows it.
    pub(crate) fn abort(&self, reason: CloseReason) {
        self.with(|state, effects| {
            if state.phase.has_ended() {
                return;
            }
            state.phase = Phase::Ended(reason.clone());
            // The loop takes no more from the outbox, unless its messages are still written.
            let (chunk, leaves) = (state.outbox.position().chunk, reason.lets_leave());
            end_calls(state, effects, &reason, |position| leaves || position.chunk != chunk);
            effects.requests_changed();
        });
    }

    /// The loop has ended: ends the remaining calls and handlers. Returns the reason that came
    /// first.
    ///
    /// A call was sent if `buffer` has written it, or if it was taken by the loop and
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

    /// The reason of a shutdown in progress, if there is one; the error is the reason of the end.
    pub(crate) fn closing(&self) -> Result<Option<CloseReason>, CloseReason> {
        self.read(|state| match &state.phase {
            Phase::Open => Ok(None),
            Phase::Closing(reason) => Ok(Some(reason.clone())),
            Phase::Ended(reason) | Phase::Gone(reason) => Err(reason.clone()),
        })
    }

    /// Whether it has ended, and its loop still exists.
    pub(crate) fn has_ended(&self) -> bool {
        self.read(|state| matches!(state.phase, Phase::Ended(_)))
    }

    /// Whether its loop has ended, too.
    pub(crate) fn is_gone(&self) -> bool {
        self.read(|state| matches!(state.phase, Phase::Gone(_)))
    }

    /// The loop has ended: notifies the tasks that wait for the end of the session.
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

/// The notice of a server's shutdown, sent and received.
impl Shared {
    /// Sends the notice that this side shuts down, if the peer supports it.
    fn tell_closing(&self, state: &mut State) {
        if self.carries_messages || !self.notices.are_sent(state.takes_closing, false) {
            return;
        }
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, CLOSING, |_| Ok::<_, Infallible>(()));
        // The frame may be too small. The end of the connection tells the peer too.
        drop(state.append_notification(body));
    }

    /// The peer has sent the notice that it shuts down: no call is sent to it any more.
    pub(crate) fn peer_closes(&self) {
        self.with(|state, effects| {
            state.facts.set(Flags::PEER_CLOSING);
            effects.senders_look_again();
        });
    }
}

/// Ends all calls in flight, and all senders that wait for capacity, with the same reason.
/// `has_left` tells whether a call was sent.
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
