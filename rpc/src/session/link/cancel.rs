//! Calls of ours that are taken back, and requests that the peer takes back.

use std::sync::atomic::Ordering;

use super::{InFlight, Link, Member, Phase, State};
use crate::jsonrpc::{Body, CallId, Cancellation, ErrorObject, Id, cancelled};

/// Calls of ours.
impl Link {
    /// Forgets calls that nobody waits for any more, and tells the peer where it is to know.
    pub(in crate::session) fn forget(&self, calls: impl IntoIterator<Item = CallId>) {
        let mut state = self.lock();
        let forgotten: Vec<_> = calls
            .into_iter()
            .filter_map(|call| match &self.cancellation {
                Some(cancellation) => self.take_back(&mut state, call, cancellation),
                None => state.connection.remove(call),
            })
            .collect();
        if state.outbox.len() > self.queued.load(Ordering::Relaxed) {
            self.appended(state);
        } else {
            drop(state);
        }
        // Not under the lock: a waker may run code of the user's when it is dropped.
        drop(forgotten);
    }

    /// Forgets a call, and tells the peer, unless it was answered. What is given back is not to be dropped under the lock.
    pub(super) fn take_back(
        &self,
        state: &mut State,
        call: CallId,
        cancellation: &Cancellation,
    ) -> Option<InFlight> {
        let forgotten = state.connection.remove(call)?;
        self.tell_cancelled(state, call, cancellation);
        Some(forgotten)
    }

    /// Tells the peer that nobody waits for a call any more.
    pub(super) fn tell_cancelled(&self, state: &mut State, call: CallId, cancellation: &Cancellation) {
        if !matches!(state.phase, Phase::Open) {
            return;
        }
        let waiting = self.unwritten.load(Ordering::SeqCst) + state.outbox.len();
        if waiting >= self.limits.outgoing_bytes().saturating_mul(2) {
            let (session, id) = (self.id, call.value());
            state.effects.later(move || {
                tracing::debug!(
                    rpc.system.name = "jsonrpc",
                    jsonrpc.request.id = id,
                    session,
                    "a cancellation was not sent: too many bytes wait"
                );
            });
            return;
        }
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, cancellation.method(), |out| {
            out.extend_from_slice(cancellation.params(call.value()).as_bytes());
            Ok::<_, std::convert::Infallible>(())
        });
        // The version may have no named parameters, or a frame no room.
        if let Err(refused) = state.append_notification(body) {
            let session = self.id;
            state.effects.later(move || {
                tracing::debug!(
                    rpc.system.name = "jsonrpc",
                    session,
                    ?refused,
                    "a cancellation was not sent"
                );
            });
        }
    }
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
        let Some(done) = self.finish(&mut state, request) else { return false };
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
