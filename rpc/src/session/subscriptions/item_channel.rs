//! The channel between the loop, which receives the items of a subscription, and the subscriber.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    jsonrpc::{ErrorObject, ProtocolError},
    session::{
        Bounds, CloseReason,
        item_queue::{ItemQueue, Next, NoLimit, Push},
    },
};

/// An [`ItemQueue`] between the loop and one subscriber. It has a lock of its own, so that taking
/// an item does not contend for the session's lock. Wakers are woken, cloned and dropped outside
/// it, since that is user code.
#[derive(Debug)]
pub(crate) struct ItemChannel {
    state: Mutex<ChannelState>,
    is_of_work: bool,
    full: FullChannels,
    /// Whether the subscriber's last poll has found the queue empty.
    is_awaited: AtomicBool,
}

/// Back-pressure: the number of full channels of one session. While there is one, the session stops
/// reading. Each channel counts itself in when it becomes full, and out when it has capacity again.
#[derive(Debug, Clone, Default)]
pub(crate) struct FullChannels(Arc<AtomicUsize>);

impl FullChannels {
    pub(crate) fn any(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

#[derive(Debug)]
struct ChannelState {
    /// The JSON of the items.
    queue: ItemQueue<End>,
    reader: Option<Waker>,
    /// Whether this channel is counted as full.
    is_full: bool,
    /// The time of the last progress report, if the items are reports.
    alive: Option<Instant>,
}

/// The end of a subscription.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The producer has ended.
    Finished,
    Failed(ErrorObject),
    Closed(CloseReason),
    TooSlow(usize),
    /// The reply that ends it violates the protocol.
    Broken(ProtocolError),
    /// Neither a reply nor a report came for this long.
    Timeout(Duration),
}

/// The next entry of a channel.
#[derive(Debug)]
pub(crate) enum ChannelEvent {
    /// An item, whose JSON was copied out.
    Item,
    Lost(u64),
    /// It comes once, behind the items.
    End(End),
    /// The subscription has ended, and the end was taken before.
    Nothing,
}

/// The outcome of putting an item. The waiting reader has to be woken outside all locks.
#[derive(Debug)]
pub(crate) enum Put {
    Kept(Option<Waker>),
    /// The subscription has ended, now or before.
    Ended(Option<Waker>),
}

impl Put {
    pub(crate) const fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    pub(crate) fn reader(self) -> Option<Waker> {
        match self {
            Self::Kept(reader) | Self::Ended(reader) => reader,
        }
    }
}

impl ItemChannel {
    /// `full` counts the full channels of the session.
    pub(crate) fn new(bounds: Bounds, full: &FullChannels) -> Self {
        Self {
            state: Mutex::new(ChannelState {
                queue: ItemQueue::new(bounds),
                reader: None,
                is_full: false,
                alive: None,
            }),
            is_of_work: false,
            full: full.clone(),
            is_awaited: AtomicBool::new(false),
        }
    }

    /// A channel for progress reports.
    pub(crate) fn of_work(bounds: Bounds, full: &FullChannels) -> Self {
        Self { is_of_work: true, ..Self::new(bounds, full) }
    }

    /// Whether reports in a full channel stop the session from reading the reply to their call.
    pub(crate) fn holds_reply_back(&self) -> bool {
        self.is_of_work && self.lock().is_full
    }

    /// Adds an item, and applies the overflow rule if it does not fit.
    pub(crate) fn put(&self, item: &str) -> Put {
        let mut state = self.lock();
        if !state.queue.is_open() {
            return Put::Ended(None);
        }
        match state.queue.push(item.as_bytes(), &mut NoLimit) {
            Push::Kept => {}
            // A full channel stops the session from reading, unless a call is in flight whose reply
            // may be next: until then items may come, up to twice the bounds.
            Push::Full if state.queue.push_over(item.as_bytes(), &mut NoLimit) => {
                if !std::mem::replace(&mut state.is_full, true) {
                    self.full.0.fetch_add(1, Relaxed);
                }
            }
            Push::Full | Push::Ends => {
                let waiting = state.queue.len();
                return Put::Ended(state.end(End::TooSlow(waiting)));
            }
        }
        Put::Kept(state.reader.take())
    }

    /// Adds an item, and wakes the reader. False if the subscription has ended.
    pub(crate) fn give(&self, item: &str) -> bool {
        let put = self.put(item);
        let is_kept = put.is_kept();
        if let Some(reader) = put.reader() {
            reader.wake();
        }
        is_kept
    }

