//! One message, and what it is answered with.

use std::{
    borrow::Cow,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
    vec,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::Dispatcher;
use crate::{
    jsonrpc::{
        Connection, ErrorCode, ErrorObject, Event, Id, Order, RawParams, RequestId, Rest, Skim, Ticket,
        UncheckedRequest, Verdict, buffer::Buffer, version::Version,
    },
    service::{Outcome, Replies, RequestPeer, Routes, Working, one_shot::OneShot},
    session::{Ending, Trace, log_refused},
    transport::{Endpoint, Extensions},
};

/// What came of a message: see [`Dispatcher::exchange`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Exchange {
    /// The answer, where one is due.
    pub answer: Option<Bytes>,
    /// What the message has cost by the numbers in [`Limits`](crate::Limits): its bytes and those of its answer, the rules that it broke, and what its
    /// handlers have [added](crate::Session::add_cost).
    pub cost: f64,
}

impl Dispatcher {
    /// Answers a message that is read in `version`.
    pub(super) async fn answer(
        &self,
        version: Version,
        message: &[u8],
        extensions: Extensions,
    ) -> Option<Bytes> {
        self.exchange_in(version, message, Endpoint::MEMORY, extensions).await.answer
    }

    pub(super) async fn exchange_in(
        &self,
        version: Version,
        message: &[u8],
        peer: Endpoint,
        extensions: Extensions,
    ) -> Exchange {
        self.exchange_until::<false>(version, message, peer, extensions).await.0
    }

    /// Like [`exchange`](Self::exchange), where the answer does not wait for the handlers of
    /// notifications: the caller is given those that are left, and has to see to it that they go
    /// on. They are counted with shielded work.
    #[cfg(feature = "http")]
    pub(crate) async fn exchange_calls(
        &self,
        message: &[u8],
        peer: Endpoint,
        extensions: Extensions,
    ) -> (Exchange, Option<BoxFuture<'static, ()>>) {
        self.exchange_until::<true>(self.shared.version, message, peer, extensions).await
    }

    /// `CALLS` says whether the answer waits for the handlers of calls alone. Else nothing is left.
    async fn exchange_until<const CALLS: bool>(
        &self,
        version: Version,
        message: &[u8],
        peer: Endpoint,
        extensions: Extensions,
    ) -> (Exchange, Option<BoxFuture<'static, ()>>) {
        let limits = self.limits();
        let mut out = Vec::new();
        if message.len() > limits.frame_size {
            refuse_too_large(&peer, version, message, limits.frame_size, &mut out);
            let answer = (!out.is_empty()).then(|| out.into());
            return (Exchange { answer, cost: limits.cost_of_unreadable }, None);
        }
        let mut connection =
            Connection::<()>::of(version).with_limits(limits.batch_length, limits.reply_size);
        let mut read = connection.events(message);
        let events: Vec<_> = std::iter::from_fn(|| read.next(&mut connection, &mut out)).collect();
        let version = connection.version();
        let one_shot = OneShot::new(&self.shared.policy, peer, version, extensions);
        let ends = Ends(Arc::clone(&one_shot));
        let mut events = Events { left: events.into_iter(), one_shot: &one_shot, ending: Ending::Abandoned };
        let Some(routes) = self.routes(&one_shot) else {
            events.ending = Ending::Panicked;
            out.clear();
            version.put_error(&mut out, Id::NULL, &ErrorObject::internal());
            return (Exchange { answer: Some(out.into()), cost: 0.0 }, None);
        };
        let (mut reply, peer) = (Vec::new(), RequestPeer::OneShot(&one_shot));
        let mut at_work = FuturesUnordered::new();
        // How many of them are calls.
        let mut calls = 0;
        let mut cost = 0.0;
        for event in events.left.by_ref() {
            let (method, params, ticket) = match event {
                Event::Request { method, params, ticket } => (method, params, Some(ticket)),
                Event::Notification { method, params } => (method, params, None),
                Event::Refused { id, error } => {
                    id.with(|id| one_shot.log_refused(id, &error));
                    cost += match error.code() {
                        ErrorCode::PARSE_ERROR => limits.cost_of_unreadable,
                        _ => limits.cost_of_error,
                    };
                    continue;
                }
                Event::Reply { .. } | Event::Unasked(_) => {
                    cost += limits.cost_of_error;
                    continue;
                }
            };
            let order = routes.order(&method).unwrap_or_default();
            let beside = match order {
                Order::Concurrent => limits.requests_in_flight.max(1) - 1,
                // There is nothing to gain from running others meanwhile: they are members of the same batch.
                Order::Ordered | Order::Exclusive => 0,
            };
            let trace = with_request(&method, params, ticket.as_ref(), |request| one_shot.trace(request));
            while at_work.len() > beside {
                calls -= finish(&mut connection, &mut out, at_work.next().await);
            }
            let (outcome, trace) = with_request(&method, params, ticket.as_ref(), |request| {
                routes.serve(request, Replies::part(&mut reply, version, peer), trace)
            });
            match (outcome, ticket) {
                (Outcome::Pending(handler), ticket) => {
                    calls += usize::from(ticket.is_some());
                    let (shared, message) = (Arc::clone(&self.shared), Arc::clone(&one_shot));
                    let timeout = limits.request_timeout;
                    let late = move || shared.reached.request_timeout(message.endpoint(), None, timeout);
                    at_work.push(in_time(trace, handler, timeout, late, version, ticket));
                }
                (Outcome::Done(_), Some(ticket)) => {
                    connection.respond_with(&mut out, &ticket, &reply);
                    reply.clear();
                }
                (Outcome::Refused(error), ticket) => {
                    trace.refuse(&error);
                    cost += limits.cost_of_error;
                    if let Some(ticket) = ticket {
                        connection.respond_with(&mut out, &ticket, &written(version, ticket.id(), &error));
                    }
                }
                // A subscription needs a session, and was refused; work that reports its progress is pending.
                (Outcome::Subscribing(..), _) | (Outcome::Done(_), None) => {}
            }
            while order == Order::Exclusive && !at_work.is_empty() {
                calls -= finish(&mut connection, &mut out, at_work.next().await);
            }
        }
        while (calls > 0 || !CALLS)
            && let Some(done) = at_work.next().await
        {
            calls -= finish(&mut connection, &mut out, Some(done));
        }
        cost += (message.len() + out.len()) as f64 * limits.cost_per_byte;
        let answer = (!out.is_empty()).then(|| out.into());
        let exchange = Exchange { answer, cost: one_shot.cost(cost) };
        let left = (!at_work.is_empty()).then(|| {
            let counted = self.shared.policy.shielded_work.begin();
            async move {
                let (_until_then, mut at_work) = ((ends, counted), at_work);
                while at_work.next().await.is_some() {}
            }
            .boxed()
        });
        (exchange, left)
    }

