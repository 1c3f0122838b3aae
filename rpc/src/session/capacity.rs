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

use super::{BatchError, CallError, CloseReason, Shared, call_limiter::CallPermit, shared::Refused};
use crate::{framing::FrameError, jsonrpc::Unsupported};

/// One who waits. Most calls never make one.
pub(super) struct CapacityWait {
    wait: Wait,
    /// What it has got so far.
    attempt: SendAttempt,
    timeout: Option<(Timer, Duration)>,
}

/// Rings when the time is over, whatever polls it.
enum Timer {
    /// On the runtime of the session.
    Local(Pin<Box<Sleep>>),
    /// Elsewhere, where there may be no clock, a task of that runtime rings. It is gone with the runtime, and does not ring then:
    /// the session has ended.
    OnRuntime(Option<oneshot::Receiver<()>>),
}

impl Timer {
    fn after(shared: &Shared, time: Duration) -> Self {
        let here = || Handle::try_current().map(|here| here.id()).ok();
        match &shared.runtime {
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
                Self::OnRuntime(Some(rung))
            }
            _ => Self::Local(Box::pin(tokio::time::sleep(time))),
        }
    }

    fn has_elapsed(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Local(sleep) => sleep.as_mut().poll(cx).is_ready() || sleep.deadline() <= Instant::now(),
            Self::OnRuntime(rung) => match rung.as_mut().map(|rung| rung.poll_unpin(cx)) {
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
    Capacity(BoxFuture<'static, ()>),
    Permit(BoxFuture<'static, CallPermit>),
    /// It is worth trying again.
    Over,
}

/// What one who tries to send has got by waiting.
#[derive(Default)]
pub(super) struct SendAttempt {
    /// When the wait began.
    pub(super) since: Option<Instant>,
    /// A place, as long as nothing was sent.
    pub(super) permit: Option<CallPermit>,
}

impl SendAttempt {
    const fn take(&mut self) -> Self {
        Self { since: self.since, permit: self.permit.take() }
    }
}

impl CapacityWait {
    fn new(shared: &Shared, timeout: Option<Duration>) -> Box<Self> {
        let timeout = timeout.map(|after| (Timer::after(shared, after), after));
        let attempt = SendAttempt { since: Some(Instant::now()), permit: None };
        Box::new(Self { wait: Wait::Over, attempt, timeout })
    }

    /// Ready when it is worth trying again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotSent>> {
        if let Some((timer, after)) = &mut self.timeout
            && timer.has_elapsed(cx)
        {
            return Poll::Ready(Err(NotSent::Timeout(*after)));
        }
        match &mut self.wait {
            Wait::Capacity(made) => ready!(made.as_mut().poll(cx)),
            Wait::Permit(permit) => self.attempt.permit = Some(ready!(permit.as_mut().poll(cx))),
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
pub(super) fn poll_capacity<T>(
    shared: &Arc<Shared>,
    wait: &mut Option<Box<CapacityWait>>,
    timeout: impl Fn() -> Option<Duration>,
    cx: &mut Context<'_>,
    mut send: impl FnMut(&mut SendAttempt, &mut Context<'_>) -> Result<T, Refused>,
) -> Poll<Result<T, NotSent>> {
    let outcome = loop {
        if let Some(waiting) = wait
            && let Err(not_sent) = ready!(waiting.poll(cx))
        {
            // It may have been woken just now, and takes no wait: the next sender is woken in its place, also while the future that
            // has waited is held.
            *wait = None;
            return Poll::Ready(Err(not_sent));
        }
        let mut attempt = wait.as_mut().map(|wait| wait.attempt.take()).unwrap_or_default();
        let wait_for = match send(&mut attempt, cx) {
            Ok(sent) => break Ok(sent),
            Err(Refused::Closed(reason)) => break Err(NotSent::Closed(reason)),
            Err(Refused::Unsupported(what)) => break Err(NotSent::Unsupported(what)),
            Err(Refused::Frame(error)) => break Err(NotSent::Frame(error)),
            // Capacity that is made from here on leaves a permit: it is not missed.
            Err(Refused::Full) => {
                let shared = Arc::clone(shared);
                Wait::Capacity(Box::pin(async move { shared.capacity_made().await }))
            }
            Err(Refused::NoPermit(limiter)) => Wait::Permit(Box::pin(limiter.acquire())),
        };
        let waiting = wait.get_or_insert_with(|| CapacityWait::new(shared, timeout()));
        waiting.attempt.permit = attempt.permit;
        waiting.wait = wait_for;
    };
    if wait.take().is_some() {
        shared.wake_next_sender();
    }
    Poll::Ready(outcome)
}
