//! Applies the limits on the peer over time: deadlines, the idle timeout, keep-alive, and cost.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::{
    session_loop::{Backlog, Charges, Driver, Flow},
    timers::{PingCall, Timers},
};
use crate::{
    framing::FrameError,
    jsonrpc::{ErrorCode, ErrorObject, Id, shown::brief},
    limits::{Throttle, deadline::after},
    service::Queue,
    session::{CloseReason, Session},
};

/// Buffers above this size, in bytes, are freed after [`TRIM_AFTER`] if they are empty then.
const LARGE: usize = 64 << 10;

const TRIM_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// Deadlines.
impl Driver {
    /// Pending until a deadline passes. Ready with the reason if that ends the session, and with
    /// `None` if it was handled.
    pub(super) fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Option<CloseReason>> {
        let delayed = self.dispatch.queue.next_due();
        let Timers { sleep, deadline, send_deadline, close_deadline, trim_at, idle, .. } = &mut self.timers;
        if let Some(moved) = self.shared.next_deadline() {
            *deadline = Some(moved);
        }
        if close_deadline.is_none() && self.shared.is_ending() {
            let limit = self.shared.limits.close_timeout();
            *close_deadline = limit.and_then(|limit| after(Instant::now(), limit));
        }
        if trim_at.is_none() && self.inbox.capacity().max(self.write_buffer.capacity()) > LARGE {
            *trim_at = Some(Instant::now() + TRIM_AFTER);
        }
        let idle_deadline = idle.next_deadline(&self.shared.limits);
        let Some(next) = [*deadline, *send_deadline, *close_deadline, *trim_at, idle_deadline, delayed]
            .into_iter()
            .flatten()
            .min()
        else {
            return Poll::Pending;
        };
        match sleep {
            // Deadlines move with every message. A timer that fires too early and is then reset
            // costs less than a reset for each of them.
            Some(sleep) if sleep.deadline() <= next && !sleep.is_elapsed() => {}
            Some(sleep) => sleep.as_mut().reset(next),
            None => *sleep = Some(Box::pin(tokio::time::sleep_until(next))),
        }
        if let Some(sleep) = sleep {
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.check_deadlines(Instant::now()))
    }

    fn check_deadlines(&mut self, now: Instant) -> Option<CloseReason> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.timers.send_deadline) {
            // The transport may have passed on bytes since, which moves the deadline.
            self.write_stalled();
        }
        if is_due(self.timers.send_deadline) {
            let after = self.shared.limits.send_timeout().unwrap_or_default();
            return Some(CloseReason::SendTimeout { unsent: self.unsent(), after });
        }
        if is_due(self.timers.close_deadline) {
            // The reason is what began the close. Without a close, the peer has ended its stream.
            return Some(self.peer_reason_or(CloseReason::Peer));
        }
        if let Some(reason) = self.check_idle(now) {
            return Some(reason);
        }
        if is_due(self.timers.trim_at) {
            self.timers.trim_at = None;
            self.inbox.trim();
            self.shared.trim();
            self.write_buffer.trim();
        }
        if is_due(self.timers.deadline) {
            self.timers.deadline = self.shared.expire(now);
        }
        None
    }

    /// Bytes wait, and the transport accepts none now: starts the send timeout, or restarts it
    /// after progress.
    pub(super) fn write_stalled(&mut self) {
        let transmitted = self.io.left();
        if self.timers.send_deadline.is_none() || self.timers.transmitted != transmitted {
            self.timers.transmitted = transmitted;
            let limit = self.shared.limits.send_timeout();
            self.timers.send_deadline = limit.and_then(|limit| after(Instant::now(), limit));
        }
    }

    /// Applies the timeouts of an incomplete frame and of idleness, and keep-alive. Returns the
    /// reason if the session ends now.
    fn check_idle(&mut self, now: Instant) -> Option<CloseReason> {
        if let (Some(since), Some(after)) = (self.timers.idle.frame_began, self.shared.limits.frame_timeout())
            && now.saturating_duration_since(since) >= after
        {
            // Time in which this side does not read does not count against the peer.
            if self.backlog == Backlog::Empty
                && matches!(self.has_back_pressure(), Ok(false))
                && !self.shared.is_ending()
            {
                let received = self.inbox.len() + self.framer.kept();
                let reason = CloseReason::FrameTimeout { received, after };
                if !self.abandon_oversized() {
                    return Some(reason);
                }
                // Close gracefully, so that the error reply is written first.
                self.shared.start_close(reason);
            }
            self.timers.idle.frame_began = Some(now);
        }
        if let Some(after) = self.shared.limits.idle_timeout()
            && now.saturating_duration_since(self.timers.idle.idle_since()) >= after
        {
            if self.is_busy() || self.shared.is_ending() {
                self.timers.idle.busy_at = Some(now);
            } else {
                self.shared.start_close(CloseReason::Idle { after });
            }
        }
        self.check_keep_alive(now)
    }

    /// Whether requests, calls or bytes are in flight in either direction.
    fn is_busy(&mut self) -> bool {
        let pings = self.timers.idle.pings.as_mut().map_or(0, |pings| pings.calls_in_flight());
        self.dispatch.queue.len() > 0
            || self.paused.is_some()
            || self.unsent() > 0
            || self.shared.is_busy(pings)
    }

    /// Sends a ping when one is due. Returns the reason if the last one was not answered in time.
    fn check_keep_alive(&mut self, now: Instant) -> Option<CloseReason> {
        // While this side does not read, silence says nothing about the peer.
        let listens = self.backlog == Backlog::Empty
            && matches!(self.has_back_pressure(), Ok(false))
            && !self.shared.is_ending();
        let idle_since = self.timers.idle.last_activity();
        let pings = self.timers.idle.pings.as_deref_mut()?;
        if pings.next_deadline().is_none_or(|due| due > now) {
            return None;
        }
        if !listens {
            pings.peer_heard(now);
            return None;
        }
        if pings.pinged_at.is_some() {
            let after = pings.config.pings_after().saturating_add(pings.config.ends_after());
            return Some(CloseReason::Silent { after });
        }
        if let Some(mut last) = pings.call.take() {
            self.shared.forget_ping(&mut last.ping);
        }
        if pings.config.pings()
            && let Some(control) = &self.control
        {
            tracing::debug!(rpc.system.name = "jsonrpc", session = self.shared.id, "ping");
            control.ping();
            pings.pinged_at = Some(now);
            return None;
        }
        let method = pings.config.method();
        match method.and_then(|method| self.shared.ping(method, now, pings.config.ends_after())) {
            Some(ping) => {
                pings.pinged_at = Some(now);
                pings.call = Some(PingCall { ping, has_left: false, received: 0, idle_since });
            }
            // There is no method to call, or the write buffer is full, which has its own timeout.
            None => pings.peer_heard(now),
        }
        None
    }
}

