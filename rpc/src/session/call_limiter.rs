//! Permits for calls of this side: how many may be in flight at once, which follows how fast the peer answers.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

use crate::limits::{Limits, ResponseTimes};

/// The places of one session. Those who wait for one get it in order.
pub(super) struct CallLimiter {
    free: Semaphore,
    permits: Mutex<Permits>,
    /// How many wait for one.
    waiting: AtomicUsize,
    /// Whether it was said that one has to wait.
    is_logged: AtomicBool,
}

struct Permits {
    /// What was asked for.
    start: usize,
    target: Option<Duration>,
    times: ResponseTimes,
    /// How many of the places that are taken are not to be given to anybody else.
    owed: usize,
}

impl CallLimiter {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let start = limits.calls_in_flight;
        let times = ResponseTimes::new(start.min(Semaphore::MAX_PERMITS));
        Arc::new(Self {
            free: Semaphore::new(times.in_flight()),
            permits: Mutex::new(Permits { start, target: limits.target_response_time, times, owed: 0 }),
            waiting: AtomicUsize::new(0),
            is_logged: AtomicBool::new(false),
        })
    }

    /// A place, if one is free and nobody waits for it.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<CallPermit> {
        self.free.try_acquire().ok().map(|acquired| {
            acquired.forget();
            CallPermit::of(self)
        })
    }

    /// Waits for a place. Dropping it gives the turn to the next.
    pub(super) async fn acquire(self: Arc<Self>) -> CallPermit {
        let _waiting = Waiting::of(&self);
        // It is never closed.
        if let Ok(acquired) = self.free.acquire().await {
            acquired.forget();
        }
        CallPermit::of(&self)
    }

    /// How many calls wait for one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Says the first time that a call has to wait.
    fn log_wait(&self) {
        if !self.is_logged.swap(true, Ordering::Relaxed) {
            let limit = self.permits().times.in_flight();
            tracing::info!(
                rpc.system.name = "jsonrpc",
                limit,
                "as many calls of a session as may be are in flight: further ones wait for their turn. Where the peer takes more \
                 at once, raise `Limits::calls_in_flight`"
            );
        }
    }

    /// Other limits hold from now on. The number is kept where it was not changed.
    pub(super) fn set_limits(&self, limits: &Limits) {
        let mut permits = self.permits();
        permits.target = limits.target_response_time;
        if permits.start != limits.calls_in_flight {
            permits.start = limits.calls_in_flight;
            let times = ResponseTimes::new(limits.calls_in_flight.min(Semaphore::MAX_PERMITS));
            let before = std::mem::replace(&mut permits.times, times).in_flight();
            self.change(permits, before);
        }
    }

    /// Makes more places, or takes some away; those that are taken go when they are free.
    fn change(&self, mut permits: MutexGuard<'_, Permits>, before: usize) {
        let now = permits.times.in_flight();
        if now >= before {
            let kept = permits.owed.min(now - before);
            permits.owed -= kept;
            drop(permits);
            self.free.add_permits(now - before - kept);
        } else {
            permits.owed += before - now - self.free.forget_permits(before - now);
        }
    }

    fn answered(&self, after: Duration, calls: usize) {
        let mut permits = self.permits();
        let Some(target) = permits.target else { return };
        let before = permits.times.in_flight();
        permits.times.add(after, calls, target);
        let now = permits.times.in_flight();
        if now != before {
            self.change(permits, before);
            // Not under the lock: a subscriber of the log may change the limits.
            tracing::debug!(rpc.system.name = "jsonrpc", before, now, "other number of calls in flight");
        }
    }

    fn release(&self) {
        let mut permits = self.permits();
        if permits.owed > 0 {
            permits.owed -= 1;
        } else {
            drop(permits);
            self.free.add_permits(1);
        }
    }

    fn permits(&self) -> MutexGuard<'_, Permits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CallLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLimiter").field("free", &self.free.available_permits()).finish_non_exhaustive()
    }
}

/// A call that waits for a place, for as long as it does.
struct Waiting(Arc<CallLimiter>);

impl Waiting {
    fn of(limiter: &Arc<CallLimiter>) -> Self {
        limiter.log_wait();
        limiter.waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(limiter))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of one message with calls. It is free again when this is dropped; not under a lock, as that wakes the next.
#[derive(Debug)]
pub(super) struct CallPermit(Box<Held>);

#[derive(Debug)]
struct Held {
    limiter: Arc<CallLimiter>,
    /// When the message was sent, and with how many calls.
    sent: Option<(Instant, usize)>,
}

impl CallPermit {
    fn of(limiter: &Arc<CallLimiter>) -> Self {
        Self(Box::new(Held { limiter: Arc::clone(limiter), sent: None }))
    }

    pub(super) fn sent(mut self, calls: usize) -> Self {
        self.0.sent = Some((Instant::now(), calls));
        self
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        let Held { limiter, sent } = &*self.0;
        if let Some((at, calls)) = *sent {
            limiter.answered(at.elapsed(), calls);
        }
        limiter.release();
    }
}
