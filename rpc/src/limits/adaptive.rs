//! Limits that follow what the peer does: it is slowed down for what it costs, and called as often as it answers.

use std::time::Duration;

use super::Limits;

/// The running cost of one peer. `T` is any clock's reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost<T> {
    value: f64,
    /// When the value was right. Nothing costs nothing at any time: no clock is read for it.
    at: Option<T>,
}

impl<T: Copy> Cost<T> {
    pub(crate) const fn new() -> Self {
        Self { value: 0.0, at: None }
    }

    /// Adds `amount` (takes away, if it is negative) and gives the cost after it. `forgiven` falls away per second, and `since` tells
    /// the time between two readings of the clock.
    pub(crate) fn add(
        &mut self,
        amount: f64,
        forgiven: f64,
        now: T,
        since: impl FnOnce(T, T) -> Duration,
    ) -> f64 {
        let passed = self.at.map_or(0.0, |at| since(now, at).as_secs_f64());
        let kept = (self.value - passed * forgiven).max(0.0);
        // What is no number would stay for ever.
        self.value = if amount.is_nan() { kept } else { (kept + amount).max(0.0) };
        self.at = Some(now);
        self.value
    }
}

/// How the requests of a peer are served at some cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttle {
    /// How many are worked on at once.
    pub(crate) concurrency: usize,
    /// How long each waits before its handler starts.
    pub(crate) delay: Duration,
}

impl Throttle {
    /// At the soft limit nothing, at the hard limit everything; in between in proportion (aiorpcX's rule).
    pub(crate) fn at(cost: f64, limits: &Limits) -> Self {
        let fraction = fraction(cost, limits);
        if fraction == 0.0 {
            return Self { concurrency: limits.requests_in_flight, delay: Duration::ZERO };
        }
        let concurrency = ((1.0 - fraction) * limits.requests_in_flight as f64).ceil();
        // One at least: at the hard limit it is not this that ends the session.
        Self { concurrency: (concurrency as usize).max(1), delay: limits.cost_delay.mul_f64(fraction) }
    }
}

/// How far the cost is on its way from the soft limit to the hard one: 0 to 1.
fn fraction(cost: f64, limits: &Limits) -> f64 {
    let (soft, hard) = (limits.cost_soft, limits.cost_hard);
    if cost >= hard {
        1.0
    } else if cost <= soft {
        0.0
    } else {
        // `soft < cost < hard`. A hard limit that is infinite is never come near to.
        (cost - soft) / (hard - soft)
    }
}

/// After how many replies the number is looked at again.
const REPLIES: usize = 30;

/// What it is never raised beyond.
const MOST: usize = 250;

/// The number of calls that may be in flight, and the response times since it was last looked at.
#[derive(Debug)]
pub(crate) struct ResponseTimes {
    in_flight: usize,
    together: Duration,
    replies: usize,
}

impl ResponseTimes {
    /// Begins with `in_flight`, at least one.
    pub(crate) fn new(in_flight: usize) -> Self {
        Self { in_flight: in_flight.max(1), together: Duration::ZERO, replies: 0 }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// A message with `calls` calls was answered, or given up, after `time`. Of a batch each call takes its share.
    ///
    /// After every thirty of them the number is moved toward where they would take `target`, by at most a tenth (or 3) up and a fifth
    /// (or 1) down, and stays between 1 and 250; one that was larger from the start is only lowered.
    pub(crate) fn add(&mut self, time: Duration, calls: usize, target: Duration) {
        self.together = self.together.saturating_add(time);
        self.replies += calls;
        if self.replies < REPLIES {
            return;
        }
        let average = self.together.as_secs_f64() / self.replies as f64;
        let current = self.in_flight as f64;
        let most = (current + (current * 0.1).max(3.0)).min(MOST.max(self.in_flight) as f64);
        let least = (current * 0.8).min(current - 1.0).max(1.0);
        // Where all were answered at once, this is infinite.
        let aim = (current * target.as_secs_f64() / average).min(most).max(least);
        *self = Self::new((aim + 0.5) as usize);
    }
}

#[cfg(test)]
#[path = "adaptive_tests.rs"]
mod tests;