    /// The services for one message. `None` where making one has panicked.
    fn routes(&self, one_shot: &OneShot) -> Option<Routes> {
        let services = &self.shared.services;
        if !services.need_session() {
            return Some(services.shared());
        }
        // What makes a service is code of the user's.
        let made = catch_unwind(AssertUnwindSafe(|| services.for_session(one_shot.session())));
        if made.is_err() {
            tracing::error!(rpc.system.name = "jsonrpc", "making a service for a message panicked");
        }
        made.ok()
    }
}

/// The end of an exchange, answered or dropped: tasks that work on with a context of it are told.
struct Ends(Arc<OneShot>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What a message brings. The requests of which nothing comes are in the log all the same: whoever sent the message is gone before they
/// were begun, or there is no service for them.
struct Events<'a> {
    left: vec::IntoIter<Event<'a, ()>>,
    one_shot: &'a OneShot,
    ending: Ending,
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        for event in self.left.by_ref() {
            let (method, params, ticket) = match event {
                Event::Request { method, params, ticket } => (method, params, Some(ticket)),
                Event::Notification { method, params } => (method, params, None),
                _ => continue,
            };
            let trace =
                with_request(&method, params, ticket.as_ref(), |request| self.one_shot.trace(request));
            trace.end(self.ending);
        }
    }
}

type Answered = Option<(Ticket, Buffer)>;

/// Gives how many calls were answered with it.
fn finish(connection: &mut Connection<()>, out: &mut Vec<u8>, done: Option<Answered>) -> usize {
    let Some(Some((ticket, reply))) = done else { return 0 };
    connection.respond_with(out, &ticket, &reply);
    1
}

/// Waits for a handler, and no longer than it may take.
///
/// The trace comes first: so it is dropped last where nobody waits any more, and the handler before it.
async fn in_time(
    trace: Trace,
    mut handler: Box<dyn Working>,
    limit: Option<Duration>,
    late: impl FnOnce(),
    version: Version,
    ticket: Option<Ticket>,
) -> Answered {
    let in_time = match limit {
        None => {
            poll_fn(|cx| handler.poll_finished(cx)).await;
            true
        }
        Some(limit) => within(limit, &mut handler).await,
    };
    if !in_time {
        late();
    }
    // It is asked for the reply to a notification, too: a panic is told.
    let finished = in_time.then(|| handler.finish());
    trace.end(finished.as_ref().map_or(Ending::Timeout, |finished| finished.ending));
    let ticket = ticket?;
    let reply = finished
        .map(|finished| finished.reply)
        .unwrap_or_else(|| written(version, ticket.id(), &ErrorObject::took_too_long(limit)));
    Some((ticket, reply))
}

/// Whether the handler finishes within `limit`, counted anew from each step of its work.
async fn within(limit: Duration, handler: &mut Box<dyn Working>) -> bool {
    let mut began = Instant::now();
    loop {
        let left = limit.saturating_sub(began.elapsed());
        if tokio::time::timeout(left, poll_fn(|cx| handler.poll_finished(cx))).await.is_ok() {
            return true;
        }
        match handler.last_step().filter(|last| *last > began) {
            Some(last) => began = last,
            None => return false,
        }
    }
}

fn written(version: Version, id: &RequestId, error: &ErrorObject) -> Buffer {
    let mut reply = Buffer::new();
    id.with(|id| version.put_error(&mut reply, id, error));
    reply
}

fn with_request<R>(
    method: &str,
    params: RawParams<'_>,
    ticket: Option<&Ticket>,
    f: impl FnOnce(&UncheckedRequest<'_>) -> R,
) -> R {
    let (method, params) = (Cow::Borrowed(method), params.into());
    match ticket {
        Some(ticket) => ticket.id().with(|id| f(&UncheckedRequest { id: Some(id), method, params })),
        None => f(&UncheckedRequest { id: None, method, params }),
    }
}

/// Answers a message that is not read for its size, unless it is a response or a notification.
fn refuse_too_large(peer: &Endpoint, version: Version, message: &[u8], limit: usize, out: &mut Vec<u8>) {
    let mut skim = Skim::default();
    skim.read(message, |_| {});
    let id = match skim.verdict(version, Rest::Nothing) {
        Verdict::Error(id) => id,
        Verdict::Unreadable => Id::NULL,
        Verdict::Unknown | Verdict::Silence => return,
    };
    let error = ErrorObject::too_large(message.len(), true, limit);
    log_refused(Some(id), &error, None, peer);
    skim.answered_in(version).put_error(out, id, &error);
}
