//! Frames whose size is declared before they come.

use super::Framed;

/// What follows a header that says how long it is.
///
/// Nothing is set aside for it: what has arrived is all that is kept. One over the limit is reported when its header is there, and passed
/// over as it arrives.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    limit: usize,
    /// How much is still to come of a frame that was dropped.
    skipping: u64,
}

impl Declared {
    pub(crate) const fn new() -> Self {
        Self { limit: usize::MAX, skipping: 0 }
    }

    pub(crate) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Passes over what has arrived of a frame that was dropped, if there was one.
    pub(crate) fn skip(&mut self, unread: &[u8]) -> Option<Framed> {
        if self.skipping == 0 {
            return None;
        }
        let left = usize::try_from(self.skipping).unwrap_or(usize::MAX);
        let consumed = left.min(unread.len());
        self.skipping -= consumed as u64;
        Some(match consumed {
            0 => Framed::Incomplete { consumed },
            _ => Framed::Dropping { consumed, is_last: self.skipping == 0 },
        })
    }

    /// Whether something is still to come of a frame that was dropped.
    pub(crate) const fn owes_more(&self) -> bool {
        self.skipping > 0
    }

    /// The frame of `size` bytes that stands behind `header` bytes.
    pub(crate) fn frame(&mut self, unread: &[u8], header: usize, size: u64) -> Framed {
        let fits = usize::try_from(size).ok().filter(|&size| size <= self.limit);
        let Some(end) = fits.and_then(|size| header.checked_add(size)) else {
            self.skipping = size;
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            return Framed::Oversized { size, limit: self.limit, consumed: header };
        };
        if unread.len() < end {
            return Framed::Incomplete { consumed: 0 };
        }
        Framed::Frame { frame: header..end, consumed: end }
    }
}
