//! How a subscription learns that its source has left out items.
//!
//! A listener that lags behind its [`Broadcast`](super::Broadcast) loses items somewhere inside the handler's stream, under whatever
//! adaptors that was built from. Whoever polls the stream on behalf of a subscription notices it here, on the thread that polls.

use std::cell::Cell;

thread_local! {
    /// How many were lost since somebody began to notice; `None` while nobody does.
    static LOST: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Says that items were left out.
pub(super) fn report(items: u64) {
    LOST.set(LOST.get().map(|lost| lost.saturating_add(items)));
}

/// Polls something, and notices how many items were left out meanwhile.
pub(in crate::service) fn noticing<R>(poll: impl FnOnce() -> R) -> (R, u64) {
    /// Polling is code of the user's, which may panic.
    struct Restore(Option<u64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LOST.set(self.0);
        }
    }
    let restore = Restore(LOST.replace(Some(0)));
    let polled = poll();
    let lost = LOST.get().unwrap_or_default();
    drop(restore);
    (polled, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_goes_to_the_innermost_who_notices() {
        report(100);
        let ((inner, lost_inside), lost) = noticing(|| {
            report(1);
            let inner = noticing(|| report(20));
            report(2);
            inner
        });
        let () = inner;
        assert_eq!((lost_inside, lost), (20, 3));
        assert_eq!(noticing(|| ()).1, 0);
    }

    #[test]
    fn a_panic_leaves_nobody_noticing() {
        let panicked = std::panic::catch_unwind(|| noticing(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(LOST.get(), None);
    }
}