/// Cost.
impl Driver {
    /// Charges for the bytes read and written, once they cost enough to justify a clock read, and
    /// applies changes that the application made to cost or limits.
    pub(super) fn charge_for_bytes(&mut self) {
        let policy_changed = self.shared.take_policy_changed();
        if policy_changed {
            self.framer.set_limit(self.shared.limits.frame_size());
        }
        if let Some(control) = &self.control {
            let sent = control.take_sent() as u64;
            if sent > 0 {
                self.uncharged_bytes += sent;
                self.shared.counters.sent(self.write_buffer.messages(), sent, Instant::now());
            }
        }
        if policy_changed || self.cost_of_bytes() >= 1.0 {
            // If that reaches the limit, the loop sees that the session is closing.
            self.charge(0.0);
        }
        if policy_changed {
            // Bytes moved before the change are charged at the old price.
            self.cost_per_byte = self.shared.limits.cost_per_byte();
        }
    }

    /// Charges for rules that the peer has broken.
    pub(super) fn charge_for_errors(&mut self, count: u64) -> Flow {
        self.shared.counters.broken_rules(count);
        let amount = self.shared.limits.cost_of_error() * count as f64;
        self.charges().errors += amount;
        self.charge(amount)
    }

    /// Charges for a message that is not JSON.
    pub(super) fn charge_for_unreadable(&mut self) -> Flow {
        self.charge_for_malformed(1.0)
    }

    /// Logs a dropped frame, and charges for it.
    pub(super) fn charge_for_frame(&mut self, error: &FrameError) -> Flow {
        tracing::debug!(rpc.system.name = "jsonrpc", session = self.shared.id, error = %brief(error), "a frame was dropped");
        self.charge_for_malformed(error.severity())
    }

    fn charge_for_malformed(&mut self, severity: f64) -> Flow {
        self.shared.counters.broken_rules(1);
        let amount = self.shared.limits.cost_of_unreadable() * severity;
        self.charges().unreadable += amount;
        self.charge(amount)
    }

    /// Adds to the cost of the peer. At the hard limit the peer is sent an error, and the session
    /// closes.
    fn charge(&mut self, amount: f64) -> Flow {
        self.charge_at(amount, Instant::now())
    }

