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
        CallError, Session, Shared,
        room::{Room, Turn, when_there_is_room},
        shared::Refused,
        slot::Slot,
    },
};

/// A batch of a session under way, which keeps the session open. Dropping it forgets its calls.
#[must_use = "a batch is sent when it is polled"]
pub struct PendingBatch<'a> {
    session: Session,
    stage: Stage<'a>,
}

enum Stage<'a> {
    Unsent { batch: OutgoingBatch<'a>, room: Option<Box<Room>> },
    Waiting { calls: Vec<Member>, replies: Vec<Result<Reply, CallError>> },
    Done,
}

/// A call of the batch.
enum Member {
    /// It was sent: where its reply will be.
    Sent(CallId, Arc<Slot>),
    /// Its time was over before there was room for the batch, and it was left out.
    Late(Duration),
}

impl<'a> PendingBatch<'a> {
    pub(in crate::session) const fn new(session: Session, batch: OutgoingBatch<'a>) -> Self {
        Self { session, stage: Stage::Unsent { batch, room: None } }
    }
}

impl Future for PendingBatch<'_> {
    type Output = Result<Vec<Result<Reply, CallError>>, BatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { session, stage } = &mut *self;
        let link = session.link();
        loop {
            match stage {
                Stage::Unsent { batch, room } => {
                    let is_empty = batch.items().is_empty();
                    if room.is_none()
                        && !is_empty
                        && batch.items().iter().all(|item| item.outgoing().is_late())
                    {
                        *stage = Stage::Done;
                        return Poll::Ready(Err(BatchError::Timeout(Duration::ZERO)));
                    }
                    let default = link.limits.call_timeout();
                    let sent = ready!(when_there_is_room(
                        link,
                        room,
                        || patience(batch, default),
                        cx,
                        |turn, _| send(link, batch, turn)
                    ));
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
                    while let Some(call) = calls.get(replies.len()) {
                        replies.push(match call {
                            Member::Sent(_, slot) => ready!(slot.poll(cx.waker())),
                            Member::Late(after) => Err(CallError::Timeout(*after)),
                        });
                    }
                    let replies = std::mem::take(replies);
                    if let Stage::Waiting { calls, .. } = std::mem::replace(stage, Stage::Done) {
                        for call in calls {
                            if let Member::Sent(_, slot) = call {
                                Slot::recycle(slot);
                            }
                        }
                    }
                    return Poll::Ready(Ok(replies));
                }
                Stage::Done => panic!("a batch was polled after it had ended"),
            }
        }
    }
}

/// How long the batch waits for room: as long as the most patient of its calls does, or of its notifications where it has no calls.
fn patience(batch: &OutgoingBatch<'_>, default: Option<Duration>) -> Option<Duration> {
    let has_calls = batch.items().iter().any(BatchItem::is_call);
    let counts = batch.items().iter().filter(|item| item.is_call() || !has_calls);
    let mut longest = Some(Duration::ZERO);
    for item in counts {
        longest = longest.zip(item.outgoing().timeout_or(default)).map(|(one, other)| one.max(other));
    }
    longest
}

/// Sends what is not too late meanwhile.
fn send(link: &Shared, batch: &OutgoingBatch<'_>, turn: &mut Turn) -> Result<Vec<Member>, Refused> {
    if batch.items().iter().any(BatchItem::is_call) {
        link.find_place(&mut turn.place)?;
    }
    let (waited, now, default) = (turn.since, Instant::now(), link.limits.call_timeout());
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
                let slot = Slot::waiting(None);
                calls.push(Ok(Arc::clone(&slot)));
                members.push((outgoing.body(), Some((slot, timeout))));
            }
            (BatchItem::Notification(_), Some(_)) => {}
            (BatchItem::Notification(_), None) => members.push((outgoing.body(), None)),
        }
    }
    // Where all are late, there is nothing to send.
    let mut ids = match members.is_empty() && !calls.is_empty() {
        true => Vec::new(),
        false => link.send_batch(members, &mut turn.place)?,
    }
    .into_iter();
    let member = |call: Result<_, _>| match call {
        Ok(slot) => Some(Member::Sent(ids.next()?, slot)),
        Err(after) => Some(Member::Late(after)),
    };
    Ok(calls.into_iter().filter_map(member).collect())
}

impl Drop for PendingBatch<'_> {
    fn drop(&mut self) {
        if let Stage::Waiting { calls, replies } = &self.stage {
            self.session.link().forget(calls.iter().skip(replies.len()).filter_map(|call| match call {
                Member::Sent(id, _) => Some(*id),
                Member::Late(_) => None,
            }));
        }
    }
}

impl fmt::Debug for PendingBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBatch").finish_non_exhaustive()
    }
}
