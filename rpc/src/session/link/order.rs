//! Which requests may be worked on at the same time.

use super::State;
use crate::jsonrpc::Order;

/// What may stand in the way of a request: those that are being worked on, and those that came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ahead {
    any: bool,
    ordered: bool,
    exclusive: bool,
}

impl Ahead {
    pub(crate) const NOTHING: Self = Self { any: false, ordered: false, exclusive: false };

    /// Whether a request of this order may be worked on beside them.
    pub(crate) const fn lets_start(self, order: Order) -> bool {
        match order {
            Order::Concurrent => !self.exclusive,
            Order::Ordered => !self.exclusive && !self.ordered,
            Order::Exclusive => !self.any,
        }
    }

    pub(crate) const fn and(self, order: Order) -> Self {
        Self {
            any: true,
            ordered: self.ordered || matches!(order, Order::Ordered),
            exclusive: self.exclusive || matches!(order, Order::Exclusive),
        }
    }
}

impl State {
    /// The requests that are being worked on.
    pub(super) fn running_orders(&self) -> Ahead {
        self.running.iter().fold(Ahead::NOTHING, |ahead, (_, running)| ahead.and(running.order))
    }
}
