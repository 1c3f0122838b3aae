//! How many calls may be in flight, by how long the peer takes to answer them.

use std::time::Duration;

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
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_secs(3);

    /// From how many, what the average of thirty replies is in milliseconds, and to how many.
    const TABLE: &[(usize, u64, usize)] = &[
        (50, 3_000, 50), // 50 × 3 / 3
        (50, 2_900, 52), // 50 × 3 / 2.9 = 51.7
        (50, 0, 55),     // up by 5 at most
        (50, 1, 55),
        (50, 3_100, 48), // 50 × 3 / 3.1 = 48.4
        (50, 6_000, 40), // 25, but down by 10 at most
        (54, 0, 59),     // 54 + 5.4 = 59.4
        (55, 0, 61),     // 55 + 5.5 = 60.5
        (10, 0, 13),     // a tenth is 1, but 3 are allowed
        (1, 0, 4),
        (1, 60_000, 1), // never below 1
        (2, 60_000, 1), // 2 × 0.8 = 1.6, but by 1 at least
        (3, 60_000, 2), // 3 × 0.8 = 2.4, and 3 - 1 = 2
        (6, 60_000, 5), // 6 × 0.8 = 4.8, which is nearer to 5
        (240, 0, 250),  // 264, but never above 250
        (250, 0, 250),
        (1_000, 0, 1_000), // begun above: not raised
        (1_000, 6_000, 800),
    ];

    #[test]
    fn it_is_moved_toward_the_target_in_bounded_steps() {
        for &(before, average, after) in TABLE {
            let mut times = ResponseTimes::new(before);
            for reply in 1..=30 {
                assert_eq!(times.in_flight(), before, "after {reply} replies");
                times.add(Duration::from_millis(average), 1, TARGET);
            }
            assert_eq!(times.in_flight(), after, "{before} with {average} ms");
        }
    }

    #[test]
    fn of_a_batch_each_call_takes_its_share() {
        // 30 calls in 90 s: 3 s each.
        let mut times = ResponseTimes::new(50);
        times.add(Duration::from_secs(90), 30, TARGET);
        assert_eq!(times.in_flight(), 50);
        // 10 × 6 s and 60 calls in 150 s: 210 s / 70 = 3 s each.
        for _ in 0..10 {
            times.add(Duration::from_secs(6), 1, TARGET);
        }
        times.add(Duration::from_secs(150), 60, TARGET);
        assert_eq!(times.in_flight(), 50);
    }

    #[test]
    fn none_is_one() {
        assert_eq!(ResponseTimes::new(0).in_flight(), 1);
    }
}
