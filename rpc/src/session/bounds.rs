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
    /// Whether there is room for one more. There always is for a first one, whatever its size.
    pub(crate) const fn have_room(&self, items: usize, bytes: usize) -> bool {
        items == 0 || (items < self.items && bytes < self.bytes)
    }
}
