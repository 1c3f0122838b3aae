//! Calls, notifications and batches: each is written, sent, and told what the answer means for it.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::exchange::{Exchanges, HttpResponse};
use crate::{
    client::dial::in_time,
    jsonrpc::{Connection, ErrorCode, Event, Reply, Unsupported, shown::brief},
    session::{
        Batch, BatchError, BatchItem, BatchMembers, Call, CallError, Caller, Notify, Outgoing, OutgoingBatch,
        OutgoingSubscription, RawSubscription, Subscriber,
    },
    transport::HttpError,
};

/// Calls a JSON-RPC server over HTTP. It is a [`Caller`](crate::Caller): generated clients, typed errors and typed batches work over it as over a
/// session.
///
/// Each call, and each batch, is a POST. Connections are kept and used again; clones share them. Nothing is sent before the first call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{HttpClient, Protocol, rpc_service};
///
/// #[rpc_service(rename_all = "lowercase")]
/// trait Node {
///     async fn get_block_count(&self) -> u64;
///     async fn get_block_hash(&self, height: u64) -> String;
/// }
///
/// let http = HttpClient::builder("http://127.0.0.1:8332")?
///     .basic_auth("alice", "secret")
///     .protocol(Protocol::V1)
///     .build()?;
/// let node = NodeClient::from(http);
/// # if false {
/// println!("{}", node.get_block_hash(node.get_block_count().await?).await?);
/// # }
/// # Ok(()) }
/// ```
///
/// # What is read
///
/// A JSON-RPC reply is a reply, whatever the status it comes with and the type that the server gives it: servers send errors with 400, 401, 415
/// and 500 too. Anything else is a [`CallError::Http`](crate::CallError::Http) that says the status and the start of the text. An error that
/// names no call of the exchange, or none at all, is the answer to all that it carried: nothing else can be meant.
///
/// A notification is sent well where the status is one of success; what is answered to it is ignored.
///
/// # What is repeated
///
/// A call is sent again where the connection that it was to go out on turns out to have been closed by the server before anything of it was
/// written. Nothing else is: a call that may have been carried out is never repeated. Redirects are not followed.
///
/// # Cancelling
///
/// Dropping a call ends its exchange; where that has a connection of its own, as in HTTP/1.1, it is closed. The server may have carried
/// the call out.
///
/// # Subscriptions
///
/// They fail with [`Unsupported::Subscriptions`](crate::Unsupported::Subscriptions): nothing comes unasked over HTTP.
#[derive(Clone)]
pub struct HttpClient {
    pub(super) exchanges: Arc<Exchanges>,
}

impl HttpClient {
    /// A call of `method`, typed by what it returns: see [`Session::call`](crate::Session::call).
    pub fn call<'a, R>(
        &'a self,
        method: &'a str,
        params: impl serde::Serialize,
    ) -> Call<'a, Self, impl serde::Serialize, R> {
        Call::untyped(self, method, params)
    }

    /// A notification of `method`: see [`Session::notify`](crate::Session::notify). It has arrived when this returns.
    pub fn notify<'a>(
        &'a self,
        method: &'a str,
        params: impl serde::Serialize,
    ) -> Notify<'a, Self, impl serde::Serialize> {
        Notify::untyped(self, method, params)
    }

    /// Several calls and notifications in one message, with a result for each: see [`Session::batch`](crate::Session::batch).
    pub const fn batch<'a, M: BatchMembers<'a, Self>>(&'a self, members: M) -> Batch<'a, Self, M> {
        Batch::over(self, members)
    }

    /// Like [`batch`](Self::batch), all or nothing: see [`Session::try_batch`](crate::Session::try_batch).
    pub const fn try_batch<'a, M: BatchMembers<'a, Self>>(&'a self, members: M) -> Batch<'a, Self, M, true> {
        Batch::try_over(self, members)
    }

    /// The server: scheme, host and port. Not the path, which may hold a key.
    pub fn server(&self) -> &str {
        self.exchanges.server()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl Caller for HttpClient {
    type Call<'a> = BoxFuture<'a, Result<Reply, CallError>>;
    type Notify<'a> = BoxFuture<'a, Result<(), CallError>>;
    type Batch<'a> = BoxFuture<'a, Result<Vec<Result<Reply, CallError>>, BatchError>>;

    fn call<'a>(&'a self, call: Outgoing<'a>) -> Self::Call<'a> {
        let exchanges = &*self.exchanges;
        Box::pin(async move {
            let timeout = call.timeout_or(exchanges.limits.call_timeout);
            in_time(timeout, send_call(exchanges, &call))
                .await
                .unwrap_or_else(|after| Err(CallError::Timeout(after)))
        })
    }

    fn notify<'a>(&'a self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        let exchanges = &*self.exchanges;
        Box::pin(async move {
            let timeout = notification.timeout_or(exchanges.limits.call_timeout);
            let sent = in_time(timeout, send_notification(exchanges, &notification)).await;
            sent.unwrap_or_else(|after| Err(CallError::Timeout(after)))
        })
    }

    fn batch<'a>(&'a self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        Box::pin(send_batch(&self.exchanges, batch))
    }
}

impl Subscriber for HttpClient {
    fn subscribe<'a>(
        &'a self,
        subscription: OutgoingSubscription<'a>,
    ) -> BoxFuture<'a, Result<RawSubscription, CallError>> {
        let method = subscription.call().method().to_owned();
        let source = match subscription.style().is_progress() {
            true => Unsupported::Progress,
            false => Unsupported::Subscriptions,
        };
        Box::pin(ready(Err(CallError::Unsupported { method, source })))
    }
}

