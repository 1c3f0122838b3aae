//! Calls, notifications and batches of a session: sent when first polled, then in flight.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    Batch, BatchError, BatchItem, BatchMembers, Call, CallError, Caller, Items, Notify, Outgoing,
    OutgoingBatch, RawSubscription, Session, Shared, Subscribe, Subscription,
    capacity::{CapacityWait, SendAttempt, poll_capacity},
    reply_slot::ReplySlot,
    shared::Refused,
};
use crate::jsonrpc::{CallId, Reply, shown::brief};

/// Calls through a session.
impl Session {
    /// A call of `method` that returns an `R`. `params` serializes as an array (a tuple, a `Vec`)
    /// or an object (a struct, a map); `()` stands for no parameters.
    ///
    /// Nothing is sent before the call is awaited; the returned future borrows only `method`. Every
    /// error is a [`CallError`]; an error reply of the peer is [`CallError::Rpc`].
    pub fn call<'a, R>(&self, method: &'a str, params: impl Serialize) -> Call<'a, Self, R> {
        Call::untyped(self, method, params)
    }

    /// A notification of `method`, which has no reply. It is sent when it is awaited.
    pub fn notify<'a>(&self, method: &'a str, params: impl Serialize) -> Notify<'a, Self> {
        Notify::untyped(self, method, params)
    }

    /// Several calls and notifications in one message, with a result for each: a tuple of up to
    /// twelve, or a `Vec` or an array of calls of one kind. Sent through this session, whichever
    /// clone of it the calls were made from.
    ///
    /// The calls are made as usual, and not awaited: a call that was polled gives
    /// [`BatchError::Polled`]. The peer may execute them in any order, and concurrently. The peer
    /// may limit the length of a batch; the limit of this side is
    /// [`Limits::batch_length`](crate::Limits::batch_length).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::rpc_service;
    ///
    /// #[rpc_service]
    /// trait Calc {
    ///     async fn add(&self, a: i64, b: i64) -> i64;
    ///     async fn greet(&self, name: &str) -> String;
    ///     #[rpc(notification)]
    ///     async fn log(&self, line: &str);
    /// }
    /// # struct MyCalc;
    /// # impl Calc for MyCalc {
    /// #     async fn add(&self, a: i64, b: i64) -> i64 { a + b }
    /// #     async fn greet(&self, name: &str) -> String { format!("Hello, {name}") }
    /// #     async fn log(&self, _: &str) {}
    /// # }
    /// # let (session, _peer) = rpc::testing::pair((), CalcServer::new(MyCalc));
    ///
    /// let calc = CalcClient::from(session.clone());
    /// let (sum, (), hello) = session.batch((calc.add(1, 2), calc.log("two calls"), calc.greet("Ann"))).await?;
    /// assert_eq!(sum?, 3);
    /// assert_eq!(hello?, "Hello, Ann");
    ///
    /// let sums = session.batch((1..=3).map(|n| calc.add(n, n)).collect::<Vec<_>>()).await?;
    /// assert_eq!(sums.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2, 4, 6]);
    /// # Ok(()) }
    /// ```
    ///
    /// Each call has a result of its own. Awaiting the batch gives a [`BatchError`] if nothing was
    /// sent at all.
    pub fn batch<'a, M: BatchMembers<'a, Self>>(&self, members: M) -> Batch<'a, Self, M::Shape> {
        Batch::over(self, members)
    }

    /// Like [`batch`](Self::batch), but all or nothing: gives the values, or fails with the first
    /// member that failed, and names it. (The other members may have been executed.)
    pub fn try_batch<'a, M: BatchMembers<'a, Self>>(&self, members: M) -> Batch<'a, Self, M::Shape, true> {
        Batch::try_over(self, members)
    }

    /// A subscription to `method`: a stream of the items that the peer sends. `params` is as for
    /// [`call`](Self::call).
    ///
    /// The returned future has options for the style on the wire, the method that ends it, and the
    /// number of items that are buffered. Typed subscriptions go through a generated client.
    pub fn subscribe<'a, T>(&self, method: &'a str, params: impl Serialize) -> Subscribe<'a, Self, Items<T>> {
        Subscribe::untyped(self, method, params)
    }

    /// A stream of the notifications called `method`, for peers that send them unasked. Items are
    /// decoded from the parameters: a tuple from an array, a struct from an object.
    ///
    /// It receives the notifications that come from now on. A service of this side that serves the
    /// same method gets them too. Beyond
    /// [`Limits::subscription_items`](crate::Limits::subscription_items) that were not taken, the
    /// oldest are dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::StreamExt;
    ///
    /// let (session, peer) = rpc::testing::pair((), ());
    /// let mut news = session.notifications::<(String,)>("news");
    /// peer.notify("news", ("rain",)).await?;
    /// assert_eq!(news.next().await.unwrap()?.0, "rain");
    /// # Ok(()) }
    /// ```
    pub fn notifications<T>(&self, method: &str) -> Subscription<T> {
        Subscription::new(RawSubscription::listening(self, method))
    }
}

