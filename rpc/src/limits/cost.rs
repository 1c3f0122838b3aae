//! What a peer has cost so far: it rises with what the peer does and falls with time.

use std::time::Duration;

/// Forgiven per second (aiorpcX's rate: the hard limit in an hour).
const FORGIVEN: f64 = 10_000.0 / 3600.0;

/// The running cost of one session. `T` is any clock's reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost<T> {
    value: f64,
    at: T,
}

impl<T: Copy> Cost<T> {
    /// A broken rule.
    pub(crate) const ERROR: f64 = 100.0;
    /// Input that cannot be read at all.
    pub(crate) const UNREADABLE: f64 = 1_000.0;

    pub(crate) const fn new(now: T) -> Self {
        Self { value: 0.0, at: now }
    }

    /// Adds `amount` and gives the cost after it. `since` tells the time between two readings of the clock.
    pub(crate) fn add(&mut self, amount: f64, now: T, since: impl FnOnce(T, T) -> Duration) -> f64 {
        let forgiven = since(now, self.at).as_secs_f64() * FORGIVEN;
        self.value = (self.value - forgiven).max(0.0) + amount;
        self.at = now;
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(later: u64, earlier: u64) -> Duration {
        Duration::from_secs(later - earlier)
    }

    #[test]
    fn it_rises_with_errors_and_falls_by_ten_thousand_an_hour() {
        let mut cost = Cost::new(0u64);
        assert_eq!(cost.add(Cost::<u64>::UNREADABLE, 0, since), 1000.0);
        assert_eq!(cost.add(Cost::<u64>::ERROR, 0, since), 1100.0);
        assert!((cost.add(0.0, 36, since) - 1000.0).abs() < 1e-9);
        assert_eq!(cost.add(0.0, 3600, since), 0.0, "it never falls below nothing");
        assert_eq!(cost.add(100.0, 3600, since), 100.0);
    }
}
