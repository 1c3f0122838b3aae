//! Calls and notifications of a session under way: sent when first polled, then waiting.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    CallError, Caller, Outgoing, OutgoingBatch, PendingBatch, Session,
    room::{Room, when_there_is_room},
    slot::Slot,
};
use crate::jsonrpc::{CallId, Reply, shown::brief};

impl Caller for Session {
    type Call<'a> = PendingCall<'a>;
    type Notify<'a> = PendingNotify<'a>;
    type Batch<'a> = PendingBatch<'a>;

    fn call<'a>(&self, call: Outgoing<'a>) -> PendingCall<'a> {
        self.clone().into_call(call)
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> PendingNotify<'a> {
        PendingNotify { session: self.clone(), notification, room: None }
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> PendingBatch<'a> {
        PendingBatch::new(self.clone(), batch)
    }

    #[inline]
    fn into_call<'a>(self, call: Outgoing<'a>) -> PendingCall<'a> {
        PendingCall { session: self, stage: Stage::Unsent { call, room: None } }
    }
}

/// A call of a session under way, which keeps the session open. Dropping it forgets the call.
#[must_use = "a call is sent when it is polled"]
pub struct PendingCall<'a> {
    session: Session,
    stage: Stage<'a>,
}

enum Stage<'a> {
    Unsent { call: Outgoing<'a>, room: Option<Box<Room>> },
    Waiting { id: CallId, slot: Arc<Slot> },
    Done,
}

impl Future for PendingCall<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { session, stage } = &mut *self;
        match stage {
            Stage::Waiting { slot, .. } => {
                let reply = ready!(slot.poll(cx.waker()));
                if let Stage::Waiting { slot, .. } = std::mem::replace(stage, Stage::Done) {
                    Slot::recycle(slot);
                }
                Poll::Ready(reply)
            }
            Stage::Unsent { call, room } => {
                // One that waits for room is told how long it has waited: see `Room`.
                if room.is_none() && call.is_late() {
                    *stage = Stage::Done;
                    return Poll::Ready(Err(CallError::Timeout(Duration::ZERO)));
                }
                let link = session.link();
                let default = link.limits.call_timeout();
                let timeout = || call.timeout_or(default);
                let sent = ready!(when_there_is_room(link, room, timeout, cx, |turn, cx| {
                    link.find_place(&mut turn.place)?;
                    let timeout = call.times_out(turn.since, default);
                    let slot = Slot::waiting(Some(cx.waker()));
                    link.send_request(call.body(), &slot, timeout, &mut turn.place).map(|id| (id, slot))
                }));
                match sent {
                    Ok((id, slot)) => {
                        tracing::debug!(
                            rpc.system.name = "jsonrpc",
                            rpc.method = %brief(call.method()),
                            jsonrpc.request.id = id.value(),
                            session = link.id,
                            "call"
                        );
                        *stage = Stage::Waiting { id, slot };
                        Poll::Pending
                    }
                    Err(not_sent) => {
                        let error = not_sent.into_call_error(call.method());
                        *stage = Stage::Done;
                        Poll::Ready(Err(error))
                    }
                }
            }
            Stage::Done => panic!("a call was polled after it had ended"),
        }
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        if let Stage::Waiting { id, .. } = &self.stage {
            self.session.link().forget([*id]);
        }
    }
}

impl fmt::Debug for PendingCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall").finish_non_exhaustive()
    }
}

/// A notification of a session under way, which keeps the session open.
#[must_use = "a notification is sent when it is polled"]
pub struct PendingNotify<'a> {
    session: Session,
    notification: Outgoing<'a>,
    room: Option<Box<Room>>,
}

impl Future for PendingNotify<'_> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { session, notification, room } = &mut *self;
        let link = session.link();
        if room.is_none() && notification.is_late() {
            return Poll::Ready(Err(CallError::Timeout(Duration::ZERO)));
        }
        let timeout = || notification.timeout_or(link.limits.call_timeout());
        when_there_is_room(link, room, timeout, cx, |_, _| link.send_notification(notification.body()))
            .map_err(|not_sent| not_sent.into_call_error(notification.method()))
    }
}

impl fmt::Debug for PendingNotify<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingNotify").finish_non_exhaustive()
    }
}
