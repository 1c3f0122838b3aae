//! Limits that were reached, in the log: once for each session or service, with the field to change.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use crate::transport::Endpoint;

/// Whether the log has something already.
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) fn is_first(&self) -> bool {
        !self.0.swap(true, Relaxed)
    }
}

/// What the log has of the limits that one session, or one dispatcher, has reached.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    request_timeout: Once,
    subscriptions: Once,
}

impl Reached {
    /// A handler was dropped. `session` is `None` where there is none.
    #[cold]
    pub(crate) fn request_timeout(&self, peer: &Endpoint, session: Option<u64>, limit: Option<Duration>) {
        if let Some(limit) = limit
            && self.request_timeout.is_first()
        {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, session, ?limit,
                "a handler took longer than it may, and was dropped. Where handlers take that long, raise `Limits::request_timeout`"
            );
        }
    }

    /// A subscription was refused.
    #[cold]
    pub(crate) fn subscriptions(&self, peer: &Endpoint, session: u64, limit: usize) {
        if self.subscriptions.is_first() {
            tracing::warn!(
                rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, session, limit,
                "a peer has as many subscriptions as it may have: further ones are refused. Where it does what it should, raise \
                 `Limits::subscriptions`"
            );
        }
    }
}
