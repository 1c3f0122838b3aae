//! Peers that cannot be accepted: it is logged once in a while, and asked again after a pause.

use std::{io, time::Duration};

use tokio::time::Instant;

use crate::{
    jsonrpc::{chain, shown::brief},
    transport::Endpoint,
};

/// How long is waited after a failure: at first, and doubled each time, at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many failures in a row may be taken for those of peers. More are none of a peer's: a rule of
/// the system's that refuses every peer, for one.
const MOST_OF_PEERS: u32 = 16;

/// How often it is said, at most, that peers cannot be accepted.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What has gone wrong at one listener.
#[derive(Debug)]
pub(super) struct AcceptBackoff {
    /// As it is logged.
    listener: Endpoint,
    /// Since a peer was accepted the last time.
    failures: u64,
    of_peers: u32,
    pause: Duration,
    /// Whether it was said of these failures that there are any.
    is_said: bool,
    said_at: Option<Instant>,
}

impl AcceptBackoff {
    pub(super) fn new(listener: &Endpoint) -> Self {
        let listener = listener.clone().redacted();
        Self { listener, failures: 0, of_peers: 0, pause: FIRST_PAUSE, is_said: false, said_at: None }
    }

    /// A peer was lost before it was accepted: the next one is asked for at once.
    pub(super) async fn of_a_peer(&mut self, error: &io::Error) {
        self.of_peers += 1;
        if self.of_peers > MOST_OF_PEERS {
            return self.of_ours(error).await;
        }
        tracing::debug!(rpc.system.name = "jsonrpc", endpoint = %self.listener, error = %brief(chain(error)), "a peer has gone before it was accepted");
    }

    /// The listener fails. Waits until it is worth asking again. Cancel safe.
    pub(super) async fn of_ours(&mut self, error: &io::Error) {
        self.failures += 1;
        let now = Instant::now();
        if self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= SAID_EVERY) {
            tracing::warn!(
                rpc.system.name = "jsonrpc", endpoint = %self.listener, error = %brief(chain(error)), failures = self.failures,
                "peers cannot be accepted: it is tried again until it goes well"
            );
            (self.said_at, self.is_said) = (Some(now), true);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
    }

    /// A peer was accepted.
    pub(super) fn end(&mut self) {
        if self.is_said {
            tracing::info!(
                rpc.system.name = "jsonrpc", endpoint = %self.listener, failures = self.failures,
                "peers are accepted again"
            );
        }
        (self.failures, self.of_peers, self.pause, self.is_said) = (0, 0, FIRST_PAUSE, false);
    }
}
