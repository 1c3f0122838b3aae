//! What the handles of a session and the loop that serves it share: one value behind one short lock.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

use super::{CallError, CloseReason, Extensions, outbox::Outbox};
use crate::{
    framing::AnyFramer,
    jsonrpc::{CallId, Connection, ErrorCode, ErrorObject, Reply, RequestId, table::Table, version},
    limits::Limits,
    transport::Endpoint,
};

/// One link. No lock is held across an await, nor while code of the user's runs.
#[derive(Debug)]
pub(crate) struct Link {
    state: Mutex<State>,
    /// Whether the outbox holds something that the loop has not taken: read without the lock.
    queued: AtomicBool,
    /// Whether the outbox has no room: read without the lock, before parameters are written for nothing.
    full: AtomicBool,
    /// The requests that are being worked on, and the bytes of their frames: the lengths of what is in the state, read
    /// without the lock.
    running: AtomicUsize,
    running_bytes: AtomicUsize,
    /// The loop.
    driver: AtomicWaker,
    /// Senders that wait for room. One is woken at a time, and wakes the next.
    room: Notify,
    closed: Notify,
    /// How many [`Session`](super::Session)s there are.
    pub(super) handles: AtomicUsize,
    /// Whether the peer may call: then the session lives on without handles.
    pub(super) serves: bool,
    pub(crate) id: u64,
    pub(crate) peer: Endpoint,
    pub(crate) limits: Limits,
    pub(crate) extensions: Extensions,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) connection: Connection<InFlight>,
    /// Calls of ours that have no reply yet.
    pub(crate) in_flight: usize,
    pub(crate) outbox: Outbox,
    /// Requests of the peer's whose handler did not finish at once.
    pub(crate) running: Table<Running>,
    pub(crate) phase: Phase,
    /// When the loop has to look for calls and handlers that are late.
    pub(crate) next_deadline: Option<Instant>,
}

impl State {
    fn expect(&mut self, deadline: Instant) {
        self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
    }
}

#[derive(Debug)]
pub(crate) enum Phase {
    Open,
    /// Finishing what was begun, then closing.
    Closing(CloseReason),
    /// The connection is to be dropped; the loop may not have noticed yet.
    Ended(CloseReason),
    /// The loop is gone too.
    Gone(CloseReason),
}

impl Phase {
    pub(crate) const fn reason(&self) -> Option<&CloseReason> {
        match self {
            Self::Open => None,
            Self::Closing(reason) | Self::Ended(reason) | Self::Gone(reason) => Some(reason),
        }
    }
}

/// A call of ours: it waits for its reply, then the reply waits for it.
#[derive(Debug)]
pub(crate) enum InFlight {
    Waiting { waker: Waker, timeout: Option<(Instant, Duration)> },
    Done(Result<Reply, CallError>),
}

/// A request of the peer's whose handler has become a task.
#[derive(Debug)]
pub(crate) struct Running {
    /// `None` for a notification.
    pub(crate) id: Option<RequestId>,
    /// `None` for the moment between making the entry and starting the task.
    pub(crate) task: Option<AbortHandle>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) bytes: usize,
}

/// What a link is made from.
#[derive(Debug)]
pub(crate) struct NewLink {
    pub(crate) framer: Box<dyn AnyFramer>,
    pub(crate) peer: Endpoint,
    pub(crate) limits: Limits,
    pub(crate) serves: bool,
}

impl Link {
    pub(crate) fn new(new: NewLink) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let state = State {
            connection: Connection::new(),
            in_flight: 0,
            outbox: Outbox::new(new.framer, new.limits.outgoing_bytes),
            running: Table::new(),
            phase: Phase::Open,
            next_deadline: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            queued: AtomicBool::new(false),
            full: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            running_bytes: AtomicUsize::new(0),
            driver: AtomicWaker::new(),
            room: Notify::new(),
            closed: Notify::new(),
            handles: AtomicUsize::new(0),
            serves: new.serves,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            peer: new.peer,
            limits: new.limits,
            extensions: Extensions::default(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock; were it to happen, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called after something was appended to the outbox, under the lock: the first one wakes the loop.
    fn appended(&self, state: MutexGuard<'_, State>) {
        if !state.outbox.has_room() {
            self.full.store(true, Ordering::Relaxed);
        }
        let first = !self.queued.swap(true, Ordering::AcqRel);
        drop(state);
        if first {
            self.driver.wake();
        }
    }
}

/// For the handles.
impl Link {
    pub(crate) fn looks_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) const fn room(&self) -> &Notify {
        &self.room
    }

    /// Appends a request whose parameters are written.
    pub(super) fn send_request(
        &self,
        method: &str,
        params: &[u8],
        waker: &Waker,
        timeout: Option<(Instant, Duration)>,
    ) -> Result<CallId, Refused> {
        let mut state = self.admit()?;
        if let Some((deadline, _)) = timeout {
            state.expect(deadline);
        }
        let State { connection, outbox, in_flight, .. } = &mut *state;
        let call = InFlight::Waiting { waker: waker.clone(), timeout };
        let id = outbox.message(|out| connection.request(out, method, params, call));
        *in_flight += 1;
        self.appended(state);
        Ok(id)
    }

    /// Appends a notification whose parameters are written.
    pub(super) fn send_notification(&self, method: &str, params: &[u8]) -> Result<(), Refused> {
        let mut state = self.admit()?;
        let State { connection, outbox, .. } = &mut *state;
        outbox.message(|out| connection.notification(out, method, params));
        self.appended(state);
        Ok(())
    }

    fn admit(&self) -> Result<MutexGuard<'_, State>, Refused> {
        let state = self.lock();
        if let Some(reason) = state.phase.reason() {
            return Err(Refused::Closed(reason.clone()));
        }
        if !state.outbox.has_room() {
            // Said under the lock, so that whoever makes room knows that somebody waits.
            self.full.store(true, Ordering::Relaxed);
            return Err(Refused::Full);
        }
        Ok(state)
    }

