//! The concurrency of the shared state, which loom checks: the state behind its lock, the hints
//! that are read without the lock, and the capacity for outgoing bytes.
//!
//! Hints are derived from the state in one function, after each change and before the lock is
//! released. So they are never behind a change that a task was told of. A reader without the lock
//! may see an older value: it uses the hint as advice, and takes the lock to act.

use std::task::Waker;

use crate::sync::{
    AtomicBool, AtomicU32, AtomicUsize, AtomicWaker, Mutex, MutexGuard, Ordering, PoisonError, fence,
};

/// A state that hints are derived from.
pub(crate) trait Hinted {
    fn snapshot(&self) -> Snapshot;
}

/// A state that is changed by one loop and by many handles.
///
/// Its lock is taken only here. Each change publishes the hints before the lock is released, and
/// wakes the loop afterwards if the hints ask for it: neither can be forgotten.
///
/// The loop registers its waker first, then reads the hints, then sleeps. So it sees everything
/// that was published before it read, and is woken by everything published later.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    state: Mutex<S>,
    hints: Hints,
    driver: AtomicWaker,
}

impl<S: Hinted> Guarded<S> {
    pub(crate) fn new(state: S) -> Self {
        let hints = Hints::default();
        // There is no loop yet to be woken.
        let _ = hints.publish(state.snapshot());
        Self { state: Mutex::new(state), hints, driver: AtomicWaker::new() }
    }

    /// Changes the state. `change` must neither block nor run user code.
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

    /// Reads the state. `look` must neither block nor run user code.
    #[inline]
    pub(crate) fn read<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        // No code that can panic runs under the lock; even if it did, the state would be
        // consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) const fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Registers the waker of the loop.
    pub(crate) fn register(&self, driver: &Waker) {
        self.driver.register(driver);
    }

    /// Wakes the loop.
    pub(crate) fn wake(&self) {
        self.driver.wake();
    }
}

/// Facts about the state, as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u32);

impl Flags {
    /// The session is closing, or has ended.
    pub(crate) const ENDING: Self = Self(1);
    /// It has ended: nothing more is read or started.
    pub(crate) const ENDED: Self = Self(1 << 1);
    /// Items for the peer's subscribers wait to be sent.
    pub(crate) const ITEMS: Self = Self(1 << 2);
    /// The earliest deadline of any call or request has moved since the loop looked at it.
    pub(crate) const DEADLINE: Self = Self(1 << 3);
    /// Messages wait for a full check, since an item in them is not valid JSON.
    pub(crate) const UNJUDGED: Self = Self(1 << 4);
    /// The application has added to the cost or changed the limits since the loop last looked.
    pub(crate) const POLICY: Self = Self(1 << 5);
    /// A request has asked for the session to close after its reply.
    pub(crate) const CLOSES_AFTER: Self = Self(1 << 6);
    /// This side has had a subscription: a notification may be an item of it.
    pub(crate) const SUBSCRIBES: Self = Self(1 << 7);
    /// This side has asked for progress: a notification may be a report.
    pub(crate) const REPORTS: Self = Self(1 << 8);
    /// This side has had a listener: a notification may be for it.
    pub(crate) const LISTENS: Self = Self(1 << 9);
    /// The peer has said that it shuts down.
    pub(crate) const PEER_CLOSING: Self = Self(1 << 10);

    /// The flags that the loop does not find out by itself: it is woken when one of them is set.
    const WAKE: Self = Self(
        Self::ENDING.0 | Self::ENDED.0 | Self::ITEMS.0 | Self::DEADLINE.0 | Self::UNJUDGED.0 | Self::POLICY.0,
    );

    /// `self` if `holds`, and no flag otherwise.
    pub(crate) const fn when(self, holds: bool) -> Self {
        Self(self.0 * holds as u32)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    /// Clears the flag. Returns whether it was set.
    pub(super) const fn take(&mut self, flag: Self) -> bool {
        let was_set = self.has(flag);
        self.0 &= !flag.0;
        was_set
    }

    pub(super) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

/// The hints of the state at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Snapshot {
    pub(crate) flags: Flags,
    /// Bytes that handles have queued and the loop has not taken.
    pub(crate) queued: usize,
    /// The permits in use by requests, and the bytes of their messages.
    pub(crate) requests: usize,
    pub(crate) request_bytes: usize,
    /// Batches of the peer that are not answered yet.
    pub(crate) open_batches: usize,
}

/// The last snapshot as atomics. Written under the lock of the state, read by any thread.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    flags: AtomicU32,
    queued: AtomicUsize,
    requests: AtomicUsize,
    request_bytes: AtomicUsize,
    open_batches: AtomicUsize,
}

impl Hints {
    /// Called under the lock. Returns whether the loop has to be woken.
    ///
    /// It has to be for the first queued bytes, for a released permit (a request or a shutdown may
    /// wait for it), and for a new flag of [`Flags::WAKE`]. If bytes were queued before, the loop
    /// has been woken already, and checks everything before it sleeps.
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

/// The capacity for outgoing bytes, without the waking of the senders.
///
/// Bytes wait in two buffers: the outbox, where the loop has not taken them (a
/// [hint](Hints::queued)), and the loop's write buffer.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    /// Bytes that the loop has taken and not written. Changed only by the loop.
    unwritten: AtomicUsize,
    /// Whether a sender was refused since the loop last made capacity.
    is_wanted: AtomicBool,
}

impl Capacity {
    /// The bytes that wait, with those `queued` in the outbox.
    #[inline]
    pub(crate) fn waiting(&self, queued: usize) -> usize {
        self.unwritten.load(Ordering::Acquire) + queued
    }

    /// Bytes that the loop has taken and not written.
    #[inline]
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.load(Ordering::Acquire)
    }

    /// Sets the number of bytes that the loop holds.
    #[inline]
    pub(crate) fn set_unwritten(&self, bytes: usize) {
        self.unwritten.store(bytes, Ordering::Release);
    }

    /// Whether there is capacity; if not, the loop will wake a waiting sender when it has made
    /// some. `has_capacity` is called again after the flag was set. Either this fence or the one in
    /// [`made`](Self::made) comes first: either the loop sees the flag, or this call sees the
    /// capacity.
    #[inline]
    pub(crate) fn has_or_wants(&self, has_capacity: impl Fn() -> bool) -> bool {
        if has_capacity() {
            return true;
        }
        self.is_wanted.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        has_capacity()
    }

    /// Called by the loop when bytes were written. Returns whether to wake a waiting sender.
    #[inline]
    pub(crate) fn made(&self, has_capacity: impl FnOnce() -> bool) -> bool {
        fence(Ordering::SeqCst);
        let wakes = self.is_wanted.load(Ordering::Relaxed) && has_capacity();
        if wakes {
            self.is_wanted.store(false, Ordering::Relaxed);
        }
        wakes
    }

    /// All waiting senders are woken for another reason.
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
