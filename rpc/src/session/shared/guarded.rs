//! A state behind a lock, what may be known of it without the lock (hints, and the capacity of the
//! outgoing bytes), and the loop that is to learn of its changes.
//!
//! Hints are facts about the state that may be read without its lock. They are derived from the
//! state in one place, whenever it was changed and before its lock is released. So they are never
//! behind a change that a task has been told of. A reader without the lock may see them as they were
//! a moment ago: it treats them as advice, and takes the lock to act.

use std::task::Waker;

use crate::sync::{
    AtomicBool, AtomicU32, AtomicUsize, AtomicWaker, Mutex, MutexGuard, Ordering, PoisonError, fence,
};

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

/// Facts about the state, each of which is there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u32);

impl Flags {
    /// The session is closing, or has ended.
    pub(crate) const ENDING: Self = Self(1);
    /// It has ended: nothing more is read or begun.
    pub(crate) const ENDED: Self = Self(1 << 1);
    /// Items of subscriptions that the peer has here wait to be sent.
    pub(crate) const ITEMS: Self = Self(1 << 2);
    /// The earliest deadline of any call or request has moved since the loop looked at it.
    pub(crate) const DEADLINE: Self = Self(1 << 3);
    /// Messages whose items have turned out to be no JSON are to be judged in full.
    pub(crate) const UNJUDGED: Self = Self(1 << 4);
    /// The application has added to the cost or changed the limits since the loop looked.
    pub(crate) const POLICY: Self = Self(1 << 5);
    /// A request has asked for the session to be closed after its reply.
    pub(crate) const CLOSES_AFTER: Self = Self(1 << 6);
    /// A notification may be an item of a subscription at the peer.
    pub(crate) const SUBSCRIBES: Self = Self(1 << 7);
    /// A notification may report the progress of a call.
    pub(crate) const REPORTS: Self = Self(1 << 8);
    /// A listener may take notifications by their method.
    pub(crate) const LISTENS: Self = Self(1 << 9);
    /// The peer has said that it shuts down.
    pub(crate) const PEER_CLOSING: Self = Self(1 << 10);

    /// Those that the loop does not find out by itself: it is woken when one of them comes up.
    const WAKE: Self = Self(
        Self::ENDING.0 | Self::ENDED.0 | Self::ITEMS.0 | Self::DEADLINE.0 | Self::UNJUDGED.0 | Self::POLICY.0,
    );

    /// `self` where `holds`, and nothing otherwise.
    pub(crate) const fn when(self, holds: bool) -> Self {
        Self(self.0 * holds as u32)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    /// Whether it was set.
    pub(super) const fn take(&mut self, flag: Self) -> bool {
        let was_set = self.has(flag);
        self.0 &= !flag.0;
        was_set
    }

    pub(super) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

/// The hints as the state has them at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Snapshot {
    pub(crate) flags: Flags,
    /// Bytes that handles have sent and the loop has not taken.
    pub(crate) queued: usize,
    /// Requests that take up a permit, and the bytes of their messages.
    pub(crate) requests: usize,
    pub(crate) request_bytes: usize,
    /// Batches of the peer that are not answered yet.
    pub(crate) open_batches: usize,
}

/// The last snapshot, as atomics. Written under the lock of the state, read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    flags: AtomicU32,
    queued: AtomicUsize,
    requests: AtomicUsize,
    request_bytes: AtomicUsize,
    open_batches: AtomicUsize,
}

impl Hints {
    /// Called under the lock. Whether the loop has to be woken for what has changed.
    ///
    /// It is for the first of the bytes that it is to write, for a permit that has become free (a
    /// request or a close may wait for it), and for the flags of [`Flags::WAKE`]. Where it was told
    /// before that there is something to write, it needs no further word: it sees to everything
    /// before it sleeps.
    #[inline]
    pub(super) fn publish(&self, now: Snapshot) -> bool {
        let flags = Flags(self.flags.load(Ordering::Relaxed));
        let queued = self.queued.load(Ordering::Relaxed);
        let requests = self.requests.load(Ordering::Relaxed);
        self.flags.store(now.flags.0, Ordering::Release);
        self.queued.store(now.queued, Ordering::Release);
        self.requests.store(now.requests, Ordering::Release);
        self.request_bytes.store(now.request_bytes, Ordering::Relaxed);
        self.open_batches.store(now.open_batches, Ordering::Relaxed);
        let come_up = Flags(now.flags.0 & !flags.0);
        (queued == 0 && (now.queued > 0 || now.requests < requests)) || come_up.has(Flags::WAKE)
    }

