//! Where the items of one subscription of ours wait to be taken.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    jsonrpc::{ErrorObject, Overflow, ProtocolError},
    session::{Bounds, CloseReason, byte_queue::ByteQueue},
};

/// The end of a subscription that the loop puts items into. It has a lock of its own, so that one who takes items contends with
/// nobody else.
#[derive(Debug)]
pub(crate) struct Inlet {
    state: Mutex<State>,
    bounds: Bounds,
    is_of_work: bool,
}

#[derive(Debug, Default)]
struct State {
    /// The JSON of items.
    items: ByteQueue,
    /// How many bytes each of them has.
    lengths: VecDeque<usize>,
    /// How many were dropped before the first of those that wait.
    lost: u64,
    end: Option<End>,
    reader: Option<Waker>,
    /// Whether the session was told that there is no room.
    is_full: bool,
    /// When the work was last heard of whose reports these are.
    alive: Option<Instant>,
}

/// How a subscription ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The stream has ended.
    Finished,
    Failed(ErrorObject),
    Closed(CloseReason),
    TooSlow(usize),
    /// The reply that was to end it breaks the rules.
    Broken(ProtocolError),
    /// Nothing was heard for so long.
    Timeout(Duration),
}

/// What is taken out.
#[derive(Debug)]
pub(crate) enum Taken {
    /// An item, whose JSON was copied out.
    Item,
    Lost(u64),
    /// Once; then there is nothing more.
    End(End),
    Nothing,
}

/// What became of an item.
#[derive(Debug)]
pub(crate) enum Put {
    /// Whoever waits for it is to be woken.
    Kept(Option<Waker>),
    /// The same, and the session is not to read further.
    Full(Option<Waker>),
    /// The subscription has ended.
    Ended,
}

