//! A time in which peers cannot be accepted: it is logged once, and waited through.

use std::{io, time::Duration};

use crate::{jsonrpc::shown::brief, transport::Endpoint};

/// How long is waited after a failure: at first, and doubled each time, at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What has gone wrong since a peer was accepted.
#[derive(Debug)]
pub(super) struct Episode<'a> {
    listener: &'a Endpoint,
    failures: u64,
    pause: Duration,
}

impl<'a> Episode<'a> {
    pub(super) const fn new(listener: &'a Endpoint) -> Self {
        Self { listener, failures: 0, pause: FIRST_PAUSE }
    }

    /// As it is logged.
    fn endpoint(&self) -> Endpoint {
        self.listener.clone().redacted()
    }

    /// A peer was lost before it was accepted.
    pub(super) fn of_a_peer(&self, error: &io::Error) {
        tracing::debug!(rpc.system.name = "jsonrpc", endpoint = %self.endpoint(), error = %brief(error), "a peer has gone before it was accepted");
    }

    /// The listener fails. Waits until it is worth asking again.
    pub(super) async fn of_ours(&mut self, error: &io::Error) {
        if self.failures == 0 {
            tracing::warn!(
                rpc.system.name = "jsonrpc", endpoint = %self.endpoint(), error = %brief(error),
                "peers cannot be accepted: it is tried again until it goes well"
            );
        }
        self.failures += 1;
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// A peer was accepted.
    pub(super) fn end(self) {
        if self.failures > 0 {
            tracing::info!(
                rpc.system.name = "jsonrpc", endpoint = %self.endpoint(), failures = self.failures,
                "peers are accepted again"
            );
        }
    }
}
