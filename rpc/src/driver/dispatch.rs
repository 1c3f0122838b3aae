//! The loop as the sink of its requests: replies that are written in place go out with the next
//! write, and handlers that have to wait become tasks of the session.

use std::{future::poll_fn, sync::Arc};

use tokio::{task::JoinHandle, time::Instant};

use super::{Driver, receive::Flow};
use crate::{
    jsonrpc::{BatchId, Events, Id, Member, Message, UncheckedRequest, subscription, version::Version},
    service::{
        Dispatch, Dispatched, Finished, Replies, ReplyLimit, ReplySink, RequestPeer, RequestPeerRef,
        Subscribing, Waiting, Work,
    },
    session::{Ahead, Running, Shared, TellsWorkEnded, Trace, WriteBuffer},
};

/// The memory that is kept for the reply to a member of a batch, in bytes.
const MEMBER_REPLY: usize = 4 << 10;

/// The parts of the loop that requests are answered by.
pub(super) struct SessionSink<'a> {
    link: &'a Arc<Shared>,
    write_buffer: &'a mut WriteBuffer,
    /// The reply to a member of a batch, while it is written in place.
    member_reply: &'a mut Vec<u8>,
    version: Version,
}

impl SessionSink<'_> {
    /// Where the reply to a member is written in place.
    pub(super) fn member(&mut self) -> Replies<'_> {
        let limit = ReplyLimit::Of(RequestPeer::Session(self.link));
        Replies::part(self.member_reply, self.version, limit)
    }

    /// Adds that reply to the batch.
    pub(super) fn add_member_reply(&mut self, member: Member, id: Id<'_>) {
        self.link.add_to_batch(member, id, self.member_reply);
        self.member_reply.clear();
        // A large one is not kept.
        self.member_reply.shrink_to(MEMBER_REPLY);
    }

    /// Says which task works on a request.
    fn begun(&self, request: u64, task: &JoinHandle<()>) {
        self.link.begun(request, task.abort_handle());
        // A task that was just started stands in this worker's own slot, which nobody else takes from. Should it compute for long,
        // somebody else has to look after the session: tokio wakes another worker for a loop that is woken.
        self.link.wake();
        self.link.started();
    }

    fn begin(&self, running: Running) -> u64 {
        self.link.begin(Running { work: self.link.starting(), ..running })
    }
}

impl ReplySink for SessionSink<'_> {
    fn replies(&mut self, member: Option<Member>) -> (RequestPeerRef<'_>, Replies<'_>) {
        let peer = RequestPeer::Session(self.link);
        let replies = match member {
            None => Replies::new(self.write_buffer, self.version, self.link),
            Some(_) => Replies::part(self.member_reply, self.version, ReplyLimit::Of(peer)),
        };
        (peer, replies)
    }

    fn replied(&mut self, member: Option<Member>, id: Option<Id<'_>>) -> bool {
        let member = member.filter(|_| id.is_some());
        if let (Some(member), Some(id)) = (member, id) {
            self.add_member_reply(member, id);
        }
        let closes = self.link.finished_in_place(member);
        self.link.started();
        closes
    }

    fn refused(&mut self) {
        // The error follows: a close lets it leave.
        self.link.finished_in_place(None);
        self.link.started();
    }

    fn running(&self) -> Ahead {
        self.link.running_orders()
    }

    fn expect(&mut self, member: Option<Member>) {
        if let Some(member) = member {
            self.link.expect_member(member);
        }
    }

    fn waiting(&mut self, requests: usize) {
        self.link.counters.waiting(requests);
    }

    /// It ends with the session at the latest.
    fn work(&mut self, running: Running, mut work: Work) {
        let (is_answered, member) = (running.id.is_some(), running.member);
        let request = self.begin(running);
        let link = Arc::clone(self.link);
        let task = tokio::spawn(async move {
            poll_fn(|cx| work.poll_finished(cx)).await;
            if is_answered && !link.has_capacity_for_reply(member) {
                // Seldom, and large: a task is moved more than once when it is started.
                Box::pin(link.capacity_for_reply(request, member)).await;
            }
            let Finished { reply, ending } = work.finish();
            link.reply(request, &reply, ending);
        });
        self.begun(request, &task);
    }

    /// It ends with the session at the latest.
    fn subscribe(&mut self, running: Running, subscribing: Subscribing, text: &[u8]) {
        if subscription::is_marked(text) {
            self.link.takes_notices();
        }
        let request = self.begin(running);
        let ended = TellsWorkEnded(Arc::clone(self.link));
        let handler = subscribing.run(request);
        let task = tokio::spawn(async move {
            handler.await;
            drop(ended);
        });
        self.begun(request, &task);
    }
}

