//! Requests of the peer: from their handler's becoming a task to their reply, by itself or in its
//! batch, and their cancellation.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use tokio::{task::AbortHandle, time::Instant};

use super::{
    guarded::Flags,
    state::{Phase, State},
    value::Shared,
};
use crate::{
    jsonrpc::{BatchId, ErrorObject, Id, Member, UncheckedRequest, cancelled},
    limits::deadline,
    session::{
        CloseReason,
        effects::Effects,
        requests::{Ahead, Running, WorkNumber},
        trace::{Ending, Trace, log_refused},
    },
};

impl Shared {
    /// Whether a further request may be worked on, of `most` at once, beside `waiting` that have to
    /// wait; `bytes` is what it and they take up.
    #[inline]
    pub(crate) fn admits(&self, most: usize, waiting: usize, bytes: usize) -> bool {
        let requests = self.hints().requests() + waiting;
        let together = self.hints().request_bytes().saturating_add(bytes);
        requests < most && (requests == 0 || together <= self.limits.request_bytes())
    }

    /// The order of the requests that are worked on: others may have to wait for them.
    pub(crate) fn running_orders(&self) -> Ahead {
        self.read(|state| state.requests.orders())
    }

    /// Remembers a request whose handler becomes a task.
    pub(crate) fn begin(&self, running: Running) -> u64 {
        self.with(|state, _| {
            if let Some(deadline) = running.deadline {
                state.deadline.expect(deadline);
            }
            if let (Some(member), Some(_)) = (running.member, &running.id) {
                state.calls.protocol.expect_member(member.batch);
            }
            state.requests.begin(running)
        })
    }

    /// Says which task works on the request, unless it has finished already.
    pub(crate) fn begun(&self, request: u64, task: AbortHandle) {
        self.with(|state, effects| match state.requests.get_mut(request) {
            Some(running) => running.task = Some(task),
            // It may have become a subscription already; and that may have ended with the session,
            // before there was a task to end.
            None => {
                if !state
                    .subscribers
                    .if_made()
                    .is_some_and(|subscribers| subscribers.set_task(request, &task))
                {
                    effects.abort(task);
                }
            }
        });
    }

    /// Appends the reply of a handler that had become a task, unless its request was already
    /// answered.
    pub(crate) fn reply(&self, request: u64, message: &[u8], ending: Ending) {
        self.with(|state, effects| {
            let Some(done) = state.finish(effects, request, ending) else { return };
            if let Some(id) = done.id {
                id.with(|id| state.answer(effects, done.member, id, message));
            }
            self.close_if_due(state, effects);
        });
    }

    /// ReplyBatch a request that is finished with an error.
    pub(super) fn reply_error(
        &self,
        state: &mut State,
        effects: &mut Effects,
        done: &Running,
        error: &ErrorObject,
    ) {
        if let Some(id) = &done.id {
            let version = state.calls.version();
            let mut reply = Vec::new();
            id.with(|id| {
                version.put_error(&mut reply, id, error);
                state.answer(effects, done.member, id, &reply);
            });
        }
        self.close_if_due(state, effects);
    }

    /// Ends a request that took too long.
    pub(super) fn time_out(&self, state: &mut State, effects: &mut Effects, request: u64) {
        let Some(mut done) = state.finish(effects, request, Ending::Timeout) else { return };
        if let Some(task) = done.task.take() {
            effects.abort(task);
        }
        let error = ErrorObject::took_too_long(self.limits.request_timeout());
        self.reply_error(state, effects, &done, &error);
    }
}

impl State {
    /// Appends the reply to a request: as a message of its own, or to its batch, which goes out
    /// with the last one.
    pub(super) fn answer(&mut self, effects: &mut Effects, member: Option<Member>, id: Id<'_>, reply: &[u8]) {
        match member {
            None => {
                let version = self.calls.version();
                self.outbox.reply(version, id, effects, |out| out.extend_from_slice(reply));
            }
            Some(member) => {
                self.calls.protocol.add_to_batch(member, id, reply);
                self.end_batch(effects, member.batch);
            }
        }
    }