    /// The reply to a call, or `None` where it has none yet: then `waker` is woken when it comes.
    pub(super) fn take_reply(&self, call: CallId, waker: &Waker) -> Option<Result<Reply, CallError>> {
        let mut state = self.lock();
        match state.connection.get_mut(call) {
            Some(InFlight::Waiting { waker: kept, .. }) => {
                kept.clone_from(waker);
                return None;
            }
            Some(InFlight::Done(_)) => {}
            None => unreachable!("a call is removed by whoever waits for it"),
        }
        match state.connection.remove(call) {
            Some(InFlight::Done(reply)) => Some(reply),
            _ => None,
        }
    }

    /// Forgets a call that nobody waits for any more.
    pub(super) fn forget(&self, call: CallId) {
        let mut state = self.lock();
        if let Some(InFlight::Waiting { .. }) = state.connection.remove(call) {
            state.in_flight -= 1;
        }
    }

    /// See [`Session::close`](super::Session::close).
    pub(crate) fn start_close(&self, reason: CloseReason) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Closing(reason.clone());
            self.end_calls(state, &reason);
            self.driver.wake();
        }
    }

    pub(crate) fn abort(&self, reason: CloseReason) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open | Phase::Closing(_)) {
            state.phase = Phase::Ended(reason.clone());
            self.end_calls(state, &reason);
            self.driver.wake();
        }
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        loop {
            let mut changed = std::pin::pin!(self.closed.notified());
            changed.as_mut().enable();
            if let Phase::Gone(reason) = &self.lock().phase {
                return reason.clone();
            }
            changed.await;
        }
    }

    /// Ends every call that waits, and everyone who waits for room.
    fn end_calls(&self, mut state: MutexGuard<'_, State>, reason: &CloseReason) {
        let mut wakers = Vec::new();
        for (_, call) in state.connection.calls_mut() {
            if let InFlight::Waiting { .. } = call {
                let done = InFlight::Done(Err(CallError::Closed(reason.clone())));
                if let InFlight::Waiting { waker, .. } = std::mem::replace(call, done) {
                    wakers.push(waker);
                }
            }
        }
        state.in_flight = 0;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        // Those who wait, and one who was about to: it tells the next.
        self.full.store(false, Ordering::Relaxed);
        self.room.notify_waiters();
        self.room.notify_one();
    }
}

/// For the loop.
impl Link {
    /// Has the loop's task woken by whatever the handles do.
    pub(crate) fn register(&self, driver: &Waker) {
        self.driver.register(driver);
    }

    pub(crate) fn has_queued(&self) -> bool {
        self.queued.load(Ordering::Acquire)
    }

    /// Moves what the handles have sent to the end of `buffer`, of which `written` bytes have left.
    pub(crate) fn take_queued(&self, buffer: &mut Vec<u8>, written: usize) {
        let mut state = self.lock();
        self.queued.store(false, Ordering::Release);
        state.outbox.take_into(buffer);
        state.outbox.taken = buffer.len() - written;
        self.made_room(&state);
    }

    /// Says how many of the bytes that the loop took are not written yet.
    pub(crate) fn wrote(&self, unwritten: usize) {
        let mut state = self.lock();
        state.outbox.taken = unwritten;
        self.made_room(&state);
    }

    fn made_room(&self, state: &State) {
        if state.outbox.has_room() && self.full.swap(false, Ordering::Relaxed) {
            self.room.notify_one();
        }
    }

