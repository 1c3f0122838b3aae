//! The one timer of a session: it stands at whatever is due first, or before.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep};

use super::{Driver, silence::Silence};
use crate::{
    limits::{KeepAlive, LiveLimits, deadline::after},
    session::CloseReason,
};

/// Buffers above this are given back when the session has been quiet for [`TRIM_AFTER`].
const LARGE: usize = 64 << 10;
const TRIM_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Made when something is due for the first time.
    sleep: Option<Pin<Box<Sleep>>>,
    /// When the first of the calls and handlers is late.
    late: Option<Instant>,
    /// When bytes have waited for too long.
    pub(super) stalled: Option<Instant>,
    /// What had left of the transport when that was set.
    left: u64,
    /// When a graceful close has taken too long.
    closing: Option<Instant>,
    /// When large buffers are given back.
    trim: Option<Instant>,
    pub(super) silence: Silence,
}

impl Timers {
    pub(super) fn new(keep_alive: Option<KeepAlive>) -> Self {
        Self { silence: Silence::new(keep_alive), ..Self::default() }
    }
}

impl Timers {
    /// The peer has closed its direction, and there is still something to answer: it has as long for that as a close.
    pub(super) fn stream_ended(&mut self, limits: &LiveLimits) {
        if self.closing.is_none() {
            self.closing = limits.close_timeout().and_then(|limit| after(Instant::now(), limit));
        }
    }
}

impl Driver {
    /// Bytes wait, and the transport does not pass them on now.
    pub(super) fn stalled(&mut self) {
        let left = self.io.left();
        if self.timers.stalled.is_none() || self.timers.left != left {
            self.timers.left = left;
            let limit = self.link.limits.send_timeout();
            self.timers.stalled = limit.and_then(|limit| after(Instant::now(), limit));
        }
    }

    /// Pending until something is due. Ready with the reason if the session is to end now, with `None` if what was due is done.
    pub(super) fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Option<CloseReason>> {
        let delayed = self.dispatch.queue.next_due();
        let Timers { sleep, late, stalled, closing: close, trim, silence, .. } = &mut self.timers;
        if let Some(moved) = self.link.next_deadline() {
            *late = Some(moved);
        }
        if close.is_none() && self.link.is_ending() {
            let limit = self.link.limits.close_timeout();
            *close = limit.and_then(|limit| after(Instant::now(), limit));
        }
        if trim.is_none() && self.inbox.capacity().max(self.write_buffer.capacity()) > LARGE {
            *trim = Some(Instant::now() + TRIM_AFTER);
        }
        let silent = silence.next(&self.link.limits);
        let Some(next) = [*late, *stalled, *close, *trim, silent, delayed].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        match sleep {
            // What is due moves with every message. An alarm that comes too early, and is then set anew, costs less than one set each time.
            Some(sleep) if sleep.deadline() <= next && !sleep.is_elapsed() => {}
            Some(sleep) => sleep.as_mut().reset(next),
            None => *sleep = Some(Box::pin(tokio::time::sleep_until(next))),
        }
        if let Some(sleep) = sleep {
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.due(Instant::now()))
    }

    fn due(&mut self, now: Instant) -> Option<CloseReason> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.timers.stalled) {
            // Something may have left since.
            self.stalled();
        }
        if is_due(self.timers.stalled) {
            let after = self.link.limits.send_timeout().unwrap_or_default();
            return Some(CloseReason::SendTimeout { unsent: self.unsent(), after });
        }
        if is_due(self.timers.closing) {
            // Where a close has begun, what began it is the reason; otherwise the peer has ended its stream.
            return Some(self.by_peer(CloseReason::Peer));
        }
        if let Some(reason) = self.silence_is_due(now) {
            return Some(reason);
        }
        if is_due(self.timers.trim) {
            self.timers.trim = None;
            self.inbox.trim();
            self.link.trim();
            self.write_buffer.trim();
        }
        if is_due(self.timers.late) {
            self.timers.late = self.link.expire(now);
        }
        None
    }
}