    /// Adds the last item, whatever the bounds.
    pub(crate) fn put_last(&self, item: &str) {
        let mut state = self.lock();
        if state.queue.is_open() {
            state.queue.push_unbounded(item.as_bytes(), &mut NoLimit);
        }
    }

    /// Records the time of a progress report.
    pub(crate) fn is_alive(&self, now: Instant) {
        self.lock().alive = Some(now);
    }

    /// The time of the last report; `now` while the channel is full: the session does not read, so
    /// silence says nothing about the peer.
    pub(crate) fn was_alive(&self, now: Instant) -> Option<Instant> {
        let state = self.lock();
        if state.is_full { Some(now) } else { state.alive }
    }

    /// Ready when there is an item to take, or items were lost.
    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll(cx, |state| state.queue.has_items().then_some(()))
    }

    /// Marks items as missing that the peer has dropped. Returns the waiting reader.
    pub(crate) fn lose(&self, items: u64) -> Option<Waker> {
        let mut state = self.lock();
        state.queue.lose_first(items);
        state.reader.take()
    }

    /// Ends the channel. Returns the waiting reader.
    pub(crate) fn end(&self, how: End) -> Option<Waker> {
        self.lock().end(how)
    }

    /// Takes the next entry, an item into `json`. The second value is true if the channel is no
    /// longer full: then wake the session.
    pub(crate) fn poll_take(&self, cx: &Context<'_>, json: &mut Vec<u8>) -> Poll<(ChannelEvent, bool)> {
        let taken = self.poll(cx, |state| {
            let taken = state.take(json)?;
            let resumes = state.queue.has_capacity(1, &NoLimit) && self.resumes(state);
            Some((taken, resumes))
        });
        self.is_awaited.store(taken.is_pending(), Relaxed);
        taken
    }

