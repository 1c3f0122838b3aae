//! Back-pressure on calls: waiting for capacity in the write buffer, and for a call permit.

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

/// The wait of one message for capacity or a permit. Most messages never need one.
pub(super) struct CapacityWait {
    wait: Wait,
    /// The results of the waiting so far.
    attempt: SendAttempt,
    timeout: Option<(Timer, Duration)>,
}

/// A timer that works on any executor.
enum Timer {
    /// On the session's own runtime.
    Local(Pin<Box<Sleep>>),
    /// On another executor, which may have no clock, a task of the session's runtime sends the
    /// signal. If that runtime is shut down the signal never comes: the session has ended.
    OnRuntime(Option<oneshot::Receiver<()>>),
}

impl Timer {
    fn after(shared: &Shared, time: Duration) -> Self {
        let here = || Handle::try_current().map(|here| here.id()).ok();
        match &shared.runtime {
            Some(runtime) if Some(runtime.id()) != here() => {
                let (mut signal, signalled) = oneshot::channel();
                runtime.spawn(async move {
                    let is_elapsed = {
                        let (elapsed, abandoned) = (pin!(tokio::time::sleep(time)), pin!(signal.closed()));
                        let first = select(elapsed, abandoned).await;
                        matches!(first, Either::Left(_))
                    };
                    if is_elapsed {
                        // The receiver may have been dropped just now.
                        let _ = signal.send(());
                    }
                });
                Self::OnRuntime(Some(signalled))
            }
            _ => Self::Local(Box::pin(tokio::time::sleep(time))),
        }
    }

    fn has_elapsed(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Local(sleep) => sleep.as_mut().poll(cx).is_ready() || sleep.deadline() <= Instant::now(),
            Self::OnRuntime(signalled) => match signalled.as_mut().map(|signal| signal.poll_unpin(cx)) {
                Some(Poll::Ready(Ok(()))) => true,
                Some(Poll::Ready(Err(_))) => {
                    *signalled = None;
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
    /// Nothing: sending may be tried again.
    Over,
}

/// An attempt to send, with the results of the waiting before it.
#[derive(Default)]
pub(super) struct SendAttempt {
    /// The time at which the waiting began.
    pub(super) since: Option<Instant>,
    /// The permit, until the message is sent.
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

    /// Ready when sending may be tried again.
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

/// The reason why a message was not sent.
pub(super) enum NotSent {
    Closed(CloseReason),
    Timeout(Duration),
    Unsupported(Unsupported),
    Frame(FrameError),
}

impl NotSent {
    /// As the error of a call or a notification.
    pub(super) fn into_call_error(self, method: &str) -> CallError {
        match self {
            Self::Closed(reason) => CallError::Closed { reason, sent: false },
            Self::Timeout(after) => CallError::Timeout(after),
            Self::Unsupported(what) => CallError::Unsupported { method: method.to_owned(), source: what },
            Self::Frame(error) => CallError::Frame { method: method.to_owned(), source: error },
        }
    }

    /// As the error of a batch.
    pub(super) fn into_batch_error(self) -> BatchError {
        match self {
            Self::Closed(reason) => BatchError::Closed(reason),
            Self::Timeout(after) => BatchError::Timeout(after),
            Self::Unsupported(what) => BatchError::Unsupported(what),
            Self::Frame(error) => BatchError::Frame(error),
        }
    }
}

/// Runs `send` as soon as there is capacity, at once if there is some. `send` takes what it uses
/// from the attempt. `timeout` is asked when the waiting begins, and limits it.
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
            // This waiter may have been woken just now, and does not use the capacity. Dropping it
            // wakes the next sender, even if the future that has waited is kept.
            *wait = None;
            return Poll::Ready(Err(not_sent));
        }
        let mut attempt = wait.as_mut().map(|wait| wait.attempt.take()).unwrap_or_default();
        let wait_for = match send(&mut attempt, cx) {
            Ok(sent) => break Ok(sent),
            Err(Refused::Closed(reason)) => break Err(NotSent::Closed(reason)),
            Err(Refused::Unsupported(what)) => break Err(NotSent::Unsupported(what)),
            Err(Refused::Frame(error)) => break Err(NotSent::Frame(error)),
            // Capacity that is made from here on leaves a `Notify` permit, so it is not missed.
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
