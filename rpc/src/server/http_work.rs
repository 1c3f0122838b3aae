//! HTTP's part of the state of a server: connections, requests that other servers pass on, and the
//! permits that all requests share.

use std::{
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{
    FutureExt,
    future::{join, select},
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{
    limits::Limits,
    session::{WorkToken, WorkTracker},
    transport::LogRate,
};

/// The HTTP connections and requests of one server.
#[derive(Debug)]
pub(super) struct HttpWork {
    open: WorkTracker,
    /// Requests over connections of other servers.
    guests: WorkTracker,
    forced: CancellationToken,
    /// Cancelled when these requests have to end, at the deadline of a shutdown: their connections
    /// are not ours to end.
    guests_forced: CancellationToken,
    shielded_work: WorkTracker,
}

impl HttpWork {
    pub(super) fn new() -> Self {
        let forced = CancellationToken::new();
        Self {
            open: WorkTracker::default(),
            guests: WorkTracker::default(),
            guests_forced: forced.child_token(),
            forced,
            shielded_work: WorkTracker::default(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.open.count()
    }

    /// Work that handlers of these requests have shielded.
    pub(super) const fn shielded_work(&self) -> &WorkTracker {
        &self.shielded_work
    }

    /// Counts a connection until the guard is dropped.
    pub(super) fn begin(&self) -> WorkToken {
        self.open.token()
    }

    /// Counts a request over another server's connection until the guard is dropped.
    pub(super) fn begin_guest(&self) -> WorkToken {
        self.guests.token()
    }

    /// Waits until requests over other servers' connections have to end. Cancel safe.
    pub(super) async fn guests_are_forced(&self) {
        self.guests_forced.cancelled().await;
    }

    /// Aborts all connections and requests.
    pub(super) fn force(&self) {
        self.forced.cancel();
    }

    /// Waits until connections have to end. Cancel safe.
    pub(super) async fn are_forced(&self) {
        self.forced.cancelled().await;
    }

    /// Waits until all have ended and, as the close of a session does, for shielded work.
    pub(super) async fn all_ended(&self, close_timeout: Option<Duration>) {
        let deadline = close_timeout.map(|after| Instant::now() + after);
        let guests_ended = async {
            let (done, forced) = (pin!(self.guests.wait()), pin!(self.guests_are_forced()));
            by(deadline, select(done, forced).map(drop)).await;
            // Those that are left at the deadline.
            self.guests_forced.cancel();
        };
        join(self.open.wait(), guests_ended).await;
        let (done, forced) = (pin!(self.shielded_work.wait()), pin!(self.are_forced()));
        by(deadline, select(done, forced).map(drop)).await;
    }
}

/// Waits for `end`, at most until `deadline`.
async fn by(deadline: Option<Instant>, end: impl Future<Output = ()>) {
    match deadline {
        Some(deadline) => drop(timeout_at(deadline, end).await),
        None => end.await,
    }
}

/// Bytes of bodies that each connection has besides the shared ones, so that small messages arrive
/// whatever others hold. In total they are bounded by the number of connections.
const OWN_BYTES: usize = 16 << 10;

/// The permits that the HTTP requests of one policy share.
#[derive(Debug)]
pub(super) struct HttpCapacity {
    /// One permit for each request in flight.
    requests: Pool,
    /// One permit for each byte of a body that is arriving.
    body_bytes: Pool,
    /// Bounds the log events about refused requests.
    pub(super) refusals: LogRate,
}

impl HttpCapacity {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            requests: Pool::new(limits.connections),
            body_bytes: Pool::new(body_bytes(limits)),
            refusals: LogRate::default(),
        }
    }

    /// The permit of a request in flight.
    pub(super) fn request<'a>(&'a self, shares: &'a Shares) -> Result<Permits<'a>, Scarce> {
        let mut permit = self.requests.of(&shares.requests);
        permit.grow(1)?;
        Ok(permit)
    }

    /// Guards a [detached](Permits::detach) permit of a request again. `shares` are those that it
    /// was taken for.
    pub(super) fn attach_request<'a>(&'a self, shares: &'a Shares, detached: DetachedPermits) -> Permits<'a> {
        Permits { amount: detached.amount, ..self.requests.of(&shares.requests) }
    }

    /// Permits for the body of a request, none at first: they grow as bytes arrive.
    pub(super) const fn body<'a>(&'a self, shares: &'a Shares) -> Permits<'a> {
        self.body_bytes.of(&shares.body_bytes)
    }
}

/// The number of byte permits: at least twice the largest body, because one holder gets no more
/// than half of them.
pub(super) fn body_bytes(limits: &Limits) -> usize {
    let least = limits.frame_size.checked_mul(2).unwrap_or(0);
    limits.body_bytes.max(least)
}

/// The permits that one connection holds of a [`HttpCapacity`].
#[derive(Debug, Default)]
pub(super) struct Shares {
    requests: Share,
    body_bytes: Share,
}

impl Shares {
    /// For a connection that this server counts: one request and a few bytes are always admitted.
    pub(super) const fn of_connection() -> Self {
        Self { requests: Share::with_own(1), body_bytes: Share::with_own(OWN_BYTES) }
    }
}

/// Permits that many holders share. A holder gets no more than are left for all others, so that
/// greedy holders cannot use up all (dynamic thresholds: Choudhury and Hahne, 1998).
#[derive(Debug)]
struct Pool {
    left: AtomicUsize,
}

impl Pool {
    const fn new(permits: usize) -> Self {
        Self { left: AtomicUsize::new(permits) }
    }

    const fn of<'a>(&'a self, share: &'a Share) -> Permits<'a> {
        Permits { pool: self, share, amount: 0 }
    }

    /// Takes `amount` for a holder that has `held`. `Err` is the number that is left.
    fn take(&self, held: usize, amount: usize) -> Result<(), usize> {
        let take = |left: usize| (held.saturating_add(amount) <= left).then(|| left - amount);
        match amount {
            0 => Ok(()),
            _ => self.left.fetch_update(Relaxed, Relaxed, take).map(drop),
        }
    }
}

/// Why a holder got no more permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scarce {
    /// The permits of the holder, its own ones included.
    pub(super) held: usize,
    /// The permits that no holder has.
    pub(super) left: usize,
    /// True if there were too few for a holder without any, too.
    pub(super) is_for_all: bool,
}

#[derive(Debug, Default)]
struct Share {
    held: Mutex<usize>,
    /// The first permits of the holder that are not the pool's.
    own: usize,
}

impl Share {
    const fn with_own(own: usize) -> Self {
        Self { held: Mutex::new(0), own }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of `held` are the pool's.
    const fn of_pool(&self, held: usize) -> usize {
        held.saturating_sub(self.own)
    }
}

/// Held permits, given back on drop.
#[derive(Debug)]
pub(super) struct Permits<'a> {
    pool: &'a Pool,
    share: &'a Share,
    amount: usize,
}

impl Permits<'_> {
    /// Takes `amount` more permits.
    ///
    /// # Errors
    ///
    /// If that exceeds the share. Then none is taken.
    pub(super) fn grow(&mut self, amount: usize) -> Result<(), Scarce> {
        let mut held = self.share.lock();
        let more = held.saturating_add(amount);
        let before = self.share.of_pool(*held);
        let wanted = self.share.of_pool(more) - before;
        let taken = self.pool.take(before, wanted);
        taken.map_err(|left| Scarce { held: *held, left, is_for_all: wanted > left })?;
        *held = more;
        self.amount += amount;
        Ok(())
    }

    /// Gives up the guard and keeps the permits, so that the guard's borrows can move into a task.
    pub(super) fn detach(mut self) -> DetachedPermits {
        DetachedPermits { amount: std::mem::take(&mut self.amount) }
    }
}

/// Permits without a guard: they stay taken until [`HttpCapacity::attach_request`] guards them
/// again.
#[derive(Debug)]
#[must_use = "the permits are lost unless they are attached again"]
pub(super) struct DetachedPermits {
    amount: usize,
}

impl Drop for Permits<'_> {
    fn drop(&mut self) {
        let mut held = self.share.lock();
        let less = *held - self.amount;
        let freed = self.share.of_pool(*held) - self.share.of_pool(less);
        *held = less;
        if freed > 0 {
            self.pool.left.fetch_add(freed, Relaxed);
        }
    }
}

#[cfg(test)]
#[path = "http_work_tests.rs"]
mod tests;
