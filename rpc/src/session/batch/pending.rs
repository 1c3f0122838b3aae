//! A batch of a session under way: sent when first polled, then waiting for the replies of all its calls.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{BatchError, BatchItem, OutgoingBatch};
use crate::{
    jsonrpc::{CallId, Reply},
    session::{
        CallError, Link,
        room::{Room, when_there_is_room},
        slot::Slot,
    },
};

/// A batch of a session under way. Dropping it forgets its calls.
#[must_use = "a batch is sent when it is polled"]
pub struct PendingBatch<'a> {
    link: &'a Link,
    stage: Stage<'a>,
}

enum Stage<'a> {
    Unsent { batch: OutgoingBatch<'a>, room: Option<Box<Room<'a>>> },
    Waiting { calls: Vec<(CallId, Arc<Slot>)>, replies: Vec<Result<Reply, CallError>> },
    Done,
}

impl<'a> PendingBatch<'a> {
    pub(in crate::session) const fn new(link: &'a Link, batch: OutgoingBatch<'a>) -> Self {
        Self { link, stage: Stage::Unsent { batch, room: None } }
    }
}

impl Future for PendingBatch<'_> {
    type Output = Result<Vec<Result<Reply, CallError>>, BatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { link, stage } = &mut *self;
        loop {
            match stage {
                Stage::Unsent { batch, room } => {
                    if batch.items().iter().any(|item| item.outgoing().is_late()) {
                        *stage = Stage::Done;
                        return Poll::Ready(Err(BatchError::Timeout(Duration::ZERO)));
                    }
                    let default = || {
                        let deadline =
                            batch.items().iter().filter_map(|item| item.outgoing().deadline()).min();
                        let left =
                            deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                        link.limits.call_timeout().into_iter().chain(left).min()
                    };
                    let sent = ready!(when_there_is_room(link, room, default, cx, |waiting_since, _| {
                        send(link, batch, waiting_since)
                    }));
                    match sent {
                        Ok(calls) => {
                            tracing::debug!(
                                rpc.system.name = "jsonrpc",
                                session = link.id,
                                members = batch.items().len(),
                                "batch"
                            );
                            *stage = Stage::Waiting { replies: Vec::with_capacity(calls.len()), calls };
                        }
                        Err(error) => {
                            *stage = Stage::Done;
                            return Poll::Ready(Err(error.into()));
                        }
                    }
                }
                // Nothing is given before all have come, so it is enough to wait for one after the other.
                Stage::Waiting { calls, replies } => {
                    while let Some((_, slot)) = calls.get(replies.len()) {
                        replies.push(ready!(slot.poll(cx.waker())));
                    }
                    let replies = std::mem::take(replies);
                    if let Stage::Waiting { calls, .. } = std::mem::replace(stage, Stage::Done) {
                        calls.into_iter().for_each(|(_, slot)| Slot::recycle(slot));
                    }
                    return Poll::Ready(Ok(replies));
                }
                Stage::Done => panic!("a batch was polled after it had ended"),
            }
        }
    }
}

/// The calls that were sent, each with the place where its reply will be.
type Sent = Vec<(CallId, Arc<Slot>)>;

fn send(
    link: &Link,
    batch: &OutgoingBatch<'_>,
    waiting_since: Option<Instant>,
) -> Result<Sent, crate::session::link::Refused> {
    let since = waiting_since.unwrap_or_else(Instant::now);
    let mut slots = Vec::new();
    let members: Vec<_> = batch
        .items()
        .iter()
        .map(|item| match item {
            BatchItem::Notification(outgoing) => (outgoing.body(), None),
            BatchItem::Call(outgoing) => {
                let slot = Slot::waiting(None);
                slots.push(Arc::clone(&slot));
                let timeout = outgoing.times_out(Some(since), link.limits.call_timeout());
                (outgoing.body(), Some((slot, timeout)))
            }
        })
        .collect();
    let ids = link.send_batch(members)?;
    Ok(ids.into_iter().zip(slots).collect())
}

impl Drop for PendingBatch<'_> {
    fn drop(&mut self) {
        if let Stage::Waiting { calls, replies } = &self.stage {
            self.link.forget(calls.iter().skip(replies.len()).map(|(id, _)| *id));
        }
    }
}

impl fmt::Debug for PendingBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBatch").finish_non_exhaustive()
    }
}
