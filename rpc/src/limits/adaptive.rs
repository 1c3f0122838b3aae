//! Limits that adapt to the peer: a peer that costs much is slowed down, and the calls in flight
//! follow its response times.

use std::time::Duration;

use super::Limits;

/// The running cost of one peer: it rises with each charge and decays with time. `T` is a clock's
/// reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost<T> {
    value: f64,
    /// When `value` was computed. `None` until the first charge, so that a peer without cost needs
    /// no clock.
    at: Option<T>,
}

impl<T: Copy> Cost<T> {
    pub(crate) const fn new() -> Self {
        Self { value: 0.0, at: None }
    }

    /// Adds `amount` (negative: subtracts), and returns the new cost. The cost decays by `forgiven`
    /// per second; `since` is the time between two readings of the clock.
    pub(crate) fn add(
        &mut self,
        amount: f64,
        forgiven: f64,
        now: T,
        since: impl FnOnce(T, T) -> Duration,
    ) -> f64 {
        let passed = self.at.map_or(0.0, |at| since(now, at).as_secs_f64());
        let kept = (self.value - passed * forgiven).max(0.0);
        // A NaN would never leave the sum.
        self.value = if amount.is_nan() { kept } else { (kept + amount).max(0.0) };
        self.at = Some(now);
        self.value
    }
}

/// How the requests of a peer are served at its present cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttle {
    /// The most requests in flight.
    pub(crate) concurrency: usize,
    /// The delay of each request before its handler starts.
    pub(crate) delay: Duration,
}

impl Throttle {
    /// Linear between the soft limit (no effect) and the hard limit (full effect), as in aiorpcX.
    pub(crate) fn at(cost: f64, limits: &Limits) -> Self {
        let fraction = fraction(cost, limits);
        if fraction == 0.0 {
            return Self { concurrency: limits.requests_in_flight, delay: Duration::ZERO };
        }
        let concurrency = ((1.0 - fraction) * limits.requests_in_flight as f64).ceil();
        // At least one: ending the session at the hard limit is not decided here.
        Self { concurrency: (concurrency as usize).max(1), delay: limits.cost_delay.mul_f64(fraction) }
    }
}

/// The position of the cost between the soft limit (0) and the hard limit (1).
fn fraction(cost: f64, limits: &Limits) -> f64 {
    let (soft, hard) = (limits.cost_soft, limits.cost_hard);
    if cost >= hard {
        1.0
    } else if cost <= soft {
        0.0
    } else {
        // `soft < cost < hard`. With an infinite hard limit the fraction is 0.
        (cost - soft) / (hard - soft)
    }
}

/// The number of replies between two adjustments.
const REPLIES: usize = 30;

/// The number of calls in flight is never raised beyond this.
const MOST: usize = 250;

/// The number of calls that may be in flight, and the response times since its last adjustment.
#[derive(Debug)]
pub(crate) struct ResponseTimes {
    in_flight: usize,
    together: Duration,
    replies: usize,
}

impl ResponseTimes {
    /// Starts with `in_flight` calls, at least one.
    pub(crate) fn new(in_flight: usize) -> Self {
        Self { in_flight: in_flight.max(1), together: Duration::ZERO, replies: 0 }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Records that a message with `calls` calls was answered, or given up, after `time`. In a
    /// batch each call counts as its share of the time.
    ///
    /// After every thirty calls the number is adjusted toward the one at which the average would be
    /// `target`: at most a tenth (or 3) up, a fifth (or 1) down, and between 1 and 250. A number
    /// that started above 250 is only lowered.
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
        // Infinite when every reply took no time at all.
        let aim = (current * target.as_secs_f64() / average).min(most).max(least);
        *self = Self::new((aim + 0.5) as usize);
    }
}

#[cfg(test)]
#[path = "adaptive_tests.rs"]
mod tests;
