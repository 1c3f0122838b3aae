//! The peer's requests on the shared state: from the start of a handler's task to the reply, alone
//! or in a batch, and cancellation.

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
    /// Whether a further request is admitted: `most` is the limit, `waiting` the number of requests
    /// that wait already, and `bytes` the size of all of these messages.
    #[inline]
    pub(crate) fn admits(&self, most: usize, waiting: usize, bytes: usize) -> bool {
        let requests = self.hints().requests() + waiting;
        let together = self.hints().request_bytes().saturating_add(bytes);
        requests < most && (requests == 0 || together <= self.limits.request_bytes())
    }

    /// The orders of the requests in flight: a later request may have to wait for them.
    pub(crate) fn running_orders(&self) -> Ahead {
        self.read(|state| state.requests.orders())
    }

    /// Adds a request whose handler becomes a task.
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

    /// Sets the task of the request, unless it has finished already.
    pub(crate) fn begun(&self, request: u64, task: AbortHandle) {
        self.with(|state, effects| match state.requests.get_mut(request) {
            Some(running) => running.task = Some(task),
            // It may have become a subscription, which may have ended with the session before there
            // was a task to abort.
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

    /// Appends the reply of a handler's task, unless the request was answered already.
    pub(crate) fn reply(&self, request: u64, message: &[u8], ending: Ending) {
        self.with(|state, effects| {
            let Some(done) = state.finish(effects, request, ending) else { return };
            if let Some(id) = done.id {
                id.with(|id| state.answer(effects, done.member, id, message));
            }
            self.close_if_due(state, effects);
        });
    }

    /// ReplyBatch a finished request with an error.
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

    /// Ends a request whose deadline has passed.
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
    /// Appends the reply to a request: as a message of its own, or to the reply of its batch, which
    /// is complete with the last member.
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

    /// Removes a request that is answered now, or never will be, and logs its ending.
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
            // Unsent reports of work that has ended in one way or another.
            let over = self.subscribers.if_made().and_then(|subscribers| subscribers.forget(request));
            effects.drop_later(over);
        }
        Some(done)
    }
}

/// Back-pressure on replies: the reply of a handler is written as soon as there is capacity. So no
/// more than [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes) of replies, and one more,
/// wait for a peer that does not read.
impl Shared {
    /// Whether the reply to a request may be written.
    ///
    /// The reply to a member of a batch waits for the last member. Once the bytes that wait like
    /// this reach the limit on outgoing bytes, only the oldest batch goes on, and the others after
    /// it.
    pub(crate) fn has_capacity_for_reply(&self, member: Option<Member>) -> bool {
        self.has_capacity() && member.is_none_or(|member| self.may_collect(member))
    }

    fn may_collect(&self, Member { batch, .. }: Member) -> bool {
        self.read(|state| {
            state.calls.protocol.collected(None) < self.limits.outgoing_bytes()
                || state.calls.protocol.is_oldest_batch(batch)
        })
    }

    /// Waits until the reply to a request may be written. The reply is kept meanwhile, and the
    /// request keeps its permit. Its deadline does not apply any more: the handler has finished.
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
            // Capacity that is made from here on leaves a `Notify` permit, so it is not missed.
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
    /// Whether a request is in flight, or is a subscription that is not over.
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

    /// Waits for the end of a request.
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

    /// The work for a request is alive: its timeout starts again.
    pub(super) fn goes_on(&self, state: &mut State, request: u64, now: Instant) {
        if let Some(running) = state.requests.get_mut(request)
            && let Some(timeout) = self.limits.request_timeout()
        {
            running.deadline = deadline::after(now, timeout);
        }
    }
}

/// Logging of requests.
impl Shared {
    /// Begins the trace of a request.
    #[inline]
    pub(crate) fn trace(&self, request: &UncheckedRequest<'_>) -> Trace {
        Trace::begin(request, self.id, &self.peer)
    }

    /// Logs a refused message that is no request, or that was not read.
    pub(crate) fn log_refused(&self, id: Option<Id<'_>>, error: &ErrorObject) {
        log_refused(id, error, Some(self.id), &self.peer);
    }
}

