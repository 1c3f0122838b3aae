//! One source of items for many subscribers.

mod ring;
mod shared_json;

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::Stream;

use ring::Ring;
pub use shared_json::SharedJson;

/// One source of items for many subscribers. Each item is kept once and serialised once, however
/// many subscribers it is sent to.
///
/// Handlers return the stream of [`subscribe`](Self::subscribe), or a stream made from it; the
/// application publishes the items. Clones are the same source, and the streams end when the last
/// clone is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::StreamExt;
/// use rpc::{Broadcast, Context, ErrorObject, MethodInfo, Params, Router, SubscriptionInfo, SubscriptionStyle};
///
/// let blocks = Broadcast::new(16);
/// let source = blocks.clone();
/// let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "block").with_unsubscribe("unblocks");
/// let router = Router::new()
///     .subscription(MethodInfo::request("blocks").with_subscription(info), move |_: Params, _: Context| {
///         let blocks = source.subscribe();
///         async move { Ok::<_, ErrorObject>(blocks) }
///     });
///
/// let (session, _peer) = rpc::testing::pair((), router);
/// let mut first = session.subscribe::<(u64, String)>("blocks", ()).await?;
/// let mut second = session.subscribe::<(u64, String)>("blocks", ()).await?;
/// blocks.publish((1, "abc".to_owned()));
/// assert_eq!(first.next().await.unwrap()?.0, 1);
/// assert_eq!(second.next().await.unwrap()?.1, "abc");
/// # Ok(()) }
/// ```
///
/// # Subscribers that are slow
///
/// Only items that some subscriber has yet to take are kept. A subscriber that lags by `capacity`
/// items when another one is [`publish`](Self::publish)ed loses the oldest of them, and goes on;
/// the other subscribers lose nothing. Its peer is told where the gap is and how many items are
/// missing, which a client of this crate reads as
/// [`SubscriptionError::Lost`](crate::SubscriptionError::Lost); under
/// [`Overflow::End`](crate::Overflow::End) the subscription ends. On this side,
/// [`BroadcastStream::lost`] counts them.
///
/// [The policy of a subscription](crate::SubscriptionInfo::with_overflow) decides how it takes
/// items from here. Under [`Overflow::Wait`](crate::Overflow::Wait) it stops while its own queue is
/// full, and later items wait here, kept once for all. A source that must not outrun its slowest
/// subscriber uses [`send`](Self::send).
pub struct Broadcast<T> {
    source: Arc<BroadcastSource<T>>,
}

struct BroadcastSource<T>(Mutex<BroadcastState<T>>);

struct BroadcastState<T> {
    ring: Ring<SharedJson<T>>,
    /// The number of [`Broadcast`]s. At 0 the streams end.
    publishers: usize,
    /// The tasks that wait in [`Broadcast::send`] for capacity.
    senders: Vec<Waker>,
}

impl<T> Broadcast<T> {
    /// A source that keeps up to `capacity` items for a subscriber that lags; at least one.
    pub fn new(capacity: usize) -> Self {
        let state = BroadcastState { ring: Ring::new(capacity.max(1)), publishers: 1, senders: Vec::new() };
        Self { source: Arc::new(BroadcastSource(Mutex::new(state))) }
    }

    /// Gives an item to all subscribers, and never waits: a subscriber that lags too far loses its
    /// oldest item.
    pub fn publish(&self, value: T) {
        self.source.put(self.source.lock(), SharedJson::new(value));
    }