    /// Whether the subscriber waits, so that it will take the next item at once.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Relaxed)
    }

    /// The subscriber was dropped. True if the channel was full: then wake the session.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.lock();
        state.queue.clear(&mut NoLimit);
        self.resumes(&mut state)
    }

    /// Counts the channel out of the full ones. False if it was not counted.
    fn resumes(&self, state: &mut ChannelState) -> bool {
        let was_full = std::mem::take(&mut state.is_full);
        if was_full {
            self.full.0.fetch_sub(1, Relaxed);
        }
        was_full
    }

    /// Ready when `take` returns a value.
    fn poll<T>(&self, cx: &Context<'_>, mut take: impl FnMut(&mut ChannelState) -> Option<T>) -> Poll<T> {
        let mut waker: Option<Waker> = None;
        loop {
            let mut state = self.lock();
            if let Some(taken) = take(&mut state) {
                return Poll::Ready(taken);
            }
            if state.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            if let Some(waker) = waker.take() {
                let before = state.reader.replace(waker);
                drop(state);
                drop(before);
                return Poll::Pending;
            }
            drop(state);
            waker = Some(cx.waker().clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelState {
    /// Takes the next entry, an item into `json`. `None` if there is none now.
    fn take(&mut self, json: &mut Vec<u8>) -> Option<ChannelEvent> {
        let taken = self.queue.take(&mut NoLimit, |next| match next {
            Next::Item(item) => {
                json.clear();
                json.extend_from_slice(item);
                ChannelEvent::Item
            }
            Next::Lost(items) => ChannelEvent::Lost(items),
            Next::End(how) => ChannelEvent::End(how),
        });
        taken.or_else(|| (!self.queue.is_open()).then_some(ChannelEvent::Nothing))
    }

    /// Only the first end counts. Returns the waiting reader.
    fn end(&mut self, how: End) -> Option<Waker> {
        self.queue.end(Some(how));
        self.reader.take()
    }
}

/// A cache of one entry: the channel that took the last item. Items tend to come in runs for one
/// key, and looking a key up takes the lock of the session.
///
/// The entry is valid until a second subscriber takes items of the same key. Only the reply to a
/// call can add one, and the loop clears the cache then. A channel that has ended refuses the next
/// item.
#[derive(Debug, Default)]
pub(crate) struct LastHit(Option<(Box<str>, Arc<ItemChannel>)>);

impl LastHit {
    pub(crate) fn find(&self, key: &str) -> Option<&Arc<ItemChannel>> {
        self.0.as_ref().and_then(|(known, channel)| (**known == *key).then_some(channel))
    }

    pub(crate) fn set(&mut self, key: &str, channel: &Arc<ItemChannel>) {
        self.0 = Some((key.into(), Arc::clone(channel)));
    }

    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Overflow;

    fn channel(overflow: Overflow) -> ItemChannel {
        channel_of(Bounds { items: 2, bytes: 1000, overflow })
    }

    fn channel_of(bounds: Bounds) -> ItemChannel {
        ItemChannel::new(bounds, &FullChannels::default())
    }

    fn taken(channel: &ItemChannel) -> Vec<String> {
        let cx = Context::from_waker(Waker::noop());
        let (mut all, mut json) = (Vec::new(), Vec::new());
        while let Poll::Ready((taken, _)) = channel.poll_take(&cx, &mut json) {
            match taken {
                ChannelEvent::Nothing => break,
                ChannelEvent::Item => all.push(format!("Item({})", String::from_utf8_lossy(&json))),
                other => all.push(format!("{other:?}")),
            }
        }
        all
    }

    fn put(channel: &ItemChannel, item: &str) -> &'static str {
        match channel.put(item) {
            Put::Kept(_) => "Kept",
            Put::Ended(_) => "Ended",
        }
    }

    #[test]
    fn one_who_waits_is_to_be_woken_once() {
        let channel = channel(Overflow::DropOldest);
        let cx = Context::from_waker(Waker::noop());
        assert!(channel.poll_take(&cx, &mut Vec::new()).is_pending());
        assert!(matches!(channel.put("1"), Put::Kept(Some(_))));
        assert!(matches!(channel.put("2"), Put::Kept(None)));
    }

    #[test]
    fn the_oldest_are_dropped_and_counted_where_they_were() {
        let channel = channel(Overflow::DropOldest);
        for item in ["1", "2", "3"] {
            assert_eq!(put(&channel, item), "Kept");
        }
        assert_eq!(taken(&channel), ["Lost(1)", "Item(2)", "Item(3)"]);
    }

    #[test]
    fn it_ends_when_it_is_to() {
        let channel = channel(Overflow::End);
        assert_eq!(["1", "2", "3"].map(|item| put(&channel, item)), ["Kept", "Kept", "Ended"]);
        assert_eq!(taken(&channel), ["Item(1)", "Item(2)", "End(TooSlow(2))"]);
    }

    #[test]
    fn the_session_is_told_once_that_there_is_no_room_and_once_that_there_is() {
        let channel = channel(Overflow::Wait);
        let puts = ["1", "2", "3", "4", "5"].map(|item| (put(&channel, item), channel.full.any()));
        let expected = [("Kept", false), ("Kept", false), ("Kept", true), ("Kept", true), ("Ended", true)];
        assert_eq!(puts, expected);
        let cx = Context::from_waker(Waker::noop());
        let resumes: Vec<bool> = (0..4)
            .map(|_| match channel.poll_take(&cx, &mut Vec::new()) {
                Poll::Ready((_, resumes)) => resumes,
                Poll::Pending => panic!("there is something"),
            })
            .collect();
        assert_eq!(resumes, [false, false, true, false]);
        assert!(!channel.full.any());
    }

    #[test]
    fn bytes_are_bounded_like_items_whatever_is_done_beyond() {
        let large = "x".repeat(600);
        for (overflow, kept, last) in [
            (Overflow::DropOldest, 1, "Kept"),
            (Overflow::End, 1, "Ended"),
            // Twice the bounds, while a call waits: 1,800 bytes, and not 2,400.
            (Overflow::Wait, 3, "Ended"),
        ] {
            let channel = channel_of(Bounds { items: 100, bytes: 1000, overflow });
            let puts = [0; 4].map(|_| put(&channel, &large));
            assert_eq!((channel.lock().queue.len(), puts[3]), (kept, last), "{overflow:?}");
            // A first item is kept whatever its size.
            let channel = channel_of(Bounds { items: 100, bytes: 10, overflow });
            assert_eq!(put(&channel, &large), "Kept", "{overflow:?}");
        }
    }

    #[test]
    fn a_peer_that_says_how_much_was_lost_cannot_make_the_number_wrap() {
        let channel = channel(Overflow::DropOldest);
        channel.lose(u64::MAX);
        channel.lose(u64::MAX);
        channel.put("1");
        assert_eq!(taken(&channel), ["Lost(18446744073709551615)", "Item(1)"]);
    }

    #[test]
    fn what_waits_is_taken_before_the_end_which_comes_once() {
        let channel = channel(Overflow::Wait);
        channel.put("1");
        channel.end(End::Failed(ErrorObject::new(7, "no")));
        channel.end(End::Finished);
        assert_eq!(put(&channel, "2"), "Ended");
        let all = taken(&channel);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[1].starts_with("End(Failed("), "{all:?}");
    }
}
