//! Calls that only ask whether the peer is there: nobody waits for them.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{Shared, calls::Timeout, slot::Slot};
use crate::jsonrpc::{Body, CallId, shown::brief};

/// A ping that was sent.
#[derive(Debug)]
pub(crate) struct Ping {
    id: CallId,
    slot: Arc<Slot>,
    outcome: PingOutcome,
}

/// What has become of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PingOutcome {
    Unknown,
    Answered,
    Failed,
}

impl Ping {
    /// What is known of it by now.
    pub(crate) fn outcome(&mut self) -> PingOutcome {
        if self.outcome == PingOutcome::Unknown
            && let Poll::Ready(reply) = self.slot.poll(Waker::noop())
        {
            self.outcome = if reply.is_ok() { PingOutcome::Answered } else { PingOutcome::Failed };
        }
        self.outcome
    }
}

impl Shared {
    /// Calls `method`. `None` where nothing can be sent now: the session is ending, or there is no room.
    pub(crate) fn ping(&self, method: &str, now: Instant, after: Duration) -> Option<Ping> {
        let mut text = Vec::new();
        let Ok(body) = Body::write(&mut text, method, |_| Ok::<_, Infallible>(()));
        let slot = Slot::waiting(None);
        let timeout = Timeout::after(now, after);
        let id = self.send_ping(body, &slot, timeout).ok()?;
        tracing::debug!(
            rpc.system.name = "jsonrpc",
            rpc.method = %brief(method),
            jsonrpc.request.id = id.value(),
            session = self.id,
            "ping"
        );
        Some(Ping { id, slot, outcome: PingOutcome::Unknown })
    }

    /// Forgets a ping that was never answered, before there is another one.
    pub(crate) fn forget_ping(&self, ping: &mut Ping) {
        if ping.outcome() == PingOutcome::Unknown {
            self.forget([ping.id]);
        }
    }
}
