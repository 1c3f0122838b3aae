//! How many exchanges are under way at once, and how many bytes they may send together.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Places for exchanges, given in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Places {
    exchanges: Semaphore,
    bytes: Semaphore,
    /// How many bytes there are in all.
    most: u32,
}

/// The place of one exchange, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _exchange: SemaphorePermit<'a>,
    _bytes: SemaphorePermit<'a>,
}

impl Places {
    /// At least one exchange, and one of any size, is always allowed.
    pub(super) fn new(exchanges: usize, bytes: usize) -> Self {
        let most = u32::try_from(bytes.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self {
            exchanges: Semaphore::new(exchanges.clamp(1, Semaphore::MAX_PERMITS)),
            bytes: Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)),
            most,
        }
    }

    /// Waits for a place for a message of about `size` bytes.
    pub(super) async fn take(&self, size: usize) -> Place<'_> {
        let bytes = u32::try_from(size).unwrap_or(u32::MAX).min(self.most);
        let never_closed = "the places are never closed";
        Place {
            _exchange: self.exchanges.acquire().await.expect(never_closed),
            _bytes: self.bytes.acquire_many(bytes).await.expect(never_closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_is_too_large_for_all_places_gets_all_of_them() {
        let places = Places::new(10, 100);
        let small = places.take(1).now_or_never().expect("there is room");
        assert!(places.take(1_000_000).now_or_never().is_none(), "one byte is taken");
        drop(small);
        let _large = places.take(1_000_000).now_or_never().expect("nothing else is under way");
        assert!(places.take(1).now_or_never().is_none());
    }

    #[test]
    fn limits_without_a_number_are_none() {
        let places = Places::new(usize::MAX, usize::MAX);
        let taken: Vec<_> = (0..1000).map(|_| places.take(1_000_000).now_or_never()).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(Places::new(0, 0).take(5).now_or_never().is_some(), "one is always allowed");
    }
}