impl Driver {
    /// The dispatcher, and the sink that it dispatches over.
    pub(super) const fn dispatcher(&mut self) -> (&mut Dispatch, SessionSink<'_>) {
        let Self { dispatch, link, write_buffer, member_reply, version, .. } = self;
        (dispatch, SessionSink { link, write_buffer, member_reply, version: *version })
    }

    /// Whether one more request of so many bytes may be worked on, which may be of a batch of the peer's.
    pub(super) fn has_permit(&self, bytes: usize, batch: Option<BatchId>) -> bool {
        let queue = &self.dispatch.queue;
        !queue.has_kept()
            && self.link.admits(self.throttle.concurrency, queue.len(), queue.bytes() + bytes)
            && self.unsent() < self.link.limits.outgoing_bytes()
            && !self.link.others_are_full(batch)
    }

    /// Gives a trace where the request may start now. Otherwise it waits for its turn, or its peer has
    /// just cost too much.
    pub(super) fn admit(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> Option<Trace> {
        let not_before = self.delay();
        let trace = self.link.trace(request);
        if not_before.is_some() && self.link.is_ending() {
            // It was one too many: nothing is begun any more.
            return None;
        }
        let (dispatch, mut sink) = self.dispatcher();
        dispatch.admit(&mut sink, request, (text, member), not_before, trace)
    }

    /// Keeps a request for which there is no permit, unless those that wait take up too much already. A notification cannot be
    /// told to try again, and what follows it may build on it.
    pub(super) fn keeps(
        &mut self,
        request: &UncheckedRequest<'_>,
        text: &[u8],
        member: Option<Member>,
    ) -> bool {
        let queue = &self.dispatch.queue;
        let memory = queue.memory() + Waiting::SIZE + text.len();
        if !self.link.admits(usize::MAX, queue.len().max(1), memory) {
            return false;
        }
        let not_before = self.delay();
        let trace = self.link.trace(request);
        if not_before.is_none() || !self.link.is_ending() {
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
        while self.dispatch.queue.len() > 0 && !(self.dispatch.queue.has_kept() && self.is_full()) {
            let (dispatch, mut sink) = self.dispatcher();
            let Some(waiting) = dispatch.next(&mut sink) else { return };
            self.start(waiting);
        }
    }

    /// Whether there is no permit for one that came without one.
    fn is_full(&self) -> bool {
        !self.link.admits(self.throttle.concurrency.max(1), 0, 0)
            || self.unsent() >= self.link.limits.outgoing_bytes()
    }

    fn start(&mut self, waiting: Waiting) {
        let Waiting { text, member, trace, .. } = waiting;
        if let Some(handler) = self.messages.clone() {
            // What it costs is charged.
            let _: Flow = self.start_message(&*handler, &text, trace);
            return;
        }
        let request = match self.version.read_in_full(&text) {
            Message::Request(request) => request.into_unchecked(),
            // It looked like a request to the scan, which does not look into parameters. (Members of batches were read in full.)
            other => {
                trace.forget();
                self.process(&text, Events::of(self.version, other));
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
            self.link.end_batch(member.batch);
        }
    }
}
