//! What the peer costs, and what follows: its requests are slowed down, and in the end the session closes.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Driver, receive::Flow};
use crate::{
    framing::FrameError,
    jsonrpc::{ErrorCode, ErrorObject, Id},
    limits::Throttle,
    service::Queue,
    session::{CloseReason, Session},
};

/// What a peer was charged for since the session began, forgiven or not: for the log.
#[derive(Debug, Default)]
pub(super) struct Charged {
    bytes: f64,
    errors: f64,
    unreadable: f64,
    /// Whether the log has it that the soft limit was passed.
    is_logged: bool,
}

impl Driver {
    /// Adds to the peer's cost; at the limit the peer is told, and the session closes.
    fn charge(&mut self, amount: f64) -> Flow {
        self.charge_at(amount, Instant::now())
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

    fn charged(&mut self) -> &mut Charged {
        self.charged.get_or_insert_default()
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
}

/// For the log: a cost is no exact number.
fn tenths(cost: f64) -> f64 {
    (cost * 10.0).round() / 10.0
}
