//! What a transport can tell and be told besides bytes, where it has frames of its own: WebSocket.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Between the loop of a session and its transport. Both belong to one task: the lock is never waited for.
#[derive(Debug, Default)]
pub(crate) struct Control(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ping: bool,
    closing: Option<Closing>,
    heard: Option<Instant>,
    piece: Option<Piece>,
    overhead: u64,
    said: Option<Said>,
}

/// A message that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// When it began to come.
    pub(crate) since: Instant,
    /// How many bytes have come.
    pub(crate) received: u64,
}

/// Why we close, in the words of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// All is done.
    Done,
    /// This side goes away.
    Away,
    /// The peer went too far.
    Policy,
}

/// Why the peer closed, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// What the loop asks.
impl Control {
    /// Has a ping sent when the transport is flushed.
    pub(crate) fn ping(&self) {
        self.lock().ping = true;
    }

    /// What the peer is told when the transport is shut down.
    pub(crate) fn close_with(&self, closing: Closing) {
        self.lock().closing = Some(closing);
    }

    /// When something came the last time that was no message: a ping, a pong, a piece.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.lock().heard
    }

    /// What has come of a message that is not whole.
    pub(crate) fn piece(&self) -> Option<Piece> {
        self.lock().piece
    }

    /// How many bytes of pings and pongs came. Asked again, 0.
    pub(crate) fn take_overhead(&self) -> u64 {
        std::mem::take(&mut self.lock().overhead)
    }

    /// What the peer said when it closed.
    pub(crate) fn said(&self) -> Option<Said> {
        self.lock().said.clone()
    }
}

/// What the transport does.
#[cfg(feature = "ws")]
impl Control {
    /// Whether a ping is to be sent. Asked again, no.
    pub(crate) fn take_ping(&self) -> bool {
        std::mem::take(&mut self.lock().ping)
    }

    pub(crate) fn closing(&self) -> Closing {
        self.lock().closing.unwrap_or(Closing::Done)
    }

    /// So many bytes of pings and pongs came, and of a message that is not whole.
    pub(crate) fn came(&self, overhead: u64, piece: u64) {
        let (now, mut state) = (Instant::now(), self.lock());
        state.heard = Some(now);
        state.overhead += overhead;
        if piece > 0 {
            state.piece.get_or_insert(Piece { since: now, received: 0 }).received += piece;
        }
    }

    /// A message is whole.
    pub(crate) fn message_ended(&self) {
        self.lock().piece = None;
    }

    pub(crate) fn peer_said(&self, said: Said) {
        self.lock().said = Some(said);
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
