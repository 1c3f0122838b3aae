//! How much a session does before other tasks get their turn.

use tokio::time::Instant;

use crate::service::Pace;

/// How often a session reads and writes before others get their turn, should its transport never have it wait.
pub(super) const ROUNDS: usize = 64;

/// How many frames it takes in one go: somewhat more than the requests that one read can bring, so that only the
/// rest of a read of smaller messages, none of which is a request, is left for the next turn.
pub(super) const FRAMES: usize = 2048;

/// What the loop has done since others had their turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// When the first read was taken apart.
    pub(super) began: Option<Instant>,
    /// How many frames were taken.
    pub(super) frames: usize,
}

impl Turn {
    /// Whether others are due. `read_at` is the time now, if something was read.
    pub(super) fn is_over(&self, read_at: Option<Instant>) -> bool {
        let took_long =
            || matches!((self.began, read_at), (Some(began), Some(now)) if now - began > Pace::SLOW);
        self.frames >= FRAMES || took_long()
    }
}
