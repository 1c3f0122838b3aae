//! Peers that say nothing, or take too long to say it.

use tokio::time::Instant;

use super::{Driver, Left, keep_alive::Pings};
use crate::{
    limits::{KeepAlive, LiveLimits, deadline::after},
    session::CloseReason,
};

/// Since when nothing came or went, and since when a frame is under way. No clock is read for it but where bytes are read or written.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When bytes came or went the last time.
    last: Option<Instant>,
    /// When a session was found with something under way: it is looked at again so much later.
    busy: Option<Instant>,
    /// When the first bytes came of a frame that is not whole.
    frame: Option<Instant>,
    /// Where the peer is to be asked whether it is there.
    pub(super) pings: Option<Box<Pings>>,
}

impl Silence {
    pub(super) fn new(keep_alive: Option<KeepAlive>) -> Self {
        Self { pings: keep_alive.map(|how| Box::new(Pings::new(how))), ..Self::default() }
    }

    /// Bytes came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last = Some(now);
        if let Some(pings) = &mut self.pings {
            pings.heard(now);
        }
    }

    /// So many messages were in them.
    pub(super) fn received(&mut self, messages: u64) {
        // The reply to a ping of ours is no use of the session.
        if let Some(pings) = &mut self.pings
            && let Some(before) = pings.only_reply(messages)
        {
            self.last = Some(before);
        }
    }

    /// All that has come were control frames, or parts of them: the peer is there, and that is no use of the session. It was quiet before since
    /// `before`.
    pub(super) fn heard_control_only(&mut self, before: Option<Instant>) {
        if self.frame.is_none() {
            self.last = before;
        }
    }

    /// So many messages leave.
    pub(super) fn sent(&mut self, messages: u64, now: Instant) {
        if self.pings.as_mut().is_none_or(|pings| pings.others_leave(messages, now)) {
            self.last = Some(now);
        }
    }

    /// When bytes came or went the last time.
    pub(super) const fn last(&self) -> Option<Instant> {
        self.last
    }

    pub(super) fn frame_goes_on(&mut self, now: Instant) {
        self.frame.get_or_insert(now);
    }

    pub(super) const fn frame_ended(&mut self) {
        self.frame = None;
    }

    /// When it has to be looked at.
    pub(super) fn next(&mut self, limits: &LiveLimits) -> Option<Instant> {
        let idle = limits.idle_timeout().and_then(|limit| after(self.quiet_since(), limit));
        let frame = self.frame.zip(limits.frame_timeout()).and_then(|(since, limit)| after(since, limit));
        let ping = self.pings.as_mut().and_then(|pings| pings.next());
        [idle, frame, ping].into_iter().flatten().min()
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
            && now.saturating_duration_since(since) >= after
        {
            // It is no fault of the peer's that nothing is read.
            if self.left == Left::Nothing
                && matches!(self.must_not_read(), Ok(false))
                && !self.link.is_ending()
            {
                let received = self.inbox.len() + self.framer.kept();
                let reason = CloseReason::FrameTimeout { received, after };
                if !self.cut_off() {
                    return Some(reason);
                }
                // What the peer is told leaves first.
                self.link.start_close(reason);
            }
            self.timers.silence.frame = Some(now);
        }
        if let Some(after) = self.link.limits.idle_timeout()
            && now.saturating_duration_since(self.timers.silence.quiet_since()) >= after
        {
            if self.is_busy() || self.link.is_ending() {
                self.timers.silence.busy = Some(now);
            } else {
                self.link.start_close(CloseReason::Idle { after });
            }
        }
        self.keep_alive_is_due(now)
    }

    /// Whether something is under way, in either direction.
    fn is_busy(&mut self) -> bool {
        let pings = self.timers.silence.pings.as_mut().map_or(0, |pings| pings.in_flight());
        self.dispatch.queue.len() > 0
            || self.paused.is_some()
            || self.unsent() > 0
            || self.link.is_busy(pings)
    }
}
