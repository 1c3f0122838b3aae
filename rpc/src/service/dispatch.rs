//! From an admitted request to its reply: one dispatcher for sessions, for HTTP, and for messages
//! that come by themselves.
//!
//! It decides which request starts when, runs handlers, and hands on those that have to wait. Where
//! replies go, and where handlers go on, is up to a [`ReplySink`].

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

/// Where requests come from, and replies go to.
pub(crate) trait ReplySink {
    /// Where a request came from, and where a handler that finishes in place writes its reply.
    fn replies(&mut self, member: Option<Member>) -> (RequestPeerRef<'_>, Replies<'_>);

    /// A handler has finished in place, and has written its reply where it has one. Whether the
    /// session closes now.
    fn replied(&mut self, member: Option<Member>, id: Option<Id<'_>>) -> bool;

    /// A request was refused before its handler was run; its error follows.
    fn refused(&mut self);

    /// The requests that are worked on.
    fn running(&self) -> Ahead;

    /// A request has to wait for its turn: the reply comes later.
    fn expect(&mut self, member: Option<Member>);

    /// So many requests wait for their turn.
    fn waiting(&mut self, requests: usize);

    /// A handler has to wait: it goes on by itself, and its reply is sent when it has finished.
    fn work(&mut self, running: Running, work: Work);

    /// The same for one that makes a stream, and answers by itself.
    fn subscribe(&mut self, running: Running, subscribing: Subscribing, text: &[u8]);
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Dispatched {
    /// Its handler has run, or is at work, or waits for its turn.
    Begun,
    /// Its handler has run and asked to be the last: the session closes now.
    Last,
    /// It is to be answered with this, and its trace ended.
    Refused(ErrorObject, Trace),
}

/// The methods of a peer, and its requests that wait for their turn.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) routes: Routes,
    pub(crate) queue: Queue,
}

impl Dispatch {
    pub(crate) fn new(routes: Routes) -> Self {
        Self { routes, queue: Queue::default() }
    }

    /// Starts a request, which stands in `text`, unless it has to wait for others, or is delayed.
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

    /// Gives the trace back where the request may start now; where not, it waits for its turn.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        sink: &mut impl ReplySink,
        request: &UncheckedRequest<'_>,
        (text, member): (&[u8], Option<Member>),
        not_before: Option<Instant>,
        trace: Trace,
    ) -> Option<Trace> {
        // Nearly always no method asks for an order.
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

    /// Keeps a request for which there is no permit.
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

    /// The first of those that wait whose turn has come.
    pub(crate) fn next(&mut self, sink: &mut impl ReplySink) -> Option<Waiting> {
        let next = self.queue.next(sink.running())?;
        sink.waiting(self.queue.len());
        Some(next)
    }

    /// Runs the handler of a request, which stands in `text`.
    pub(crate) fn start(
        &self,
        sink: &mut impl ReplySink,
        request: &UncheckedRequest<'_>,
        (text, member): (&[u8], Option<Member>),
        trace: Trace,
    ) -> Dispatched {
        let (peer, replies) = sink.replies(member);
        let timeout = peer.request_timeout();
        let (outcome, trace) = self.routes.serve(request, peer, replies, trace);
        let running =
            |subscribes, trace| self.running(request, (text.len(), member), timeout, subscribes, trace);
        match outcome {
            ServiceOutcome::Done(_) => {
                if sink.replied(member, request.id) {
                    return Dispatched::Last;
                }
            }
            ServiceOutcome::Pending(work) => sink.work(running(false, trace), work),
            ServiceOutcome::Subscribing(subscribing) => {
                sink.subscribe(running(true, trace), subscribing, text)
            }
            ServiceOutcome::Refused(error) => {
                sink.refused();
                return Dispatched::Refused(error, trace);
            }
        }
        Dispatched::Begun
    }

    /// The entry of a request whose handler has to wait.
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
