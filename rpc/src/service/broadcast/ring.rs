//! The items that a broadcast keeps for those who have not taken them yet, and who those are. No locks and no waking in here.

use std::{collections::VecDeque, task::Waker};

use crate::jsonrpc::table::Table;

/// A queue with one end to put in, and many to take out.
#[derive(Debug)]
pub(super) struct Ring<T> {
    /// Those that somebody has yet to take; later ones lack at least as many as earlier ones.
    entries: VecDeque<RingEntry<T>>,
    /// The number of the first of them. Items are numbered from 0.
    first: u64,
    capacity: usize,
    subscribers: Table<Cursor>,
    /// The subscribers that wait for an item.
    waiting: Vec<u64>,
}

#[derive(Debug)]
struct RingEntry<T> {
    item: T,
    /// How many have yet to take it.
    remaining: usize,
}

/// How far a subscriber has come.
#[derive(Debug)]
struct Cursor {
    /// The number of the item that it takes next.
    next: u64,
    waker: Option<Waker>,
}

/// What a subscriber is given.
#[derive(Debug, PartialEq)]
pub(super) struct TakenItem<T> {
    pub(super) item: T,
    /// How many it has lost before this one.
    pub(super) lost: u64,
}

impl<T: Clone> Ring<T> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, capacity, subscribers: Table::new(), waiting: Vec::new() }
    }

    /// The number of the item that is put in next.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether an item can be put in that drops none.
    pub(super) fn has_capacity(&self) -> bool {
        self.entries.len() < self.capacity
    }

    /// Whether half of what may be kept was taken.
    pub(super) fn is_half_empty(&self) -> bool {
        self.entries.len() <= self.capacity / 2
    }

    /// Adds a subscriber, which takes the items that are put in from now on.
    pub(super) fn join(&mut self) -> u64 {
        let next = self.end();
        self.subscribers.insert(Cursor { next, waker: None })
    }

    /// Removes a subscriber. Gives the items that only it was to take, for dropping them elsewhere.
    pub(super) fn leave(&mut self, subscriber: u64) -> Vec<T> {
        let Some(Cursor { next, .. }) = self.subscribers.remove(subscriber) else { return Vec::new() };
        self.waiting.retain(|waiting| *waiting != subscriber);
        let taken = next.saturating_sub(self.first) as usize;
        for entry in self.entries.iter_mut().skip(taken) {
            entry.remaining -= 1;
        }
        std::iter::from_fn(|| self.pop_taken()).collect()
    }

    /// Puts an item in. Gives the one that is dropped for it, or the item itself where nobody listens, for dropping it elsewhere.
    pub(super) fn push(&mut self, item: T) -> Option<T> {
        let remaining = self.subscribers.len();
        if remaining == 0 {
            return Some(item);
        }
        let dropped = if self.has_capacity() { None } else { self.pop() };
        self.entries.push_back(RingEntry { item, remaining });
        dropped
    }

    /// Those to wake when an item was put in.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        let Self { waiting, subscribers, .. } = self;
        waiting.drain(..).filter_map(|subscriber| subscribers.get_mut(subscriber)?.waker.take()).collect()
    }

    /// The next item of a subscriber.
    pub(super) fn take(&mut self, subscriber: u64) -> Option<TakenItem<T>> {
        let cursor = self.subscribers.get_mut(subscriber)?;
        let lost = self.first.saturating_sub(cursor.next);
        let number = cursor.next + lost;
        let entry = self.entries.get_mut((number - self.first) as usize)?;
        cursor.next = number + 1;
        entry.remaining -= 1;
        let item = entry.item.clone();
        // The last to take it leaves a clone here, which is dropped without anything of the user's being run.
        self.pop_taken();
        Some(TakenItem { item, lost })
    }

    /// Has a subscriber woken when the next item is put in.
    pub(super) fn wait(&mut self, subscriber: u64, waker: &Waker) {
        let Some(cursor) = self.subscribers.get_mut(subscriber) else { return };
        match &mut cursor.waker {
            Some(known) => known.clone_from(waker),
            None => {
                cursor.waker = Some(waker.clone());
                self.waiting.push(subscriber);
            }
        }
    }

    /// Everybody has taken the first item: takes it out.
    fn pop_taken(&mut self) -> Option<T> {
        if self.entries.front()?.remaining > 0 {
            return None;
        }
        self.pop()
    }

    fn pop(&mut self) -> Option<T> {
        let entry = self.entries.pop_front()?;
        self.first += 1;
        Some(entry.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(capacity: usize) -> Ring<u32> {
        Ring::new(capacity)
    }

    fn all(ring: &mut Ring<u32>, subscriber: u64) -> Vec<(u32, u64)> {
        std::iter::from_fn(|| ring.take(subscriber).map(|taken| (taken.item, taken.lost))).collect()
    }

    #[test]
    fn everybody_takes_what_came_since_they_joined() {
        let mut ring = ring(10);
        assert_eq!(ring.push(0), Some(0), "nobody listens");
        let first = ring.join();
        ring.push(1);
        let second = ring.join();
        ring.push(2);
        assert_eq!(all(&mut ring, first), [(1, 0), (2, 0)]);
        assert_eq!(all(&mut ring, second), [(2, 0)]);
        assert!(ring.entries.is_empty(), "what everybody has taken is not kept");
    }

    #[test]
    fn one_who_lags_loses_the_oldest_and_the_others_nothing() {
        let mut ring = ring(2);
        let (slow, quick) = (ring.join(), ring.join());
        let mut dropped = Vec::new();
        for n in 0..5 {
            dropped.extend(ring.push(n));
            assert_eq!(all(&mut ring, quick), [(n, 0)]);
        }
        assert_eq!(dropped, [0, 1, 2]);
        assert_eq!(all(&mut ring, slow), [(3, 3), (4, 0)]);
    }

    #[test]
    fn what_only_one_who_leaves_was_to_take_goes_with_it() {
        let mut ring = ring(4);
        let (slow, quick) = (ring.join(), ring.join());
        for n in 0..3 {
            assert_eq!(ring.push(n), None);
        }
        ring.take(quick);
        ring.take(quick);
        assert!(ring.has_capacity() && !ring.is_half_empty());
        assert_eq!(ring.leave(slow), [0, 1]);
        assert!(ring.is_half_empty());
        assert_eq!(all(&mut ring, quick), [(2, 0)]);
        assert!(ring.leave(slow).is_empty());
        assert_eq!(ring.subscribers(), 1);
    }

    #[test]
    fn one_who_waits_is_woken_once() {
        let mut ring = ring(4);
        let (one, other) = (ring.join(), ring.join());
        ring.wait(one, Waker::noop());
        ring.wait(one, Waker::noop());
        ring.wait(other, Waker::noop());
        ring.leave(other);
        ring.push(1);
        assert_eq!(ring.take_wakers().len(), 1);
        assert_eq!(ring.take_wakers().len(), 0);
    }
}