async fn send_call(exchanges: &Exchanges, call: &Outgoing<'_>) -> Result<Reply, CallError> {
    let _permit = exchanges.permit(size(call)).await;
    let (mut connection, mut message) = (exchanges.begin(1), Vec::new());
    let id = connection.request(&mut message, call.body(), 0).map_err(|what| unsupported(call, what))?;
    tracing::debug!(
        rpc.system.name = "jsonrpc",
        rpc.method = %brief(call.method()),
        jsonrpc.request.id = id.value(),
        server.address = %exchanges.net.host,
        server.port = exchanges.net.port,
        "call"
    );
    let answer = exchanges.post(message).await.map_err(CallError::Http)?;
    let mut replies = replies(exchanges, &mut connection, answer).map_err(CallError::Http)?;
    Ok(replies.pop().unwrap_or_else(|| Reply::malformed("there is none")))
}

async fn send_notification(exchanges: &Exchanges, notification: &Outgoing<'_>) -> Result<(), CallError> {
    let _permit = exchanges.permit(size(notification)).await;
    let (mut connection, mut message) = (exchanges.begin(0), Vec::new());
    let written = connection.notification(&mut message, notification.body());
    written.map_err(|what| unsupported(notification, what))?;
    tracing::debug!(
        rpc.system.name = "jsonrpc",
        rpc.method = %brief(notification.method()),
        server.address = %exchanges.net.host,
        server.port = exchanges.net.port,
        "notification"
    );
    let answer = exchanges.post(message).await.map_err(CallError::Http)?;
    match answer.status.is_success() {
        true => Ok(()),
        false => Err(CallError::Http(exchanges.refused(answer.status, answer.headers, &answer.body))),
    }
}

async fn send_batch(
    exchanges: &Exchanges,
    batch: OutgoingBatch<'_>,
) -> Result<Vec<Result<Reply, CallError>>, BatchError> {
    let began = Instant::now();
    let timeouts = Timeouts::of(&batch, exchanges.limits.call_timeout);
    let size = batch.items().iter().map(|item| size(item.outgoing())).sum();
    let _permit = in_time(timeouts.longest, exchanges.permit(size)).await.map_err(BatchError::Timeout)?;
    let calls = timeouts.calls.len();
    let (mut connection, mut message) = (exchanges.begin(calls), Vec::new());
    let mut numbers = 0..calls;
    let members = batch.items().iter().map(|item| match item {
        BatchItem::Call(outgoing) => (outgoing.body(), numbers.next()),
        BatchItem::Notification(outgoing) => (outgoing.body(), None),
    });
    connection.batch(&mut message, members).map_err(BatchError::Unsupported)?;
    tracing::debug!(
        rpc.system.name = "jsonrpc",
        server.address = %exchanges.net.host,
        server.port = exchanges.net.port,
        members = batch.items().len(),
        "batch"
    );
    let left = timeouts.longest.map(|longest| longest.saturating_sub(began.elapsed()));
    let answer = match in_time(left, exchanges.post(message)).await {
        Ok(answer) => answer.map_err(BatchError::Http)?,
        Err(_) => return Ok(timeouts.all_over()),
    };
    if calls == 0 {
        return match answer.status.is_success() {
            true => Ok(Vec::new()),
            false => Err(BatchError::Http(exchanges.refused(answer.status, answer.headers, &answer.body))),
        };
    }
    let replies = replies(exchanges, &mut connection, answer).map_err(BatchError::Http)?;
    Ok(timeouts.applied_to(replies, began.elapsed()))
}

/// How long the calls of a batch wait. They are answered together, but each has its own time.
struct Timeouts {
    calls: Vec<Option<Duration>>,
    /// How long the batch as a whole waits: as long as the most patient of its calls.
    longest: Option<Duration>,
}

