//! The queue of one subscription's items that were not taken yet, bounded by their number and by
//! their bytes.
//!
//! A plain value without locks, wakers or knowledge of the session. Both directions use it: items
//! that wait to be sent to the peer's subscriber, and items from the peer that a subscriber of this
//! side has not taken.

use std::collections::VecDeque;

use crate::jsonrpc::Overflow;

/// The bounds of a subscription's queue, and its overflow rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
}

impl Bounds {
    /// Whether an item of `size` bytes fits behind `items` items with `bytes` bytes. The first item
    /// always fits: otherwise an item larger than the bound would never get through.
    pub(crate) const fn fit(&self, items: usize, bytes: usize, size: usize) -> bool {
        items == 0 || (items < self.items && bytes.saturating_add(size) <= self.bytes)
    }

    const fn doubled(&self) -> Self {
        let (items, bytes) = (self.items.saturating_mul(2), self.bytes.saturating_mul(2));
        Self { items, bytes, overflow: self.overflow }
    }
}

/// A limit on bytes besides the bounds of the queue, which several queues may share.
pub(crate) trait ByteLimit {
    fn has_capacity(&self, size: usize) -> bool;
    fn add(&mut self, size: usize);
    fn remove(&mut self, size: usize);
}

/// No limit besides the bounds of the queue.
#[derive(Debug)]
pub(crate) struct NoLimit;

impl ByteLimit for NoLimit {
    fn has_capacity(&self, _: usize) -> bool {
        true
    }

    fn add(&mut self, _: usize) {}

    fn remove(&mut self, _: usize) {}
}

/// The bytes of several queues together, and their common limit. Default: no limit.
#[derive(Debug)]
pub(crate) struct TotalBytes {
    used: usize,
    limit: usize,
}

impl Default for TotalBytes {
    fn default() -> Self {
        Self { used: 0, limit: usize::MAX }
    }
}

impl TotalBytes {
    pub(crate) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }
}

impl ByteLimit for TotalBytes {
    fn has_capacity(&self, size: usize) -> bool {
        self.used.saturating_add(size) <= self.limit
    }

    fn add(&mut self, size: usize) {
        self.used += size;
    }

    fn remove(&mut self, size: usize) {
        self.used -= size;
    }
}

/// The outcome of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    Kept,
    /// Not kept: under [`Overflow::Wait`] the producer keeps it until there is capacity.
    Full,
    /// Not kept: under [`Overflow::End`] the subscription ends.
    Ends,
}

/// The next thing that the consumer takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a, E> {
    Item(&'a [u8]),
    /// This many items are missing here.
    Lost(u64),
    /// The end of the subscription. It comes once, behind all items.
    End(E),
}

#[derive(Debug, Clone, Copy)]
enum QueueEntry {
    /// An item of this many bytes.
    Item(usize),
    /// This many items are missing here.
    Lost(u64),
}

#[derive(Debug)]
enum QueueEnd<E> {
    Open,
    /// Ended, and the consumer has not seen the end.
    Untold(E),
    Over,
}