impl Caller for Session {
    type Call<'a> = PendingCall<'a>;
    type Notify<'a> = PendingNotify<'a>;
    type Batch<'a> = PendingBatch<'a>;

    fn call<'a>(&self, call: Outgoing<'a>) -> PendingCall<'a> {
        self.clone().into_call(call)
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> PendingNotify<'a> {
        PendingNotify { session: self.clone(), notification, wait: None }
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> PendingBatch<'a> {
        PendingBatch::new(self.clone(), batch)
    }

    #[inline]
    fn into_call<'a>(self, call: Outgoing<'a>) -> PendingCall<'a> {
        PendingCall { session: self, stage: CallStage::Unsent { call, wait: None } }
    }
}

/// A call of a session in flight, which keeps the session open. Dropping it abandons the call.
#[must_use = "a call is sent when it is polled"]
pub struct PendingCall<'a> {
    session: Session,
    stage: CallStage<'a>,
}

enum CallStage<'a> {
    Unsent { call: Outgoing<'a>, wait: Option<Box<CapacityWait>> },
    Waiting { id: CallId, slot: Arc<ReplySlot> },
    Done,
}

impl Future for PendingCall<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { session, stage } = &mut *self;
        match stage {
            CallStage::Waiting { slot, .. } => {
                let reply = ready!(slot.poll(cx.waker()));
                if let CallStage::Waiting { slot, .. } = std::mem::replace(stage, CallStage::Done) {
                    ReplySlot::recycle(slot);
                }
                Poll::Ready(reply)
            }
            CallStage::Unsent { call, wait } => {
                // A call that waits for capacity has a timer of its own: see `CapacityWait`.
                if wait.is_none() && call.is_late() {
                    *stage = CallStage::Done;
                    return Poll::Ready(Err(CallError::Timeout(Duration::ZERO)));
                }
                let shared = session.shared();
                let default = shared.limits.call_timeout();
                let timeout = || call.timeout_or(default);
                let sent = ready!(poll_capacity(shared, wait, timeout, cx, |attempt, cx| {
                    shared.take_call_permit(&mut attempt.permit)?;
                    let timeout = call.times_out(attempt.since, default);
                    let slot = ReplySlot::waiting(Some(cx.waker()));
                    shared.send_request(call.body(), &slot, timeout, &mut attempt.permit).map(|id| (id, slot))
                }));
                match sent {
                    Ok((id, slot)) => {
                        tracing::debug!(
                            rpc.system.name = "jsonrpc",
                            rpc.method = %brief(call.method()),
                            jsonrpc.request.id = id.value(),
                            session = shared.id,
                            "call"
                        );
                        *stage = CallStage::Waiting { id, slot };
                        Poll::Pending
                    }
                    Err(not_sent) => {
                        let error = not_sent.into_call_error(call.method());
                        *stage = CallStage::Done;
                        Poll::Ready(Err(error))
                    }
                }
            }
            CallStage::Done => panic!("a call was polled after it had ended"),
        }
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        if let CallStage::Waiting { id, .. } = &self.stage {
            self.session.shared().forget([*id]);
        }
    }
}

impl fmt::Debug for PendingCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall").finish_non_exhaustive()
    }
}

/// A notification of a session on its way, which keeps the session open.
#[must_use = "a notification is sent when it is polled"]
pub struct PendingNotify<'a> {
    session: Session,
    notification: Outgoing<'a>,
    wait: Option<Box<CapacityWait>>,
}

impl Future for PendingNotify<'_> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { session, notification, wait } = &mut *self;
        let shared = session.shared();
        if wait.is_none() && notification.is_late() {
            return Poll::Ready(Err(CallError::Timeout(Duration::ZERO)));
        }
        let timeout = || notification.timeout_or(shared.limits.call_timeout());
        poll_capacity(shared, wait, timeout, cx, |_, _| shared.send_notification(notification.body()))
            .map_err(|not_sent| not_sent.into_call_error(notification.method()))
    }
}

impl fmt::Debug for PendingNotify<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingNotify").finish_non_exhaustive()
    }
}

/// A batch of a session in flight, which keeps the session open. Dropping it abandons its calls.
#[must_use = "a batch is sent when it is polled"]
pub struct PendingBatch<'a> {
    session: Session,
    stage: BatchStage<'a>,
}

enum BatchStage<'a> {
    Unsent { batch: OutgoingBatch<'a>, wait: Option<Box<CapacityWait>> },
    Waiting { calls: Vec<BatchCall>, replies: Vec<Result<Reply, CallError>> },
    Done,
}

/// A call of the batch.
enum BatchCall {
    /// Sent: the slot of its reply.
    Sent(CallId, Arc<ReplySlot>),
    /// Left out: its deadline passed before there was capacity for the batch.
    Late(Duration),
}

impl<'a> PendingBatch<'a> {
    pub(in crate::session) const fn new(session: Session, batch: OutgoingBatch<'a>) -> Self {
        Self { session, stage: BatchStage::Unsent { batch, wait: None } }
    }
}

