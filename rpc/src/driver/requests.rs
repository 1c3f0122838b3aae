//! From requests to handlers: admits them, has them served, and refuses what cannot be.

use std::{borrow::Cow, future::poll_fn, sync::Arc};

use tokio::{task::JoinHandle, time::Instant};

use super::session_loop::{Driver, Flow};
use crate::{
    jsonrpc::{
        BatchId, ErrorCode, ErrorObject, Events, Id, Member, Message, UncheckedParams, UncheckedRequest,
        shown::brief, subscription, version::Version,
    },
    service::{
        Dispatch, Dispatched, Finished, MESSAGE, Outcome, Replies, ReplyLimit, ReplySink, RequestPeer,
        RequestPeerRef, Subscribing, TakesMessages, Waiting, Work,
    },
    session::{Ahead, Running, Shared, TellsWorkEnded, Trace, WriteBuffer},
};

/// What an error reply has in bytes besides its id and its message, about.
const ENVELOPE: usize = 60;

/// The memory that is kept for the reply to a member of a batch, in bytes.
const MEMBER_REPLY: usize = 4 << 10;

/// What a message counts as.
const REQUEST: UncheckedRequest<'static> =
    UncheckedRequest { id: None, method: Cow::Borrowed(MESSAGE), params: UncheckedParams::NONE };

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

    /// Serves a request, which stands in `text`; `None` where there is no permit for it.
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
            // A batch goes on: its reply is what the close waits for.
            Some(Dispatched::Last) if member.is_some() => Flow::Continue,
            Some(Dispatched::Last) => Flow::Closing,
            Some(Dispatched::Refused(error, trace)) => self.refuse(request, &error, trace, member),
            None => self.no_permit(request, text, member),
        }
    }

    /// As many requests as may be are being worked on, or as many bytes as may be wait to be sent.
    ///
    /// Waiting is right unless the reply to a call of ours may stand behind this request: then it must be got out of the way,
    /// or two sides that wait for each other wait for ever. What waits for a permit is kept, and what stands behind it is
    /// read: it may take back the requests that have the permits.
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
        // A member of a batch was read in full, and so was a message that was judged.
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

    /// Whether nothing but a permit is missing, and the peer is not slowed down for its cost.
    fn lacks_only_permits(&self, batch: Option<BatchId>) -> bool {
        self.throttle.concurrency >= self.shared.limits.requests_in_flight()
            && self.unsent() < self.shared.limits.outgoing_bytes()
            && !self.shared.others_are_full(batch)
    }

    /// Counts a request that waits for a permit, and says so the first time in a session.
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

    /// Whether one more request of so many bytes may be worked on, which may be of a batch of the peer's.
    fn has_permit(&self, bytes: usize, batch: Option<BatchId>) -> bool {
        let queue = &self.dispatch.queue;
        !queue.has_kept()
            && self.shared.admits(self.throttle.concurrency, queue.len(), queue.bytes() + bytes)
            && self.unsent() < self.shared.limits.outgoing_bytes()
            && !self.shared.others_are_full(batch)
    }

    /// Gives a trace where the request may start now. Otherwise it waits for its turn, or its peer has
    /// just cost too much.
    fn admit(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Option<Trace> {
        let not_before = self.not_before();
        let trace = self.shared.trace(request);
        if not_before.is_some() && self.shared.is_ending() {
            // It was one too many: nothing is begun any more.
            return None;
        }
        let (dispatch, mut sink) = self.dispatcher();
        dispatch.admit(&mut sink, request, (text, member), not_before, trace)
    }

    /// Keeps a request for which there is no permit, unless those that wait take up too much already. A notification cannot be
    /// told to try again, and what follows it may build on it.
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

    /// Starts those whose turn has come.
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

    /// Whether there is no permit for one that came without one.
    fn lacks_permit(&self) -> bool {
        !self.shared.admits(self.throttle.concurrency.max(1), 0, 0)
            || self.unsent() >= self.shared.limits.outgoing_bytes()
    }

    fn start_request(&mut self, waiting: Waiting) {
        let Waiting { text, member, trace, .. } = waiting;
        if let Some(handler) = self.message_handler.clone() {
            // What it costs is charged.
            let _: Flow = self.start_message(&*handler, &text, trace);
            return;
        }
        let request = match self.version.read_in_full(&text) {
            Message::Request(request) => request.into_unchecked(),
            // It looked like a request to the scan, which does not look into parameters. (Members of batches were read in full.)
            other => {
                trace.forget();
                self.process_events(&text, Events::of(self.version, other));
                return;
            }
        };
        let (dispatch, mut sink) = self.dispatcher();
        let dispatched = dispatch.start(&mut sink, &request, (&text, member), trace);
        if let Dispatched::Refused(error, trace) = dispatched {
            // What it costs is charged; where that is too much the session is closing, and finishes what it has begun.
            self.refuse(&request, &error, trace, member);
        }
        if let (Some(member), Some(_)) = (member, request.id) {
            self.shared.end_batch(member.batch);
        }
    }

    pub(super) fn receive_message(&mut self, handler: &dyn TakesMessages, frame: &[u8]) -> Flow {
        if !self.has_permit(frame.len(), None) {
            return Flow::Blocked;
        }
        let Some(trace) = self.admit(&REQUEST, frame, None) else { return Flow::Continue };
        self.start_message(handler, frame, trace)
    }

    fn start_message(&mut self, handler: &dyn TakesMessages, frame: &[u8], trace: Trace) -> Flow {
        let outcome = match trace.in_scope(|| handler.take(frame, &self.shared)) {
            Ok(outcome) => outcome,
            Err(error) => {
                trace.forget();
                return self.charge_for_frame(&error);
            }
        };
        if let (Outcome::Pending(work), trace) = outcome.traced(trace) {
            let timeout = self.shared.limits.request_timeout();
            let (dispatch, mut sink) = self.dispatcher();
            let running = dispatch.running(&REQUEST, (frame.len(), None), timeout, false, trace);
            sink.work(running, work);
        }
        Flow::Continue
    }

    /// Answers a request whose handler was not run.
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
            // Those of LSP may be sent to whoever does not know them: there is no rule to break.
            None if request.method.starts_with("$/") => return Flow::Continue,
            None => {}
        }
        match error.code() {
            // No rule is broken by asking for more than there is: it costs its bytes, as a handler's error does.
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

    /// Errors are written also where nothing else is: see `must_not_read`.
    pub(super) fn count_refusal(&mut self, id: Id<'_>, error: &ErrorObject) {
        self.refusal_bytes = match self.unsent() < self.shared.limits.outgoing_bytes() {
            true => 0,
            false => self.refusal_bytes.saturating_add(id.as_json().len() + error.message().len() + ENVELOPE),
        };
    }

    /// Where replies to requests that came by themselves are written.
    pub(super) const fn reply_writer(&mut self) -> Replies<'_> {
        Replies::new(&mut self.write_buffer, self.version, &self.shared)
    }

    /// The dispatcher, and the sink that it dispatches over.
    pub(super) const fn dispatcher(&mut self) -> (&mut Dispatch, SessionSink<'_>) {
        let Self { dispatch, shared, write_buffer, member_reply, version, .. } = self;
        (dispatch, SessionSink { shared, write_buffer, member_reply, version: *version })
    }
}