    /// Hands replies to the calls that they answer. Gives the number of those that answer nothing.
    pub(crate) fn deliver(
        &self,
        replies: &mut Vec<(Option<CallId>, Reply)>,
        wakers: &mut Vec<Waker>,
    ) -> usize {
        let mut unknown = 0;
        let mut state = self.lock();
        for (call, reply) in replies.drain(..) {
            let slot = call.and_then(|call| state.connection.get_mut(call));
            match slot {
                Some(slot @ InFlight::Waiting { .. }) => {
                    if let InFlight::Waiting { waker, .. } =
                        std::mem::replace(slot, InFlight::Done(Ok(reply)))
                    {
                        wakers.push(waker);
                    }
                    state.in_flight -= 1;
                }
                // Late, doubled, or never asked for.
                Some(InFlight::Done(_)) | None => unknown += 1,
            }
        }
        drop(state);
        wakers.drain(..).for_each(Waker::wake);
        unknown
    }

    /// Whether nothing is left to do for the peer: no handler runs, and nothing waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.running.len() == 0 && state.outbox.queued() == 0
    }

    /// Gives back memory beyond `bytes` that only large messages needed.
    pub(crate) fn trim(&self, bytes: usize) {
        self.lock().outbox.trim(bytes);
    }

    /// Whether a further request may be worked on.
    pub(crate) fn admits(&self, bytes: usize) -> bool {
        let running = self.running.load(Ordering::Relaxed);
        let together = self.running_bytes.load(Ordering::Relaxed).saturating_add(bytes);
        running < self.limits.requests_in_flight && (running == 0 || together <= self.limits.request_bytes)
    }

    /// Remembers a request whose handler becomes a task.
    pub(crate) fn begin(&self, running: Running) -> u64 {
        let mut state = self.lock();
        self.running.fetch_add(1, Ordering::Relaxed);
        self.running_bytes.fetch_add(running.bytes, Ordering::Relaxed);
        if let Some(deadline) = running.deadline {
            state.expect(deadline);
        }
        state.running.insert(running)
    }

    /// Says which task works on the request, unless it has finished already.
    pub(crate) fn begun(&self, request: u64, task: AbortHandle) {
        if let Some(running) = self.lock().running.get_mut(request) {
            running.task = Some(task);
        }
    }

    /// Appends the reply of a handler that had become a task, unless its request was already answered.
    pub(crate) fn reply(&self, request: u64, message: &[u8]) {
        let mut state = self.lock();
        if self.finish(&mut state, request).is_none() {
            return;
        }
        if message.is_empty() {
            drop(state);
            // A place has become free, and a close may be waiting for it.
            self.driver.wake();
            return;
        }
        state.outbox.message(|out| out.extend_from_slice(message));
        self.appended(state);
    }

    fn finish(&self, state: &mut State, request: u64) -> Option<Running> {
        let done = state.running.remove(request)?;
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.running_bytes.fetch_sub(done.bytes, Ordering::Relaxed);
        Some(done)
    }

    /// Ends the calls and the handlers that are late, and says when to look again.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let State { connection, running, in_flight, .. } = &mut *state;
        let mut next: Option<Instant> = None;
        let mut is_late = |deadline: Instant| {
            let late = deadline <= now;
            if !late {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
            late
        };
        let mut wakers = Vec::new();
        for (_, call) in connection.calls_mut() {
            if let InFlight::Waiting { timeout: Some((deadline, after)), .. } = *call
                && is_late(deadline)
                && let InFlight::Waiting { waker, .. } =
                    std::mem::replace(call, InFlight::Done(Err(CallError::Timeout(after))))
            {
                *in_flight -= 1;
                wakers.push(waker);
            }
        }
        let late: Vec<u64> = running
            .iter_mut()
            .filter(|(_, r)| r.deadline.is_some_and(&mut is_late))
            .map(|(id, _)| id)
            .collect();
        state.next_deadline = next;
        for request in late {
            let Some(Running { id, task, .. }) = self.finish(&mut state, request) else { continue };
            if let Some(task) = task {
                task.abort();
            }
            if let Some(id) = id {
                let error = ErrorObject::new(ErrorCode::SERVER_BUSY, "the request took too long");
                state.outbox.message(|out| version::v2::put_error_owned(out, &id, &error));
                self.queued.store(true, Ordering::Release);
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        next
    }

    /// The loop is gone: everything that was waiting ends with the reason for which it ended first.
    pub(crate) fn gone(&self, reason: CloseReason) -> CloseReason {
        let mut state = self.lock();
        let reason = match std::mem::replace(&mut state.phase, Phase::Open) {
            Phase::Open => reason,
            Phase::Closing(first) | Phase::Ended(first) | Phase::Gone(first) => first,
        };
        state.phase = Phase::Gone(reason.clone());
        let tasks: Vec<_> = state.running.drain().filter_map(|running| running.task).collect();
        self.end_calls(state, &reason);
        tasks.iter().for_each(AbortHandle::abort);
        self.closed.notify_waiters();
        reason
    }
}

/// Why a message was not accepted for sending.
#[derive(Debug)]
pub(super) enum Refused {
    Closed(CloseReason),
    /// It may be tried again when there is room.
    Full,
}
