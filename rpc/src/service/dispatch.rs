//! From an admitted request to its reply: one dispatcher for sessions, for HTTP, and for messages
//! without a session.
//!
//! [`Dispatch`] decides when a request starts, runs its handler in place, and hands a pending
//! handler on. A [`ReplySink`] decides where replies go, and where pending handlers are driven.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    peer::RequestPeerRef,
    queue::{Queue, Waiting},
    reply::Replies,
    request::ServiceOutcome,
    routes::Routes,
    work::{Subscribing, Work},
};
use crate::{
    jsonrpc::{ErrorObject, Id, Member, UncheckedRequest},
    limits::deadline,
    session::{Ahead, Running, Trace},
};

/// The transport side of a dispatcher: the source of its requests, and the destination of the
/// replies.
pub(crate) trait ReplySink {
    /// The source of a request, and the writer for a handler that finishes in place.
    fn replies(&mut self, member: Option<Member>) -> (RequestPeerRef<'_>, Replies<'_>);

    /// A handler has finished in place; the reply, where one is due, is written. Returns true if
    /// the session closes now.
    fn replied(&mut self, member: Option<Member>, id: Option<Id<'_>>) -> bool;

    /// A request was refused before its handler was run; its error follows.
    fn refused(&mut self);

    /// How long a handler may take.
    fn request_timeout(&self) -> Option<Duration>;

    /// The order of the requests in flight.
    fn running(&self) -> Ahead;

    /// A request waits for its turn: its reply comes later.
    fn expect(&mut self, member: Option<Member>);

    /// The number of requests that wait for their turn has changed.
    fn waiting(&mut self, requests: usize);

    /// A handler is pending: the sink drives it, and sends its reply.
    fn work(&mut self, running: Running, work: Work);

    /// A pending handler that makes a stream: the sink drives it, and it answers by itself.
    fn subscribe(&mut self, running: Running, subscribing: Subscribing, text: &[u8]);
}

/// The state of a request after it was dispatched.
#[derive(Debug)]
pub(crate) enum Dispatched {
    /// Its handler has run, is in flight, or waits for its turn.
    Begun,
    /// Its handler has run and asked for the session to close: it closes now.
    Last,
    /// The request is to be answered with this error, and its trace ended.
    Refused(ErrorObject, Trace),
}

/// The methods that a peer can call, and its requests that wait for their turn.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) routes: Routes,
    pub(crate) queue: Queue,
}

impl Dispatch {
    pub(crate) fn new(routes: Routes) -> Self {
        Self { routes, queue: Queue::default() }
    }

    /// Starts a request, whose message is `text`, unless it has to wait for others or is delayed.
    #[inline]
    pub(crate) fn dispatch(
        &mut self,
        sink: &mut impl ReplySink,
        request: &UncheckedRequest<'_>,
        (text, member): (&[u8], Option<Member>),
        not_before: Option<Instant>,
        trace: Trace,
    ) -> Dispatched {
        match self.admit(sink, request, (text, member), not_before, trace) {
            Some(trace) => self.start(sink, request, (text, member), trace),
            None => Dispatched::Begun,
        }
    }

    /// Returns the trace if the request may start now. Otherwise the request is queued.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        sink: &mut impl ReplySink,
        request: &UncheckedRequest<'_>,
        (text, member): (&[u8], Option<Member>),
        not_before: Option<Instant>,
        trace: Trace,
    ) -> Option<Trace> {
        // The common case: no method asks for an order, and there is nothing to look up.
        let order = self.routes.order(&request.method);
        let starts = order.is_none_or(|order| self.queue.lets_start(sink.running(), order));
        if starts && not_before.is_none() {
            return Some(trace);
        }
        let order = order.unwrap_or_default();
        self.wait(
            sink,
            request,
            Waiting { text: text.into(), member, order, not_before, kept: false, trace },
        );
        None
    }

    /// Queues a request for which there is no permit.
    pub(crate) fn keep(
        &mut self,
        sink: &mut impl ReplySink,
        request: &UncheckedRequest<'_>,
        (text, member): (&[u8], Option<Member>),
        not_before: Option<Instant>,
        trace: Trace,
    ) {
        let order = self.routes.order(&request.method).unwrap_or_default();
        self.wait(sink, request, Waiting { text: text.into(), member, order, not_before, kept: true, trace });
    }

    fn wait(&mut self, sink: &mut impl ReplySink, request: &UncheckedRequest<'_>, waiting: Waiting) {
        if request.id.is_some() {
            sink.expect(waiting.member);
        }
        self.queue.push(waiting);
        sink.waiting(self.queue.len());
    }

    /// The first waiting request whose turn has come.
    pub(crate) fn next(&mut self, sink: &mut impl ReplySink) -> Option<Waiting> {
        let next = self.queue.next(sink.running())?;
        sink.waiting(self.queue.len());
        Some(next)
    }

    /// Runs the handler of a request, whose message is `text`.
    pub(crate) fn start(
        &self,
        sink: &mut impl ReplySink,
        request: &UncheckedRequest<'_>,
        (text, member): (&[u8], Option<Member>),
        mut trace: Trace,
    ) -> Dispatched {
        let (peer, replies) = sink.replies(member);
        match self.routes.serve(request, peer, replies, &mut trace) {
            ServiceOutcome::Done(_) => {
                if sink.replied(member, request.id) {
                    return Dispatched::Last;
                }
            }
            ServiceOutcome::Pending(work) => {
                let timeout = sink.request_timeout();
                let running = self.running(request, (text.len(), member), timeout, false, trace);
                sink.work(running, work);
            }
            ServiceOutcome::Subscribing(subscribing) => {
                let timeout = sink.request_timeout();
                let running = self.running(request, (text.len(), member), timeout, true, trace);
                sink.subscribe(running, subscribing, text);
            }
            ServiceOutcome::Refused(error) => {
                sink.refused();
                return Dispatched::Refused(error, trace);
            }
        }
        Dispatched::Begun
    }

    /// The record of a request whose handler is pending.
    pub(crate) fn running(
        &self,
        request: &UncheckedRequest<'_>,
        (bytes, member): (usize, Option<Member>),
        timeout: Option<Duration>,
        subscribes: bool,
        trace: Trace,
    ) -> Running {
        Running {
            id: request.id.map(|id| id.to_owned()),
            member,
            task: None,
            deadline: timeout.and_then(|after| deadline::after(Instant::now(), after)),
            order: self.routes.order(&request.method).unwrap_or_default(),
            subscribes,
            bytes,
            work: 0,
            trace,
        }
    }
}