impl Future for PendingBatch<'_> {
    type Output = Result<Vec<Result<Reply, CallError>>, BatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { session, stage } = &mut *self;
        let shared = session.shared();
        loop {
            match stage {
                BatchStage::Unsent { batch, wait } => {
                    let is_empty = batch.items().is_empty();
                    if wait.is_none()
                        && !is_empty
                        && batch.items().iter().all(|item| item.outgoing().is_late())
                    {
                        *stage = BatchStage::Done;
                        return Poll::Ready(Err(BatchError::Timeout(Duration::ZERO)));
                    }
                    let default = shared.limits.call_timeout();
                    let sent = ready!(poll_capacity(
                        shared,
                        wait,
                        || patience(batch, default),
                        cx,
                        |attempt, _| send(shared, batch, attempt)
                    ));
                    match sent {
                        Ok(calls) => {
                            tracing::debug!(
                                rpc.system.name = "jsonrpc",
                                session = shared.id,
                                members = batch.items().len(),
                                "batch"
                            );
                            *stage = BatchStage::Waiting { replies: Vec::with_capacity(calls.len()), calls };
                        }
                        Err(error) => {
                            *stage = BatchStage::Done;
                            return Poll::Ready(Err(error.into_batch_error()));
                        }
                    }
                }
                // The batch is ready when all replies are there, so waiting for one after the other
                // is enough.
                BatchStage::Waiting { calls, replies } => {
                    while let Some(call) = calls.get(replies.len()) {
                        replies.push(match call {
                            BatchCall::Sent(_, slot) => ready!(slot.poll(cx.waker())),
                            BatchCall::Late(after) => Err(CallError::Timeout(*after)),
                        });
                    }
                    let replies = std::mem::take(replies);
                    if let BatchStage::Waiting { calls, .. } = std::mem::replace(stage, BatchStage::Done) {
                        for call in calls {
                            if let BatchCall::Sent(_, slot) = call {
                                ReplySlot::recycle(slot);
                            }
                        }
                    }
                    return Poll::Ready(Ok(replies));
                }
                BatchStage::Done => panic!("a batch was polled after it had ended"),
            }
        }
    }
}

/// The time that the batch waits for capacity: the longest timeout of its calls, or of its
/// notifications if it has no calls.
fn patience(batch: &OutgoingBatch<'_>, default: Option<Duration>) -> Option<Duration> {
    let has_calls = batch.items().iter().any(BatchItem::is_call);
    let counts = batch.items().iter().filter(|item| item.is_call() || !has_calls);
    let mut longest = Some(Duration::ZERO);
    for item in counts {
        longest = longest.zip(item.outgoing().timeout_or(default)).map(|(one, other)| one.max(other));
    }
    longest
}

/// Sends the members whose deadline has not passed meanwhile.
fn send(
    shared: &Shared,
    batch: &OutgoingBatch<'_>,
    attempt: &mut SendAttempt,
) -> Result<Vec<BatchCall>, Refused> {
    if batch.items().iter().any(BatchItem::is_call) {
        shared.take_call_permit(&mut attempt.permit)?;
    }
    let (waited, now, default) = (attempt.since, Instant::now(), shared.limits.call_timeout());
    let since = waited.unwrap_or(now);
    let mut calls = Vec::new();
    let mut members = Vec::with_capacity(batch.items().len());
    for item in batch.items() {
        let outgoing = item.outgoing();
        let timeout = outgoing.times_out(Some(since), default);
        let late = timeout
            .filter(|timeout| timeout.at <= now && (waited.is_some() || outgoing.is_late()))
            .map(|timeout| timeout.after);
        match (item, late) {
            (BatchItem::Call(_), Some(after)) => calls.push(Err(after)),
            (BatchItem::Call(_), None) => {
                let slot = ReplySlot::waiting(None);
                calls.push(Ok(Arc::clone(&slot)));
                members.push((outgoing.body(), Some((slot, timeout))));
            }
            (BatchItem::Notification(_), Some(_)) => {}
            (BatchItem::Notification(_), None) => members.push((outgoing.body(), None)),
        }
    }
    // If all are late, there is nothing to send.
    let mut ids = match members.is_empty() && !calls.is_empty() {
        true => Vec::new(),
        false => shared.send_batch(members, &mut attempt.permit)?,
    }
    .into_iter();
    let member = |call: Result<_, _>| match call {
        Ok(slot) => Some(BatchCall::Sent(ids.next()?, slot)),
        Err(after) => Some(BatchCall::Late(after)),
    };
    Ok(calls.into_iter().filter_map(member).collect())
}

impl Drop for PendingBatch<'_> {
    fn drop(&mut self) {
        if let BatchStage::Waiting { calls, replies } = &self.stage {
            self.session.shared().forget(calls.iter().skip(replies.len()).filter_map(|call| match call {
                BatchCall::Sent(id, _) => Some(*id),
                BatchCall::Late(_) => None,
            }));
        }
    }
}

impl fmt::Debug for PendingBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBatch").finish_non_exhaustive()
    }
}
