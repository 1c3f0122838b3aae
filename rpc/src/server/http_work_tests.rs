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

#[test]
fn detached_permits_stay_taken_until_they_are_attached_again_and_dropped() {
    let capacity = HttpCapacity::new(&Limits::server().with_connections(2));
    let shares = Shares::default();
    let detached = capacity.request(&shares).expect("one of two is a holder's").detach();
    let scarce = capacity.request(&shares).expect_err("the other one is left for others");
    assert_eq!(scarce, Scarce { held: 1, left: 1, is_for_all: false });
    drop(capacity.attach_request(&shares, detached));
    assert!(capacity.request(&shares).is_ok());
    assert_eq!(capacity.requests.left.load(Relaxed), 2);
}