/// Cancellation of requests.
impl Shared {
    /// Cancels a request: drops the handler of the request with this id, in the form of
    /// `Id::known`. False if there is none.
    pub(crate) fn cancel_request(&self, known: &str, answers: bool) -> bool {
        self.with(|state, effects| {
            let Some(request) = state.requests.find(known) else { return false };
            let Some(done) = state.finish(effects, request, Ending::Cancelled) else { return false };
            if let Some(own) = &done.id {
                let error = answers.then(cancelled);
                // The cancellation may spell the id in another way.
                own.with(|own| state.answer_cancelled(effects, done.member, own, error));
            }
            self.close_if_due(state, effects);
            if let Some(task) = done.task {
                effects.abort(task);
            }
            true
        })
    }

    /// ReplyBatch a request that was cancelled before its handler started.
    pub(crate) fn cancelled_before(&self, member: Option<Member>, id: Id<'_>, answers: bool) {
        self.with(|state, effects| {
            let error = answers.then(|| cancelled().not_executed());
            state.answer_cancelled(effects, member, id, error);
            self.close_if_due(state, effects);
        });
        // It counted as waiting for a permit: the requests behind it check again.
        self.wake();
    }
}

impl State {
    /// ReplyBatch with the error, if there is to be an answer.
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
    /// One part of a batch is done. Sends the reply to the batch if it was the last.
    pub(super) fn end_batch(&mut self, effects: &mut Effects, batch: BatchId) {
        let Some(reply) = self.calls.protocol.end_batch(batch) else { return };
        if self.calls.protocol.batches_in_progress() > 0 {
            // Members of other batches may wait for it.
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

    /// Whether the replies collected in batches other than `own` reach the limit on outgoing bytes,
    /// so that no request is started. A batch does not wait for itself.
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

    /// All members were read: the reply is sent when the requests in flight among them are done.
    pub(crate) fn end_batch(&self, batch: BatchId) {
        self.with(|state, effects| {
            state.end_batch(effects, batch);
            self.close_if_due(state, effects);
        });
    }
}

impl Shared {
    /// The number of the request that is being started, created for its first context.
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

    /// The number of the request that is being started, for its entry; 0 if it has none.
    #[inline]
    pub(crate) fn starting(&self) -> WorkNumber {
        self.numbers.starting.load(Ordering::Acquire)
    }

    /// The start of the request is over: it was answered in place, or has an entry.
    #[inline]
    pub(crate) fn started(&self) {
        if self.starting() != 0 {
            self.numbers.starting.store(0, Ordering::Release);
            self.requests_changed.notify_waiters();
        }
    }

    /// A handler has finished in place, and its reply is written. Returns whether the session
    /// closes now.
    #[inline]
    pub(crate) fn finished_in_place(&self, member: Option<Member>) -> bool {
        self.hints().has(Flags::CLOSES_AFTER)
            && self.with(|state, effects| {
                state.requests.finished_in_place(self.starting(), member);
                self.close_if_due(state, effects)
            })
    }

    /// Begins work that is finished even if its request is cancelled.
    pub(crate) fn shield(self: &Arc<Self>) -> Shield {
        self.with(|state, _| state.requests.shield());
        Shield { shared: Arc::clone(self) }
    }
}

/// Counts shielded work until it is dropped.
#[derive(Debug)]
pub(crate) struct Shield {
    shared: Arc<Shared>,
}

impl Drop for Shield {
    fn drop(&mut self) {
        // This wakes the loop: a request may wait for the permit, and a shutdown for the work.
        self.shared.with(|state, _| state.requests.unshield());
    }
}

/// Notifies the tasks that wait for a request when the task of a subscription ends.
#[derive(Debug)]
pub(crate) struct TellsWorkEnded(pub(crate) Arc<Shared>);

impl Drop for TellsWorkEnded {
    fn drop(&mut self) {
        self.0.requests_changed.notify_waiters();
    }
}
