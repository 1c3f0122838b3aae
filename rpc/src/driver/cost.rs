//! What the peer costs, and what follows: its requests are slowed down, and in the end the session closes.

use tokio::time::Instant;

use super::{Driver, order::Queue, receive::Taken};
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id},
    limits::Throttle,
    session::CloseReason,
};

impl Driver {
    /// Adds to the peer's cost; at the limit the peer is told, and the session closes.
    pub(super) fn charge(&mut self, amount: f64) -> Taken {
        self.charge_at(amount, Instant::now())
    }

    /// Charges for what was read and written, once that is worth a reading of the clock, and looks after what the application has
    /// charged.
    pub(super) fn charge_for_bytes(&mut self) {
        if self.cost_of_bytes() >= 1.0 || self.link.cost_moved() {
            // Where that is too much the session is closing, which the loop sees.
            self.charge(0.0);
        }
    }

    fn cost_of_bytes(&self) -> f64 {
        self.uncharged as f64 * self.link.limits.cost_per_byte
    }

    fn charge_at(&mut self, amount: f64, now: Instant) -> Taken {
        let amount = amount + self.cost_of_bytes();
        self.uncharged = 0;
        let cost = self.link.add_cost(amount, now);
        let limit = self.link.limits.cost_hard;
        if limit == f64::INFINITY {
            return Taken::Yes;
        }
        if self.link.is_ending() {
            return Taken::Over;
        }
        self.throttle = Throttle::at(cost, &self.link.limits);
        if cost < limit {
            return Taken::Yes;
        }
        let error = ErrorObject::new(ErrorCode::EXCESSIVE_RESOURCE_USAGE, "excessive resource usage");
        self.log_error(None, &error);
        self.replies.error(Id::NULL, &error);
        // Handlers that run may finish; what waits is not begun any more.
        self.queue = Queue::default();
        self.link.start_close(CloseReason::Cost { cost, limit });
        Taken::Over
    }

    /// Until when a request that comes now is delayed; nearly always it is not.
    pub(super) fn delay(&mut self) -> Option<Instant> {
        if self.throttle.delay.is_zero() && !self.queue.is_delayed() {
            return None;
        }
        let now = Instant::now();
        // Some may have been forgiven meanwhile.
        self.charge_at(0.0, now);
        let at = self.queue.after_those_before(now + self.throttle.delay);
        // Behind one that is delayed even a request that need not be starts later.
        (at > now || self.queue.is_delayed()).then_some(at)
    }
}
