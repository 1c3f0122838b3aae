//! The one timer of a session: it stands at whatever is due first, or before.

use std::pin::Pin;

use tokio::time::{Instant, Sleep};

use crate::{
    limits::{KeepAlive, LiveLimits, deadline::after},
    session::{Ping, PingOutcome},
};

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Made when something is due for the first time.
    pub(super) sleep: Option<Pin<Box<Sleep>>>,
    /// When the first of the calls and handlers is late.
    pub(super) deadline: Option<Instant>,
    /// When bytes have waited for too long.
    pub(super) send_deadline: Option<Instant>,
    /// What had left of the transport when that was set.
    pub(super) transmitted: u64,
    /// When a graceful close has taken too long.
    pub(super) close_deadline: Option<Instant>,
    /// When large buffers are given back.
    pub(super) trim_at: Option<Instant>,
    pub(super) idle: IdleClock,
}

impl Timers {
    pub(super) fn new(keep_alive: Option<KeepAlive>) -> Self {
        Self { idle: IdleClock::new(keep_alive), ..Self::default() }
    }
}

impl Timers {
    /// The peer has closed its direction, and there is still something to answer: it has as long for that as a close.
    pub(super) fn stream_ended(&mut self, limits: &LiveLimits) {
        if self.close_deadline.is_none() {
            self.close_deadline = limits.close_timeout().and_then(|limit| after(Instant::now(), limit));
        }
    }
}

/// Since when nothing came or went, and since when a frame is under way. No clock is read for it but where bytes are read or written.
#[derive(Debug, Default)]
pub(super) struct IdleClock {
    /// When bytes came or went the last time.
    pub(super) last_activity: Option<Instant>,
    /// When a session was found with something under way: it is looked at again so much later.
    pub(super) busy_at: Option<Instant>,
    /// When the first bytes came of a frame that is not whole.
    pub(super) frame_began: Option<Instant>,
    /// Where the peer is to be asked whether it is there.
    pub(super) pings: Option<Box<Pings>>,
}

impl IdleClock {
    pub(super) fn new(keep_alive: Option<KeepAlive>) -> Self {
        Self { pings: keep_alive.map(|how| Box::new(Pings::new(how))), ..Self::default() }
    }

    /// Bytes came.
    pub(super) fn bytes_received(&mut self, now: Instant) {
        self.last_activity = Some(now);
        if let Some(pings) = &mut self.pings {
            pings.peer_heard(now);
        }
    }

    /// So many messages were in them.
    pub(super) fn messages_received(&mut self, messages: u64) {
        // The reply to a ping of ours is no use of the session.
        if let Some(pings) = &mut self.pings
            && let Some(before) = pings.only_reply_received(messages)
        {
            self.last_activity = Some(before);
        }
    }

    /// All that has come were control frames, or parts of them: the peer is there, and that is no use of the session. It was quiet before since
    /// `before`.
    pub(super) fn only_control_received(&mut self, before: Option<Instant>) {
        if self.frame_began.is_none() {
            self.last_activity = before;
        }
    }

    /// So many messages leave.
    pub(super) fn messages_sent(&mut self, messages: u64, now: Instant) {
        if self.pings.as_mut().is_none_or(|pings| pings.others_sent(messages, now)) {
            self.last_activity = Some(now);
        }
    }

    /// When bytes came or went the last time.
    pub(super) const fn last_activity(&self) -> Option<Instant> {
        self.last_activity
    }

    pub(super) fn frame_continues(&mut self, now: Instant) {
        self.frame_began.get_or_insert(now);
    }

    pub(super) const fn frame_ended(&mut self) {
        self.frame_began = None;
    }

    /// When it has to be looked at.
    pub(super) fn next_deadline(&mut self, limits: &LiveLimits) -> Option<Instant> {
        let idle = limits.idle_timeout().and_then(|limit| after(self.idle_since(), limit));
        let frame =
            self.frame_began.zip(limits.frame_timeout()).and_then(|(since, limit)| after(since, limit));
        let ping = self.pings.as_mut().and_then(|pings| pings.next_deadline());
        [idle, frame, ping].into_iter().flatten().min()
    }

    /// The session has just begun where nothing else is known.
    pub(super) fn idle_since(&mut self) -> Instant {
        let last = *self.last_activity.get_or_insert_with(Instant::now);
        self.busy_at.map_or(last, |busy| busy.max(last))
    }
}

/// Since when the peer has said nothing, and whether it was asked.
#[derive(Debug)]
pub(super) struct Pings {
    pub(super) config: KeepAlive,
    /// When it said something the last time.
    pub(super) last_heard: Option<Instant>,
    /// When it was asked, if it has said nothing since.
    pub(super) pinged_at: Option<Instant>,
    pub(super) call: Option<PingCall>,
}

#[derive(Debug)]
pub(super) struct PingCall {
    pub(super) ping: Ping,
    /// Whether it has been taken from what waits to be sent.
    pub(super) has_left: bool,
    /// How many messages have come since.
    pub(super) received: u64,
    /// Since when nothing has come or gone but the ping and its reply.
    pub(super) idle_since: Option<Instant>,
}

impl Pings {
    pub(super) const fn new(config: KeepAlive) -> Self {
        Self { config, last_heard: None, pinged_at: None, call: None }
    }

    pub(super) const fn peer_heard(&mut self, now: Instant) {
        self.last_heard = Some(now);
        self.pinged_at = None;
    }

    /// When it has to be looked at.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        match self.pinged_at {
            Some(pinged_at) => after(pinged_at, self.config.ends_after()),
            None => after(*self.last_heard.get_or_insert_with(Instant::now), self.config.pings_after()),
        }
    }

    /// So many messages leave: whether it is anything but the ping.
    pub(super) fn others_sent(&mut self, messages: u64, now: Instant) -> bool {
        let Some(call) = &mut self.call else { return true };
        let is_ping = !std::mem::replace(&mut call.has_left, true);
        let others = messages > u64::from(is_ping);
        if others {
            call.idle_since = Some(now);
        }
        others
    }

    /// So many messages have come. Where it was nothing but the reply to the ping: since when nothing else has come or gone.
    pub(super) fn only_reply_received(&mut self, messages: u64) -> Option<Instant> {
        let call = self.call.as_mut().filter(|_| messages > 0)?;
        call.received += messages;
        let idle_since = match call.ping.outcome() {
            PingOutcome::Unknown => return None,
            PingOutcome::Answered if call.received == 1 => call.idle_since,
            _ => None,
        };
        self.call = None;
        idle_since
    }

    /// How many of the calls in flight are pings.
    pub(super) fn calls_in_flight(&mut self) -> usize {
        let unknown = |call: &mut PingCall| call.ping.outcome() == PingOutcome::Unknown;
        usize::from(self.call.as_mut().is_some_and(unknown))
    }
}
