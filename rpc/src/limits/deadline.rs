//! When something is due. What no clock gets to is never due: there is no limit then.

use std::time::Duration;

use tokio::time::Instant;

/// A duration of more than this is no limit: a century, which every clock can still add.
pub(super) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The moment `duration` after `now`; `None`, which is no deadline, where no clock gets there.
///
/// `Instant + Duration` panics in its place. A caller that writes `Duration::MAX` means that there is no
/// limit.
pub(crate) fn after(now: Instant, duration: Duration) -> Option<Instant> {
    finite(duration).and_then(|duration| now.checked_add(duration))
}

/// `duration`, where it is a limit at all.
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
