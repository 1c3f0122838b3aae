//! Waiting for room among the outgoing bytes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::futures::Notified,
    time::{Instant, Sleep},
};

use super::{CallError, CloseReason, Link, link::Refused};
use crate::{framing::FrameError, jsonrpc::Unsupported};

/// One who waits. Most calls never make one.
pub(super) struct Room<'a> {
    made: Pin<Box<Notified<'a>>>,
    /// When the wait began.
    since: Instant,
    timeout: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl<'a> Room<'a> {
    fn new(link: &'a Link, timeout: Option<Duration>) -> Box<Self> {
        let timeout = timeout.map(|after| (Box::pin(tokio::time::sleep(after)), after));
        Box::new(Self { made: Box::pin(link.room().notified()), since: Instant::now(), timeout })
    }

    /// Ready when it is worth trying again.
    fn poll(&mut self, link: &'a Link, cx: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        if let Some((sleep, after)) = &mut self.timeout
            && sleep.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(NotSent::Timeout(*after)));
        }
        ready!(self.made.as_mut().poll(cx));
        self.made.set(link.room().notified());
        Poll::Ready(Ok(()))
    }
}

/// Why something was not sent after all.
pub(super) enum NotSent {
    Closed(CloseReason),
    Timeout(Duration),
    Unsupported(Unsupported),
    Frame(FrameError),
}

impl NotSent {
    /// The same, of a call or a notification.
    pub(super) fn into_call_error(self, method: &str) -> CallError {
        match self {
            Self::Closed(reason) => CallError::Closed(reason),
            Self::Timeout(after) => CallError::Timeout(after),
            Self::Unsupported(what) => CallError::Unsupported { method: method.to_owned(), source: what },
            Self::Frame(error) => CallError::Frame { method: method.to_owned(), source: error },
        }
    }
}

/// Runs `send` now if there is room to send, or when there is. It is told since when it has been waited for.
/// `timeout` is how long to wait, asked when the wait begins.
pub(super) fn when_there_is_room<'a, T>(
    link: &'a Link,
    room: &mut Option<Box<Room<'a>>>,
    timeout: impl Fn() -> Option<Duration>,
    cx: &mut Context<'_>,
    mut send: impl FnMut(Option<Instant>, &mut Context<'_>) -> Result<T, Refused>,
) -> Poll<Result<T, NotSent>> {
    loop {
        if let Some(room) = room
            && let Err(not_sent) = ready!(room.poll(link, cx))
        {
            return Poll::Ready(Err(not_sent));
        }
        let outcome = match send(room.as_ref().map(|room| room.since), cx) {
            Ok(sent) => Ok(sent),
            Err(Refused::Closed(reason)) => Err(NotSent::Closed(reason)),
            Err(Refused::Unsupported(what)) => Err(NotSent::Unsupported(what)),
            Err(Refused::Frame(error)) => Err(NotSent::Frame(error)),
            // Room that is made from here on leaves a permit: it is not missed.
            Err(Refused::Full) => {
                room.get_or_insert_with(|| Room::new(link, timeout()));
                continue;
            }
        };
        if room.take().is_some() {
            link.wake_next_sender();
        }
        return Poll::Ready(outcome);
    }
}
