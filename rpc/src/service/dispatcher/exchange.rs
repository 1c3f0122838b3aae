//! One message, and what it is answered with.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use super::Dispatcher;
use crate::{
    jsonrpc::{
        self, Connection, ErrorCode, ErrorObject, Event, Id, Order, RequestId, Rest, Skim, Ticket, Verdict,
        buffer::Buffer, version::Version,
    },
    service::{Outcome, Replies, Routes, Working},
    session::{Link, Session},
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
        let limits = &self.shared.limits;
        let mut out = Vec::new();
        if message.len() > limits.frame_size {
            refuse_too_large(version, message, limits.frame_size, &mut out);
            return Exchange {
                answer: (!out.is_empty()).then(|| out.into()),
                cost: limits.cost_of_unreadable,
            };
        }
        let mut connection =
            Connection::<()>::of(version).with_limits(limits.batch_length, limits.reply_size);
        let events = connection.receive(message, &mut out);
        let version = connection.version();
        let link =
            Link::detached(peer, limits.clone(), version, extensions, self.shared.shielded_work.clone());
        let _ends = Ends(&link);
        let Some(routes) = self.routes(&link) else {
            out.clear();
            version.put_error(&mut out, Id::NULL, &ErrorObject::internal());
            return Exchange { answer: Some(out.into()), cost: 0.0 };
        };
        let mut replies = Replies::unframed(version, Arc::clone(&link));
        let mut at_work = FuturesUnordered::new();
        let mut cost = 0.0;
        for event in events {
            let (method, params, ticket) = match event {
                Event::Request { method, params, ticket } => (method, params, Some(ticket)),
                Event::Notification { method, params } => (method, params, None),
                Event::Refused { error, .. } if error.code() == ErrorCode::PARSE_ERROR => {
                    cost += limits.cost_of_unreadable;
                    continue;
                }
                Event::Reply { .. } | Event::Refused { .. } | Event::Unasked(_) => {
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
            while at_work.len() > beside {
                finish(&mut connection, &mut out, at_work.next().await);
            }
            let outcome = with_id(ticket.as_ref(), |id| {
                routes.serve(&jsonrpc::Request { id, method, params }, &mut replies)
            });
            match (outcome, ticket) {
                (Outcome::Pending(handler), ticket) => {
                    at_work.push(in_time(handler, limits.request_timeout, version, ticket));
                }
                (Outcome::Done, Some(ticket)) => connection.respond_with(&mut out, &ticket, &replies.take()),
                (Outcome::Refused(error), ticket) => {
                    cost += limits.cost_of_error;
                    if let Some(ticket) = ticket {
                        connection.respond_with(&mut out, &ticket, &written(version, ticket.id(), &error));
                    }
                }
                // A subscription needs a session, and was refused.
                (Outcome::Subscribing(..), _) | (Outcome::Done, None) => {}
            }
            while order == Order::Exclusive && !at_work.is_empty() {
                finish(&mut connection, &mut out, at_work.next().await);
            }
        }
        while let Some(done) = at_work.next().await {
            finish(&mut connection, &mut out, Some(done));
        }
        cost += (message.len() + out.len()) as f64 * limits.cost_per_byte;
        Exchange { answer: (!out.is_empty()).then(|| out.into()), cost: link.add_cost(cost, Instant::now()) }
    }

    /// The services for one message. `None` where making one has panicked.
    fn routes(&self, link: &Arc<Link>) -> Option<Routes> {
        let services = &self.shared.services;
        // What makes a service is code of the user's.
        let made = catch_unwind(AssertUnwindSafe(|| services.for_session(&Session::new(Arc::clone(link)))));
        if made.is_err() {
            tracing::error!(rpc.system.name = "jsonrpc", "making a service for a message panicked");
        }
        made.ok()
    }
}

/// The end of an exchange, in whatever way it comes: who works on with a context of it is told.
struct Ends<'a>(&'a Link);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.started();
    }
}

type Answered = Option<(Ticket, Buffer)>;

fn finish(connection: &mut Connection<()>, out: &mut Vec<u8>, done: Option<Answered>) {
    if let Some(Some((ticket, reply))) = done {
        connection.respond_with(out, &ticket, &reply);
    }
}

/// Waits for a handler, and no longer than it may take.
async fn in_time(
    mut handler: Box<dyn Working>,
    limit: Option<Duration>,
    version: Version,
    ticket: Option<Ticket>,
) -> Answered {
    let finished = poll_fn(|cx| handler.poll_finished(cx));
    let is_late = match limit {
        None => {
            finished.await;
            false
        }
        Some(limit) => tokio::time::timeout(limit, finished).await.is_err(),
    };
    if !is_late {
        return ticket.map(|ticket| (ticket, handler.reply())).or_else(|| {
            // It has none; but a panic is told.
            drop(handler.reply());
            None
        });
    }
    let ticket = ticket?;
    let late = ErrorObject::new(ErrorCode::SERVER_BUSY, "the request took too long");
    let reply = written(version, ticket.id(), &late);
    Some((ticket, reply))
}

fn written(version: Version, id: &RequestId, error: &ErrorObject) -> Buffer {
    let mut reply = Buffer::new();
    id.with(|id| version.put_error(&mut reply, id, error));
    reply
}

fn with_id<R>(ticket: Option<&Ticket>, f: impl FnOnce(Option<Id<'_>>) -> R) -> R {
    match ticket {
        Some(ticket) => ticket.id().with(|id| f(Some(id))),
        None => f(None),
    }
}

/// Answers a message that is not read for its size, unless it is a response or a notification.
fn refuse_too_large(version: Version, message: &[u8], limit: usize, out: &mut Vec<u8>) {
    let mut skim = Skim::default();
    skim.read(message, |_| {});
    let id = match skim.verdict(version, Rest::Nothing) {
        Verdict::Error(id) => id,
        Verdict::Unreadable => Id::NULL,
        Verdict::Unknown | Verdict::Silence => return,
    };
    let error = ErrorObject::too_large(message.len(), true, limit);
    skim.answered_in(version).put_error(out, id, &error);
}
