//! The items that a broadcast keeps for subscribers that lag, and the position of each subscriber.
//! A pure data structure: no lock, and no waking.

use std::{collections::VecDeque, task::Waker};

use crate::jsonrpc::table::Table;

/// A queue with one producer end and many consumers, each of which takes every item.
#[derive(Debug)]
pub(super) struct Ring<T> {
    /// The items that some subscriber has yet to take. `remaining` never falls from one to the
    /// next.
    entries: VecDeque<RingEntry<T>>,
    /// The number of the first entry. Items are numbered from 0.
    first: u64,
    capacity: usize,
    subscribers: Table<Cursor>,
    /// The subscribers that wait for an item.
    waiting: Vec<u64>,
}

#[derive(Debug)]
struct RingEntry<T> {
    item: T,
    /// The number of subscribers that have yet to take it.
    remaining: usize,
}

/// The position of a subscriber.
#[derive(Debug)]
struct Cursor {
    /// The number of the item that it takes next.
    next: u64,
    waker: Option<Waker>,
}

/// An item as a subscriber takes it.
#[derive(Debug, PartialEq)]
pub(super) struct TakenItem<T> {
    pub(super) item: T,
    /// The number of items that the subscriber has lost before this one.
    pub(super) lost: u64,
}

impl<T: Clone> Ring<T> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, capacity, subscribers: Table::new(), waiting: Vec::new() }
    }

    /// The number of the next item to be pushed.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    /// True if an item can be pushed without dropping one.
    pub(super) fn has_capacity(&self) -> bool {
        self.entries.len() < self.capacity
    }

    /// True if at least half of the capacity is free.
    pub(super) fn is_half_empty(&self) -> bool {
        self.entries.len() <= self.capacity / 2
    }

    /// Adds a subscriber, which takes the items that are pushed from now on.
    pub(super) fn join(&mut self) -> u64 {
        let next = self.end();
        self.subscribers.insert(Cursor { next, waker: None })
    }

    /// Removes a subscriber. Returns the items that only it had yet to take: the caller drops them
    /// after it has released the lock.
    pub(super) fn leave(&mut self, subscriber: u64) -> Vec<T> {
        let Some(Cursor { next, .. }) = self.subscribers.remove(subscriber) else { return Vec::new() };
        self.waiting.retain(|waiting| *waiting != subscriber);
        let taken = next.saturating_sub(self.first) as usize;
        for entry in self.entries.iter_mut().skip(taken) {
            entry.remaining -= 1;
        }
        std::iter::from_fn(|| self.pop_taken()).collect()
    }

    /// Pushes an item. Returns the item that is dropped for it, or the item itself if there are no
    /// subscribers: the caller drops it after it has released the lock.
    pub(super) fn push(&mut self, item: T) -> Option<T> {
        let remaining = self.subscribers.len();
        if remaining == 0 {
            return Some(item);
        }
        let dropped = if self.has_capacity() { None } else { self.pop() };
        self.entries.push_back(RingEntry { item, remaining });
        dropped
    }

    /// The wakers to call after a push.
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
        // When the last subscriber has taken the item, this drops a clone that is not the last one,
        // so no destructor of the application is run here.
        self.pop_taken();
        Some(TakenItem { item, lost })
    }

    /// Registers a subscriber to be woken at the next push.
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

    /// Removes the first item if every subscriber has taken it.
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
    fn a_subscriber_takes_the_items_since_it_joined() {
        let mut ring = ring(10);
        assert_eq!(ring.push(0), Some(0), "nobody listens");
        let first = ring.join();
        ring.push(1);
        let second = ring.join();
        ring.push(2);
        assert_eq!(all(&mut ring, first), [(1, 0), (2, 0)]);
        assert_eq!(all(&mut ring, second), [(2, 0)]);
        assert!(ring.entries.is_empty(), "an item that everybody has taken is not kept");
    }

    #[test]
    fn a_subscriber_that_lags_loses_the_oldest_and_the_others_nothing() {
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
    fn items_that_only_a_leaving_subscriber_lacked_are_returned() {
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
    fn a_waiting_subscriber_is_woken_once() {
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
