//! Bytes in, bytes out: services without a session.

mod builder;
mod caller;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};

pub use builder::DispatcherBuilder;

use super::{Outcome, Replies, Routes};
use crate::{
    jsonrpc::{
        self, Connection, ErrorCode, ErrorObject, Event, Id, Order, RequestId, Ticket, buffer::Buffer,
        version::Version,
    },
    limits::Limits,
    session::Link,
    transport::{Endpoint, Extensions},
};

/// Answers messages one by one: bytes in, bytes out. For messages that come by no session of ours: the body of an HTTP request, a
/// message queue, a lambda, a test.
///
/// Clones are the same dispatcher.
///
/// ```
/// use rpc::{Dispatcher, rpc_service};
///
/// #[rpc_service]
/// trait Calc {
///     async fn add(&self, a: i64, b: i64) -> i64;
/// }
///
/// struct MyCalc;
/// impl Calc for MyCalc {
///     async fn add(&self, a: i64, b: i64) -> i64 { a + b }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dispatcher = Dispatcher::builder().service(CalcServer::new(MyCalc)).build()?;
///
/// let reply = dispatcher.dispatch(br#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#).await;
/// assert_eq!(reply.unwrap(), br#"{"jsonrpc":"2.0","id":1,"result":3}"#[..]);
///
/// // A batch is answered as a whole, a notification not at all.
/// let reply = dispatcher
///     .dispatch(br#"[{"jsonrpc":"2.0","id":"a","method":"add","params":{"a":1,"b":1}},{"jsonrpc":"2.0","method":"x"}]"#)
///     .await;
/// assert_eq!(reply.unwrap(), br#"[{"jsonrpc":"2.0","id":"a","result":2}]"#[..]);
/// assert_eq!(dispatcher.dispatch(br#"{"jsonrpc":"2.0","method":"add","params":[1,2]}"#).await, None);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    routes: Routes,
    limits: Limits,
    version: Version,
}

impl Dispatcher {
    /// Begins with no services, [`Limits::server()`] and JSON-RPC 2.0.
    pub fn builder() -> DispatcherBuilder {
        DispatcherBuilder::new()
    }

    /// Answers one message, which may be a batch. `None` where no answer is due: it was a notification, or an answer itself.
    ///
    /// It returns when all handlers have; the members of a batch run at the same time, up to
    /// [`Limits::requests_in_flight`]. Dropping the future drops the handlers.
    pub async fn dispatch(&self, message: &[u8]) -> Option<Bytes> {
        self.dispatch_with(message, Extensions::default()).await
    }

    /// Like [`dispatch`](Self::dispatch). Handlers find `extensions` in their [`Context`](crate::Context): who is asking, for one.
    pub async fn dispatch_with(&self, message: &[u8], extensions: Extensions) -> Option<Bytes> {
        self.answer(self.shared.version, message, extensions).await
    }

    async fn answer(&self, version: Version, message: &[u8], extensions: Extensions) -> Option<Bytes> {
        let Shared { routes, limits, .. } = &*self.shared;
        let mut out = Vec::new();
        if message.len() > limits.frame_size {
            version.put_error(&mut out, Id::NULL, &too_large(message.len(), limits.frame_size));
            return Some(out.into());
        }
        let mut connection =
            Connection::<()>::of(version).with_limits(limits.batch_length, limits.reply_size);
        let events = connection.receive(message, &mut out);
        let version = connection.version();
        let link = Link::detached(Endpoint::MEMORY, limits.clone(), version, extensions);
        let mut replies = Replies::unframed(version, link);
        let mut at_work = FuturesUnordered::new();
        for event in events {
            let (method, params, ticket) = match event {
                Event::Request { method, params, ticket } => (method, params, Some(ticket)),
                Event::Notification { method, params } => (method, params, None),
                Event::Reply { .. } | Event::Refused(_) | Event::Unasked(_) => continue,
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
                (Outcome::Refused(error), Some(ticket)) => {
                    connection.respond_with(&mut out, &ticket, &written(version, ticket.id(), &error));
                }
                // A subscription needs a session, and was refused.
                (Outcome::Subscribing(..), _) | (_, None) => {}
            }
            while order == Order::Exclusive && !at_work.is_empty() {
                finish(&mut connection, &mut out, at_work.next().await);
            }
        }
        while let Some(done) = at_work.next().await {
            finish(&mut connection, &mut out, Some(done));
        }
        (!out.is_empty()).then(|| out.into())
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
    handler: impl Future<Output = Buffer>,
    limit: Option<Duration>,
    version: Version,
    ticket: Option<Ticket>,
) -> Answered {
    let reply = match limit {
        None => Some(handler.await),
        Some(limit) => tokio::time::timeout(limit, handler).await.ok(),
    };
    let ticket = ticket?;
    let reply = reply.unwrap_or_else(|| {
        written(version, ticket.id(), &ErrorObject::new(ErrorCode::SERVER_BUSY, "the request took too long"))
    });
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

fn too_large(size: usize, limit: usize) -> ErrorObject {
    ErrorObject::invalid_request(format!("the message has {size} bytes, and the limit is {limit}"))
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("routes", &self.shared.routes).finish_non_exhaustive()
    }
}
