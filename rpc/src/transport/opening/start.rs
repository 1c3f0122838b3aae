//! The first bytes that a peer has sent, kept for the error that may come of them.

use super::Foreign;

/// How much is kept, in bytes: more than an error shows.
const KEPT: usize = 48;

/// The first bytes of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    bytes: [u8; KEPT],
    length: usize,
}

impl Start {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; KEPT], length: 0 }
    }

    /// Whether nothing more is kept.
    pub(crate) const fn is_full(&self) -> bool {
        self.length == KEPT
    }

    /// These were read next.
    pub(crate) fn add(&mut self, read: &[u8]) {
        let kept = read.len().min(KEPT - self.length);
        self.bytes[self.length..self.length + kept].copy_from_slice(&read[..kept]);
        self.length += kept;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What they look like.
    pub(crate) fn seen(&self) -> Foreign {
        Foreign::seen_in(self.bytes())
    }
}