/// The parts of the loop that requests are answered by.
pub(super) struct SessionSink<'a> {
    shared: &'a Arc<Shared>,
    write_buffer: &'a mut WriteBuffer,
    /// The reply to a member of a batch, while it is written in place.
    member_reply: &'a mut Vec<u8>,
    version: Version,
}

impl SessionSink<'_> {
    /// Where the reply to a member is written in place.
    pub(super) fn member(&mut self) -> Replies<'_> {
        let limit = ReplyLimit::Of(RequestPeer::Session(self.shared));
        Replies::part(self.member_reply, self.version, limit)
    }

    /// Adds that reply to the batch.
    pub(super) fn add_member_reply(&mut self, member: Member, id: Id<'_>) {
        self.shared.add_to_batch(member, id, self.member_reply);
        self.member_reply.clear();
        // A large one is not kept.
        self.member_reply.shrink_to(MEMBER_REPLY);
    }

    /// Says which task works on a request.
    fn begun(&self, request: u64, task: &JoinHandle<()>) {
        self.shared.begun(request, task.abort_handle());
        // A task that was just started stands in this worker's own slot, which nobody else takes from. Should it compute for long,
        // somebody else has to look after the session: tokio wakes another worker for a loop that is woken.
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
        // The error follows: a close lets it leave.
        self.shared.finished_in_place(None);
        self.shared.started();
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

    /// It ends with the session at the latest.
    fn work(&mut self, running: Running, mut work: Work) {
        let (is_answered, member) = (running.id.is_some(), running.member);
        let request = self.begin(running);
        let shared = Arc::clone(self.shared);
        let task = tokio::spawn(async move {
            poll_fn(|cx| work.poll_finished(cx)).await;
            if is_answered && !shared.has_capacity_for_reply(member) {
                // Seldom, and large: a task is moved more than once when it is started.
                Box::pin(shared.capacity_for_reply(request, member)).await;
            }
            let Finished { reply, ending } = work.finish();
            shared.reply(request, &reply, ending);
        });
        self.begun(request, &task);
    }

    /// It ends with the session at the latest.
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