impl<E> QueueEnd<E> {
    /// The end, if the consumer has not seen it yet. It is over then.
    fn tell(&mut self) -> Option<E> {
        if !matches!(self, Self::Untold(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Over) {
            Self::Untold(end) => Some(end),
            Self::Open | Self::Over => None,
        }
    }
}

/// Items in the order of their arrival, marks for missing items, and the end. `E` describes how a
/// subscription ends.
#[derive(Debug)]
pub(crate) struct ItemQueue<E> {
    bounds: Bounds,
    entries: VecDeque<QueueEntry>,
    /// The bytes of the items in `entries`.
    bytes: ByteQueue,
    /// The number of items that are missing before the first entry.
    lost: u64,
    /// False if the consumer is not told of lost items: then they are not counted.
    counts_lost: bool,
    ending: QueueEnd<E>,
}

impl<E> ItemQueue<E> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: VecDeque::new(),
            bytes: ByteQueue::default(),
            lost: 0,
            counts_lost: true,
            ending: QueueEnd::Open,
        }
    }

    /// The same queue for a consumer that is told of lost items only if `counts_lost`.
    pub(crate) fn counting_lost(self, counts_lost: bool) -> Self {
        Self { counts_lost, ..self }
    }

    pub(crate) const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The number of items and marks.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether an item waits, or items were lost.
    pub(crate) fn has_items(&self) -> bool {
        !self.entries.is_empty() || self.lost > 0
    }

    /// Whether there is nothing to take: no item, mark or end.
    pub(crate) fn is_drained(&self) -> bool {
        !self.has_items() && !matches!(self.ending, QueueEnd::Untold(_))
    }

    /// False once it has ended: then no item may be pushed.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.ending, QueueEnd::Open)
    }

    /// Whether an item of `size` bytes fits within the bounds and the common limit. The first item
    /// always fits.
    pub(crate) fn has_capacity(&self, size: usize, total: &impl ByteLimit) -> bool {
        self.entries.is_empty()
            || (self.bounds.fit(self.entries.len(), self.bytes.len(), size) && total.has_capacity(size))
    }

    /// Whether the producer may push an item of `size` bytes without waiting.
    pub(crate) fn is_ready(&self, size: usize, total: &impl ByteLimit) -> bool {
        self.bounds.overflow != Overflow::Wait || self.has_capacity(size, total)
    }

    /// Adds an item if it fits, and applies the overflow rule otherwise.
    #[inline]
    pub(crate) fn push(&mut self, item: &[u8], total: &mut impl ByteLimit) -> Push {
        while !self.has_capacity(item.len(), total) {
            match self.bounds.overflow {
                Overflow::Wait => return Push::Full,
                Overflow::End => return Push::Ends,
                Overflow::DropOldest => self.drop_oldest(total),
            }
        }
        self.push_unbounded(item, total);
        Push::Kept
    }

    /// Adds an item that was refused as [`Push::Full`], if it fits within twice the bounds: for a
    /// producer that can only be stopped some items later. False if it was not added.
    pub(crate) fn push_over(&mut self, item: &[u8], total: &mut impl ByteLimit) -> bool {
        let fits = self.bounds.doubled().fit(self.entries.len(), self.bytes.len(), item.len());
        if fits {
            self.push_unbounded(item, total);
        }
        fits
    }

    /// Adds an item whatever the bounds.
    pub(crate) fn push_unbounded(&mut self, item: &[u8], total: &mut impl ByteLimit) {
        total.add(item.len());
        self.bytes.push(item);
        self.entries.push_back(QueueEntry::Item(item.len()));
    }

    fn drop_oldest(&mut self, total: &mut impl ByteLimit) {
        match self.entries.pop_front() {
            Some(QueueEntry::Item(size)) => {
                self.bytes.pop(size);
                total.remove(size);
                self.lose_first(1);
            }
            Some(QueueEntry::Lost(items)) => self.lose_first(items),
            None => {}
        }
    }

    /// Marks items as missing behind the last entry.
    pub(crate) fn lose(&mut self, items: u64) {
        match self.entries.back_mut() {
            None => self.lose_first(items),
            _ if !self.counts_lost => {}
            Some(QueueEntry::Lost(before)) => *before = before.saturating_add(items),
            Some(QueueEntry::Item(_)) => self.entries.push_back(QueueEntry::Lost(items)),
        }
    }

    /// Marks items as missing before the first entry. The peer may have chosen the number: it must
    /// not overflow.
    pub(crate) const fn lose_first(&mut self, items: u64) {
        if self.counts_lost {
            self.lost = self.lost.saturating_add(items);
        }
    }

    /// Ends the queue. Only the first end counts. With `None` the consumer is not told.
    pub(crate) fn end(&mut self, end: Option<E>) {
        if self.is_open() {
            self.ending = end.map_or(QueueEnd::Over, QueueEnd::Untold);
        }
    }

    /// Takes the next entry out and passes it to `read`. `None` if there is none now.
    #[inline]
    pub(crate) fn take<R>(
        &mut self,
        total: &mut impl ByteLimit,
        read: impl FnOnce(Next<'_, E>) -> R,
    ) -> Option<R> {
        if self.lost > 0 {
            return Some(read(Next::Lost(std::mem::take(&mut self.lost))));
        }
        match self.entries.pop_front() {
            Some(QueueEntry::Item(size)) => {
                let taken = read(Next::Item(self.bytes.first(size)));
                self.bytes.pop(size);
                total.remove(size);
                Some(taken)
            }
            Some(QueueEntry::Lost(items)) => Some(read(Next::Lost(items))),
            None => self.ending.tell().map(|end| read(Next::End(end))),
        }
    }

    /// Drops all entries: the consumer is gone.
    pub(crate) fn clear(&mut self, total: &mut impl ByteLimit) {
        total.remove(self.bytes.len());
        (self.bytes, self.entries, self.lost, self.ending) =
            (ByteQueue::default(), VecDeque::new(), 0, QueueEnd::Over);
    }
}

/// The capacity in bytes that an empty queue keeps.
const KEPT: usize = 4 << 10;

/// Byte strings in one buffer, without an allocation of their own; the caller keeps their lengths.
/// It takes up to about twice the memory of the strings.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    bytes: Vec<u8>,
    /// The start of the first string. The memory before it is free, and not reused yet.
    start: usize,
}

impl ByteQueue {
    /// The number of bytes that wait.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        if self.start > 0 && self.bytes.capacity() - self.bytes.len() < text.len() {
            self.reclaim(text.len());
        }
        self.bytes.extend_from_slice(text);
    }

    /// The first string, of `length` bytes.
    pub(super) fn first(&self, length: usize) -> &[u8] {
        &self.bytes[self.start..self.start + length]
    }

    /// Removes the first string, of `length` bytes.
    pub(super) fn pop(&mut self, length: usize) {
        self.start += length;
        if self.start == self.bytes.len() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        match self.bytes.capacity() > KEPT {
            true => self.bytes = Vec::new(),
            false => self.bytes.clear(),
        }
    }

    /// Makes the free memory before the first string usable. Moving the rest in place is done only
    /// if at least as many bytes were free, which makes its cost constant per byte; otherwise the
    /// rest moves to a buffer of twice the size.
    fn reclaim(&mut self, more: usize) {
        if self.start >= self.len() {
            self.bytes.drain(..self.start);
        } else {
            let mut bytes = Vec::with_capacity(2 * (self.len() + more));
            bytes.extend_from_slice(&self.bytes[self.start..]);
            self.bytes = bytes;
        }
        self.start = 0;
    }
}

#[cfg(test)]
mod tests;
