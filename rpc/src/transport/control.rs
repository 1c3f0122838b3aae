//! Control frames of a transport that has them: WebSocket.
//!
//! The session's loop, its framer and its stream run in one task. They exchange pings and closes
//! here.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Control frames to send, and the peer's close frame. The lock is never contended.
#[derive(Debug, Default)]
pub(crate) struct ControlFrames {
    /// A ping or pong is to be sent: lets a write skip the lock.
    is_due: AtomicBool,
    /// Bytes of control frames that were sent and not yet charged.
    sent: AtomicUsize,
    state: Mutex<ControlState>,
}

#[derive(Debug, Default)]
struct ControlState {
    ping: bool,
    /// Payload of the last ping, to be repeated in a pong. Earlier pings need no answer (RFC 6455,
    /// section 5.5.3), so a flood of pings takes no memory.
    pong: Option<Box<[u8]>>,
    close: CloseState,
    /// The peer's close frame.
    closed: Option<Box<CloseFrame>>,
}

/// State of this side's close frame.
#[derive(Debug, Default)]
enum CloseState {
    #[default]
    Open,
    Due(Box<CloseFrame>),
    Sent,
}

/// A status code and a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloseFrame {
    /// 1005 stands for a close frame without a payload.
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// Why this side closes, to be mapped to a status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Normal closure.
    Done,
    /// This side is going away.
    Away,
    /// The peer violated a limit or a timeout.
    Policy,
}

impl Closing {
    /// Status code of RFC 6455, section 7.4.1.
    const fn code(self) -> u16 {
        match self {
            Self::Done => 1000,
            Self::Away => 1001,
            Self::Policy => 1008,
        }
    }
}

/// For the session's loop.
impl ControlFrames {
    /// Sends a ping with the next flush.
    pub(crate) fn ping(&self) {
        self.lock().ping = true;
        self.is_due.store(true, Ordering::Relaxed);
    }

    /// Sends a close frame with the next flush, unless one was sent or is due. `reason` is for
    /// people and has at most 123 bytes.
    pub(crate) fn close(&self, closing: Closing, reason: String) {
        self.close_with(CloseFrame { code: closing.code(), reason });
    }

    /// The peer's close frame, if it has sent one.
    pub(crate) fn closed(&self) -> Option<CloseFrame> {
        self.lock().closed.as_deref().cloned()
    }

    /// Bytes of control frames sent since the last call.
    pub(crate) fn take_sent(&self) -> usize {
        match self.sent.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.sent.swap(0, Ordering::Relaxed),
        }
    }

    fn close_with(&self, frame: CloseFrame) {
        let mut state = self.lock();
        if matches!(state.close, CloseState::Open) {
            state.close = CloseState::Due(Box::new(frame));
        }
    }
}

/// For the framer.
#[cfg(feature = "ws")]
impl ControlFrames {
    /// Answers a ping with its payload.
    pub(crate) fn pong(&self, payload: &[u8]) {
        self.lock().pong = Some(payload.into());
        self.is_due.store(true, Ordering::Relaxed);
    }

    /// Records the peer's close frame, and echoes it.
    pub(crate) fn received_close(&self, frame: CloseFrame) {
        self.close_with(frame.clone());
        self.lock().closed.get_or_insert_with(|| Box::new(frame));
    }

    /// Closes the connection because of a protocol violation.
    pub(crate) fn fail(&self, frame: CloseFrame) {
        self.close_with(frame);
    }
}

/// For the stream.
#[cfg(feature = "ws")]
impl ControlFrames {
    /// Whether a ping or a pong is due.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed)
    }

    /// Takes the due ping, and the payload of the due pong.
    pub(crate) fn take_pings(&self) -> (bool, Option<Box<[u8]>>) {
        let mut state = self.lock();
        self.is_due.store(false, Ordering::Relaxed);
        (std::mem::take(&mut state.ping), state.pong.take())
    }

    /// Counts bytes of control frames that are being sent.
    pub(crate) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes the close frame. Nothing may be sent after it.
    pub(crate) fn take_close(&self) -> Option<CloseFrame> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.close, CloseState::Sent) {
            CloseState::Due(frame) => Some(*frame),
            other => {
                state.close = other;
                None
            }
        }
    }
}

impl ControlFrames {
    fn lock(&self) -> MutexGuard<'_, ControlState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
