//! What the peer may not exceed: time, and cost.

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

/// Buffers above this are given back when the session has been quiet for [`TRIM_AFTER`].
const LARGE: usize = 64 << 10;

const TRIM_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

impl Driver {
    /// Pending until something is due. Ready with the reason if the session is to end now, with `None` if what was due is done.
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
            // What is due moves with every message. An alarm that comes too early, and is then set anew, costs less than one set each time.
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
            // Something may have left since.
            self.write_stalled();
        }
        if is_due(self.timers.send_deadline) {
            let after = self.shared.limits.send_timeout().unwrap_or_default();
            return Some(CloseReason::SendTimeout { unsent: self.unsent(), after });
        }
        if is_due(self.timers.close_deadline) {
            // Where a close has begun, what began it is the reason; otherwise the peer has ended its stream.
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

    /// Bytes wait, and the transport does not pass them on now.
    pub(super) fn write_stalled(&mut self) {
        let transmitted = self.io.left();
        if self.timers.send_deadline.is_none() || self.timers.transmitted != transmitted {
            self.timers.transmitted = transmitted;
            let limit = self.shared.limits.send_timeout();
            self.timers.send_deadline = limit.and_then(|limit| after(Instant::now(), limit));
        }
    }

    /// Why the session is to end now, if the peer has said nothing for too long.
    fn check_idle(&mut self, now: Instant) -> Option<CloseReason> {
        if let (Some(since), Some(after)) = (self.timers.idle.frame_began, self.shared.limits.frame_timeout())
            && now.saturating_duration_since(since) >= after
        {
            // It is no fault of the peer's that nothing is read.
            if self.backlog == Backlog::Empty
                && matches!(self.has_back_pressure(), Ok(false))
                && !self.shared.is_ending()
            {
                let received = self.inbox.len() + self.framer.kept();
                let reason = CloseReason::FrameTimeout { received, after };
                if !self.abandon_oversized() {
                    return Some(reason);
                }
                // What the peer is told leaves first.
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

    /// Whether something is under way, in either direction.
    fn is_busy(&mut self) -> bool {
        let pings = self.timers.idle.pings.as_mut().map_or(0, |pings| pings.calls_in_flight());
        self.dispatch.queue.len() > 0
            || self.paused.is_some()
            || self.unsent() > 0
            || self.shared.is_busy(pings)
    }

    /// Sends a ping if it is time for one, or says why the session is to end now.
    fn check_keep_alive(&mut self, now: Instant) -> Option<CloseReason> {
        // What is not read cannot be heard.
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
            // There is no way to ask; or the peer does not read, and that has a limit of its own.
            None => pings.peer_heard(now),
        }
        None
    }

    /// Charges for what was read and written, once that is worth a reading of the clock, and looks after what the application has
    /// charged, or allowed.
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
            // Where that is too much the session is closing, which the loop sees.
            self.charge(0.0);
        }
        if policy_changed {
            // What has moved until now had the price of before.
            self.cost_per_byte = self.shared.limits.cost_per_byte();
        }
    }

    /// For rules that the peer has broken.
    pub(super) fn charge_for_errors(&mut self, count: u64) -> Flow {
        self.shared.counters.broken_rules(count);
        let amount = self.shared.limits.cost_of_error() * count as f64;
        self.charges().errors += amount;
        self.charge(amount)
    }

    /// For a message that is no JSON.
    pub(super) fn charge_for_unreadable(&mut self) -> Flow {
        self.charge_for_malformed(1.0)
    }

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

    /// Adds to the peer's cost; at the limit the peer is told, and the session closes.
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
        // Handlers that run may finish; what waits is not begun any more.
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

    /// What the peer has done that the session ends for. Its group pays.
    pub(super) fn cost_of_end(&self, reason: &CloseReason) -> f64 {
        let severity = match reason {
            CloseReason::Frame(error) => error.severity(),
            CloseReason::WrongProtocol { .. } => 1.0,
            _ => 0.0,
        };
        self.shared.limits.cost_of_unreadable() * severity
    }

    /// Until when a request that comes now is delayed; nearly always it is not.
    pub(super) fn not_before(&mut self) -> Option<Instant> {
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
        let session = Session::new(Arc::clone(&self.shared));
        let (hooks, limits) = (&self.shared.hooks, &self.shared.limits);
        let cost = cost + session.extra_cost();
        let was_over = std::mem::replace(&mut self.is_over_soft, cost > limits.cost_soft());
        if self.is_over_soft && !was_over {
            hooks.run(|hooks| hooks.over_soft_limit(&session, cost));
        }
        if cost >= limits.cost_hard() && !self.shared.is_ending() {
            hooks.run(|hooks| hooks.over_hard_limit(&session, cost));
        }
        cost
    }

    /// Says once in a session that the peer is slowed down, what for, and what to change.
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

/// For the log: a cost is no exact number.
fn tenths(cost: f64) -> f64 {
    (cost * 10.0).round() / 10.0
}
