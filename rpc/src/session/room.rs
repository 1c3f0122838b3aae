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

use super::{CallError, Link, link::Refused};

/// One who waits. Most calls never make one.
pub(super) struct Room<'a> {
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
pub(super) fn when_there_is_room<'a, T>(
    link: &'a Link,
    room: &mut Option<Box<Room<'a>>>,
    timeout: Option<Duration>,
    cx: &mut Context<'_>,
    mut send: impl FnMut(Option<Instant>, &mut Context<'_>) -> Result<T, Refused>,
) -> Poll<Result<T, CallError>> {
    loop {
        if let Some(room) = room {
            ready!(room.poll(link, cx))?;
        }
        let outcome = match send(room.as_ref().and_then(|room| room.deadline()), cx) {
            Ok(sent) => Ok(sent),
            Err(Refused::Closed(reason)) => Err(CallError::Closed(reason)),
            // Room that is made from here on leaves a permit: it is not missed.
            Err(Refused::Full) => {
                room.get_or_insert_with(|| Room::new(link, timeout));
                continue;
            }
        };
        if room.take().is_some() {
            link.wake_next_sender();
        }
        return Poll::Ready(outcome);
    }
}
