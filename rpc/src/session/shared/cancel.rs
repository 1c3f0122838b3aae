//! Calls of this side that are taken back, and requests that the peer takes back.

use std::convert::Infallible;

use tokio::time::Instant;

use super::{Effects, Refused, Shared, State};
use crate::{
    jsonrpc::{Body, CallId, Cancellation, ErrorObject, Id, Member, cancelled},
    session::{
        calls::{InFlight, Timeout, Withdrawal},
        slot::Slot,
        trace::Ending,
    },
};

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
        let question = InFlight::unawaited(state.outbox.position(), &Slot::waiting(None), timeout);
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
        let has_room = waiting < self.limits.outgoing_bytes().saturating_mul(2);
        if !has_room {
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
        has_room
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

/// Requests of the peer.
impl Shared {
    /// Drops the handler of a request that the peer has taken back, whose id is
    /// known (`Id::known`) as this. False where none is at work on it.
    pub(crate) fn cancel_request(&self, known: &str, answers: bool) -> bool {
        self.with(|state, effects| {
            let Some(request) = state.requests.find(known) else { return false };
            let Some(done) = state.finish(effects, request, Ending::Cancelled) else { return false };
            if let Some(own) = &done.id {
                let error = answers.then(cancelled);
                // The message that takes the request back may write its id in another way.
                own.with(|own| state.answer_cancelled(effects, done.member, own, error));
            }
            self.close_if_due(state, effects);
            if let Some(task) = done.task {
                effects.abort(task);
            }
            true
        })
    }

    /// A request was taken back that had not begun: answers it.
    pub(crate) fn cancelled_before(&self, member: Option<Member>, id: Id<'_>, answers: bool) {
        self.with(|state, effects| {
            let error = answers.then(|| cancelled().not_executed());
            state.answer_cancelled(effects, member, id, error);
            self.close_if_due(state, effects);
        });
        // It counted as waiting for a permit: those behind it look again.
        self.wake();
    }
}

impl State {
    /// Answers with the error, where there is to be an answer.
    fn answer_cancelled(
        &mut self,
        effects: &mut Effects,
        member: Option<Member>,
        id: Id<'_>,
        error: Option<ErrorObject>,
    ) {
        match (error, member) {
            (Some(error), _) => {
                let mut reply = Vec::new();
                self.calls.version().put_error(&mut reply, id, &error);
                self.answer(effects, member, id, &reply);
            }
            (None, Some(Member { batch, .. })) => self.end_batch(effects, batch),
            (None, None) => {}
        }
    }
}