impl Inlet {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { state: Mutex::default(), bounds, is_of_work: false }
    }

    /// For what is reported of some work.
    pub(crate) fn of_work(bounds: Bounds) -> Self {
        Self { is_of_work: true, ..Self::new(bounds) }
    }

    pub(crate) const fn is_of_work(&self) -> bool {
        self.is_of_work
    }

    /// Puts an item in, and does what is to be done where there is no room.
    pub(crate) fn put(&self, item: &str) -> Put {
        let mut state = self.lock();
        if state.end.is_some() {
            return Put::Ended;
        }
        let mut full = false;
        while !state.has_room(&self.bounds) {
            match self.bounds.overflow {
                // The session reads on only while it waits for a reply: twice the bounds is as far as that may go.
                Overflow::Wait if state.lengths.len() < self.bounds.items.saturating_mul(2) => {
                    full = true;
                    break;
                }
                Overflow::Wait | Overflow::End => {
                    let waiting = state.lengths.len();
                    end(state, End::TooSlow(waiting));
                    return Put::Ended;
                }
                Overflow::DropOldest => {
                    if let Some(dropped) = state.lengths.pop_front() {
                        state.items.pop(dropped);
                        state.lost += 1;
                    }
                }
            }
        }
        state.push(item);
        let reader = state.reader.take();
        let tell = full && !std::mem::replace(&mut state.is_full, full);
        if tell { Put::Full(reader) } else { Put::Kept(reader) }
    }

    /// Puts in the last item, for which there is always room.
    pub(crate) fn put_last(&self, item: &str) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.push(item);
        }
    }

    /// The work whose reports these are was heard of.
    pub(crate) fn is_alive(&self, now: Instant) {
        self.lock().alive = Some(now);
    }

    /// When that was last: now, where it has reported more than was taken, so that it is not listened to.
    pub(crate) fn was_alive(&self, now: Instant) -> Option<Instant> {
        let state = self.lock();
        if state.is_full { Some(now) } else { state.alive }
    }

    /// Ready when there is an item to take, or one was lost.
    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.lengths.is_empty() && state.lost == 0 {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The peer has dropped items.
    pub(crate) fn lose(&self, items: u64) {
        let mut state = self.lock();
        state.lost += items;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    pub(crate) fn end(&self, how: End) {
        end(self.lock(), how);
    }

    /// Takes something out, into `json` if it is an item. The second value says that the session may read again.
    pub(crate) fn poll_take(&self, cx: &Context<'_>, json: &mut Vec<u8>) -> Poll<(Taken, bool)> {
        let mut state = self.lock();
        let taken = if state.lost > 0 {
            Taken::Lost(std::mem::take(&mut state.lost))
        } else if let Some(length) = state.lengths.pop_front() {
            json.clear();
            json.extend_from_slice(state.items.first(length));
            state.items.pop(length);
            Taken::Item
        } else {
            match &state.end {
                Some(End::Finished) => Taken::Nothing,
                Some(_) => state.end.replace(End::Finished).map_or(Taken::Nothing, Taken::End),
                None => {
                    state.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        };
        let resumes = state.is_full && state.has_room(&self.bounds);
        if resumes {
            state.is_full = false;
        }
        Poll::Ready((taken, resumes))
    }

    /// Whether it keeps the session from reading; then it does no more.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.lock();
        state.end = Some(End::Finished);
        (state.items, state.lengths) = Default::default();
        std::mem::take(&mut state.is_full)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, bounds: &Bounds) -> bool {
        bounds.have_room(self.lengths.len(), self.items.len())
    }

    fn push(&mut self, item: &str) {
        self.items.push(item.as_bytes());
        self.lengths.push_back(item.len());
    }
}

/// The first end is the one that counts.
fn end(mut state: MutexGuard<'_, State>, how: End) {
    if state.end.is_none() {
        state.end = Some(how);
    }
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlet(overflow: Overflow) -> Inlet {
        Inlet::new(Bounds { items: 2, bytes: 1000, overflow })
    }

    fn taken(inlet: &Inlet) -> Vec<String> {
        let cx = Context::from_waker(Waker::noop());
        let (mut all, mut json) = (Vec::new(), Vec::new());
        while let Poll::Ready((taken, _)) = inlet.poll_take(&cx, &mut json) {
            match taken {
                Taken::Nothing => break,
                Taken::Item => all.push(format!("Item({})", String::from_utf8_lossy(&json))),
                other => all.push(format!("{other:?}")),
            }
        }
        all
    }

    fn put(inlet: &Inlet, item: &str) -> &'static str {
        match inlet.put(item) {
            Put::Kept(_) => "Kept",
            Put::Full(_) => "Full",
            Put::Ended => "Ended",
        }
    }

    #[test]
    fn one_who_waits_is_to_be_woken_once() {
        let inlet = inlet(Overflow::DropOldest);
        let cx = Context::from_waker(Waker::noop());
        assert!(inlet.poll_take(&cx, &mut Vec::new()).is_pending());
        assert!(matches!(inlet.put("1"), Put::Kept(Some(_))));
        assert!(matches!(inlet.put("2"), Put::Kept(None)));
    }

    #[test]
    fn the_oldest_are_dropped_and_counted_where_they_were() {
        let inlet = inlet(Overflow::DropOldest);
        for item in ["1", "2", "3"] {
            assert_eq!(put(&inlet, item), "Kept");
        }
        assert_eq!(taken(&inlet), ["Lost(1)", "Item(2)", "Item(3)"]);
    }

    #[test]
    fn it_ends_when_it_is_to() {
        let inlet = inlet(Overflow::End);
        assert_eq!(["1", "2", "3"].map(|item| put(&inlet, item)), ["Kept", "Kept", "Ended"]);
        assert_eq!(taken(&inlet), ["Item(1)", "Item(2)", "End(TooSlow(2))"]);
    }

    #[test]
    fn the_session_is_told_once_that_there_is_no_room_and_once_that_there_is() {
        let inlet = inlet(Overflow::Wait);
        let puts = ["1", "2", "3", "4", "5"].map(|item| put(&inlet, item));
        assert_eq!(puts, ["Kept", "Kept", "Full", "Kept", "Ended"]);
        let cx = Context::from_waker(Waker::noop());
        let resumes: Vec<bool> = (0..4)
            .map(|_| match inlet.poll_take(&cx, &mut Vec::new()) {
                Poll::Ready((_, resumes)) => resumes,
                Poll::Pending => panic!("there is something"),
            })
            .collect();
        assert_eq!(resumes, [false, false, true, false]);
    }

    #[test]
    fn what_waits_is_taken_before_the_end_which_comes_once() {
        let inlet = inlet(Overflow::Wait);
        inlet.put("1");
        inlet.end(End::Failed(ErrorObject::new(7, "no")));
        inlet.end(End::Finished);
        assert_eq!(put(&inlet, "2"), "Ended");
        let all = taken(&inlet);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[1].starts_with("End(Failed("), "{all:?}");
    }
}
