//! How much a subscription keeps for somebody who is slow.

use crate::jsonrpc::Overflow;

/// How much a subscription keeps for somebody who is slow, and what is done beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
}

impl Bounds {
    /// Whether there is room for one more, which has `size` bytes, behind `items` with `bytes`
    /// together. There always is for a first one, whatever its size.
    pub(crate) const fn have_room(&self, items: usize, bytes: usize, size: usize) -> bool {
        items == 0 || (items < self.items && bytes.saturating_add(size) <= self.bytes)
    }

    /// Twice as much.
    pub(crate) const fn doubled(&self) -> Self {
        let (items, bytes) = (self.items.saturating_mul(2), self.bytes.saturating_mul(2));
        Self { items, bytes, overflow: self.overflow }
    }
}
