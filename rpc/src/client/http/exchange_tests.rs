use futures::FutureExt;

use super::*;

#[test]
fn an_excerpt_is_short_and_on_one_line() {
    for (text, shown) in [
        (&b" \r\n<html>\n<body>\x1b[31mno\0\n"[..], "<html> <body>\u{fffd}[31mno\u{fffd}"),
        (b"caf\xe9", "caf\u{fffd}"),
        (b"", ""),
    ] {
        assert_eq!(excerpt(&String::from_utf8_lossy(start_of(text))), shown);
    }
    let long = "\u{1f600}".repeat(10_000);
    assert_eq!(excerpt(&long), format!("{}\u{2026}", "\u{1f600}".repeat(200)));
    assert_eq!(excerpt(&"x".repeat(200)), "x".repeat(200));
}

#[test]
fn what_is_too_large_for_all_places_gets_all_of_them() {
    let limiter = ExchangeLimiter::new(10, 100);
    let small = limiter.acquire(1).now_or_never().expect("there is room");
    assert!(limiter.acquire(1_000_000).now_or_never().is_none(), "one byte is taken");
    drop(small);
    let _large = limiter.acquire(1_000_000).now_or_never().expect("nothing else is under way");
    assert!(limiter.acquire(1).now_or_never().is_none());
}

#[test]
fn limits_without_a_number_are_none() {
    let limiter = ExchangeLimiter::new(usize::MAX, usize::MAX);
    let taken: Vec<_> = (0..1000).map(|_| limiter.acquire(1_000_000).now_or_never()).collect();
    assert!(taken.iter().all(Option::is_some));
    assert!(ExchangeLimiter::new(0, 0).acquire(5).now_or_never().is_some(), "one is always allowed");
}