    fn charge_at(&mut self, amount: f64, now: Instant) -> Flow {
        let bytes = self.cost_of_bytes();
        if bytes > 0.0 {
            self.charges().bytes += bytes;
        }
        self.uncharged_bytes = 0;
        let mut cost = self.shared.add_cost(amount + bytes, now);
        if self.shared.hooks.is_some() {
            cost = self.tell_cost(cost);
        }
        self.throttle = Throttle::at(cost, &self.shared.limits.load());
        let limit = self.shared.limits.cost_hard();
        if limit == f64::INFINITY {
            return Flow::Continue;
        }
        if cost > self.shared.limits.cost_soft() && !self.charges().is_logged {
            self.log_soft_limit(cost, limit, now);
        }
        if self.shared.is_ending() {
            return Flow::Closing;
        }
        if cost < limit {
            return Flow::Continue;
        }
        let error = ErrorObject::new(ErrorCode::EXCESSIVE_RESOURCE_USAGE, "excessive resource usage");
        self.shared.log_refused(None, &error);
        self.reply_writer().error(Id::NULL, &error);
        // Requests in flight may finish; queued ones are not started any more.
        self.dispatch.queue = Queue::default();
        self.shared.counters.waiting(0);
        tracing::info!(
            rpc.system.name = "jsonrpc", network.peer.address = %self.shared.peer, session = self.shared.id,
            cost = tenths(cost), limit,
            "the cost of a peer has come to the hard limit: its session ends"
        );
        self.shared.start_close(CloseReason::Cost { cost, limit });
        Flow::Closing
    }

    fn charges(&mut self) -> &mut Charges {
        self.charges.get_or_insert_default()
    }

    pub(super) fn cost_of_bytes(&self) -> f64 {
        self.uncharged_bytes as f64 * self.cost_per_byte
    }

    /// Cost of the violation that ended the session. Charged to the group of the peer.
    pub(super) fn cost_of_end(&self, reason: &CloseReason) -> f64 {
        let severity = match reason {
            CloseReason::Frame(error) => error.severity(),
            CloseReason::WrongProtocol { .. } => 1.0,
            _ => 0.0,
        };
        self.shared.limits.cost_of_unreadable() * severity
    }

    /// Time before which a new request must not start, if the peer is throttled. Usually it is not.
    pub(super) fn not_before(&mut self) -> Option<Instant> {
        if self.throttle.delay.is_zero() && !self.dispatch.queue.is_delayed() {
            return None;
        }
        let now = Instant::now();
        // Part of the cost may have been forgiven since it was last computed.
        self.charge_at(0.0, now);
        // The delay is finite: see `Limits::in_force`.
        let at = self.dispatch.queue.after_those_before(now + self.throttle.delay);
        // A request behind a delayed one starts later too, to keep the order.
        (at > now || self.dispatch.queue.is_delayed()).then_some(at)
    }

    /// Adds the extra cost that the application reports, and calls its hooks when a limit is
    /// passed.
    #[cold]
    fn tell_cost(&mut self, cost: f64) -> f64 {
        let (hooks, limits) = (&self.shared.hooks, &self.shared.limits);
        let cost = cost + Session::new(Arc::clone(&self.shared)).extra_cost();
        let was_over = std::mem::replace(&mut self.is_over_soft, cost > limits.cost_soft());
        if self.is_over_soft && !was_over {
            hooks.run(|hooks| hooks.over_soft_limit(&self.shared, cost));
        }
        if cost >= limits.cost_hard() && !self.shared.is_ending() {
            hooks.run(|hooks| hooks.over_hard_limit(&self.shared, cost));
        }
        cost
    }

    /// Logs, once per session, that the peer is throttled, what its cost consists of, and which
    /// setting to change.
    #[cold]
    fn log_soft_limit(&mut self, cost: f64, hard: f64, now: Instant) {
        let own = self.shared.own_cost(now);
        let extra = match self.shared.hooks.is_some() {
            true => Session::new(Arc::clone(&self.shared)).extra_cost(),
            false => 0.0,
        };
        let Charges { bytes, errors, unreadable, is_logged } = self.charges();
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
            rpc.system.name = "jsonrpc", network.transport = self.shared.peer.scheme(), network.peer.address = %self.shared.peer,
            session = self.shared.id, cost = tenths(cost), limit = self.shared.limits.cost_soft(), limit.hard = hard,
            for_bytes = tenths(bytes), for_errors = tenths(errors), for_unreadable = tenths(unreadable),
            for_application = tenths(application), for_group = tenths(group), change,
            "the cost of a peer is over `Limits::cost_soft`: its requests are slowed down. Where it does what it should, raise that, \
             or change what `change` names, which most of the cost comes from"
        );
    }
}

/// Rounds a cost for the log.
fn tenths(cost: f64) -> f64 {
    (cost * 10.0).round() / 10.0
}
