//! The deadlines of a session, its idle clock and its keep-alive, which share one timer.
//!
//! Plain data: `limits.rs` decides what a deadline that has passed means.

use std::pin::Pin;

use tokio::time::{Instant, Sleep};

use crate::{
    limits::{KeepAlive, LiveLimits, deadline::after},
    session::{Ping, PingOutcome},
};

/// Every deadline of a session, and the timer for the earliest.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// The timer. Allocated when a deadline is first set.
    pub(super) sleep: Option<Pin<Box<Sleep>>>,
    /// The earliest deadline of any call or request.
    pub(super) deadline: Option<Instant>,
    /// Deadline for the transport to accept more of the bytes that wait.
    pub(super) send_deadline: Option<Instant>,
    /// Bytes that the transport had passed on when that deadline was set.
    pub(super) transmitted: u64,
    /// Deadline of a graceful close.
    pub(super) close_deadline: Option<Instant>,
    /// Time at which large idle buffers are freed.
    pub(super) trim_at: Option<Instant>,
    pub(super) idle: IdleClock,
}

impl Timers {
    pub(super) fn new(keep_alive: Option<KeepAlive>) -> Self {
        Self { idle: IdleClock::new(keep_alive), ..Self::default() }
    }

    /// The peer has ended its direction while replies are due: they have the time of a graceful
    /// close.
    pub(super) fn stream_ended(&mut self, limits: &LiveLimits) {
        if self.close_deadline.is_none() {
            self.close_deadline = limits.close_timeout().and_then(|limit| after(Instant::now(), limit));
        }
    }
}

/// Times of the last activity and of an incomplete frame. Read and write times serve as the clock,
/// so idleness costs no clock read of its own.
#[derive(Debug, Default)]
pub(super) struct IdleClock {
    /// Last time that bytes were received or messages sent.
    pub(super) last_activity: Option<Instant>,
    /// Last time that the idle timeout expired while requests or calls were in flight. The timeout
    /// starts again from there.
    pub(super) busy_at: Option<Instant>,
    /// Time of the first bytes of an incomplete frame.
    pub(super) frame_began: Option<Instant>,
    /// Keep-alive, where it is configured.
    pub(super) pings: Option<Box<Pings>>,
}

impl IdleClock {
    pub(super) fn new(keep_alive: Option<KeepAlive>) -> Self {
        Self { pings: keep_alive.map(|config| Box::new(Pings::new(config))), ..Self::default() }
    }

    /// Bytes were received.
    pub(super) fn bytes_received(&mut self, now: Instant) {
        self.last_activity = Some(now);
        if let Some(pings) = &mut self.pings {
            pings.peer_heard(now);
        }
    }

    /// The bytes received contained this many messages.
    pub(super) fn messages_received(&mut self, messages: u64) {
        // The reply to a ping does not count as use of the session.
        if let Some(pings) = &mut self.pings
            && let Some(before) = pings.only_reply_received(messages)
        {
            self.last_activity = Some(before);
        }
    }

    /// Only control frames were received, or parts of them. The peer is alive, but the session was
    /// not used: its last activity stays at `before`.
    pub(super) fn only_control_received(&mut self, before: Option<Instant>) {
        if self.frame_began.is_none() {
            self.last_activity = before;
        }
    }

    /// This many messages are about to be written.
    pub(super) fn messages_sent(&mut self, messages: u64, now: Instant) {
        if self.pings.as_mut().is_none_or(|pings| pings.others_sent(messages, now)) {
            self.last_activity = Some(now);
        }
    }

    /// Last time that bytes were received or messages sent.
    pub(super) const fn last_activity(&self) -> Option<Instant> {
        self.last_activity
    }

    pub(super) fn frame_continues(&mut self, now: Instant) {
        self.frame_began.get_or_insert(now);
    }

    pub(super) const fn frame_ended(&mut self) {
        self.frame_began = None;
    }

    /// The earliest of the deadlines for idleness, an incomplete frame and keep-alive.
    pub(super) fn next_deadline(&mut self, limits: &LiveLimits) -> Option<Instant> {
        let idle = limits.idle_timeout().and_then(|limit| after(self.idle_since(), limit));
        let frame =
            self.frame_began.zip(limits.frame_timeout()).and_then(|(since, limit)| after(since, limit));
        let ping = self.pings.as_mut().and_then(|pings| pings.next_deadline());
        [idle, frame, ping].into_iter().flatten().min()
    }

    /// A clock without activity starts now: the session has just begun.
    pub(super) fn idle_since(&mut self) -> Instant {
        let last = *self.last_activity.get_or_insert_with(Instant::now);
        self.busy_at.map_or(last, |busy| busy.max(last))
    }
}

/// Keep-alive: the time since the peer was last heard, and the outstanding ping.
#[derive(Debug)]
pub(super) struct Pings {
    pub(super) config: KeepAlive,
    /// Last time that anything was received from the peer.
    pub(super) last_heard: Option<Instant>,
    /// Time of the ping, if nothing was received since.
    pub(super) pinged_at: Option<Instant>,
    pub(super) call: Option<PingCall>,
}

/// A ping that is a JSON-RPC call, where the transport has no control frame for it.
#[derive(Debug)]
pub(super) struct PingCall {
    pub(super) ping: Ping,
    /// The ping has been taken from the outgoing queue.
    pub(super) has_left: bool,
    /// Messages received since the ping.
    pub(super) received: u64,
    /// Start of the period in which only the ping and its reply were exchanged.
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

    /// Deadline for the reply to the ping, or for the next ping.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        match self.pinged_at {
            Some(pinged_at) => after(pinged_at, self.config.ends_after()),
            None => after(*self.last_heard.get_or_insert_with(Instant::now), self.config.pings_after()),
        }
    }

    /// This many messages are about to be written. Whether any of them is not the ping.
    pub(super) fn others_sent(&mut self, messages: u64, now: Instant) -> bool {
        let Some(call) = &mut self.call else { return true };
        let is_ping = !std::mem::replace(&mut call.has_left, true);
        let others = messages > u64::from(is_ping);
        if others {
            call.idle_since = Some(now);
        }
        others
    }

    /// This many messages were received. If the reply to the ping is the only one, returns the
    /// start of the idle period that the ping did not interrupt.
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

    /// The number of pings among the calls in flight.
    pub(super) fn calls_in_flight(&mut self) -> usize {
        let unknown = |call: &mut PingCall| call.ping.outcome() == PingOutcome::Unknown;
        usize::from(self.call.as_mut().is_some_and(unknown))
    }
}
