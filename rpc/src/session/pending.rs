//! Calls and notifications of a session under way: sent when first polled, then waiting.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::futures::Notified,
    time::{Instant, Sleep},
};

use super::{CallError, Caller, Link, Outgoing, Scratch, Session, link::Refused};
use crate::jsonrpc::{CallId, Reply};

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
    Waiting(CallId),
    Done,
}

/// The parameters are moved, never pinned.
impl<P> Unpin for PendingCall<'_, P> {}

impl<P: Serialize> Future for PendingCall<'_, P> {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { link, stage } = &mut *self;
        match stage {
            Stage::Waiting(id) => match link.take_reply(*id, cx.waker()) {
                None => Poll::Pending,
                Some(reply) => {
                    *stage = Stage::Done;
                    Poll::Ready(reply)
                }
            },
            Stage::Unsent { call, room } => {
                let timeout = call.timeout_or(link.limits.call_timeout);
                let sent = ready!(when_there_is_room(link, room, timeout, cx, |deadline, cx| {
                    let mut params = Scratch::take();
                    call.write_params(&mut params)?;
                    tracing::debug!(
                        rpc.system.name = "jsonrpc",
                        rpc.method = call.method(),
                        session = link.id,
                        "call"
                    );
                    let timeout =
                        timeout.map(|after| (deadline.unwrap_or_else(|| Instant::now() + after), after));
                    Ok(link.send_request(call.method(), &params, cx.waker(), timeout))
                }));
                match sent {
                    Ok(id) => {
                        *stage = Stage::Waiting(id);
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
        if let Stage::Waiting(id) = self.stage {
            self.link.forget(id);
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
            let mut params = Scratch::take();
            notification.write_params(&mut params)?;
            Ok(link.send_notification(notification.method(), &params))
        })
    }
}

impl<P> fmt::Debug for PendingNotify<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingNotify").finish_non_exhaustive()
    }
}

/// Waiting for room among the outgoing bytes. Most calls never make one.
struct Room<'a> {
    made: Pin<Box<Notified<'a>>>,
    timeout: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl<'a> Room<'a> {
    fn new(link: &'a Link, timeout: Option<Duration>) -> Box<Self> {
        let timeout = timeout.map(|after| (Box::pin(tokio::time::sleep(after)), after));
        Box::new(Self { made: Box::pin(link.room().notified()), timeout })
    }

    /// Ready when it is worth trying again.
    fn poll(&mut self, link: &'a Link, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        if let Some((sleep, after)) = &mut self.timeout
            && sleep.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(CallError::Timeout(*after)));
        }
        ready!(self.made.as_mut().poll(cx));
        self.made.set(link.room().notified());
        Poll::Ready(Ok(()))
    }

    fn deadline(&self) -> Option<Instant> {
        self.timeout.as_ref().map(|(sleep, _)| sleep.deadline())
    }
}

/// Runs `send` now if there is room to send, or when there is. It is told the deadline of a wait that began before.
fn when_there_is_room<'a, T>(
    link: &'a Link,
    room: &mut Option<Box<Room<'a>>>,
    timeout: Option<Duration>,
    cx: &mut Context<'_>,
    mut send: impl FnMut(Option<Instant>, &mut Context<'_>) -> Result<Result<T, Refused>, CallError>,
) -> Poll<Result<T, CallError>> {
    loop {
        match room {
            Some(room) => ready!(room.poll(link, cx))?,
            // Parameters are not written for nothing.
            None if link.looks_full() => {
                *room = Some(Room::new(link, timeout));
                continue;
            }
            None => {}
        }
        let outcome = match send(room.as_ref().and_then(|room| room.deadline()), cx)? {
            Ok(sent) => Ok(sent),
            Err(Refused::Closed(reason)) => Err(CallError::Closed(reason)),
            // Room that is made from here on leaves a permit: it is not missed.
            Err(Refused::Full) => {
                room.get_or_insert_with(|| Room::new(link, timeout));
                continue;
            }
        };
        // Waiters are woken one at a time, and each wakes the next.
        if room.take().is_some() && !link.looks_full() {
            link.room().notify_one();
        }
        return Poll::Ready(outcome);
    }
}
