//! Calls of ours that are taken back, and requests that the peer takes back.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
};

use tokio::time::Instant;

use super::{InFlight, Link, Member, Phase, Refused, State, Timeout};
use crate::{
    jsonrpc::{Body, CallId, CancelBy, Cancellation, ErrorObject, Id, cancelled, version::Version},
    session::{slot::Slot, trace::Ending},
    transport::Takes,
};

/// How calls of ours are taken back, as far as that is known.
#[derive(Debug)]
pub(crate) enum Cancelling {
    /// They are not: the peer would not know what that means, or it was chosen so.
    Never,
    /// As was chosen.
    Chosen(Arc<Cancellation>),
    /// By [`Cancellation::RPC`].
    Known,
    /// The peer is asked when a call is given up for the first time.
    Unknown,
    Asked(Box<Asked>),
}

/// The peer was asked to take a call back, and has not answered.
#[derive(Debug)]
pub(crate) struct Asked {
    by: CallId,
    /// Calls that were given up since.
    given_up: Vec<CallId>,
}

/// How many calls that are given up meanwhile are told of later.
const REMEMBERED: usize = 1_024;

impl Cancelling {
    /// Of a session whose `peer` has said in a handshake what it takes, where there was one.
    pub(crate) fn new(configured: &CancelBy, version: Version, peer: Option<Takes>) -> Self {
        match (configured, peer) {
            (CancelBy::Chosen(cancellation), _) => Self::Chosen(Arc::clone(cancellation)),
            (CancelBy::Nothing, _) => Self::Never,
            (CancelBy::Negotiated, _) if !version.has_named_params() => Self::Never,
            (CancelBy::Negotiated, None) => Self::Unknown,
            (CancelBy::Negotiated, Some(Takes { cancel: true, .. })) => Self::Known,
            (CancelBy::Negotiated, Some(Takes { cancel: false, .. })) => Self::Never,
        }
    }

    pub(super) fn is_asked_by(&self, call: CallId) -> bool {
        matches!(self, Self::Asked(asked) if asked.by == call)
    }

    /// The version has no way to say it. Whether it was chosen.
    pub(super) fn cannot_be_said(&mut self) -> bool {
        matches!(std::mem::replace(self, Self::Never), Self::Chosen(_))
    }
}

impl State {
    /// Calls of the application's that wait for a reply, and pings.
    pub(crate) fn calls_in_flight(&self) -> usize {
        self.connection.len() - usize::from(matches!(self.cancelling, Cancelling::Asked(_)))
    }
}

/// Calls of ours.
impl Link {
    /// Forgets calls that nobody waits for any more, and tells the peer where it is to know.
    pub(in crate::session) fn forget(&self, calls: impl IntoIterator<Item = CallId>) {
        let mut state = self.lock();
        let forgotten: Vec<_> =
            calls.into_iter().filter_map(|call| self.take_back(&mut state, call)).collect();
        if state.outbox.len() > self.queued.load(Ordering::Relaxed) {
            self.appended(state);
        } else {
            drop(state);
        }
        // Not under the lock: a waker may run code of the user's when it is dropped.
        drop(forgotten);
    }

    /// Forgets a call, and tells the peer, unless it was answered. What is given back is not to be dropped under the lock.
    fn take_back(&self, state: &mut State, call: CallId) -> Option<InFlight> {
        let forgotten = state.connection.remove(call)?;
        // The answer to a ping is small: it is not worth a word.
        if forgotten.awaited {
            self.gave_up(state, call);
        }
        Some(forgotten)
    }

    /// The same, in a way that both sides know.
    pub(super) fn take_back_by(
        &self,
        state: &mut State,
        call: CallId,
        cancellation: &Cancellation,
    ) -> Option<InFlight> {
        let forgotten = state.connection.remove(call)?;
        self.tell_cancelled(state, call, cancellation);
        Some(forgotten)
    }

    /// A call was given up: tells the peer, or asks it whether it can be told.
    pub(super) fn gave_up(&self, state: &mut State, call: CallId) {
        match &mut state.cancelling {
            Cancelling::Never => {}
            Cancelling::Chosen(cancellation) => {
                let cancellation = Arc::clone(cancellation);
                self.tell_cancelled(state, call, &cancellation);
            }
            Cancelling::Known => self.tell_cancelled(state, call, &Cancellation::RPC),
            Cancelling::Unknown => self.ask_to_cancel(state, call),
            Cancelling::Asked(asked) if asked.given_up.len() < REMEMBERED => asked.given_up.push(call),
            Cancelling::Asked(_) => {}
        }
    }

