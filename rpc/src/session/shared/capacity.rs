//! Back-pressure on senders: how many bytes may wait to be sent, and who waits for capacity.

use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};

/// The capacity of the outgoing bytes, apart from how the waiting senders are woken.
///
/// Bytes wait in two places: those that handles have sent and the loop has not taken (a
/// [hint](super::hints::Hints::queued)), and those that the loop has taken and not written.
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
