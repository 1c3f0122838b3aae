//! From requests to handlers: permits, the queue, the dispatcher, and refusals.

use std::{borrow::Cow, future::poll_fn, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use super::session_loop::{Driver, Flow};
use crate::{
    jsonrpc::{
        BatchId, ErrorCode, ErrorObject, Events, Id, Member, Message, UncheckedParams, UncheckedRequest,
        shown::brief, subscription, version::Version,
    },
    service::{
        Dispatch, Dispatched, Finished, MESSAGE, Replies, ReplyLimit, ReplySink, RequestPeer, RequestPeerRef,
        ServiceOutcome, Subscribing, TakesMessages, Waiting, Work,
    },
    session::{Ahead, Running, Shared, TellsWorkEnded, Trace, WriteBuffer},
};

/// Approximate size of an error reply besides its id and message, in bytes.
const ENVELOPE: usize = 60;

/// Capacity that the buffer for replies to batch members keeps between requests, in bytes.
const MEMBER_REPLY: usize = 4 << 10;

/// Stands for a message of the application where the dispatcher expects a request.
const REQUEST: UncheckedRequest<'static> =
    UncheckedRequest { id: None, method: Cow::Borrowed(MESSAGE), params: UncheckedParams::NONE };

/// Requests as they come, and the queue of those that wait.
impl Driver {
    pub(super) fn serve_or_refuse(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Flow {
        let dispatched = self.serve(request, text, member);
        self.dispatched(dispatched, request, text, member)
    }

    /// Dispatches a request, whose JSON is `text`. `None` if there is no permit for it.
    pub(super) fn serve(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Option<Dispatched> {
        if self.is_draining || !self.has_permit(text.len(), member.map(|member| member.batch)) {
            return None;
        }
        Some(match self.admit(request, text, member) {
            Some(trace) => {
                let (dispatch, mut sink) = self.dispatcher();
                dispatch.start(&mut sink, request, (text, member), trace)
            }
            None => Dispatched::Begun,
        })
    }

    #[inline]
    pub(super) fn dispatched(
        &mut self,
        dispatched: Option<Dispatched>,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Flow {
        match dispatched {
            Some(Dispatched::Begun) => Flow::Continue,
            // The rest of the batch is processed: the close waits for its reply.
            Some(Dispatched::Last) if member.is_some() => Flow::Continue,
            Some(Dispatched::Last) => Flow::Closing,
            Some(Dispatched::Refused(error, trace)) => self.refuse(request, &error, trace, member),
            None => self.no_permit(request, text, member),
        }
    }

    /// No permit is free, or the write buffer is full.
    ///
    /// The request waits, unless a call of this side is in flight: its reply may stand behind the
    /// request, and two peers that wait for each other would deadlock. A request that lacks only a
    /// permit is queued, and the input behind it is read, because it may cancel the requests that
    /// hold the permits.
    fn no_permit(&mut self, request: &UncheckedRequest<'_>, text: &[u8], member: Option<Member>) -> Flow {
        if self.is_draining {
            self.refuse_closing(request, self.shared.trace(request), member);
            return Flow::Continue;
        }
        if !self.shared.calls_wait() {
            let is_kept = self.lacks_only_permits(member.map(|member| member.batch))
                && self.keep_waiting(request, text, member);
            return match is_kept {
                true => self.waits_for_permit(),
                false => Flow::Blocked,
            };
        }
        // The members of batches were read in full already, as were messages that fell back to the
        // full reader.
        if member.is_none() && request.params.check().is_none() {
            return self.process_in_full(text);
        }
        match request.id {
            Some(id) => {
                let error =
                    ErrorObject::new(ErrorCode::SERVER_BUSY, "too many requests at once: try again later");
                self.shared.trace(request).refuse(&error);
                self.answer_error(id, &error.not_executed(), member);
            }
            None if self.keep_waiting(request, text, member) => {}
            None => tracing::warn!(
                rpc.system.name = "jsonrpc",
                rpc.method = %brief(&request.method),
                session = self.shared.id,
                "a notification was dropped: too many requests at once"
            ),
        }
        Flow::Continue
    }

    /// Whether only a permit is missing: no throttling by cost, and no full buffer.
    fn lacks_only_permits(&self, batch: Option<BatchId>) -> bool {
        self.throttle.concurrency >= self.shared.limits.requests_in_flight()
            && self.unsent() < self.shared.limits.outgoing_bytes()
            && !self.shared.others_are_full(batch)
    }

    /// Counts a request that waits for a permit, and logs the first one of a session.
    fn waits_for_permit(&mut self) -> Flow {
        if self.shared.counters.waits_for_permit() {
            tracing::info!(
                rpc.system.name = "jsonrpc", network.peer.address = %self.shared.peer, session = self.shared.id,
                limit = self.throttle.concurrency,
                "all permits of a session are taken: further requests of its peer wait, in order. Where the server has room for \
                 more of them, raise `Limits::requests_in_flight`"
            );
        }
        Flow::Continue
    }

    /// Whether one more request of this many bytes may start or queue. `batch` is the peer's batch
    /// that it belongs to.
    fn has_permit(&self, bytes: usize, batch: Option<BatchId>) -> bool {
        let queue = &self.dispatch.queue;
        !queue.has_kept()
            && self.shared.admits(self.throttle.concurrency, queue.len(), queue.bytes() + bytes)
            && self.unsent() < self.shared.limits.outgoing_bytes()
            && !self.shared.others_are_full(batch)
    }

    /// Returns a trace if the request may start now. Otherwise it is queued, or it was refused
    /// because the cost of the peer has reached the hard limit.
    fn admit(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Option<Trace> {
        let not_before = self.not_before();
        let trace = self.shared.trace(request);
        if not_before.is_some() && self.shared.is_ending() {
            // The charge has closed the session: nothing is started any more.
            return None;
        }
        let (dispatch, mut sink) = self.dispatcher();
        dispatch.admit(&mut sink, request, (text, member), not_before, trace)
    }

    /// Queues a request without a permit, unless the queue is full. A notification cannot be
    /// refused with an error, and later messages may depend on it.
    fn keep_waiting(&mut self, request: &UncheckedRequest<'_>, text: &[u8], member: Option<Member>) -> bool {
        let queue = &self.dispatch.queue;
        let memory = queue.memory() + Waiting::SIZE + text.len();
        if !self.shared.admits(usize::MAX, queue.len().max(1), memory) {
            return false;
        }
        let not_before = self.not_before();
        let trace = self.shared.trace(request);
        if not_before.is_none() || !self.shared.is_ending() {
            let (dispatch, mut sink) = self.dispatcher();
            dispatch.keep(&mut sink, request, (text, member), not_before, trace);
        }
        true
    }

    /// Starts the queued requests whose time and turn have come.
    pub(super) fn start_waiting(&mut self) {
        if self.dispatch.queue.is_delayed() {
            self.dispatch.queue.release(Instant::now());
        }
        while self.dispatch.queue.len() > 0 && !(self.dispatch.queue.has_kept() && self.lacks_permit()) {
            let (dispatch, mut sink) = self.dispatcher();
            let Some(waiting) = dispatch.next(&mut sink) else { return };
            self.start_request(waiting);
        }
    }

    /// Whether no permit is free for a request that was queued without one.
    fn lacks_permit(&self) -> bool {
        !self.shared.admits(self.throttle.concurrency.max(1), 0, 0)
            || self.unsent() >= self.shared.limits.outgoing_bytes()
    }

    fn start_request(&mut self, waiting: Waiting) {
        let Waiting { text, member, trace, .. } = waiting;
        if let Some(handler) = self.message_handler.clone() {
            // The charge is made; a session that it closes is seen by the loop.
            let _: Flow = self.start_message(&*handler, &text, trace);
            return;
        }
        let request = match self.version.read_in_full(&text) {
            Message::Request(request) => request.into_unchecked(),
            // The scan does not look into parameters, and the full reader found that this is no
            // request. (Members of batches were read in full.)
            other => {
                trace.forget();
                self.process_events(&text, Events::of(self.version, other));
                return;
            }
        };
        let (dispatch, mut sink) = self.dispatcher();
        let dispatched = dispatch.start(&mut sink, &request, (&text, member), trace);
        if let Dispatched::Refused(error, trace) = dispatched {
            // The charge is made. If it closes the session, requests in flight still finish.
            self.refuse(&request, &error, trace, member);
        }
        if let (Some(member), Some(_)) = (member, request.id) {
            self.shared.end_batch(member.batch);
        }
    }
}

/// Messages of the application, in place of requests.
impl Driver {
    pub(super) fn receive_message(&mut self, handler: &dyn TakesMessages, frame: &[u8]) -> Flow {
        if !self.has_permit(frame.len(), None) {
            return Flow::Blocked;
        }
        let Some(trace) = self.admit(&REQUEST, frame, None) else { return Flow::Continue };
        self.start_message(handler, frame, trace)
    }

    fn start_message(&mut self, handler: &dyn TakesMessages, frame: &[u8], mut trace: Trace) -> Flow {
        let outcome = match trace.in_scope(|| handler.take(frame, &self.shared)) {
            Ok(outcome) => outcome,
            Err(error) => {
                trace.forget();
                return self.charge_for_frame(&error);
            }
        };
        if let ServiceOutcome::Pending(work) = outcome.traced(&mut trace) {
            let timeout = self.shared.limits.request_timeout();
            let (dispatch, mut sink) = self.dispatcher();
            let running = dispatch.running(&REQUEST, (frame.len(), None), timeout, false, trace);
            sink.work(running, work);
        }
        Flow::Continue
    }
}

/// Refusals and replies.
impl Driver {
    /// Answers a request whose handler did not run.
    pub(super) fn refuse(
        &mut self,
        request: &UncheckedRequest<'_>,
        error: &ErrorObject,
        trace: Trace,
        member: Option<Member>,
    ) -> Flow {
        trace.refuse(error);
        match request.id {
            Some(id) => self.answer_error(id, error, member),
            // LSP allows notifications with this prefix to peers that do not know them, so they
            // break no rule.
            None if request.method.starts_with("$/") => return Flow::Continue,
            None => {}
        }
        match error.code() {
            // Asking for more subscriptions than there is capacity for breaks no rule. Its bytes
            // are charged, as with any error of a handler.
            ErrorCode::TOO_MANY_SUBSCRIPTIONS => Flow::Continue,
            _ => self.charge_for_errors(1),
        }
    }

    pub(super) fn answer_error(&mut self, id: Id<'_>, error: &ErrorObject, member: Option<Member>) {
        self.count_refusal(id, error);
        match member {
            None => self.reply_writer().error(id, error),
            Some(member) => self.shared.add_error_to_batch(member, id, error),
        }
    }

    /// Counts the bytes of error replies that are written while the write buffer is full: see
    /// `has_back_pressure`.
    pub(super) fn count_refusal(&mut self, id: Id<'_>, error: &ErrorObject) {
        self.refusal_bytes = match self.unsent() < self.shared.limits.outgoing_bytes() {
            true => 0,
            false => self.refusal_bytes.saturating_add(id.as_json().len() + error.message().len() + ENVELOPE),
        };
    }

    /// Writer for replies to single requests.
    pub(super) const fn reply_writer(&mut self) -> Replies<'_> {
        Replies::new(&mut self.write_buffer, self.version, &self.shared)
    }

    /// The dispatcher, and the sink for its replies.
    pub(super) const fn dispatcher(&mut self) -> (&mut Dispatch, SessionSink<'_>) {
        let Self { dispatch, shared, write_buffer, member_reply, version, .. } = self;
        (dispatch, SessionSink { shared, write_buffer, member_reply, version: *version })
    }
}

/// The part of the loop that the dispatcher uses: replies written in place leave with the next
/// write, and handlers that wait become tasks of the session.
pub(super) struct SessionSink<'a> {
    shared: &'a Arc<Shared>,
    write_buffer: &'a mut WriteBuffer,
    /// Buffer for the reply to one member of a batch.
    member_reply: &'a mut Vec<u8>,
    version: Version,
}

impl SessionSink<'_> {
    /// Writer for the reply to a member.
    pub(super) fn member(&mut self) -> Replies<'_> {
        let limit = ReplyLimit::Of(RequestPeer::Session(self.shared));
        Replies::part(self.member_reply, self.version, limit)
    }

    /// Adds the written reply to its batch.
    pub(super) fn add_member_reply(&mut self, member: Member, id: Id<'_>) {
        self.shared.add_to_batch(member, id, self.member_reply);
        self.member_reply.clear();
        // Free the memory of a large reply.
        self.member_reply.shrink_to(MEMBER_REPLY);
    }

    /// Registers the task that works on a request.
    fn begun(&self, request: u64, task: &JoinHandle<()>) {
        self.shared.begun(request, task.abort_handle());
        // Tokio puts a task that was just spawned into the LIFO slot of this worker, which no other
        // worker steals from. If it computes for long, another worker must run the loop, and waking
        // the loop wakes one.
        self.shared.wake();
        self.shared.started();
    }

    fn begin(&self, running: Running) -> u64 {
        self.shared.begin(Running { work: self.shared.starting(), ..running })
    }
}

impl ReplySink for SessionSink<'_> {
    fn replies(&mut self, member: Option<Member>) -> (RequestPeerRef<'_>, Replies<'_>) {
        let peer = RequestPeer::Session(self.shared);
        let replies = match member {
            None => Replies::new(self.write_buffer, self.version, self.shared),
            Some(_) => Replies::part(self.member_reply, self.version, ReplyLimit::Of(peer)),
        };
        (peer, replies)
    }

    fn replied(&mut self, member: Option<Member>, id: Option<Id<'_>>) -> bool {
        let member = member.filter(|_| id.is_some());
        if let (Some(member), Some(id)) = (member, id) {
            self.add_member_reply(member, id);
        }
        let closes = self.shared.finished_in_place(member);
        self.shared.started();
        closes
    }

    fn refused(&mut self) {
        // The error reply follows; a close waits until it is written.
        self.shared.finished_in_place(None);
        self.shared.started();
    }

    fn request_timeout(&self) -> Option<Duration> {
        self.shared.limits.request_timeout()
    }

    fn running(&self) -> Ahead {
        self.shared.running_orders()
    }

    fn expect(&mut self, member: Option<Member>) {
        if let Some(member) = member {
            self.shared.expect_member(member);
        }
    }

    fn waiting(&mut self, requests: usize) {
        self.shared.counters.waiting(requests);
    }

    /// The session aborts the task when it ends.
    fn work(&mut self, running: Running, mut work: Work) {
        let (is_answered, member) = (running.id.is_some(), running.member);
        let request = self.begin(running);
        let shared = Arc::clone(self.shared);
        let task = tokio::spawn(async move {
            poll_fn(|cx| work.poll_finished(cx)).await;
            if is_answered && !shared.has_capacity_for_reply(member) {
                // Boxed because it is rare and large: a spawned task is moved more than once.
                Box::pin(shared.capacity_for_reply(request, member)).await;
            }
            let Finished { reply, ending } = work.finish();
            shared.reply(request, &reply, ending);
        });
        self.begun(request, &task);
    }

    /// The session aborts the task when it ends.
    fn subscribe(&mut self, running: Running, subscribing: Subscribing, text: &[u8]) {
        if subscription::is_marked(text) {
            self.shared.takes_notices();
        }
        let request = self.begin(running);
        let ended = TellsWorkEnded(Arc::clone(self.shared));
        let handler = subscribing.run(request);
        let task = tokio::spawn(async move {
            handler.await;
            drop(ended);
        });
        self.begun(request, &task);
    }
}
