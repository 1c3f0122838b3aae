//! What a server does that is no session: its connections of HTTP, the requests that other servers hand it, and their end.

use std::{pin::pin, time::Duration};

use futures::{
    FutureExt,
    future::{join, select},
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::session::{Counted, Tally};

/// Those of one server.
#[derive(Debug)]
pub(in crate::server) struct Connections {
    open: Tally,
    /// Requests that have come by connections of other servers.
    guests: Tally,
    forced: CancellationToken,
    /// The same for those requests, which nobody else ends at the deadline.
    guests_forced: CancellationToken,
    shielded_work: Tally,
}

impl Connections {
    pub(in crate::server) fn new() -> Self {
        let forced = CancellationToken::new();
        Self {
            open: Tally::default(),
            guests: Tally::default(),
            guests_forced: forced.child_token(),
            forced,
            shielded_work: Tally::default(),
        }
    }

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

    /// One more request by a connection of another server, until what this gives is dropped.
    pub(super) fn begin_guest(&self) -> Counted {
        self.guests.begin()
    }

    /// Waits until such requests have to end at once. Cancel safe.
    pub(super) async fn guests_are_forced(&self) {
        self.guests_forced.cancelled().await;
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
        let deadline = close_timeout.map(|after| Instant::now() + after);
        let guests_ended = async {
            let (done, forced) = (pin!(self.guests.until_none()), pin!(self.guests_are_forced()));
            by(deadline, select(done, forced).map(drop)).await;
            // Those that are left.
            self.guests_forced.cancel();
        };
        join(self.open.until_none(), guests_ended).await;
        let (done, forced) = (pin!(self.shielded_work.until_none()), pin!(self.are_forced()));
        by(deadline, select(done, forced).map(drop)).await;
    }
}

/// Waits for `end`, if not for longer than until `deadline`.
async fn by(deadline: Option<Instant>, end: impl Future<Output = ()>) {
    match deadline {
        Some(deadline) => drop(timeout_at(deadline, end).await),
        None => end.await,
    }
}
