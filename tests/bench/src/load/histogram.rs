//! Counts of durations in classes whose width grows with the duration: small, and right to about 1.5 %.

use std::time::Duration;

/// Classes to a power of two.
const CLASSES: usize = 32;
/// Shorter durations are counted as 2^10 ns, longer ones than about a minute as 2^36 ns.
const POWERS: std::ops::Range<u32> = 10..36;

#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u32>,
}

impl Histogram {
    pub fn new() -> Self {
        Self { counts: vec![0; POWERS.len() * CLASSES] }
    }

    pub fn record(&mut self, duration: Duration) {
        let nanos = duration.as_nanos().clamp(1 << POWERS.start, (1 << POWERS.end) - 1) as u64;
        let power = nanos.ilog2();
        // The five bits behind the first one.
        let class = (nanos >> (power - CLASSES.ilog2())) as usize % CLASSES;
        self.counts[(power - POWERS.start) as usize * CLASSES + class] += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }

    /// The duration, in microseconds, that the fraction `quantile` of all did not exceed; 0 if there are none.
    pub fn micros(&self, quantile: f64) -> f64 {
        let rank = (self.count() as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        let class = self.counts.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        });
        class.map_or(0.0, |class| {
            let from = (1u64 << (POWERS.start as usize + class / CLASSES)) as f64;
            // The middle of the class.
            from * (1.0 + ((class % CLASSES) as f64 + 0.5) / CLASSES as f64) / 1e3
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_sixtieth() {
        let mut histogram = Histogram::new();
        (1..=10_000).for_each(|micros| histogram.record(Duration::from_micros(10 * micros)));
        for (quantile, expected) in [(0.01, 1e3), (0.5, 5e4), (0.99, 9.9e4), (1.0, 1e5)] {
            let found = histogram.micros(quantile);
            assert!((found / expected - 1.0).abs() < 1.0 / 60.0, "{quantile}: {found}");
        }
    }

    #[test]
    fn nothing_falls_outside() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::from_secs(3600));
        assert_eq!(histogram.count(), 2);
        assert!(histogram.micros(0.5) < 1.1 && histogram.micros(1.0) > 6e7);
    }

    #[test]
    fn of_nothing_there_is_no_quantile() {
        assert_eq!(Histogram::new().micros(0.5), 0.0);
    }
}
