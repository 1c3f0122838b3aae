//! How much a peer is slowed down, for what it costs.

use std::time::Duration;

use super::Limits;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// By the limits of a public server: soft 2,000, hard 10,000, 20 requests at once, 2 s. Cost, concurrency, delay in ms.
    const TABLE: &[(f64, usize, u64)] = &[
        (0.0, 20, 0),
        (2_000.0, 20, 0),
        (2_080.0, 20, 20),    // 80 / 8,000 = 0.01; ceil(0.99 × 20 = 19.8); 0.01 × 2 s
        (2_800.0, 18, 200),   // 0.1; 0.9 × 20 = 18
        (4_000.0, 15, 500),   // 0.25; 0.75 × 20 = 15
        (4_100.0, 15, 525),   // 0.2625; ceil(14.75)
        (6_000.0, 10, 1_000), // 0.5
        (9_200.0, 2, 1_800),  // 0.9; 0.1 × 20 = 2
        (9_992.0, 1, 1_998),  // 0.999; ceil(0.02)
        (10_000.0, 1, 2_000), // 1: what is still to be answered is answered one by one
        (50_000.0, 1, 2_000), // and not slower than that
    ];

    #[test]
    fn over_the_soft_limit_concurrency_falls_and_delay_rises_in_proportion() {
        for &(cost, concurrency, delay) in TABLE {
            let Throttle { concurrency: many, delay: long } = Throttle::at(cost, &Limits::public());
            assert_eq!(many, concurrency, "at {cost}");
            assert_eq!(long.as_secs_f64().mul_add(1e3, 0.5) as u64, delay, "ms at {cost}");
        }
    }

    #[test]
    fn without_a_hard_limit_nobody_is_slowed_down() {
        for limits in [Limits::client(), Limits::unlimited()] {
            let expected = Throttle { concurrency: limits.requests_in_flight, delay: Duration::ZERO };
            assert_eq!(Throttle::at(1e12, &limits), expected);
        }
        let soft_alone = Limits { cost_hard: f64::INFINITY, ..Limits::public() };
        assert_eq!(Throttle::at(1e12, &soft_alone), Throttle { concurrency: 20, delay: Duration::ZERO });
    }

    #[test]
    fn limits_that_are_the_same_or_the_wrong_way_round_slow_nobody_down_below_the_hard_one() {
        for soft in [5_000.0, 9_000.0] {
            let limits = Limits { cost_soft: soft, cost_hard: 5_000.0, ..Limits::public() };
            assert_eq!(Throttle::at(4_999.0, &limits).delay, Duration::ZERO);
            assert_eq!(Throttle::at(5_000.0, &limits).delay, Duration::from_secs(2));
        }
    }
}
