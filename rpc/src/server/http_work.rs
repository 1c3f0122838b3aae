//! What a server does over HTTP: its connections, the requests that other servers hand it, and the permits that all
//! requests share.

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
    session::{Counted, Tally},
    transport::LogRate,
};

/// Those of one server.
#[derive(Debug)]
pub(in crate::server) struct HttpWork {
    open: Tally,
    /// Requests that have come by connections of other servers.
    guests: Tally,
    forced: CancellationToken,
    /// The same for those requests, which nobody else ends at the deadline.
    guests_forced: CancellationToken,
    shielded_work: Tally,
}

impl HttpWork {
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

/// How many bytes of bodies a connection may have arriving that count nowhere: small messages get
/// through whatever others hold. Together these are bounded by the number of connections.
const OWN_BYTES: usize = 16 << 10;

/// The permits of one server.
#[derive(Debug)]
pub(in crate::server) struct HttpCapacity {
    /// One for each request that is worked on.
    requests: Pool,
    /// One for each byte of a body that has begun to arrive.
    body_bytes: Pool,
    /// How often the log has it that there is none for a request, or another limit was reached.
    pub(super) refusals: LogRate,
}

impl HttpCapacity {
    pub(in crate::server) fn new(limits: &Limits) -> Self {
        Self {
            requests: Pool::new(limits.connections),
            body_bytes: Pool::new(body_bytes(limits)),
            refusals: LogRate::default(),
        }
    }

    /// A permit to work on a request, until it is dropped.
    pub(super) fn request<'a>(&'a self, shares: &'a Shares) -> Result<Permits<'a>, Scarce> {
        let mut permit = self.requests.of(&shares.requests);
        permit.grow(1)?;
        Ok(permit)
    }

    /// Guards the permit of a request again that was [detached](Permits::detach). `shares` are those that it was taken
    /// for.
    pub(super) fn attach_request<'a>(&'a self, shares: &'a Shares, detached: DetachedPermits) -> Permits<'a> {
        Permits { amount: detached.amount, ..self.requests.of(&shares.requests) }
    }

    /// Permits for the body of a request. It grows as bytes arrive.
    pub(super) const fn body<'a>(&'a self, shares: &'a Shares) -> Permits<'a> {
        self.body_bytes.of(&shares.body_bytes)
    }
}

/// How many bytes bodies may have together: enough for the largest, which has half of them.
pub(super) fn body_bytes(limits: &Limits) -> usize {
    let least = limits.frame_size.checked_mul(2).unwrap_or(0);
    limits.body_bytes.max(least)
}

/// What one connection has of a [`HttpCapacity`].
#[derive(Debug, Default)]
pub(super) struct Shares {
    requests: Share,
    body_bytes: Share,
}

impl Shares {
    /// Of a connection that counts as one: a request and some bytes are always admitted.
    pub(super) const fn of_connection() -> Self {
        Self { requests: Share::with_own(1), body_bytes: Share::with_own(OWN_BYTES) }
    }
}

/// Permits that many holders share. A holder is given no more than is left for all others, so that
/// no number of greedy ones leaves nothing (dynamic thresholds: Choudhury and Hahne, 1998).
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

    /// Takes `amount` for a holder that has `held`, or gives how many are left.
    fn take(&self, held: usize, amount: usize) -> Result<(), usize> {
        let take = |left: usize| (held.saturating_add(amount) <= left).then(|| left - amount);
        match amount {
            0 => Ok(()),
            _ => self.left.fetch_update(Relaxed, Relaxed, take).map(drop),
        }
    }
}

/// Why a holder was given no more permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scarce {
    /// How many the holder has, its own included.
    pub(super) held: usize,
    /// How many nobody has.
    pub(super) left: usize,
    /// Whether it would not have been given them either if it had none.
    pub(super) is_for_all: bool,
}

#[derive(Debug, Default)]
struct Share {
    held: Mutex<usize>,
    /// So many of them are not the pool's.
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

/// Permits that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Permits<'a> {
    pool: &'a Pool,
    share: &'a Share,
    amount: usize,
}

impl Permits<'_> {
    /// Takes so many more.
    ///
    /// # Errors
    ///
    /// Where that is more than the share. Then nothing is taken.
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

    /// Gives up the guard and not the permits, so that what the guard borrows can move into a task.
    pub(super) fn detach(mut self) -> DetachedPermits {
        DetachedPermits { amount: std::mem::take(&mut self.amount) }
    }
}

/// Permits without a guard: they stay taken until [`HttpCapacity::attach_request`] guards them again.
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
