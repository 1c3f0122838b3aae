//! Decides which handlers are polled in place, and which start as a task: a handler that computes
//! for long would hold up every other request of its session.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

/// How the handler of one method is run, learned from its past calls.
///
/// After a slow call, a number of calls start as tasks. Then the handler is tried in place again,
/// because a machine that stalled for a moment looks like a slow handler. Each further slow call
/// doubles the number.
///
/// Reading the clock for each request would cost more than many handlers do. So only whole reads
/// are timed, and after a slow read the next few calls of every method.
#[derive(Debug)]
pub(crate) struct InlinePolicy {
    /// The number of calls that are still to be started as tasks.
    deferred_calls: AtomicU32,
    /// The number of calls that were deferred the last time.
    last_deferral: AtomicU32,
    /// The number of calls that are still to be timed.
    timed_calls: AtomicU32,
}

/// How one call is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunMode {
    /// The handler is polled where its request was read.
    InPlace,
    /// In place, and the duration is [recorded](InlinePolicy::record).
    Timed,
    /// The handler is started as a task.
    Deferred,
}

const FIRST_DEFERRAL: u32 = 1024;
const LONGEST_DEFERRAL: u32 = 1 << 16;
const TIMED_CALLS: u32 = 8;

impl InlinePolicy {
    /// A handler, or all the handlers of one read, that computes for longer is slow.
    pub(crate) const SLOW: Duration = Duration::from_millis(1);

    pub(crate) const fn new() -> Self {
        Self {
            deferred_calls: AtomicU32::new(0),
            last_deferral: AtomicU32::new(0),
            timed_calls: AtomicU32::new(0),
        }
    }

    /// How to run the next call: nearly always in place, and then nothing is written. Two sessions
    /// may count two calls as one, which does no harm.
    pub(crate) fn next_mode(&self) -> RunMode {
        if count_down(&self.deferred_calls) {
            RunMode::Deferred
        } else if count_down(&self.timed_calls) {
            RunMode::Timed
        } else {
            RunMode::InPlace
        }
    }

    /// Times the next calls: a read took long, and this method may be the cause.
    #[cold]
    pub(crate) fn suspect(&self) {
        self.timed_calls.store(TIMED_CALLS, Relaxed);
    }

    /// Records the duration of a timed call.
    #[cold]
    pub(crate) fn record(&self, time: Duration) {
        if time > Self::SLOW {
            let next = (self.last_deferral.load(Relaxed) * 2).clamp(FIRST_DEFERRAL, LONGEST_DEFERRAL);
            self.last_deferral.store(next, Relaxed);
            self.deferred_calls.store(next, Relaxed);
            // So that the first call after them is timed again.
            self.suspect();
        }
    }
}

/// A copy starts without history: it is for other sessions, whose calls may behave differently.
impl Clone for InlinePolicy {
    fn clone(&self) -> Self {
        Self::new()
    }
}

fn count_down(counter: &AtomicU32) -> bool {
    let count = counter.load(Relaxed);
    if count > 0 {
        counter.store(count - 1, Relaxed);
    }
    count > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(10);

    #[test]
    fn a_method_that_is_not_suspected_runs_in_place() {
        let policy = InlinePolicy::new();
        assert!((0..1000).all(|_| policy.next_mode() == RunMode::InPlace));
    }

    #[test]
    fn a_suspect_is_timed_for_a_few_calls() {
        let policy = InlinePolicy::new();
        policy.suspect();
        for _ in 0..TIMED_CALLS {
            assert_eq!(policy.next_mode(), RunMode::Timed);
            policy.record(Duration::ZERO);
        }
        assert_eq!(policy.next_mode(), RunMode::InPlace);
    }

    #[test]
    fn a_slow_method_is_tried_in_place_again_less_and_less_often() {
        let policy = InlinePolicy::new();
        policy.record(LONG);
        for deferred in [1024, 2048, 4096] {
            assert_eq!((0..10_000).take_while(|_| policy.next_mode() == RunMode::Deferred).count(), deferred);
            // The call that ended the count was timed.
            policy.record(LONG);
        }
        (0..100).for_each(|_| policy.record(LONG));
        assert_eq!(
            (0..u32::MAX).take_while(|_| policy.next_mode() == RunMode::Deferred).count(),
            LONGEST_DEFERRAL as usize
        );
    }
}