    /// Gives an item to all subscribers, and none of them loses any: waits while the slowest has
    /// `capacity` items to take. A subscriber that takes nothing blocks the source, so give the
    /// subscriptions a policy that drops items or ends.
    ///
    /// Cancel safe: the item was given to all subscribers, or to none.
    pub async fn send(&self, value: T) {
        let mut value = Some(value);
        poll_fn(|cx| {
            let mut state = self.source.lock();
            if !state.ring.has_capacity() {
                if !state.senders.iter().any(|sender| sender.will_wake(cx.waker())) {
                    state.senders.push(cx.waker().clone());
                }
                return Poll::Pending;
            }
            if let Some(value) = value.take() {
                self.source.put(state, SharedJson::new(value));
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The items from now on, as a stream.
    pub fn subscribe(&self) -> BroadcastStream<T> {
        let subscriber = self.source.lock().ring.join();
        BroadcastStream { source: Arc::clone(&self.source), subscriber, lost: 0 }
    }

    /// The number of subscribers.
    pub fn subscribers(&self) -> usize {
        self.source.lock().ring.subscribers()
    }
}

impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        self.source.lock().publishers += 1;
        Self { source: Arc::clone(&self.source) }
    }
}

impl<T> Drop for Broadcast<T> {
    fn drop(&mut self) {
        let mut state = self.source.lock();
        state.publishers -= 1;
        if state.publishers == 0 {
            let waiting = state.ring.take_wakers();
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("subscribers", &self.subscribers()).finish_non_exhaustive()
    }
}

/// The items of a [`Broadcast`], as a stream.
///
/// Polling is cancel safe: an item that was not taken is there the next time.
pub struct BroadcastStream<T> {
    source: Arc<BroadcastSource<T>>,
    subscriber: u64,
    lost: u64,
}

impl<T> BroadcastStream<T> {
    /// The number of items that this stream has lost so far, because it lagged.
    ///
    /// A subscription whose stream is this one, or is made from it, tells its peer by itself.
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

impl<T> Stream for BroadcastStream<T> {
    type Item = SharedJson<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SharedJson<T>>> {
        let mut state = self.source.lock();
        match state.ring.take(self.subscriber) {
            Some(taken) => {
                wake_senders(state);
                if taken.lost > 0 {
                    self.lost += taken.lost;
                    report_lost(taken.lost);
                }
                Poll::Ready(Some(taken.item))
            }
            None if state.publishers == 0 => Poll::Ready(None),
            None => {
                state.ring.wait(self.subscriber, cx.waker());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for BroadcastStream<T> {
    fn drop(&mut self) {
        let mut state = self.source.lock();
        let unneeded = state.ring.leave(self.subscriber);
        wake_senders(state);
        // After the lock was released: the destructor of an item is code of the application.
        drop(unneeded);
    }
}

impl<T> fmt::Debug for BroadcastStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastStream").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl<T> BroadcastSource<T> {
    fn lock(&self) -> MutexGuard<'_, BroadcastState<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, mut state: MutexGuard<'_, BroadcastState<T>>, item: SharedJson<T>) {
        let dropped = state.ring.push(item);
        let waiting = state.ring.take_wakers();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        // After the lock was released: the destructor of an item is code of the application.
        drop(dropped);
    }
}

/// Wakes the waiting senders once half of the capacity is free: a sender that is woken for every
/// item would write them one at a time.
fn wake_senders<T>(mut state: MutexGuard<'_, BroadcastState<T>>) {
    if state.ring.is_half_empty() && !state.senders.is_empty() {
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        senders.into_iter().for_each(Waker::wake);
    }
}

thread_local! {
    /// The number of items lost during the current [`count_lost`]; `None` outside of one.
    static LOST: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Adds to the items lost during the current [`count_lost`].
fn report_lost(items: u64) {
    LOST.set(LOST.get().map(|lost| lost.saturating_add(items)));
}

/// Polls a stream, and counts the items that it lost meanwhile.
///
/// A [`BroadcastStream`] loses items somewhere inside the stream of a handler, under any adaptors.
/// The subscription that polls the stream learns of the loss by a variable of the thread.
pub(super) fn count_lost<R>(poll: impl FnOnce() -> R) -> (R, u64) {
    /// A guard, because the polled stream is code of the application, and may panic.
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
    fn losses_count_for_the_innermost_poll() {
        report_lost(100);
        let ((inner, lost_inside), lost) = count_lost(|| {
            report_lost(1);
            let inner = count_lost(|| report_lost(20));
            report_lost(2);
            inner
        });
        let () = inner;
        assert_eq!((lost_inside, lost), (20, 3));
        assert_eq!(count_lost(|| ()).1, 0);
    }

    #[test]
    fn a_panic_ends_the_count() {
        let panicked = std::panic::catch_unwind(|| count_lost(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(LOST.get(), None);
    }
}
