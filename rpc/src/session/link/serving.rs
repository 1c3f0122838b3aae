//! The side of the link that the loop uses: taking what was sent, handing replies over, keeping track of handlers.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

use super::{Ahead, Link, Locked, Member, Phase, Running, State, Timeout};
use crate::{
    jsonrpc::{CallId, ErrorCode, ErrorObject, Id, Reply, version::Version},
    session::{
        CallError, CloseReason,
        feed::{Feed, Feeds},
        loads::Loads,
        outbox::ToFrame,
        places::Place,
        slot::Slot,
        subscription::{End, Opening, Unsubscribe},
        trace::Ending,
    },
};

/// Fewer replies than this are no group worth a turn of its own.
const GROUP: usize = 16;

/// Replies of one read, on their way to those who wait for them.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    replies: Vec<(Option<CallId>, Reply)>,
    /// Kept, so that handing over does not allocate.
    slots: Vec<(Arc<Slot>, Reply, Option<Place>)>,
    /// How many calls were in flight when the last ones were handed over, these included.
    in_flight: usize,
}

impl Answers {
    /// Adds the reply to a call; `None` for an id that no call of ours can have.
    pub(crate) fn push(&mut self, call: Option<CallId>, reply: Reply) {
        self.replies.push((call, reply));
    }

    pub(crate) fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether there are enough to be handed over together: a quarter of what is in flight.
    ///
    /// Then the callers have their turn, and what they send leaves, before the next ones: so neither side waits for the other to be
    /// done with everything.
    pub(crate) fn are_a_group(&self) -> bool {
        self.replies.len() >= GROUP.max(self.in_flight / 4)
    }
}

impl Link {
    /// Has the loop's task woken by whatever the handles do.
    pub(crate) fn register(&self, driver: &Waker) {
        self.driver.register(driver);
    }

    /// Has the loop go round once more.
    pub(crate) fn wake(&self) {
        self.driver.wake();
    }

    /// Whether the session is anything but open.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// How many bytes the handles have sent that the loop has not taken.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    /// Moves what the handles have sent to the end of `buffer`, and says how many messages that are.
    pub(crate) fn take_queued(&self, buffer: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        if matches!(&state.phase, Phase::Ended(reason) if !reason.lets_leave()) {
            // Those whose calls these were have been told that nothing of them was sent.
            return 0;
        }
        let (messages, to_frame) = state.outbox.take_into(buffer);
        // The bytes are still waiting: they are counted on one side or the other at any time.
        let bytes = buffer.len() + to_frame.as_ref().map_or(0, ToFrame::len);
        self.unwritten.store(bytes, Ordering::SeqCst);
        self.queued.store(0, Ordering::SeqCst);
        let (Some(to_frame), Some(framer)) = (to_frame, &self.users_framer) else { return messages };
        let version = state.connection.version();
        drop(state);
        let messages = messages + to_frame.frame(&**framer, version, buffer);
        self.unwritten.store(buffer.len(), Ordering::SeqCst);
        messages
    }

    /// Says how many of the bytes that the loop holds are not written yet.
    pub(crate) fn set_unwritten(&self, bytes: usize) {
        self.unwritten.store(bytes, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) && self.has_room() {
            self.full.store(false, Ordering::SeqCst);
            self.room.notify_one();
        }
    }