    /// Forgets a request that is answered now, or never will be. How it has ended is logged.
    pub(super) fn finish(&mut self, effects: &mut Effects, request: u64, ending: Ending) -> Option<Running> {
        let mut done = self.requests.finish(request)?;
        if done.trace.is_some() {
            let trace = done.trace.take();
            effects.later(move || trace.end(ending));
        }
        if done.work != 0 {
            effects.requests_changed();
        }
        if done.subscribes {
            // Reports of work that is over, one way or another, and that have not left.
            let over = self.subscribers.if_made().and_then(|subscribers| subscribers.forget(request));
            effects.drop_later(over);
        }
        Some(done)
    }
}

/// When the replies of handlers that have finished are written: as soon as there is capacity to
/// send them, so that no more than [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes) of
/// them wait for a peer that does not read, besides the last.
impl Shared {
    /// Whether the reply to a request may be written.
    ///
    /// That to a member of a batch waits with the others of its batch for the last of them. Where
    /// as many bytes wait so as may wait to be sent, the oldest batch goes on, and the others when
    /// it has ended.
    pub(crate) fn has_capacity_for_reply(&self, member: Option<Member>) -> bool {
        self.has_capacity() && member.is_none_or(|member| self.may_collect(member))
    }

    fn may_collect(&self, Member { batch, .. }: Member) -> bool {
        self.read(|state| {
            state.calls.protocol.collected(None) < self.limits.outgoing_bytes()
                || state.calls.protocol.is_oldest_batch(batch)
        })
    }

    /// Waits until the reply to a request may be written. What its handler has made is kept
    /// meanwhile, and it keeps its permit. It is late no more: the handler has finished.
    pub(crate) async fn capacity_for_reply(&self, request: u64, member: Option<Member>) {
        self.with(|state, _| {
            if let Some(running) = state.requests.get_mut(request) {
                running.deadline = None;
            }
        });
        if let Some(member) = member {
            loop {
                let mut ended = pin!(self.requests_changed.notified());
                ended.as_mut().enable();
                if self.may_collect(member) {
                    break;
                }
                ended.await;
            }
        }
        loop {
            // Capacity that is made from here on leaves a permit: it is not missed.
            let made = self.capacity_made();
            if self.has_or_wants_capacity() {
                break;
            }
            made.await;
        }
        self.wake_next_sender();
    }
}

/// Requests and their contexts.
impl Shared {
    /// Whether a request is still worked on, or is a subscription that goes on.
    pub(crate) fn is_worked_on(&self, number: WorkNumber) -> bool {
        self.read(|state| match &state.phase {
            Phase::Ended(_) | Phase::Gone(_) => false,
            Phase::Open | Phase::Closing(_) => {
                self.starting() == number
                    || state.requests.has_number(number)
                    || state.subscribers.work_for(number)
            }
        })
    }

    /// Waits until a request is not worked on any more.
    pub(crate) async fn work_ended(&self, number: WorkNumber) {
        loop {
            let mut changed = pin!(self.requests_changed.notified());
            changed.as_mut().enable();
            if !self.is_worked_on(number) {
                return;
            }
            changed.await;
        }
    }

    /// See [`Context::close_after_reply`](crate::Context::close_after_reply).
    pub(crate) fn close_after(&self, request: WorkNumber) {
        self.with(|state, effects| {
            if self.starting() == request || state.requests.has_number(request) {
                state.requests.close_after(request);
            } else {
                self.begin_close(state, effects, CloseReason::Local);
            }
        });
    }

    /// The work for a request goes on: its time is counted anew.
    pub(super) fn goes_on(&self, state: &mut State, request: u64, now: Instant) {
        if let Some(running) = state.requests.get_mut(request)
            && let Some(timeout) = self.limits.request_timeout()
        {
            running.deadline = deadline::after(now, timeout);
        }
    }
}

/// Logs of requests.
impl Shared {
    /// Begins the trace of a request.
    #[inline]
    pub(crate) fn trace(&self, request: &UncheckedRequest<'_>) -> Trace {
        Trace::begin(request, self.id, &self.peer)
    }

