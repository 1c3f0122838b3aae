//! The requests of one message. Their handlers are driven by the future that waits for the answer:
//! no task is spawned.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    future::{AbortHandle, Abortable, BoxFuture, abortable},
    stream::FuturesUnordered,
};
use tokio::time::{Instant, timeout_at};

use super::Dispatcher;
use crate::{
    jsonrpc::{
        BatchId, Connection, ErrorCode, ErrorObject, Id, Malformed, Member, Message, UncheckedRequest,
        version::Version,
    },
    limits::deadline,
    service::{
        dispatch::{Dispatch, Dispatched, ReplySink},
        peer::{OneShot, RequestPeer, RequestPeerRef},
        reply::{Replies, ReplyLimit},
        routes::Routes,
        work::{Finished, ProgressResult, Subscribing, Work},
    },
    session::{Ahead, Ending, Requests, Running},
};

/// The requests of one message, from the first to the last reply.
pub(super) struct MessageRequests {
    dispatch: Dispatch,
    sink: MessageSink,
}

/// Gathers the replies to one message, and drives its handlers.
struct MessageSink {
    dispatcher: Dispatcher,
    message: Arc<OneShot>,
    version: Version,
    /// Keeps the state of the batch.
    connection: Connection<()>,
    /// The answer so far.
    out: Vec<u8>,
    /// The reply of a handler in place to a member of a batch.
    member_reply: Vec<u8>,
    /// Declared before the requests, so that handlers are dropped before the traces end.
    in_flight: FuturesUnordered<Abortable<BoxFuture<'static, (u64, Finished)>>>,
    requests: Requests,
    handlers: Vec<RunningHandler>,
    /// The number of calls that are not answered yet.
    calls: usize,
    cost: f64,
}

/// A handler in flight.
struct RunningHandler {
    request: u64,
    abort: AbortHandle,
    /// Set for work that makes steps: its timeout is counted from the last one.
    progress: Option<ProgressResult>,
}

impl MessageRequests {
    pub(super) fn new(
        dispatcher: &Dispatcher,
        routes: Routes,
        message: &Arc<OneShot>,
        version: Version,
    ) -> Self {
        let limits = dispatcher.limits();
        let connection = Connection::of(version).with_limits(limits.batch_length, limits.reply_size);
        let sink = MessageSink {
            dispatcher: dispatcher.clone(),
            message: Arc::clone(message),
            version,
            connection,
            out: Vec::new(),
            member_reply: Vec::new(),
            in_flight: FuturesUnordered::new(),
            requests: Requests::new(),
            handlers: Vec::new(),
            calls: 0,
            cost: 0.0,
        };
        Self { dispatch: Dispatch::new(routes), sink }
    }

    pub(super) const fn connection(&mut self) -> &mut Connection<()> {
        &mut self.sink.connection
    }

    /// Serves a request, once there is a permit for it.
    pub(super) async fn receive(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) {
        let trace = self.sink.message.trace(request);
        while self.permits_taken() >= self.sink.dispatcher.limits().requests_in_flight.max(1) {
            self.finish_one().await;
        }
        let dispatched = self.dispatch.dispatch(&mut self.sink, request, (text, member), None, trace);
        self.sink.dispatched(dispatched, request.id, member);
    }

    /// The number of permits that are taken.
    fn permits_taken(&self) -> usize {
        self.sink.requests.len() + self.dispatch.queue.len()
    }

    pub(super) fn are_done(&self) -> bool {
        self.permits_taken() == 0
    }

    /// True while calls are not answered yet.
    pub(super) const fn have_calls(&self) -> bool {
        self.sink.calls > 0
    }

    /// Waits until a handler has finished or its deadline has passed, then starts the requests that
    /// waited for it. Cancel safe.
    pub(super) async fn finish_one(&mut self) {
        let sink = &mut self.sink;
        let (now, mut next) = (Instant::now(), None);
        let late = sink.requests.late(now, &mut next);
        if late.is_empty() {
            let done = sink.in_flight.next();
            let done = match next {
                None => done.await,
                Some(at) => timeout_at(at, done).await.ok().flatten(),
            };
            // A handler that was aborted has been answered already.
            if let Some(Ok((request, finished))) = done {
                sink.finish(request, &finished);
            }
        }
        for request in late {
            sink.expire(request, now);
        }
        self.start_waiting();
    }

    fn start_waiting(&mut self) {
        while let Some(waiting) = self.dispatch.next(&mut self.sink) {
            // Members of batches were read in full.
            let Message::Request(request) = self.sink.version.read_in_full(&waiting.text) else { continue };
            let (request, member) = (request.into_unchecked(), waiting.member);
            let dispatched =
                self.dispatch.start(&mut self.sink, &request, (&waiting.text, member), waiting.trace);
            self.sink.dispatched(dispatched, request.id, member);
            if request.id.is_some() {
                self.sink.reply_added(member);
            }
        }
    }

    pub(super) fn malformed(&mut self, malformed: &Malformed<'_>, member: Option<Member>) {
        let Malformed { id, error, answer } = malformed;
        self.sink.message.log_refused(*id, error);
        let limits = self.sink.dispatcher.limits();
        self.sink.cost += match error.code() {
            ErrorCode::PARSE_ERROR => limits.cost_of_unreadable,
            _ => limits.cost_of_error,
        };
        if *answer {
            self.sink.answer_error(*id, error, member);
        }
    }