    /// Takes a call back by a request, whose answer says whether the peer knows what that is.
    fn ask_to_cancel(&self, state: &mut State, call: CallId) {
        if !self.may_tell(state, call) {
            return;
        }
        let timeout = self.limits.call_timeout().and_then(|after| Timeout::after(Instant::now(), after));
        let (mut text, cancellation) = (Vec::new(), Cancellation::RPC);
        let body = cancel_body(&mut text, &cancellation, call);
        let question = InFlight::unawaited(state.outbox.position(), &Slot::waiting(None), timeout);
        match state.append_request(body, question) {
            Ok(by) => {
                if let Some(Timeout { at, .. }) = timeout {
                    self.expect(state, at);
                }
                state.cancelling = Cancelling::Asked(Box::new(Asked { by, given_up: Vec::new() }));
            }
            Err(refused) => self.not_told(state, refused),
        }
    }

    /// The peer has said whether it takes calls back.
    pub(super) fn cancelling_answered(&self, state: &mut State, takes: bool) {
        let answered = if takes { Cancelling::Known } else { Cancelling::Never };
        if takes {
            self.takes_closing();
        }
        let Cancelling::Asked(asked) = std::mem::replace(&mut state.cancelling, answered) else { return };
        for call in asked.given_up {
            self.gave_up(state, call);
        }
        let session = self.id;
        state.effects.later(move || {
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
        self.takes_closing();
        let mut state = self.lock();
        if matches!(state.cancelling, Cancelling::Unknown) {
            state.cancelling = Cancelling::Known;
        }
    }

    /// Tells the peer that no caller waits for a call any more.
    pub(super) fn tell_cancelled(&self, state: &mut State, call: CallId, cancellation: &Cancellation) {
        if !self.may_tell(state, call) {
            return;
        }
        let mut text = Vec::new();
        // The version may have no named parameters, or a frame no room.
        if let Err(refused) = state.append_notification(cancel_body(&mut text, cancellation, call)) {
            self.not_told(state, refused);
        }
    }

    /// Whether the peer can be told that a call is taken back.
    fn may_tell(&self, state: &mut State, call: CallId) -> bool {
        if !matches!(state.phase, Phase::Open) {
            return false;
        }
        let waiting = self.unwritten.load(Ordering::SeqCst) + state.outbox.len();
        let has_room = waiting < self.limits.outgoing_bytes().saturating_mul(2);
        if !has_room {
            let (session, id) = (self.id, call.value());
            state.effects.later(move || {
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
    fn not_told(&self, state: &mut State, refused: Refused) {
        let session = self.id;
        state.effects.later(move || {
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

/// Requests of the peer's.
impl Link {
    /// Drops the handler of a request that the peer has taken back, whose id is
    /// known (`Id::known`) as this. False where none is at work on it.
    pub(crate) fn cancel_request(&self, known: &str, answers: bool) -> bool {
        let mut state = self.lock();
        let is_it = |running: &super::Running| {
            running.id.as_ref().is_some_and(|own| own.with(|own| own.is_known_as(known)))
        };
        let Some((request, _)) = state.running.iter().find(|(_, running)| is_it(running)) else {
            return false;
        };
        let Some(done) = self.finish(&mut state, request, Ending::Cancelled) else { return false };
        if let Some(own) = &done.id {
            let error = answers.then(cancelled);
            // What takes the request back may write its id in another way.
            own.with(|own| self.answer_cancelled(&mut state, done.member, own, error));
        }
        self.answered(state);
        if let Some(task) = done.task {
            task.abort();
        }
        true
    }

    /// A request was taken back that had not begun: answers it.
    pub(crate) fn cancelled_before(&self, member: Option<Member>, id: Id<'_>, answers: bool) {
        let mut state = self.lock();
        let error = answers.then(|| cancelled().not_executed());
        self.answer_cancelled(&mut state, member, id, error);
        self.answered(state);
    }

    /// Answers with the error, where there is to be an answer.
    fn answer_cancelled(
        &self,
        state: &mut State,
        member: Option<Member>,
        id: Id<'_>,
        error: Option<ErrorObject>,
    ) {
        match (error, member) {
            (Some(error), _) => {
                let mut reply = Vec::new();
                state.connection.version().put_error(&mut reply, id, &error);
                self.answer(state, member, id, &reply);
            }
            (None, Some(Member { batch, .. })) => {
                state.end_batch(batch, &self.open_batches);
            }
            (None, None) => {}
        }
    }
}
