//! The control frames of a transport that has some besides messages: WebSocket.
//!
//! A session's loop, its framer and its stream belong to one task. What they have to tell each other
//! about pings and closes stands here.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// What is to be sent besides messages, and how the peer has closed. The lock is never waited for.
#[derive(Debug, Default)]
pub(crate) struct ControlFrames {
    /// Whether a ping or a pong is to be sent, so that a write need not look.
    is_due: AtomicBool,
    /// How many bytes of control frames were sent, and not accounted for yet.
    sent: AtomicUsize,
    state: Mutex<ControlState>,
}

#[derive(Debug, Default)]
struct ControlState {
    ping: bool,
    /// The payload of the last ping, which is answered with it. Those before it need no answer
    /// (RFC 6455, section 5.5.3), so that a flood of pings takes no memory.
    pong: Option<Box<[u8]>>,
    close: CloseState,
    /// What the peer has closed with.
    closed: Option<Box<CloseFrame>>,
}

/// What becomes of a close frame of this side's.
#[derive(Debug, Default)]
enum CloseState {
    #[default]
    Open,
    Due(Box<CloseFrame>),
    Sent,
}

/// A code, and what it is explained with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloseFrame {
    /// 1005 stands for a frame that says nothing.
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// Why this side closes, for the transport to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// All is done.
    Done,
    /// This side goes away.
    Away,
    /// The peer went too far, or said too little.
    Policy,
}

impl Closing {
    /// Of RFC 6455, section 7.4.1.
    const fn code(self) -> u16 {
        match self {
            Self::Done => 1000,
            Self::Away => 1001,
            Self::Policy => 1008,
        }
    }
}

/// What the loop asks.
impl ControlFrames {
    /// Has a ping sent when the stream is flushed.
    pub(crate) fn ping(&self) {
        self.lock().ping = true;
        self.is_due.store(true, Ordering::Relaxed);
    }

    /// Has a close frame sent when the stream is flushed, unless there is another. A person reads `reason`, of no more than 123 bytes.
    pub(crate) fn close(&self, closing: Closing, reason: String) {
        self.close_with(CloseFrame { code: closing.code(), reason });
    }

    /// What the peer has closed with, if it has.
    pub(crate) fn closed(&self) -> Option<CloseFrame> {
        self.lock().closed.as_deref().cloned()
    }

    /// How many bytes of control frames were sent since this was asked.
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

/// What the framer has found.
#[cfg(feature = "ws")]
impl ControlFrames {
    /// A ping.
    pub(crate) fn pong(&self, payload: &[u8]) {
        self.lock().pong = Some(payload.into());
        self.is_due.store(true, Ordering::Relaxed);
    }

    /// A close frame of the peer's: it is told that it was heard.
    pub(crate) fn received_close(&self, frame: CloseFrame) {
        self.close_with(frame.clone());
        self.lock().closed.get_or_insert_with(|| Box::new(frame));
    }

    /// A broken rule: the peer is told which.
    pub(crate) fn fail(&self, frame: CloseFrame) {
        self.close_with(frame);
    }
}

/// What the stream sends.
#[cfg(feature = "ws")]
impl ControlFrames {
    /// Whether there is a ping or a pong.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed)
    }

    /// Whether a ping is to be sent, and the payload of a pong. Asked again, neither.
    pub(crate) fn take_pings(&self) -> (bool, Option<Box<[u8]>>) {
        let mut state = self.lock();
        self.is_due.store(false, Ordering::Relaxed);
        (std::mem::take(&mut state.ping), state.pong.take())
    }

    /// So many bytes of control frames leave.
    pub(crate) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The close frame, once: nothing may follow it.
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
