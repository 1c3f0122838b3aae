//! Waiting for what a message needs before it is sent: room among the outgoing bytes, and a place if it is a call.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Either, select},
};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, Sleep},
};

use super::{BatchError, CallError, CloseReason, Shared, call_limiter::Place, shared::Refused};
use crate::{framing::FrameError, jsonrpc::Unsupported};

/// One who waits. Most calls never make one.
pub(super) struct Room {
    wait: Wait,
    /// What it has got so far.
    turn: Turn,
    timeout: Option<(Alarm, Duration)>,
}

/// Rings when the time is over, whatever polls it.
enum Alarm {
    /// On the runtime of the session.
    Own(Pin<Box<Sleep>>),
    /// Elsewhere, where there may be no clock, a task of that runtime rings. It is gone with the runtime, and does not ring then:
    /// the session has ended.
    Afar(Option<oneshot::Receiver<()>>),
}

impl Alarm {
    fn after(link: &Shared, time: Duration) -> Self {
        let here = || Handle::try_current().map(|here| here.id()).ok();
        match &link.runtime {
            Some(runtime) if Some(runtime.id()) != here() => {
                let (mut ring, rung) = oneshot::channel();
                runtime.spawn(async move {
                    let rings = {
                        let (over, gone) = (pin!(tokio::time::sleep(time)), pin!(ring.closed()));
                        let first = select(over, gone).await;
                        matches!(first, Either::Left(_))
                    };
                    if rings {
                        // It may have gone just now.
                        let _ = ring.send(());
                    }
                });
                Self::Afar(Some(rung))
            }
            _ => Self::Own(Box::pin(tokio::time::sleep(time))),
        }
    }

    fn has_rung(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Own(sleep) => sleep.as_mut().poll(cx).is_ready() || sleep.deadline() <= Instant::now(),
            Self::Afar(rung) => match rung.as_mut().map(|rung| rung.poll_unpin(cx)) {
                Some(Poll::Ready(Ok(()))) => true,
                Some(Poll::Ready(Err(_))) => {
                    *rung = None;
                    false
                }
                Some(Poll::Pending) | None => false,
            },
        }
    }
}

enum Wait {
    Room(BoxFuture<'static, ()>),
    Place(BoxFuture<'static, Place>),
    /// It is worth trying again.
    Over,
}

/// What one who tries to send has got by waiting.
#[derive(Default)]
pub(super) struct Turn {
    /// When the wait began.
    pub(super) since: Option<Instant>,
    /// A place, as long as nothing was sent.
    pub(super) place: Option<Place>,
}

impl Turn {
    const fn take(&mut self) -> Self {
        Self { since: self.since, place: self.place.take() }
    }
}

impl Room {
    fn new(link: &Shared, timeout: Option<Duration>) -> Box<Self> {
        let timeout = timeout.map(|after| (Alarm::after(link, after), after));
        let turn = Turn { since: Some(Instant::now()), place: None };
        Box::new(Self { wait: Wait::Over, turn, timeout })
    }

    /// Ready when it is worth trying again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        if let Some((alarm, after)) = &mut self.timeout
            && alarm.has_rung(cx)
        {
            return Poll::Ready(Err(NotSent::Timeout(*after)));
        }
        match &mut self.wait {
            Wait::Room(made) => ready!(made.as_mut().poll(cx)),
            Wait::Place(place) => self.turn.place = Some(ready!(place.as_mut().poll(cx))),
            Wait::Over => {}
        }
        self.wait = Wait::Over;
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
            Self::Closed(reason) => CallError::Closed { reason, sent: false },
            Self::Timeout(after) => CallError::Timeout(after),
            Self::Unsupported(what) => CallError::Unsupported { method: method.to_owned(), source: what },
            Self::Frame(error) => CallError::Frame { method: method.to_owned(), source: error },
        }
    }

    /// The same, of a batch.
    pub(super) fn into_batch_error(self) -> BatchError {
        match self {
            Self::Closed(reason) => BatchError::Closed(reason),
            Self::Timeout(after) => BatchError::Timeout(after),
            Self::Unsupported(what) => BatchError::Unsupported(what),
            Self::Frame(error) => BatchError::Frame(error),
        }
    }
}

/// Runs `send` now if there is room to send, or when there is. It is given what the wait has brought, and leaves there what
/// it does not use. `timeout` is how long to wait, asked when the wait begins.
#[inline]
pub(super) fn when_there_is_room<T>(
    link: &Arc<Shared>,
    room: &mut Option<Box<Room>>,
    timeout: impl Fn() -> Option<Duration>,
    cx: &mut Context<'_>,
    mut send: impl FnMut(&mut Turn, &mut Context<'_>) -> Result<T, Refused>,
) -> Poll<Result<T, NotSent>> {
    let outcome = loop {
        if let Some(waiting) = room
            && let Err(not_sent) = ready!(waiting.poll(cx))
        {
            // It may have been woken just now, and takes no room: the next sender is woken in its place, also while the future that
            // has waited is held.
            *room = None;
            return Poll::Ready(Err(not_sent));
        }
        let mut turn = room.as_mut().map(|room| room.turn.take()).unwrap_or_default();
        let wait = match send(&mut turn, cx) {
            Ok(sent) => break Ok(sent),
            Err(Refused::Closed(reason)) => break Err(NotSent::Closed(reason)),
            Err(Refused::Unsupported(what)) => break Err(NotSent::Unsupported(what)),
            Err(Refused::Frame(error)) => break Err(NotSent::Frame(error)),
            // Capacity that is made from here on leaves a permit: it is not missed.
            Err(Refused::Full) => {
                let link = Arc::clone(link);
                Wait::Room(Box::pin(async move { link.capacity_made().await }))
            }
            Err(Refused::NoPlace(places)) => Wait::Place(Box::pin(places.taken())),
        };
        let room = room.get_or_insert_with(|| Room::new(link, timeout()));
        room.turn.place = turn.place;
        room.wait = wait;
    };
    if room.take().is_some() {
        link.wake_next_sender();
    }
    Poll::Ready(outcome)
}