    /// Logs that a message was refused which is no request, or was not read.
    pub(crate) fn log_refused(&self, id: Option<Id<'_>>, error: &ErrorObject) {
        log_refused(id, error, Some(self.id), &self.peer);
    }
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
    /// ReplyBatch with the error, where there is to be an answer.
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

impl State {
    /// Something that a batch was waiting for is done: sends the reply to it where it was the last.
    pub(super) fn end_batch(&mut self, effects: &mut Effects, batch: BatchId) {
        let Some(reply) = self.calls.protocol.end_batch(batch) else { return };
        if self.calls.protocol.batches_in_progress() > 0 {
            // Members of others may wait for it.
            effects.requests_changed();
        }
        if let Some(subscribers) = self.subscribers.if_made() {
            subscribers.release(batch);
        }
        self.requests.batch_answered(batch);
        if !reply.is_empty() {
            let version = self.calls.version();
            self.outbox.reply(version, Id::NULL, effects, |out| reply.write(out));
        }
    }
}

impl Shared {
    /// A member's reply will come later.
    pub(crate) fn expect_member(&self, member: Member) {
        self.with(|state, _| state.calls.protocol.expect_member(member.batch));
    }

    /// Whether so many bytes of replies wait for the end of their batches, other than `own`, that
    /// nothing more is started: they count like those that wait to be sent. A batch does not wait
    /// for itself.
    #[inline]
    pub(crate) fn others_are_full(&self, own: Option<BatchId>) -> bool {
        let others = self.hints().open_batches() > usize::from(own.is_some());
        others && self.read(|state| state.calls.protocol.collected(own)) >= self.limits.outgoing_bytes()
    }

    /// Adds the reply to a member.
    pub(crate) fn add_to_batch(&self, member: Member, id: Id<'_>, reply: &[u8]) {
        self.with(|state, _| state.calls.protocol.add_to_batch(member, id, reply));
    }

    /// Adds an error as the reply to a member.
    pub(crate) fn add_error_to_batch(&self, member: Member, id: Id<'_>, error: &ErrorObject) {
        self.with(|state, _| state.calls.protocol.add_error_to_batch(member, id, error));
    }

    /// All members have been seen: the reply goes out when those that are worked on are done.
    pub(crate) fn end_batch(&self, batch: BatchId) {
        self.with(|state, effects| {
            state.end_batch(effects, batch);
            self.close_if_due(state, effects);
        });
    }
}

impl Shared {
    /// The number of the request that is being started. It is made when the first context of the
    /// request is.
    pub(crate) fn work_number(&self) -> WorkNumber {
        match self.starting() {
            0 => {
                let number = self.numbers.last.fetch_add(1, Ordering::Relaxed) + 1;
                self.numbers.starting.store(number, Ordering::Release);
                number
            }
            number => number,
        }
    }

    /// The number of the request that is being started, for the entry that takes its place.
    #[inline]
    pub(crate) fn starting(&self) -> WorkNumber {
        self.numbers.starting.load(Ordering::Acquire)
    }

    /// The request is started: it was answered in place, or has an entry.
    #[inline]
    pub(crate) fn started(&self) {
        if self.starting() != 0 {
            self.numbers.starting.store(0, Ordering::Release);
            self.requests_changed.notify_waiters();
        }
    }

    /// The handler of a request has finished where it was begun, and its reply is written. Whether
    /// the session closes now.
    #[inline]
    pub(crate) fn finished_in_place(&self, member: Option<Member>) -> bool {
        self.hints().has(Flags::CLOSES_AFTER)
            && self.with(|state, effects| {
                state.requests.finished_in_place(self.starting(), member);
                self.close_if_due(state, effects)
            })
    }

    /// Work that is to be finished whatever becomes of its handler.
    pub(crate) fn shield(self: &Arc<Self>) -> Shield {
        self.with(|state, _| state.requests.shield());
        Shield { shared: Arc::clone(self) }
    }
}

/// Stands for work that is being finished, until it is dropped.
#[derive(Debug)]
pub(crate) struct Shield {
    shared: Arc<Shared>,
}

impl Drop for Shield {
    fn drop(&mut self) {
        // The loop is woken for the permit, and for a close that may be waiting for the work.
        self.shared.with(|state, _| state.requests.unshield());
    }
}

/// Has tasks that wait for a request look again when the task of a subscription has ended.
#[derive(Debug)]
pub(crate) struct TellsWorkEnded(pub(crate) Arc<Shared>);

impl Drop for TellsWorkEnded {
    fn drop(&mut self) {
        self.0.requests_changed.notify_waiters();
    }
}
