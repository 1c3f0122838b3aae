//! What all HTTP requests of a server share, and how it is divided.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::refusal::Refusal;
use crate::{limits::Limits, transport::LogRate};

/// How many bytes of bodies a connection may have arriving that count nowhere: small messages get
/// through whatever others hold. Together these are bounded by the number of connections.
const OWN_BYTES: usize = 16 << 10;

/// The permits of one server.
#[derive(Debug)]
pub(in crate::server) struct Capacity {
    /// One for each request that is worked on.
    requests: Pool,
    /// One for each byte of a body that has begun to arrive.
    body_bytes: Pool,
    /// How often the log has it that there is none for a request, or another limit was reached.
    pub(super) refusals: LogRate,
}

impl Capacity {
    pub(in crate::server) fn new(limits: &Limits) -> Self {
        Self {
            requests: Pool::new(limits.connections),
            body_bytes: Pool::new(body_bytes(limits)),
            refusals: LogRate::default(),
        }
    }

    /// A permit to work on a request, until it is dropped.
    pub(super) fn request<'a>(&'a self, shares: &'a Shares, limits: &Limits) -> Result<Permits<'a>, Refusal> {
        let mut permit = self.requests.of(&shares.requests);
        match permit.grow(1) {
            Ok(()) => Ok(permit),
            Err(scarce) => Err(Refusal::Busy { scarce, limit: limits.connections }),
        }
    }

    /// The permit of a request that goes on when it is answered, which was [kept](Permits::keep).
    pub(super) const fn kept<'a>(&'a self, shares: &'a Shares) -> Permits<'a> {
        Permits { pool: &self.requests, share: &shares.requests, amount: 1 }
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

/// What one connection has of a [`Capacity`].
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
}

impl Permits<'_> {
    /// They stay taken, until they are dropped as what [`Capacity::kept`] gives.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
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
mod tests {
    use super::*;

    fn taken<'a>(pool: &'a Pool, share: &'a Share) -> Permits<'a> {
        let mut permits = pool.of(share);
        while permits.grow(1).is_ok() {}
        permits
    }

    #[test]
    fn a_holder_takes_half_and_many_leave_as_much_as_each_has() {
        let pool = Pool::new(1000);
        let first = Share::default();
        let half = taken(&pool, &first);
        assert_eq!((half.amount, pool.left.load(Relaxed)), (500, 500));
        drop(half);
        assert_eq!(pool.left.load(Relaxed), 1000);
        // In turn: 1,000 / (49 + 1).
        let shares: Vec<_> = (0..49).map(|_| Share::default()).collect();
        let mut all: Vec<_> = shares.iter().map(|share| pool.of(share)).collect();
        let mut is_taken = true;
        while is_taken {
            is_taken = false;
            for permits in &mut all {
                is_taken |= permits.grow(1).is_ok();
            }
        }
        assert!(all.iter().all(|permits| permits.amount == 20));
        assert_eq!(pool.left.load(Relaxed), 20);
    }

    #[test]
    fn its_own_are_a_holders_whatever_others_have() {
        let pool = Pool::new(0);
        let share = Share::with_own(2);
        let mut one = pool.of(&share);
        assert_eq!(one.grow(2), Ok(()));
        assert_eq!(pool.of(&share).grow(1), Err(Scarce { held: 2, left: 0, is_for_all: true }));
        drop(one);
        assert_eq!(pool.of(&share).grow(1), Ok(()));
        assert_eq!(pool.left.load(Relaxed), 0);
    }

    #[test]
    fn what_is_given_back_is_what_was_taken() {
        let pool = Pool::new(10);
        let share = Share::with_own(2);
        let (mut one, mut other) = (pool.of(&share), pool.of(&share));
        assert_eq!([one.grow(2), other.grow(3), one.grow(1)], [Ok(()); 3]);
        assert_eq!(pool.left.load(Relaxed), 6);
        let scarce = other.grow(3).expect_err("4 are held and 3 more would be 7 of 6");
        assert_eq!(scarce, Scarce { held: 6, left: 6, is_for_all: false }, "two of the 6 are its own");
        drop(one);
        assert_eq!(pool.left.load(Relaxed), 9);
        drop(other);
        assert_eq!(pool.left.load(Relaxed), 10);
    }

    #[test]
    fn no_limit_is_none() {
        let (pool, share) = (Pool::new(usize::MAX), Share::default());
        let mut permits = pool.of(&share);
        assert_eq!([permits.grow(usize::MAX / 4), permits.grow(usize::MAX / 4)], [Ok(()); 2]);
    }
}
