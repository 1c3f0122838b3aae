//! Places for calls of ours: how many may be in flight at once, which follows how fast the peer answers.

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
pub(super) struct Places {
    free: Semaphore,
    pace: Mutex<Pace>,
    /// How many wait for one.
    waiting: AtomicUsize,
    /// Whether it was said that one has to wait.
    is_logged: AtomicBool,
}

struct Pace {
    /// What was asked for.
    start: usize,
    target: Option<Duration>,
    times: ResponseTimes,
    /// How many of the places that are taken are not to be given to anybody else.
    owed: usize,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let start = limits.calls_in_flight;
        let times = ResponseTimes::new(start.min(Semaphore::MAX_PERMITS));
        Arc::new(Self {
            free: Semaphore::new(times.in_flight()),
            pace: Mutex::new(Pace { start, target: limits.target_response_time, times, owed: 0 }),
            waiting: AtomicUsize::new(0),
            is_logged: AtomicBool::new(false),
        })
    }

    /// A place, if one is free and nobody waits for it.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        self.free.try_acquire().ok().map(|permit| {
            permit.forget();
            Place::of(self)
        })
    }

    /// Waits for a place. Dropping it gives the turn to the next.
    pub(super) async fn taken(self: Arc<Self>) -> Place {
        let _waits = Waits::of(&self);
        // It is never closed.
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
        }
        Place::of(&self)
    }

    /// How many calls wait for one.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Says the first time that a call has to wait.
    fn log_wait(&self) {
        if !self.is_logged.swap(true, Ordering::Relaxed) {
            let limit = self.pace().times.in_flight();
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
        let mut pace = self.pace();
        pace.target = limits.target_response_time;
        if pace.start != limits.calls_in_flight {
            pace.start = limits.calls_in_flight;
            let times = ResponseTimes::new(limits.calls_in_flight.min(Semaphore::MAX_PERMITS));
            let before = std::mem::replace(&mut pace.times, times).in_flight();
            self.change(pace, before);
        }
    }

    /// Makes more places, or takes some away; those that are taken go when they are free.
    fn change(&self, mut pace: MutexGuard<'_, Pace>, before: usize) {
        let now = pace.times.in_flight();
        if now >= before {
            let kept = pace.owed.min(now - before);
            pace.owed -= kept;
            drop(pace);
            self.free.add_permits(now - before - kept);
        } else {
            pace.owed += before - now - self.free.forget_permits(before - now);
        }
    }

    fn answered(&self, after: Duration, calls: usize) {
        let mut pace = self.pace();
        let Some(target) = pace.target else { return };
        let before = pace.times.in_flight();
        pace.times.add(after, calls, target);
        let now = pace.times.in_flight();
        if now != before {
            self.change(pace, before);
            // Not under the lock: a subscriber of the log may change the limits.
            tracing::debug!(rpc.system.name = "jsonrpc", before, now, "other number of calls in flight");
        }
    }

    fn leave(&self) {
        let mut pace = self.pace();
        if pace.owed > 0 {
            pace.owed -= 1;
        } else {
            drop(pace);
            self.free.add_permits(1);
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("free", &self.free.available_permits()).finish_non_exhaustive()
    }
}

/// A call that waits for a place, for as long as it does.
struct Waits(Arc<Places>);

impl Waits {
    fn of(places: &Arc<Places>) -> Self {
        places.log_wait();
        places.waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(places))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of one message with calls. It is free again when this is dropped; not under a lock, as that wakes the next.
#[derive(Debug)]
pub(super) struct Place(Box<Taken>);

#[derive(Debug)]
struct Taken {
    places: Arc<Places>,
    /// When the message was sent, and with how many calls.
    sent: Option<(Instant, usize)>,
}

impl Place {
    fn of(places: &Arc<Places>) -> Self {
        Self(Box::new(Taken { places: Arc::clone(places), sent: None }))
    }

    pub(super) fn sent(mut self, calls: usize) -> Self {
        self.0.sent = Some((Instant::now(), calls));
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Taken { places, sent } = &*self.0;
        if let Some((at, calls)) = *sent {
            places.answered(at.elapsed(), calls);
        }
        places.leave();
    }
}
