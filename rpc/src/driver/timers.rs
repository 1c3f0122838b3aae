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
    pub(super) late: Option<Instant>,
    /// When bytes have waited for too long.
    pub(super) stalled: Option<Instant>,
    /// What had left of the transport when that was set.
    pub(super) left: u64,
    /// When a graceful close has taken too long.
    pub(super) closing: Option<Instant>,
    /// When large buffers are given back.
    pub(super) trim: Option<Instant>,
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

/// Since when nothing came or went, and since when a frame is under way. No clock is read for it but where bytes are read or written.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// When bytes came or went the last time.
    pub(super) last: Option<Instant>,
    /// When a session was found with something under way: it is looked at again so much later.
    pub(super) busy: Option<Instant>,
    /// When the first bytes came of a frame that is not whole.
    pub(super) frame: Option<Instant>,
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
    pub(super) fn quiet_since(&mut self) -> Instant {
        let last = *self.last.get_or_insert_with(Instant::now);
        self.busy.map_or(last, |busy| busy.max(last))
    }
}

/// Since when the peer has said nothing, and whether it was asked.
#[derive(Debug)]
pub(super) struct Pings {
    pub(super) how: KeepAlive,
    /// When it said something the last time.
    pub(super) heard: Option<Instant>,
    /// When it was asked, if it has said nothing since.
    pub(super) asked: Option<Instant>,
    pub(super) sent: Option<Sent>,
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) ping: Ping,
    /// Whether it has been taken from what waits to be sent.
    pub(super) left: bool,
    /// How many messages have come since.
    pub(super) received: u64,
    /// Since when nothing has come or gone but the ping and its reply.
    pub(super) quiet_since: Option<Instant>,
}

impl Pings {
    pub(super) const fn new(how: KeepAlive) -> Self {
        Self { how, heard: None, asked: None, sent: None }
    }

    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
        self.asked = None;
    }

    /// When it has to be looked at.
    pub(super) fn next(&mut self) -> Option<Instant> {
        match self.asked {
            Some(asked) => after(asked, self.how.ends_after()),
            None => after(*self.heard.get_or_insert_with(Instant::now), self.how.pings_after()),
        }
    }

    /// So many messages leave: whether it is anything but the ping.
    pub(super) fn others_leave(&mut self, messages: u64, now: Instant) -> bool {
        let Some(sent) = &mut self.sent else { return true };
        let is_ping = !std::mem::replace(&mut sent.left, true);
        let others = messages > u64::from(is_ping);
        if others {
            sent.quiet_since = Some(now);
        }
        others
    }

    /// So many messages have come. Where it was nothing but the reply to the ping: since when nothing else has come or gone.
    pub(super) fn only_reply(&mut self, messages: u64) -> Option<Instant> {
        let sent = self.sent.as_mut().filter(|_| messages > 0)?;
        sent.received += messages;
        let quiet_since = match sent.ping.outcome() {
            PingOutcome::Unknown => return None,
            PingOutcome::Answered if sent.received == 1 => sent.quiet_since,
            _ => None,
        };
        self.sent = None;
        quiet_since
    }

    /// How many of the calls in flight are pings.
    pub(super) fn in_flight(&mut self) -> usize {
        let unknown = |sent: &mut Sent| sent.ping.outcome() == PingOutcome::Unknown;
        usize::from(self.sent.as_mut().is_some_and(unknown))
    }
}
