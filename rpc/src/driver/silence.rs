//! Peers that say nothing, or take too long to say it.

use tokio::time::Instant;

use super::{Driver, Left};
use crate::{limits::LiveLimits, session::CloseReason};

/// Since when nothing came or went, and since when a frame is under way. No clock is read for it but where bytes are read or written.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When bytes came or went the last time.
    last: Option<Instant>,
    /// When a session was found with something under way: it is looked at again so much later.
    busy: Option<Instant>,
    /// When the first bytes came of a frame that is not whole.
    frame: Option<Instant>,
}

impl Silence {
    pub(super) const fn heard(&mut self, now: Instant) {
        self.last = Some(now);
    }

    pub(super) const fn sent(&mut self, now: Instant) {
        self.last = Some(now);
    }

    pub(super) fn frame_goes_on(&mut self, now: Instant) {
        self.frame.get_or_insert(now);
    }

    pub(super) const fn frame_ended(&mut self) {
        self.frame = None;
    }

    /// When it has to be looked at.
    pub(super) fn next(&mut self, limits: &LiveLimits) -> Option<Instant> {
        let idle = limits.idle_timeout().map(|after| self.quiet_since() + after);
        let frame = self.frame.zip(limits.frame_timeout()).map(|(since, after)| since + after);
        idle.into_iter().chain(frame).min()
    }

    /// The session has just begun where nothing else is known.
    fn quiet_since(&mut self) -> Instant {
        let last = *self.last.get_or_insert_with(Instant::now);
        self.busy.map_or(last, |busy| busy.max(last))
    }
}

impl Driver {
    /// Why the session is to end now, if the peer has said nothing for too long.
    pub(super) fn silence_is_due(&mut self, now: Instant) -> Option<CloseReason> {
        if let (Some(since), Some(after)) = (self.timers.silence.frame, self.link.limits.frame_timeout())
            && since + after <= now
        {
            // It is no fault of the peer's that nothing is read.
            if self.left == Left::Nothing
                && matches!(self.must_not_read(), Ok(false))
                && !self.link.is_ending()
            {
                return Some(CloseReason::FrameTimeout { received: self.inbox.len(), after });
            }
            self.timers.silence.frame = Some(now);
        }
        if let Some(after) = self.link.limits.idle_timeout()
            && self.timers.silence.quiet_since() + after <= now
        {
            if self.is_busy() || self.link.is_ending() {
                self.timers.silence.busy = Some(now);
            } else {
                self.link.start_close(CloseReason::Idle { after });
            }
        }
        None
    }

    /// Whether something is under way, in either direction.
    fn is_busy(&self) -> bool {
        self.queue.len() > 0 || self.batch.is_some() || self.unsent() > 0 || self.link.is_busy()
    }
}
