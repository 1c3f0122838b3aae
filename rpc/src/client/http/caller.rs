//! The client, and its calls, notifications and batches: each is one exchange.

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

/// Calls a JSON-RPC server over HTTP. It is a [`Caller`](crate::Caller): generated clients, typed
/// errors and typed batches work over it as over a session.
///
/// Each call, and each batch, is one POST. Connections are pooled, and shared by clones. Nothing is
/// sent before the first call.
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
/// # Responses
///
/// A JSON-RPC reply counts, whatever its status and content type: servers send errors with 400,
/// 401, 415 and 500 too. Any other response is a [`CallError::Http`](crate::CallError::Http) with
/// the status and the start of the text. An error with an unknown id, or with none, is the reply to
/// every call of the exchange.
///
/// A notification succeeds if the status is one of success; the body of the response is ignored.
///
/// # Retries
///
/// A call is retried only if the server had closed its pooled connection before any byte of the
/// call was written. A call that may have been executed is never retried. Redirects are not
/// followed.
///
/// # Cancellation
///
/// Dropping a call ends its exchange; if the exchange has a connection of its own, as in HTTP/1.1,
/// that is closed. The server may have executed the call.
///
/// # Subscriptions
///
/// Subscribing fails with [`Unsupported::Subscriptions`](crate::Unsupported::Subscriptions): a
/// server cannot push messages over HTTP.
#[derive(Clone)]
pub struct HttpClient {
    pub(super) exchanges: Arc<Exchanges>,
}

impl HttpClient {
    /// Calls `method`, typed by its result: see [`Session::call`](crate::Session::call).
    pub fn call<'a, R>(&self, method: &'a str, params: impl serde::Serialize) -> Call<'a, Self, R> {
        Call::untyped(self, method, params)
    }

    /// Sends a notification of `method`: see [`Session::notify`](crate::Session::notify). It has
    /// arrived when this returns.
    pub fn notify<'a>(&self, method: &'a str, params: impl serde::Serialize) -> Notify<'a, Self> {
        Notify::untyped(self, method, params)
    }

    /// Sends several calls and notifications in one message, with a result for each: see
    /// [`Session::batch`](crate::Session::batch).
    pub fn batch<'a, M: BatchMembers<'a, Self>>(&self, members: M) -> Batch<'a, Self, M::Shape> {
        Batch::over(self, members)
    }

    /// Like [`batch`](Self::batch), all or nothing: see
    /// [`Session::try_batch`](crate::Session::try_batch).
    pub fn try_batch<'a, M: BatchMembers<'a, Self>>(&self, members: M) -> Batch<'a, Self, M::Shape, true> {
        Batch::try_over(self, members)
    }

    /// The server: scheme, host and port. Without the path, which may hold a key.
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

    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
        let exchanges = Arc::clone(&self.exchanges);
        Box::pin(async move {
            let exchanges = &*exchanges;
            let timeout = call.timeout_or(exchanges.limits.call_timeout);
            in_time(timeout, send_call(exchanges, &call))
                .await
                .unwrap_or_else(|after| Err(CallError::Timeout(after)))
        })
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        let exchanges = Arc::clone(&self.exchanges);
        Box::pin(async move {
            let exchanges = &*exchanges;
            let timeout = notification.timeout_or(exchanges.limits.call_timeout);
            let sent = in_time(timeout, send_notification(exchanges, &notification)).await;
            sent.unwrap_or_else(|after| Err(CallError::Timeout(after)))
        })
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        let exchanges = Arc::clone(&self.exchanges);
        Box::pin(async move { send_batch(&exchanges, batch).await })
    }
}

impl Subscriber for HttpClient {
    fn subscribe<'a>(
        &self,
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

/// The timeouts of the calls of a batch. Their replies come together, and each call has its own
/// timeout.
struct Timeouts {
    calls: Vec<Option<Duration>>,
    /// The timeout of the whole batch: the longest of its calls.
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

    /// The results when no response came in time.
    fn all_over(self) -> Vec<Result<Reply, CallError>> {
        let longest = self.longest.unwrap_or_default();
        self.calls.into_iter().map(|after| Err(CallError::Timeout(after.unwrap_or(longest)))).collect()
    }

    /// The results when the response came after `elapsed`: calls with a shorter timeout have timed
    /// out.
    fn applied_to(self, replies: Vec<Reply>, elapsed: Duration) -> Vec<Result<Reply, CallError>> {
        let in_time = |(after, reply): (Option<Duration>, _)| match after {
            Some(after) if after < elapsed => Err(CallError::Timeout(after)),
            _ => Ok(reply),
        };
        self.calls.into_iter().zip(replies).map(in_time).collect()
    }
}

/// An estimate of the bytes that the message takes.
fn size(outgoing: &Outgoing<'_>) -> usize {
    const ENVELOPE: usize = 60;
    ENVELOPE + outgoing.method().len() + outgoing.params().map_or(0, str::len)
}

fn unsupported(outgoing: &Outgoing<'_>, source: Unsupported) -> CallError {
    CallError::Unsupported { method: outgoing.method().to_owned(), source }
}

/// The replies to all calls of an exchange, in order; `connection` has them by their numbers from
/// 0.
///
/// # Errors
///
/// If the response has no JSON-RPC reply.
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

/// The contents of a response.
#[derive(Default)]
struct ReadReplies {
    /// The reply to each call, if there is one.
    replies: Vec<Option<Reply>>,
    /// An error that has the id of no call. It is the reply to every call without one of its own.
    refusal: Option<Reply>,
    /// The fault of the response.
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
        // On a session these bytes would be sent. Over HTTP the response has ended the exchange.
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

    /// Returns true if the response has any reply of a JSON-RPC server.
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
