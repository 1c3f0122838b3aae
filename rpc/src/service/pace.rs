//! Remembers which methods compute for long, so that they do not hold up the session that they were called on.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Whether the handler of a method is polled where its request is read, or started as a task at once.
///
/// A handler that was seen to compute for long is started as a task for a number of calls. Then it is tried in place again: a
/// machine that stood still for a moment looks like a slow handler. Each time it is slow again the number doubles.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Calls that are still to be started as tasks.
    tasks: AtomicU32,
    /// How many there were the last time.
    last: AtomicU32,
}

const FIRST: u32 = 64;
const MOST: u32 = 1 << 16;

impl Pace {
    pub(crate) const fn new() -> Self {
        Self { tasks: AtomicU32::new(0), last: AtomicU32::new(0) }
    }

    /// Whether this call is to become a task without being polled in place.
    pub(crate) fn defers(&self) -> bool {
        // Nearly always zero, and then nothing is written. Two sessions may count one call as one: it does not matter.
        let tasks = self.tasks.load(Relaxed);
        if tasks == 0 {
            return false;
        }
        self.tasks.store(tasks - 1, Relaxed);
        true
    }

    /// The handler computed for long.
    #[cold]
    pub(crate) fn was_slow(&self) {
        let next = (self.last.load(Relaxed) * 2).clamp(FIRST, MOST);
        self.last.store(next, Relaxed);
        self.tasks.store(next, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_method_is_tried_in_place_again_less_and_less_often() {
        let pace = Pace::new();
        assert!(!pace.defers());
        for deferred in [64, 128, 256] {
            pace.was_slow();
            assert_eq!((0..1000).take_while(|_| pace.defers()).count(), deferred);
        }
        (0..100).for_each(|_| pace.was_slow());
        assert_eq!((0..u32::MAX).take_while(|_| pace.defers()).count(), MOST as usize);
    }
}
