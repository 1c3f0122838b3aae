//! Calls and notifications of a session under way: sent when first polled, then waiting.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    CallError, Caller, Link, Outgoing, Session,
    link::Timeout,
    room::{Room, when_there_is_room},
    slot::Slot,
};
use crate::jsonrpc::{CallId, Reply, buffer::Buffer};

impl Caller for Session {
    type Call<'a, P: Serialize + Send + 'a> = PendingCall<'a, P>;
    type Notify<'a, P: Serialize + Send + 'a> = PendingNotify<'a, P>;

    fn call<'a, P: Serialize + Send + 'a>(&'a self, call: Outgoing<'a, P>) -> PendingCall<'a, P> {
        PendingCall { link: self.link(), stage: Stage::Unsent { call, room: None } }
    }

    fn notify<'a, P: Serialize + Send + 'a>(&'a self, notification: Outgoing<'a, P>) -> PendingNotify<'a, P> {
        PendingNotify { link: self.link(), notification, room: None }
    }
}

/// A call of a session under way. Dropping it forgets the call.
#[must_use = "a call is sent when it is polled"]
pub struct PendingCall<'a, P> {
    link: &'a Link,
    stage: Stage<'a, P>,
}

enum Stage<'a, P> {
    Unsent { call: Outgoing<'a, P>, room: Option<Box<Room<'a>>> },
    Waiting { id: CallId, slot: Arc<Slot> },
    Done,
}

/// The parameters are moved, never pinned.
impl<P> Unpin for PendingCall<'_, P> {}

impl<P: Serialize> Future for PendingCall<'_, P> {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { link, stage } = &mut *self;
        match stage {
            Stage::Waiting { slot, .. } => {
                let reply = ready!(slot.poll(cx.waker()));
                if let Stage::Waiting { slot, .. } = std::mem::replace(stage, Stage::Done) {
                    Slot::recycle(slot);
                }
                Poll::Ready(reply)
            }
            Stage::Unsent { call, room } => {
                let timeout = call.timeout_or(link.limits.call_timeout);
                let sent = ready!(when_there_is_room(link, room, timeout, cx, |deadline, cx| {
                    let mut body = Buffer::with_room_for(128);
                    call.write_body(&mut body)?;
                    tracing::debug!(
                        rpc.system.name = "jsonrpc",
                        rpc.method = call.method(),
                        session = link.id,
                        "call"
                    );
                    let timeout = timeout.map(|after| Timeout {
                        at: deadline.unwrap_or_else(|| Instant::now() + after),
                        after,
                    });
                    let slot = Slot::waiting(cx.waker());
                    Ok(link.send_request(&body, &slot, timeout).map(|id| (id, slot)))
                }));
                match sent {
                    Ok((id, slot)) => {
                        *stage = Stage::Waiting { id, slot };
                        Poll::Pending
                    }
                    Err(error) => {
                        *stage = Stage::Done;
                        Poll::Ready(Err(error))
                    }
                }
            }
            Stage::Done => panic!("a call was polled after it had ended"),
        }
    }
}

impl<P> Drop for PendingCall<'_, P> {
    fn drop(&mut self) {
        if let Stage::Waiting { id, .. } = &self.stage {
            self.link.forget(*id);
        }
    }
}

impl<P> fmt::Debug for PendingCall<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall").finish_non_exhaustive()
    }
}

/// A notification of a session under way.
#[must_use = "a notification is sent when it is polled"]
pub struct PendingNotify<'a, P> {
    link: &'a Link,
    notification: Outgoing<'a, P>,
    room: Option<Box<Room<'a>>>,
}

impl<P> Unpin for PendingNotify<'_, P> {}

impl<P: Serialize> Future for PendingNotify<'_, P> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { link, notification, room } = &mut *self;
        when_there_is_room(link, room, link.limits.call_timeout, cx, |_, _| {
            let mut body = Buffer::with_room_for(128);
            notification.write_body(&mut body)?;
            Ok(link.send_notification(&body))
        })
    }
}

impl<P> fmt::Debug for PendingNotify<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingNotify").finish_non_exhaustive()
    }
}