    #[inline]
    pub(crate) fn has(&self, flag: Flags) -> bool {
        Flags(self.flags.load(Ordering::Acquire)).has(flag)
    }

    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn request_bytes(&self) -> usize {
        self.request_bytes.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn open_batches(&self) -> usize {
        self.open_batches.load(Ordering::Relaxed)
    }
}

/// The capacity of the outgoing bytes, apart from how the waiting senders are woken.
///
/// Bytes wait in two places: those that handles have sent and the loop has not taken (a
/// [hint](Hints::queued)), and those that the loop has taken and not written.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    /// Bytes that the loop has taken and not written. Only it changes them.
    unwritten: AtomicUsize,
    /// Whether a sender has been told to wait since the loop last made capacity.
    is_wanted: AtomicBool,
}

impl Capacity {
    /// The bytes that wait, with the `queued` ones.
    #[inline]
    pub(crate) fn waiting(&self, queued: usize) -> usize {
        self.unwritten.load(Ordering::Acquire) + queued
    }

    /// Bytes that the loop has taken and not written.
    #[inline]
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.load(Ordering::Acquire)
    }

    /// Notes how many bytes the loop holds.
    #[inline]
    pub(crate) fn set_unwritten(&self, bytes: usize) {
        self.unwritten.store(bytes, Ordering::Release);
    }

    /// Whether there is capacity; if not, the loop will wake a waiting sender when it has made
    /// some. `has_capacity` is asked again after the wish was noted. Of the two fences, this one
    /// and that of [`made`](Self::made), one comes first: either the loop sees the wish, or this
    /// sees the capacity that the loop has made.
    #[inline]
    pub(crate) fn has_or_wants(&self, has_capacity: impl Fn() -> bool) -> bool {
        if has_capacity() {
            return true;
        }
        self.is_wanted.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        has_capacity()
    }

    /// Called by the loop when bytes have left. Whether a waiting sender is to be woken.
    #[inline]
    pub(crate) fn made(&self, has_capacity: impl FnOnce() -> bool) -> bool {
        fence(Ordering::SeqCst);
        let wakes = self.is_wanted.load(Ordering::Relaxed) && has_capacity();
        if wakes {
            self.is_wanted.store(false, Ordering::Relaxed);
        }
        wakes
    }

    /// All waiting senders are woken, for another reason.
    pub(crate) fn wake_all(&self) {
        self.is_wanted.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_is_woken_for_what_it_cannot_know_and_once() {
        let hints = Hints::default();
        let idle = Snapshot::default();
        let queued = |queued| Snapshot { queued, ..idle };
        assert!(!hints.publish(idle));
        assert!(hints.publish(queued(7)), "there is something to write");
        assert!(!hints.publish(queued(9)), "it knows that there is");
        assert!(!hints.publish(idle), "it has taken it");
        assert!(hints.publish(queued(1)));

        let at_work = |requests| Snapshot { requests, ..idle };
        assert!(!hints.publish(at_work(2)), "it has started them itself");
        assert!(hints.publish(at_work(1)), "a permit is free");

        for flag in
            [Flags::ENDING, Flags::ENDED, Flags::ITEMS, Flags::DEADLINE, Flags::POLICY, Flags::UNJUDGED]
        {
            hints.publish(idle);
            let flagged = Snapshot { flags: flag, ..idle };
            assert!(hints.publish(flagged), "{flag:?}");
            assert!(!hints.publish(flagged), "{flag:?} again");
            assert!(hints.has(flag));
        }
        hints.publish(idle);
        for flag in
            [Flags::CLOSES_AFTER, Flags::SUBSCRIBES, Flags::REPORTS, Flags::LISTENS, Flags::PEER_CLOSING]
        {
            assert!(!hints.publish(Snapshot { flags: flag, ..idle }), "{flag:?} is for when a message comes");
        }
        let both = Flags::ENDING.and(Flags::ENDED.when(true)).and(Flags::ITEMS.when(false));
        assert!(hints.publish(Snapshot { flags: both, ..idle }));
        assert!(hints.has(Flags::ENDING) && hints.has(Flags::ENDED) && !hints.has(Flags::ITEMS));
    }
}