impl Timeouts {
    fn of(batch: &OutgoingBatch<'_>, default: Option<Duration>) -> Self {
        let timeout = |item: &BatchItem<'_>| item.outgoing().timeout_or(default);
        let longest_of = |timeouts: &[Option<Duration>]| {
            timeouts.iter().copied().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
        };
        let all: Vec<_> = batch.items().iter().map(timeout).collect();
        let calls: Vec<_> = batch.items().iter().filter(|item| item.is_call()).map(timeout).collect();
        let longest = longest_of(if calls.is_empty() { &all } else { &calls });
        Self { calls, longest }
    }

    /// No answer came at all.
    fn all_over(self) -> Vec<Result<Reply, CallError>> {
        let longest = self.longest.unwrap_or_default();
        self.calls.into_iter().map(|after| Err(CallError::Timeout(after.unwrap_or(longest)))).collect()
    }

    /// The answer came after `elapsed`: too late for those that did not want to wait so long.
    fn applied_to(self, replies: Vec<Reply>, elapsed: Duration) -> Vec<Result<Reply, CallError>> {
        let in_time = |(after, reply): (Option<Duration>, _)| match after {
            Some(after) if after < elapsed => Err(CallError::Timeout(after)),
            _ => Ok(reply),
        };
        self.calls.into_iter().zip(replies).map(in_time).collect()
    }
}

/// About how many bytes it takes to send it.
fn size(outgoing: &Outgoing<'_>) -> usize {
    const ENVELOPE: usize = 60;
    ENVELOPE + outgoing.method().len() + outgoing.params().map_or(0, str::len)
}

fn unsupported(outgoing: &Outgoing<'_>, source: Unsupported) -> CallError {
    CallError::Unsupported { method: outgoing.method().to_owned(), source }
}

/// The replies to all calls that the exchange has carried, which `connection` knows by their numbers from 0.
///
/// # Errors
///
/// Where there is none among what was answered.
fn replies(
    exchanges: &Exchanges,
    connection: &mut Connection<usize>,
    answer: HttpResponse,
) -> Result<Vec<Reply>, HttpError> {
    let read = ReadReplies::of(connection, &answer.body);
    exchanges.end(connection);
    if !answer.status.is_success() && !read.has_reply() {
        return Err(exchanges.refused(answer.status, answer.headers, &answer.body));
    }
    if read.is_no_json {
        return Err(exchanges.no_reply(answer));
    }
    Ok(read.into_replies())
}

/// What was found in an answer.
#[derive(Default)]
struct ReadReplies {
    /// A place for each call.
    replies: Vec<Option<Reply>>,
    /// An error that answers none of the calls by its id: it can only mean all that have no other answer.
    refusal: Option<Reply>,
    /// What is wrong with what there is.
    problem: Option<String>,
    is_no_json: bool,
}

impl ReadReplies {
    fn of(connection: &mut Connection<usize>, body: &[u8]) -> Self {
        let mut read = Self { replies: vec![None; connection.len()], ..Self::default() };
        if body.trim_ascii().is_empty() {
            read.is_no_json = true;
            return read;
        }
        // A session would answer this. Over HTTP there is no way to: the response has ended the exchange.
        let (mut events, mut nothing) = (connection.events(body), Vec::new());
        while let Some(event) = events.next(connection, &mut nothing) {
            match event {
                Event::Reply { call, reply } => read.replies[call] = Some(reply),
                Event::Unasked(reply) if reply.is_error() => read.refusal = Some(reply),
                Event::Unasked(_) => read.problem = Some("it has the id of another call".to_owned()),
                Event::Refused { error, .. } => {
                    read.is_no_json |= error.code() == ErrorCode::PARSE_ERROR;
                    read.problem = Some(format!("it is no reply: {}", error.message()));
                }
                Event::Request { .. } | Event::Notification { .. } => {
                    read.problem = Some("it is a request".to_owned());
                }
            }
        }
        read
    }

    /// Whether there is anything that a JSON-RPC server says to its callers.
    fn has_reply(&self) -> bool {
        self.replies.iter().flatten().chain(&self.refusal).any(|reply| !reply.is_malformed())
    }

    fn into_replies(self) -> Vec<Reply> {
        let Self { replies, refusal, problem, .. } = self;
        let missing = || match &refusal {
            Some(reply) => reply.clone(),
            None => Reply::malformed(problem.as_deref().unwrap_or("the answer has none to this call")),
        };
        replies.into_iter().map(|reply| reply.unwrap_or_else(missing)).collect()
    }
}
