//! The connections of a server that carry no session: how many there are, and their end.

use std::{pin::pin, time::Duration};

use futures::{FutureExt, future::select};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::session::{Counted, Tally};

/// Those of one server.
#[derive(Debug, Default)]
pub(in crate::server) struct Connections {
    open: Tally,
    forced: CancellationToken,
    shielded_work: Tally,
}

impl Connections {
    pub(in crate::server) fn count(&self) -> usize {
        self.open.count()
    }

    /// What is being finished of the requests that came over them.
    pub(in crate::server) const fn shielded_work(&self) -> &Tally {
        &self.shielded_work
    }

    /// One more, until what this gives is dropped.
    pub(super) fn begin(&self) -> Counted {
        self.open.begin()
    }

    /// Ends all of them at once.
    pub(in crate::server) fn force(&self) {
        self.forced.cancel();
    }

    /// Waits until they have to end at once. Cancel safe.
    pub(super) async fn are_forced(&self) {
        self.forced.cancelled().await;
    }

    /// Waits until there are none, and, as a session does that closes, for what their handlers have shielded.
    pub(in crate::server) async fn all_ended(&self, close_timeout: Option<Duration>) {
        let since = Instant::now();
        self.open.until_none().await;
        let (done, forced) = (pin!(self.shielded_work.until_none()), pin!(self.are_forced()));
        let over = select(done, forced).map(|_| ());
        match close_timeout {
            Some(after) => _ = timeout_at(since + after, over).await,
            None => over.await,
        }
    }
}