    /// When the first of the calls and handlers is late, if that has changed.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if !self.deadline_moved.load(Ordering::Acquire) {
            return None;
        }
        let state = self.lock();
        self.deadline_moved.store(false, Ordering::Release);
        state.next_deadline
    }

    /// Hands replies to the calls that they answer. Gives the number of those that nobody asked for; late ones, to calls that were
    /// given up, are no fault of the peer's.
    pub(crate) fn deliver(&self, answers: &mut Answers) -> usize {
        let Answers { replies, slots, in_flight } = answers;
        let mut unasked = 0;
        let mut state = self.lock();
        *in_flight = state.connection.len();
        let before = state.outbox.len();
        for (id, reply) in replies.drain(..) {
            match id.and_then(|id| state.connection.answered(id)) {
                Some(call) => {
                    if let Some(opening) = &call.opening {
                        self.opened(&mut state, opening, &reply);
                    }
                    if !call.awaited && id.is_some_and(|id| state.cancelling.is_asked_by(id)) {
                        self.cancelling_answered(&mut state, reply.clone().into_result().is_ok());
                    }
                    slots.push((call.slot, reply, call.place));
                }
                None if id.is_some_and(|id| state.connection.has_sent(id)) => {}
                None => unasked += 1,
            }
        }
        if state.outbox.len() > before {
            self.appended(state);
        } else {
            drop(state);
        }
        for (slot, reply, _place) in slots.drain(..) {
            Slot::complete(slot, Ok(reply));
        }
        unasked
    }

    /// Whether a call of ours has no reply yet.
    pub(crate) fn waits_for(&self, call: CallId) -> bool {
        self.lock().connection.get_mut(call).is_some()
    }

    /// The version that the peer's first message has decided. Whether calls can no longer be taken back as was chosen.
    pub(crate) fn decided(&self, version: Version) -> bool {
        let mut state = self.lock();
        state.connection.set_version(version);
        !version.has_named_params() && state.cancelling.cannot_be_said()
    }

    /// Whether nothing is left to do for the peer: no handler runs, and nothing waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.running.len() == 0 && state.outbox.len() == 0 && !self.has_shielded()
    }

    /// Whether a call, a request or a subscription is under way, in either direction, or shielded work; `pings` of the calls do not count.
    pub(crate) fn is_busy(&self, pings: usize) -> bool {
        let state = self.lock();
        let calls = state.connection.len().saturating_sub(pings) + state.running.len();
        calls + state.feeds.len() + state.inlets.len() > 0 || self.has_shielded()
    }

    /// Gives back memory that only large messages needed.
    pub(crate) fn trim(&self) {
        self.lock().outbox.trim();
    }

    /// Whether a further request may be worked on, of `most` at once, beside `waiting` that have to wait; `bytes` is what it and they
    /// take up.
    pub(crate) fn admits(&self, most: usize, waiting: usize, bytes: usize) -> bool {
        let running = self.running.load(Ordering::Relaxed) + waiting;
        let together = self.running_bytes.load(Ordering::Relaxed).saturating_add(bytes);
        running < most && (running == 0 || together <= self.limits.request_bytes())
    }

    /// What the requests that are being worked on keep from starting.
    pub(crate) fn running_orders(&self) -> Ahead {
        self.lock().running_orders()
    }

    /// Remembers a request whose handler becomes a task.
    pub(crate) fn begin(&self, running: Running) -> u64 {
        let mut state = self.lock();
        self.running.fetch_add(1, Ordering::Relaxed);
        self.running_bytes.fetch_add(running.bytes, Ordering::Relaxed);
        if let Some(deadline) = running.deadline {
            self.expect(&mut state, deadline);
        }
        if let (Some(member), Some(_)) = (running.member, &running.id) {
            state.connection.expect_member(member.batch);
        }
        state.running.insert(running)
    }

    /// Says which task works on the request, unless it has finished already.
    pub(crate) fn begun(&self, request: u64, task: AbortHandle) {
        let mut state = self.lock();
        match state.running.get_mut(request) {
            Some(running) => running.task = Some(task),
            // It may have become a subscription already; and that may have ended with the session, before there was a task to end.
            None => {
                if !state.feeds.set_task(request, &task) {
                    state.effects.later(move || task.abort());
                }
            }
        }
    }

    /// Appends the reply of a handler that had become a task, unless its request was already answered.
    pub(crate) fn reply(&self, request: u64, message: &[u8], ending: Ending) {
        let mut state = self.lock();
        let Some(done) = self.finish(&mut state, request, ending) else { return };
        if let Some(id) = done.id {
            id.with(|id| self.answer(&mut state, done.member, id, message));
        }
        self.answered(state);
    }

    /// Appends the reply to a request: as a message of its own, or to its batch, which goes out with the last one.
    pub(super) fn answer(&self, state: &mut State, member: Option<Member>, id: Id<'_>, reply: &[u8]) {
        match member {
            None => {
                let version = state.connection.version();
                state.outbox.reply(version, id, &mut state.effects, |out| out.extend_from_slice(reply));
            }
            Some(Member { batch, index }) => {
                state.connection.add_to_batch(batch, index, id, reply);
                state.end_batch(batch, &self.open_batches);
            }
        }
    }

    /// Called when requests were [finished](Self::finish), and answered where they were to be.
    pub(super) fn answered(&self, mut state: Locked<'_>) {
        let closes = state.closes_now();
        let appended = state.outbox.len() > self.queued.load(Ordering::Relaxed);
        if appended {
            self.appended(state);
        } else {
            drop(state);
            // A place has become free, and a close may be waiting for it.
            self.driver.wake();
        }
        if closes {
            self.start_close(CloseReason::Local);
        }
    }

    /// Forgets a request that is answered now, or never will be. How it has ended is logged.
    pub(super) fn finish(&self, state: &mut State, request: u64, ending: Ending) -> Option<Running> {
        let mut done = state.running.remove(request)?;
        if done.trace.is_some() {
            let trace = done.trace.take();
            state.effects.later(move || trace.end(ending));
        }
        if done.work != 0 {
            state.effects.work_changed();
        }
        if done.subscribes {
            // What was reported of work that is over, one way or another, and has not left.
            let over = state.feeds.forget(request);
            state.effects.drop_later(over);
        }
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.running_bytes.fetch_sub(done.bytes, Ordering::Relaxed);
        // A notification is not part of what its batch is answered with.
        let member = done.member.filter(|_| done.id.is_some());
        state.last.request_answered(done.work, member);
        Some(done)
    }

    /// Ends the calls and the handlers that are late, and says when to look again.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let mut next: Option<Instant> = None;
        let mut is_late = |deadline: Instant| {
            let late = deadline <= now;
            if !late {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
            late
        };
        let State { connection, running, inlets, .. } = &mut *state;
        let mut late_calls: Vec<(Arc<Slot>, Duration)> = Vec::new();
        let mut silent: Vec<(Arc<Opening>, Duration)> = Vec::new();
        let ended = connection.extract_if(|call| {
            // Work that reports is given its time from the last report on.
            if let (Some(opening), Some(timeout)) = (&call.opening, &mut call.timeout)
                && let Some(alive) = opening.inlet.was_alive(now)
                && let Some(again) = Timeout::after(alive, timeout.after)
            {
                let at = timeout.at.max(again.at);
                timeout.at = timeout.latest.map_or(at, |latest| at.min(latest));
            }
            let Some(Timeout { at, after, .. }) = call.timeout.filter(|timeout| is_late(timeout.at)) else {
                return false;
            };
            late_calls.push((Arc::clone(&call.slot), after));
            match &call.opening {
                Some(opening) if opening.work().is_some() => {
                    silent.push((Arc::clone(opening), after));
                    true
                }
                // Should it begin after all, the peer has to be told that nobody wants it any more: it is waited for once more.
                Some(opening) if !opening.is_abandoned() => {
                    opening.abandon();
                    call.timeout = Timeout::after(at, after);
                    call.timeout.is_some_and(|again| is_late(again.at))
                }
                _ => true,
            }
        });
        ended
            .iter()
            .filter_map(|(_, call)| call.opening.as_deref())
            .for_each(|opening| inlets.end_opening(opening));
        let late: Vec<u64> =
            running.iter().filter(|(_, r)| r.deadline.is_some_and(&mut is_late)).map(|(id, _)| id).collect();
        state.next_deadline = next;
        let any_is_late = !(late.is_empty() && silent.is_empty() && ended.is_empty());
        for (call, ended) in &ended {
            // What would have begun a subscription is taken back in its own way.
            if ended.awaited && ended.opening.is_none() {
                self.gave_up(&mut state, *call);
            } else if state.cancelling.is_asked_by(*call) {
                self.cancelling_answered(&mut state, false);
            }
        }
        for (opening, after) in silent {
            state.effects.wake(opening.inlet.end(End::Timeout(after)));
            if let Some(Unsubscribe::Cancel { call, cancellation }) =
                opening.work().and_then(|key| opening.unsubscribe(key))
            {
                self.tell_cancelled(&mut state, call, &cancellation);
            }
        }
        for request in late {
            let Some(Running { id, task, member, .. }) = self.finish(&mut state, request, Ending::Timeout)
            else {
                continue;
            };
            if let Some(task) = task {
                state.effects.later(move || task.abort());
            }
            let Some(id) = id else { continue };
            let error = ErrorObject::new(ErrorCode::SERVER_BUSY, "the request took too long");
            let version = state.connection.version();
            let mut reply = Vec::new();
            id.with(|id| {
                version.put_error(&mut reply, id, &error);
                self.answer(&mut state, member, id, &reply);
            });
        }
        if any_is_late {
            self.answered(state);
        } else {
            drop(state);
        }
        for (slot, after) in late_calls {
            Slot::complete(slot, Err(CallError::Timeout(after)));
        }
        next
    }

    /// The loop is going: everything that was waiting ends with the reason for which it ended first.
    /// Calls have left where `loads` say so, or where what the loop has taken `still_leaves`.
    pub(crate) fn end(&self, reason: CloseReason, loads: &Loads, still_leaves: bool) -> CloseReason {
        let mut state = self.lock();
        let reason = match std::mem::replace(&mut state.phase, Phase::Open) {
            Phase::Open => reason,
            Phase::Closing(first) | Phase::Ended(first) | Phase::Gone(first) => first,
        };
        state.phase = Phase::Ended(reason.clone());
        state.connection.drop_batches();
        let running: Vec<_> = state.running.drain().collect();
        let feeds = state.feeds.if_made().map(Feeds::clear).unwrap_or_default();
        self.end_calls(state, &reason, |position| still_leaves || loads.have_left(position));
        let tasks = running.iter().filter_map(|running| running.task.as_ref());
        tasks.chain(feeds.iter().filter_map(Feed::task)).for_each(AbortHandle::abort);
        drop(running);
        self.work_changed();
        reason
    }

    /// The loop is gone, and those who wait for that are told.
    pub(crate) fn gone(&self, reason: CloseReason) {
        self.lock().phase = Phase::Gone(reason);
        self.closed.notify_waiters();
    }
}
