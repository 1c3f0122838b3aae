//! Calls, notifications and batches: each is written, sent, and told what the answer means for it.

use std::time::Duration;

use futures::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::{HttpClient, answer, exchange::Exchanges};
use crate::{
    client::in_time,
    jsonrpc::{Reply, Unsupported, shown::brief},
    session::{
        BatchError, BatchItem, CallError, Caller, Outgoing, OutgoingBatch, OutgoingSubscription,
        RawSubscription, Subscriber,
    },
};

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
    let _place = exchanges.place(size(call)).await;
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
    let mut replies = answer::replies(exchanges, &mut connection, answer).map_err(CallError::Http)?;
    Ok(replies.pop().unwrap_or_else(|| Reply::malformed("there is none")))
}

async fn send_notification(exchanges: &Exchanges, notification: &Outgoing<'_>) -> Result<(), CallError> {
    let _place = exchanges.place(size(notification)).await;
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
    let _place = in_time(timeouts.longest, exchanges.place(size)).await.map_err(BatchError::Timeout)?;
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
    let replies = answer::replies(exchanges, &mut connection, answer).map_err(BatchError::Http)?;
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
