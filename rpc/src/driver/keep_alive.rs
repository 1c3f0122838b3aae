//! Pings, to a peer that has said nothing for a while.

use tokio::time::Instant;

use super::{Driver, Left};
use crate::{
    limits::{KeepAlive, deadline::after},
    session::{CloseReason, Ping, PingOutcome},
};

/// Since when the peer has said nothing, and whether it was asked.
#[derive(Debug)]
pub(super) struct Pings {
    how: KeepAlive,
    /// When it said something the last time.
    heard: Option<Instant>,
    /// When it was asked, if it has said nothing since.
    asked: Option<Instant>,
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    ping: Ping,
    /// Whether it has been taken from what waits to be sent.
    left: bool,
    /// How many messages have come since.
    received: u64,
    /// Since when nothing has come or gone but the ping and its reply.
    quiet_since: Option<Instant>,
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

impl Driver {
    /// Sends a ping if it is time for one, or says why the session is to end now.
    pub(super) fn keep_alive_is_due(&mut self, now: Instant) -> Option<CloseReason> {
        // What is not read cannot be heard.
        let listens =
            self.left == Left::Nothing && matches!(self.must_not_read(), Ok(false)) && !self.link.is_ending();
        let quiet_since = self.timers.silence.last();
        let pings = self.timers.silence.pings.as_deref_mut()?;
        if pings.next().is_none_or(|due| due > now) {
            return None;
        }
        if !listens {
            pings.heard(now);
            return None;
        }
        if pings.asked.is_some() {
            let after = pings.how.pings_after().saturating_add(pings.how.ends_after());
            return Some(CloseReason::Silent { after });
        }
        if let Some(mut last) = pings.sent.take() {
            self.link.forget_ping(&mut last.ping);
        }
        if pings.how.pings()
            && let Some(control) = &self.control
        {
            tracing::debug!(rpc.system.name = "jsonrpc", session = self.link.id, "ping");
            control.ping();
            pings.asked = Some(now);
            return None;
        }
        let method = pings.how.method();
        match method.and_then(|method| self.link.ping(method, now, pings.how.ends_after())) {
            Some(ping) => {
                pings.asked = Some(now);
                pings.sent = Some(Sent { ping, left: false, received: 0, quiet_since });
            }
            // There is no way to ask; or the peer does not read, and that has a limit of its own.
            None => pings.heard(now),
        }
        None
    }
}
