//! What the peer may not exceed: time, and cost.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::{
    session_loop::{Charged, Driver, Flow, Left},
    timers::{Sent, Timers},
};
use crate::{
    framing::FrameError,
    jsonrpc::{ErrorCode, ErrorObject, Id},
    limits::{Throttle, deadline::after},
    service::Queue,
    session::{CloseReason, Session},
};

/// Buffers above this are given back when the session has been quiet for [`TRIM_AFTER`].
const LARGE: usize = 64 << 10;

const TRIM_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

impl Driver {
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

    /// Bytes wait, and the transport does not pass them on now.
    pub(super) fn stalled(&mut self) {
        let left = self.io.left();
        if self.timers.stalled.is_none() || self.timers.left != left {
            self.timers.left = left;
            let limit = self.link.limits.send_timeout();
            self.timers.stalled = limit.and_then(|limit| after(Instant::now(), limit));
        }
    }

    /// Why the session is to end now, if the peer has said nothing for too long.
    fn silence_is_due(&mut self, now: Instant) -> Option<CloseReason> {
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

    /// Sends a ping if it is time for one, or says why the session is to end now.
    fn keep_alive_is_due(&mut self, now: Instant) -> Option<CloseReason> {
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

    /// Charges for what was read and written, once that is worth a reading of the clock, and looks after what the application has
    /// charged, or allowed.
    pub(super) fn charge_for_bytes(&mut self) {
        let moved = self.link.take_policy_changed();
        if moved {
            self.framer.set_limit(self.link.limits.frame_size());
        }
        if let Some(control) = &self.control {
            let sent = control.take_sent() as u64;
            if sent > 0 {
                self.uncharged += sent;
                self.link.counters.sent(self.write_buffer.messages(), sent, Instant::now());
            }
        }
        if moved || self.cost_of_bytes() >= 1.0 {
            // Where that is too much the session is closing, which the loop sees.
            self.charge(0.0);
        }
        if moved {
            // What has moved until now had the price of before.
            self.cost_per_byte = self.link.limits.cost_per_byte();
        }
    }

    /// For rules that the peer has broken.
    pub(super) fn charge_for_errors(&mut self, count: u64) -> Flow {
        self.link.counters.broken_rules(count);
        let amount = self.link.limits.cost_of_error() * count as f64;
        self.charged().errors += amount;
        self.charge(amount)
    }

    /// For a message that is no JSON.
    pub(super) fn charge_for_unreadable(&mut self) -> Flow {
        self.charge_for_what_cannot_be_read(1.0)
    }

    /// For a frame that the framer has dropped.
    pub(super) fn charge_for_dropped(&mut self, error: &FrameError) -> Flow {
        self.charge_for_what_cannot_be_read(error.severity())
    }

    fn charge_for_what_cannot_be_read(&mut self, severity: f64) -> Flow {
        self.link.counters.broken_rules(1);
        let amount = self.link.limits.cost_of_unreadable() * severity;
        self.charged().unreadable += amount;
        self.charge(amount)
    }

    /// Adds to the peer's cost; at the limit the peer is told, and the session closes.
    fn charge(&mut self, amount: f64) -> Flow {
        self.charge_at(amount, Instant::now())
    }

    fn charge_at(&mut self, amount: f64, now: Instant) -> Flow {
        let bytes = self.cost_of_bytes();
        if bytes > 0.0 {
            self.charged().bytes += bytes;
        }
        self.uncharged = 0;
        let mut cost = self.link.add_cost(amount + bytes, now);
        if self.link.hooks.is_some() {
            cost = self.tell_cost(cost);
        }
        self.throttle = Throttle::at(cost, &self.link.limits.load());
        let limit = self.link.limits.cost_hard();
        if limit == f64::INFINITY {
            return Flow::Continue;
        }
        if cost > self.link.limits.cost_soft() && !self.charged().is_logged {
            self.log_soft_limit(cost, limit, now);
        }
        if self.link.is_ending() {
            return Flow::Closing;
        }
        if cost < limit {
            return Flow::Continue;
        }
        let error = ErrorObject::new(ErrorCode::EXCESSIVE_RESOURCE_USAGE, "excessive resource usage");
        self.link.log_refused(None, &error);
        self.replies().error(Id::NULL, &error);
        // Handlers that run may finish; what waits is not begun any more.
        self.dispatch.queue = Queue::default();
        self.link.counters.waiting(0);
        tracing::info!(
            rpc.system.name = "jsonrpc", network.peer.address = %self.link.peer, session = self.link.id,
            cost = tenths(cost), limit,
            "the cost of a peer has come to the hard limit: its session ends"
        );
        self.link.start_close(CloseReason::Cost { cost, limit });
        Flow::Closing
    }

    fn charged(&mut self) -> &mut Charged {
        self.charged.get_or_insert_default()
    }

    pub(super) fn cost_of_bytes(&self) -> f64 {
        self.uncharged as f64 * self.cost_per_byte
    }

    /// What the peer has done that the session ends for. Its group pays.
    pub(super) fn cost_of_end(&self, reason: &CloseReason) -> f64 {
        let severity = match reason {
            CloseReason::Frame(error) => error.severity(),
            CloseReason::WrongProtocol { .. } => 1.0,
            _ => 0.0,
        };
        self.link.limits.cost_of_unreadable() * severity
    }

    /// Until when a request that comes now is delayed; nearly always it is not.
    pub(super) fn delay(&mut self) -> Option<Instant> {
        if self.throttle.delay.is_zero() && !self.dispatch.queue.is_delayed() {
            return None;
        }
        let now = Instant::now();
        // Some may have been forgiven meanwhile.
        self.charge_at(0.0, now);
        // The delay is finite: see `Limits::in_force`.
        let at = self.dispatch.queue.after_those_before(now + self.throttle.delay);
        // Behind one that is delayed even a request that need not be starts later.
        (at > now || self.dispatch.queue.is_delayed()).then_some(at)
    }

    /// Adds what the application says that the peer costs besides, and tells it of limits that are passed.
    #[cold]
    fn tell_cost(&mut self, cost: f64) -> f64 {
        let session = Session::new(Arc::clone(&self.link));
        let (hooks, limits) = (&self.link.hooks, &self.link.limits);
        let cost = cost + session.extra_cost();
        let was_over = std::mem::replace(&mut self.over_soft, cost > limits.cost_soft());
        if self.over_soft && !was_over {
            hooks.run(|hooks| hooks.over_soft_limit(&session, cost));
        }
        if cost >= limits.cost_hard() && !self.link.is_ending() {
            hooks.run(|hooks| hooks.over_hard_limit(&session, cost));
        }
        cost
    }

    /// Says once in a session that the peer is slowed down, what for, and what to change.
    #[cold]
    fn log_soft_limit(&mut self, cost: f64, hard: f64, now: Instant) {
        let own = self.link.own_cost(now);
        let extra = match self.link.hooks.is_some() {
            true => Session::new(Arc::clone(&self.link)).extra_cost(),
            false => 0.0,
        };
        let Charged { bytes, errors, unreadable, is_logged } = self.charged();
        *is_logged = true;
        let (bytes, errors, unreadable) = (*bytes, *errors, *unreadable);
        let application = own.by_application + extra;
        let group = (cost - extra - own.cost).max(0.0);
        let parts = [
            (bytes, "Limits::cost_per_byte"),
            (errors, "Limits::cost_of_error"),
            (unreadable, "Limits::cost_of_unreadable"),
            (application, "Session::add_cost or Hooks::extra_cost"),
            (group, "Groups::allowance"),
        ];
        let (_, change) =
            parts.into_iter().max_by(|(one, _), (other, _)| one.total_cmp(other)).unwrap_or(parts[0]);
        tracing::warn!(
            rpc.system.name = "jsonrpc", network.transport = self.link.peer.scheme(), network.peer.address = %self.link.peer,
            session = self.link.id, cost = tenths(cost), limit = self.link.limits.cost_soft(), limit.hard = hard,
            for_bytes = tenths(bytes), for_errors = tenths(errors), for_unreadable = tenths(unreadable),
            for_application = tenths(application), for_group = tenths(group), change,
            "the cost of a peer is over `Limits::cost_soft`: its requests are slowed down. Where it does what it should, raise that, \
             or change what `change` names, which most of the cost comes from"
        );
    }
}

/// For the log: a cost is no exact number.
fn tenths(cost: f64) -> f64 {
    (cost * 10.0).round() / 10.0
}
