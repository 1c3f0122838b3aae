//! Where the items of one subscription of ours wait to be taken.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    jsonrpc::{ErrorObject, Overflow, ProtocolError, text::Text},
    session::{Bounds, CloseReason},
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
    items: VecDeque<Text>,
    bytes: usize,
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
    Item(Text),
    Lost(u64),
    /// Once; then there is nothing more.
    End(End),
    Nothing,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Kept,
    /// It was kept, and the session is not to read further.
    Full,
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
        while !self.bounds.have_room(state.items.len(), state.bytes) {
            match self.bounds.overflow {
                // The session reads on only while it waits for a reply: twice the bounds is as far as that may go.
                Overflow::Wait if state.items.len() < self.bounds.items.saturating_mul(2) => {
                    full = true;
                    break;
                }
                Overflow::Wait | Overflow::End => {
                    let waiting = state.items.len();
                    end(state, End::TooSlow(waiting));
                    return Put::Ended;
                }
                Overflow::DropOldest => {
                    if let Some(dropped) = state.items.pop_front() {
                        state.bytes -= dropped.as_str().len();
                        state.lost += 1;
                    }
                }
            }
        }
        state.bytes += item.len();
        state.items.push_back(item.into());
        let reader = state.reader.take();
        let tell = full && !std::mem::replace(&mut state.is_full, full);
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        if tell { Put::Full } else { Put::Kept }
    }

    /// Puts in the last item, for which there is always room.
    pub(crate) fn put_last(&self, item: &str) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.bytes += item.len();
            state.items.push_back(item.into());
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
        if state.items.is_empty() && state.lost == 0 {
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

    /// Takes something out. The second value says that the session may read again.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<(Taken, bool)> {
        let mut state = self.lock();
        let taken = if state.lost > 0 {
            Taken::Lost(std::mem::take(&mut state.lost))
        } else if let Some(item) = state.items.pop_front() {
            state.bytes -= item.as_str().len();
            Taken::Item(item)
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
        let has_room = self.bounds.have_room(state.items.len(), state.bytes);
        let resumes = has_room && std::mem::take(&mut state.is_full);
        Poll::Ready((taken, resumes))
    }

    /// Whether it keeps the session from reading; then it does no more.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.lock();
        state.end = Some(End::Finished);
        state.items = VecDeque::new();
        std::mem::take(&mut state.is_full)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut all = Vec::new();
        while let Poll::Ready((taken, _)) = inlet.poll_take(&cx) {
            match taken {
                Taken::Nothing => break,
                other => all.push(format!("{other:?}")),
            }
        }
        all
    }

    #[test]
    fn the_oldest_are_dropped_and_counted_where_they_were() {
        let inlet = inlet(Overflow::DropOldest);
        for item in ["1", "2", "3"] {
            assert_eq!(inlet.put(item), Put::Kept);
        }
        assert_eq!(taken(&inlet), ["Lost(1)", "Item(2)", "Item(3)"]);
    }

    #[test]
    fn it_ends_when_it_is_to() {
        let inlet = inlet(Overflow::End);
        assert_eq!([inlet.put("1"), inlet.put("2"), inlet.put("3")], [Put::Kept, Put::Kept, Put::Ended]);
        assert_eq!(taken(&inlet), ["Item(1)", "Item(2)", "End(TooSlow(2))"]);
    }

    #[test]
    fn the_session_is_told_once_that_there_is_no_room_and_once_that_there_is() {
        let inlet = inlet(Overflow::Wait);
        let puts: Vec<Put> = ["1", "2", "3", "4", "5"].iter().map(|item| inlet.put(item)).collect();
        assert_eq!(puts, [Put::Kept, Put::Kept, Put::Full, Put::Kept, Put::Ended]);
        let cx = Context::from_waker(Waker::noop());
        let resumes: Vec<bool> = (0..4)
            .map(|_| match inlet.poll_take(&cx) {
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
        assert_eq!(inlet.put("2"), Put::Ended);
        let all = taken(&inlet);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[1].starts_with("End(Failed("), "{all:?}");
    }
}
