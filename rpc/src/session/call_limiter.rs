//! The limit on calls in flight: it adapts to the peer's response time.

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

/// The permits for the calls of one session. Waiting calls get them in order.
pub(super) struct CallLimiter {
    free: Semaphore,
    permits: Mutex<Permits>,
    /// The number of calls that wait for a permit.
    waiting: AtomicUsize,
    /// Whether the log has the first wait.
    is_logged: AtomicBool,
}

struct Permits {
    /// The configured number of permits.
    start: usize,
    target: Option<Duration>,
    times: ResponseTimes,
    /// Permits that are in use, and will not be free again: the limit was lowered.
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

    /// A permit, if one is free and no call waits for it.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<CallPermit> {
        self.free.try_acquire().ok().map(|acquired| {
            acquired.forget();
            CallPermit::of(self)
        })
    }

    /// Waits for a permit. Cancel safe: dropping the future passes the turn to the next call.
    pub(super) async fn acquire(self: Arc<Self>) -> CallPermit {
        let _waiting = Waiting::of(&self);
        // The semaphore is never closed.
        if let Ok(acquired) = self.free.acquire().await {
            acquired.forget();
        }
        CallPermit::of(&self)
    }

    /// The number of calls that wait for a permit.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Logs the first time that a call has to wait.
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

    /// Applies changed limits. The adapted number of permits stays if the configured one was not
    /// changed.
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

    /// Adds or removes permits. One that is in use is removed when it is released.
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
            // Not under the lock: a log subscriber may change the limits.
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

/// Counts a call that waits for a permit, until it is dropped.
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

/// The permit of one message with calls, released when it is dropped. Never drop it under a lock:
/// that wakes the next call.
#[derive(Debug)]
pub(super) struct CallPermit(Box<Held>);

#[derive(Debug)]
struct Held {
    limiter: Arc<CallLimiter>,
    /// The time at which the message was sent, and the number of its calls.
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
