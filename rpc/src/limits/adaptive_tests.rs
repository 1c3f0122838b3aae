use super::*;

/// The second, the charge, and the cost after it.
const COST: &[(u64, f64, f64)] = &[
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
    for &(now, amount, expected) in COST {
        let value = cost.add(amount, forgiven, now, |later, earlier| Duration::from_secs(later - earlier));
        assert!(
            value == expected || (value - expected).abs() < 1e-9,
            "after {amount} at {now} s: {value}, not {expected}"
        );
    }
}

/// The limits of a public server: soft 2,000, hard 10,000, 20 requests in flight, 2 s. Each row is
/// cost, concurrency, delay in ms.
const THROTTLE: &[(f64, usize, u64)] = &[
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
    for &(cost, concurrency, delay) in THROTTLE {
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

const TARGET: Duration = Duration::from_secs(3);

/// The calls in flight before, the average of thirty replies in milliseconds, the calls in flight
/// after.
const RESPONSE_TIMES: &[(usize, u64, usize)] = &[
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
    for &(before, average, after) in RESPONSE_TIMES {
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
