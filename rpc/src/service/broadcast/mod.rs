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

/// One source of items for many subscribers: each item is kept once, and written as JSON once, however many it is sent to.
///
/// Handlers return what [`subscribe`](Self::subscribe) gives, or a stream made from it; whoever has news publishes it. Clones are the
/// same source. Its streams end when the last clone is dropped.
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
/// What nobody has yet to take is not kept. A subscriber that has yet to take `capacity` items when another one is
/// [`publish`](Self::publish)ed loses the oldest of them, and goes on; nobody else notices. Its peer is told where the gap is and how
/// many are missing, which a client of ours reads as [`SubscriptionError::Lost`](crate::SubscriptionError::Lost); and under
/// [`Overflow::End`](crate::Overflow::End) the subscription ends. [`BroadcastStream::lost`] says so on this side.
///
/// A subscription takes items from here as [its policy](crate::SubscriptionInfo::with_overflow) says: under
/// [`Overflow::Wait`](crate::Overflow::Wait) it stops when its own queue is full, and what comes then waits here, once for all.
/// A source that must not outrun its slowest subscriber [`send`](Self::send)s.
pub struct Broadcast<T> {
    source: Arc<BroadcastSource<T>>,
}

struct BroadcastSource<T>(Mutex<BroadcastState<T>>);

struct BroadcastState<T> {
    ring: Ring<SharedJson<T>>,
    /// How many [`Broadcast`]s there are: none will say anything more where this is 0.
    publishers: usize,
    /// Those that wait for room.
    senders: Vec<Waker>,
}

impl<T> Broadcast<T> {
    /// A source that keeps up to `capacity` items for a subscriber that has yet to take them; at least one.
    pub fn new(capacity: usize) -> Self {
        let state = BroadcastState { ring: Ring::new(capacity.max(1)), publishers: 1, senders: Vec::new() };
        Self { source: Arc::new(BroadcastSource(Mutex::new(state))) }
    }

    /// Gives an item to all who are subscribed, and never waits: those who are too slow lose their oldest.
    pub fn publish(&self, value: T) {
        self.source.put(self.source.lock(), SharedJson::new(value));
    }

    /// Gives an item to all who are subscribed, and none of them loses any: waits while `capacity` items wait for the slowest. One
    /// that takes nothing holds all others up, so give their subscriptions a policy that drops or ends.
    ///
    /// Cancel safe: the value was given to all, or to nobody.
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

    /// How many are subscribed.
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
    /// How many items it has lost so far because it did not take them in time.
    ///
    /// A subscription whose stream is this, or is made from it, tells its peer by itself.
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
        // Dropping them is code of the user's.
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
        // Not under the lock: dropping a value is code of the user's.
        drop(dropped);
    }
}

/// Wakes those who wait for room, when there is a good deal: a publisher that is woken for every item writes one at a time.
fn wake_senders<T>(mut state: MutexGuard<'_, BroadcastState<T>>) {
    if state.ring.is_half_empty() && !state.senders.is_empty() {
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        senders.into_iter().for_each(Waker::wake);
    }
}

thread_local! {
    /// How many were lost since somebody began to notice; `None` while nobody does.
    static LOST: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Says that items were left out.
fn report_lost(items: u64) {
    LOST.set(LOST.get().map(|lost| lost.saturating_add(items)));
}

/// Polls something, and notices how many items were left out meanwhile.
pub(super) fn count_lost<R>(poll: impl FnOnce() -> R) -> (R, u64) {
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
    fn a_panic_leaves_nobody_count_lost() {
        let panicked = std::panic::catch_unwind(|| count_lost(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(LOST.get(), None);
    }
}
