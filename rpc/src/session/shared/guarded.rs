//! A state behind a lock, with hints of it outside, and the loop that is to learn of its changes.

use std::task::Waker;

use super::hints::{Hints, Snapshot};
use crate::sync::{AtomicWaker, Mutex, MutexGuard, PoisonError};

/// A state of which something may be known without its lock.
pub(crate) trait Hinted {
    fn snapshot(&self) -> Snapshot;
}

/// A state that a loop and many others change.
///
/// Its lock is taken here and nowhere else. Each change publishes the hints before the lock is
/// released, and wakes the loop after it, where the hints ask for that: neither can be forgotten.
///
/// The loop registers its waker first, then looks at the hints, then sleeps. So whatever was
/// published before it looked is seen, and whatever is published later wakes it.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    state: Mutex<S>,
    hints: Hints,
    driver: AtomicWaker,
}

impl<S: Hinted> Guarded<S> {
    pub(crate) fn new(state: S) -> Self {
        let hints = Hints::default();
        // There is no loop yet that could be woken.
        let _ = hints.publish(state.snapshot());
        Self { state: Mutex::new(state), hints, driver: AtomicWaker::new() }
    }

    /// Changes the state. `change` must neither wait nor run code of the user's.
    #[inline]
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let wakes = self.hints.publish(state.snapshot());
        drop(state);
        if wakes {
            self.driver.wake();
        }
        result
    }

    /// Looks at the state. `look` must neither wait nor run code of the user's.
    #[inline]
    pub(crate) fn read<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        // Nothing that can panic runs under the lock; were it to happen, the state would still be
        // whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) const fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Has the loop woken from here on.
    pub(crate) fn register(&self, driver: &Waker) {
        self.driver.register(driver);
    }

    /// Has the loop go round once more.
    pub(crate) fn wake(&self) {
        self.driver.wake();
    }
}