    /// The peer broke a rule for which there is no answer.
    pub(super) fn broke_rule(&mut self) {
        self.sink.cost += self.sink.dispatcher.limits().cost_of_error;
    }

    /// All members of a batch were read.
    pub(super) fn end_batch(&mut self, batch: BatchId) {
        self.sink.end_batch(batch);
    }

    /// The answer, where one is due, and the cost of a message of `bytes` bytes.
    pub(super) fn answer(&mut self, bytes: usize) -> (Option<Bytes>, f64) {
        let out = std::mem::take(&mut self.sink.out);
        let bytes = (bytes + out.len()) as f64;
        let cost = self.sink.cost + bytes * self.sink.dispatcher.limits().cost_per_byte;
        ((!out.is_empty()).then(|| out.into()), cost)
    }
}

impl MessageSink {
    fn dispatched(&mut self, dispatched: Dispatched, id: Option<Id<'_>>, member: Option<Member>) {
        if let Dispatched::Refused(error, trace) = dispatched {
            trace.refuse(&error);
            self.cost += self.dispatcher.limits().cost_of_error;
            if let Some(id) = id {
                self.answer_error(id, &error, member);
            }
        }
    }

    fn answer_error(&mut self, id: Id<'_>, error: &ErrorObject, member: Option<Member>) {
        match member {
            Some(member) => self.connection.add_error_to_batch(member, id, error),
            None => self.version.put_error(&mut self.out, id, error),
        }
    }

    /// Answers the request of a handler that has finished, unless it was answered before.
    fn finish(&mut self, request: u64, finished: &Finished) {
        self.handlers.retain(|handler| handler.request != request);
        let Some(done) = self.requests.finish(request) else { return };
        done.trace.end(finished.ending);
        let Some(id) = done.id else { return };
        match done.member {
            Some(member) => id.with(|id| self.connection.add_to_batch(member, id, &finished.reply)),
            None => self.out.extend_from_slice(&finished.reply),
        }
        self.reply_added(done.member);
    }

    /// Times a request out, unless its work has made a step in time.
    fn expire(&mut self, request: u64, now: Instant) {
        let timeout = self.message.request_timeout();
        let Some(at) = self.handlers.iter().position(|handler| handler.request == request) else { return };
        let stepped = self.handlers[at].progress.as_ref().and_then(ProgressResult::last_step);
        let again = stepped.zip(timeout).and_then(|(stepped, after)| deadline::after(stepped, after));
        if again.is_some_and(|again| again > now) {
            if let Some(running) = self.requests.get_mut(request) {
                running.deadline = again;
            }
            return;
        }
        self.handlers.swap_remove(at).abort.abort();
        let Some(done) = self.requests.finish(request) else { return };
        self.dispatcher.shared.reached.request_timeout(self.message.endpoint(), None, timeout);
        done.trace.end(Ending::Timeout);
        let Some(id) = done.id else { return };
        id.with(|id| self.answer_error(id, &ErrorObject::took_too_long(timeout), done.member));
        self.reply_added(done.member);
    }

    /// An awaited reply was added.
    fn reply_added(&mut self, member: Option<Member>) {
        self.calls -= 1;
        if let Some(member) = member {
            self.end_batch(member.batch);
        }
    }

    fn end_batch(&mut self, batch: BatchId) {
        if let Some(reply) = self.connection.end_batch(batch)
            && !reply.is_empty()
        {
            reply.write(&mut self.out);
        }
    }
}

impl ReplySink for MessageSink {
    fn replies(&mut self, member: Option<Member>) -> (RequestPeerRef<'_>, Replies<'_>) {
        let out = if member.is_some() { &mut self.member_reply } else { &mut self.out };
        let peer = RequestPeer::OneShot(&self.message);
        (peer, Replies::part(out, self.version, ReplyLimit::Of(peer)))
    }

    fn replied(&mut self, member: Option<Member>, id: Option<Id<'_>>) -> bool {
        if let (Some(member), Some(id)) = (member, id) {
            self.connection.add_to_batch(member, id, &self.member_reply);
            self.member_reply.clear();
        }
        false
    }

    fn refused(&mut self) {}

    fn request_timeout(&self) -> Option<Duration> {
        self.message.request_timeout()
    }

    fn running(&self) -> Ahead {
        self.requests.orders()
    }

    fn expect(&mut self, member: Option<Member>) {
        self.calls += 1;
        if let Some(member) = member {
            self.connection.expect_member(member.batch);
        }
    }

    fn waiting(&mut self, _: usize) {}

    fn work(&mut self, running: Running, mut work: Work) {
        if running.id.is_some() {
            self.expect(running.member);
        }
        let (progress, request) = (work.progress(), self.requests.begin(running));
        let work: BoxFuture<'static, _> = Box::pin(async move {
            poll_fn(|cx| work.poll_finished(cx)).await;
            (request, work.finish())
        });
        let (work, abort) = abortable(work);
        self.in_flight.push(work);
        self.handlers.push(RunningHandler { request, abort, progress });
    }

    /// Never called with a stream: a subscription needs a session, and was refused.
    fn subscribe(&mut self, _: Running, _: Subscribing, _: &[u8]) {}
}
