//! Deadlines. A deadline beyond the range of the clock is no deadline.

use std::time::Duration;

use tokio::time::Instant;

/// Longer durations mean no limit: a century, which every clock can still add.
pub(super) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The moment `duration` after `now`; `None`, no deadline, where the clock does not reach that far.
///
/// `Instant + Duration` would panic, and a caller that writes `Duration::MAX` means that there is
/// no limit.
pub(crate) fn after(now: Instant, duration: Duration) -> Option<Instant> {
    finite(duration).and_then(|duration| now.checked_add(duration))
}

/// `duration`, or `None` where it is so long that it means no limit.
pub(crate) fn finite(duration: Duration) -> Option<Duration> {
    (duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_clock_gets_to_is_no_deadline() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(7)), Some(now + Duration::from_secs(7)));
        assert_eq!(after(now, LONGEST), Some(now + LONGEST));
        for endless in
            [Duration::MAX, LONGEST + Duration::from_nanos(1), Duration::from_secs(i64::MAX as u64)]
        {
            assert_eq!((after(now, endless), finite(endless)), (None, None), "{endless:?}");
        }
    }
}
