//! What a peer has cost so far: it rises with what the peer does and falls with time.

use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    /// What happens at which second, what it adds, and what the cost is after it.
    const TABLE: &[(u64, f64, f64)] = &[
        (0, 1_000.0, 1_000.0), // input that cannot be read
        (0, 100.0, 1_100.0),   // an error
        (36, 0.0, 1_000.0),    // 36 s × 10,000 / 3,600 s = 100 forgiven
        (36, 2.5, 1_002.5),    // 250,000 bytes / 100,000
        (3_636, 0.0, 0.0),     // an hour forgives 10,000: it never falls below nothing
        (3_636, 100.0, 100.0), // and nothing is saved up
        (3_654, 10.0, 60.0),   // 18 s × 10,000 / 3,600 s = 50 forgiven, 100 - 50 + 10
        (3_654, -200.0, 0.0),  // an application that takes away more than there is
        (3_654, f64::NAN, 0.0),
        (3_654, f64::INFINITY, f64::INFINITY),
    ];

    #[test]
    fn it_rises_with_what_is_charged_and_falls_by_ten_thousand_an_hour() {
        let forgiven = Limits::public().cost_forgiven_per_second;
        let mut cost = Cost::new();
        for &(now, amount, expected) in TABLE {
            let value =
                cost.add(amount, forgiven, now, |later, earlier| Duration::from_secs(later - earlier));
            assert!(
                value == expected || (value - expected).abs() < 1e-9,
                "after {amount} at {now} s: {value}, not {expected}"
            );
        }
    }
}
