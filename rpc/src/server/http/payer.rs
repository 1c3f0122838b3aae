//! On whose account a request is answered.

use std::sync::Arc;

use http_body::SizeHint;
use tokio::time::Instant;

use super::{
    arrival::{Arrival, Room, admit_at},
    capacity::Shares,
    refusal::Refusal,
};
use crate::{
    limits::Limits,
    server::handle::Shared,
    session::{Counted, Membership},
    transport::Endpoint,
};

/// Who is charged for a request.
#[derive(Debug)]
pub(super) enum Payer {
    /// The connection that it has come by, which is ours.
    Connection(Arc<Arrival>),
    Guest(Guest),
    /// Of a service that belongs to no server.
    Nobody(Shares),
}

/// A request that another server has handed to a service of ours, until this is dropped. Shutting down
/// waits for it, and its group has one connection more.
#[derive(Debug)]
pub(super) struct Guest {
    server: Arc<Shared>,
    /// None where nobody has told where the peer is.
    group: Membership,
    shares: Shares,
    _counted: Counted,
}

impl Guest {
    pub(super) fn arrived(server: &Arc<Shared>, peer: Option<&Endpoint>) -> Result<Self, Refusal> {
        // Before it is looked whether the server goes on: shutting down looks in the other order.
        let counted = server.http.begin_guest();
        if !server.stage.borrow().serves() {
            return Err(Refusal::ShuttingDown);
        }
        let group = match (&server.groups, peer) {
            (Some(groups), Some(peer)) => groups.admit(peer)?,
            _ => Membership::default(),
        };
        Ok(Self { server: Arc::clone(server), group, shares: Shares::default(), _counted: counted })
    }
}

impl Payer {
    /// What its other requests have under way.
    pub(super) fn shares(&self) -> &Shares {
        match self {
            Self::Connection(arrival) => &arrival.account.shares,
            Self::Guest(Guest { shares, .. }) | Self::Nobody(shares) => shares,
        }
    }

    /// Adds to the cost.
    pub(super) fn charge(&self, amount: f64, limits: &Limits) {
        match self {
            Self::Connection(arrival) => _ = arrival.account.charge(amount, limits),
            Self::Guest(Guest { group, .. }) if group.is_some() => _ = group.charge(amount, Instant::now()),
            Self::Guest(_) | Self::Nobody(_) => {}
        }
    }

    /// Slows down a peer that has cost much, and refuses one that has cost too much.
    pub(super) async fn admit(&self, peer: &Endpoint, limits: &Limits) -> Result<(), Refusal> {
        match self {
            Self::Connection(arrival) => arrival.account.admit(&arrival.peer, limits).await,
            Self::Guest(Guest { group, .. }) if group.is_some() => {
                let cost = group.charge(0.0, Instant::now());
                admit_at(cost, peer, limits, || group.is_first_logged()).await
            }
            Self::Guest(_) | Self::Nobody(_) => Ok(()),
        }
    }

    /// Waits until a body fits into what the requests of its connection may have together, where that
    /// is ours and has several at once. Cancel safe.
    pub(super) async fn room_for(&self, body: &SizeHint, limits: &Limits) -> Option<Room<'_>> {
        match self {
            Self::Connection(arrival) => arrival.account.room_for(body, limits).await,
            Self::Guest(_) | Self::Nobody(_) => None,
        }
    }

    /// Waits until the request has to end at once, where nobody else sees to that. Cancel safe.
    pub(super) async fn is_forced(&self) {
        match self {
            Self::Guest(Guest { server, .. }) => server.http.guests_are_forced().await,
            Self::Connection(_) | Self::Nobody(_) => std::future::pending().await,
        }
    }
}
