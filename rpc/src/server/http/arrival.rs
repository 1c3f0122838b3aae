//! How a request has come in: what a listener of ours knows of the connection.

use std::sync::{Mutex, PoisonError};

use tokio::{sync::Notify, time::Instant};

use super::refusal::Refusal;
use crate::{
    limits::{Cost, Limits, Throttle},
    session::Membership,
    transport::{Endpoint, Extensions},
};

/// The connection that a request has come by. An `Arc` of it is in the extensions of the request.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) peer: Endpoint,
    /// What the transport knows of the peer, and of every one of its requests.
    pub(super) extensions: Extensions,
    pub(super) account: Account,
}

/// What the peer of one connection has cost.
#[derive(Debug)]
pub(super) struct Account {
    cost: Mutex<Cost<Instant>>,
    group: Membership,
    over: Notify,
}

impl Account {
    pub(super) fn new(group: Membership) -> Self {
        Self { cost: Mutex::new(Cost::new()), group, over: Notify::new() }
    }

    /// Adds to the cost.
    pub(super) fn charge(&self, amount: f64, limits: &Limits) -> f64 {
        let now = Instant::now();
        let mut cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        let own = cost.add(amount, limits.cost_forgiven_per_second, now, |now, then| {
            now.saturating_duration_since(then)
        });
        drop(cost);
        let cost = own.max(self.group.charge(amount, now));
        if cost >= limits.cost_hard {
            self.over.notify_one();
        }
        cost
    }

    /// Slows down one who has cost much, and refuses one who has cost too much.
    pub(super) async fn admit(&self, limits: &Limits) -> Result<(), Refusal> {
        if limits.cost_hard == f64::INFINITY {
            return Ok(());
        }
        let cost = self.charge(0.0, limits);
        if cost >= limits.cost_hard {
            return Err(Refusal::Cost);
        }
        let delay = Throttle::at(cost, limits).delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }

    /// Waits until the peer has cost too much. Cancel safe.
    pub(super) async fn is_over(&self) {
        self.over.notified().await;
    }
}
