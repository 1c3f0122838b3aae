use super::*;

fn accounts(groups: Groups) -> Accounts {
    Accounts::new(Rules::new(&groups, &Limits::server()))
}

fn key(n: usize) -> GroupKey {
    GroupKey::name(n.to_le_bytes())
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_group_costs_what_its_sessions_cost_and_is_forgiven_like_one() {
    let mut accounts = accounts(Groups::by_subnet());
    let group = accounts.connect(key(1), at(0)).unwrap();
    accounts.connect(key(1), at(0)).unwrap();
    // The second, the charge, and the cost of the group after it.
    for (now, amount, expected) in [
        (0, 1_000.0, 1_000.0), // by one session
        (0, 100.0, 1_100.0),   // by the other one
        (36, 0.0, 1_000.0),    // 36 s × 10,000 / 3,600 s = 100 forgiven, however many sessions there are
        (360, 0.0, 100.0),     // 324 s × 2.78 = 900
        (3_600, 0.0, 0.0),
    ] {
        let cost = accounts.charge(group, amount, at(now));
        assert!((cost - expected).abs() < 1e-9, "after {amount} at {now} s: {cost}, not {expected}");
    }
}

#[test]
fn with_an_allowance_of_four_sessions_a_group_costs_each_a_quarter() {
    let mut accounts = accounts(Groups::by_subnet().allowance(4.0));
    let group = accounts.connect(key(1), at(0)).unwrap();
    // 10,000 / 4, less 36 s × 10,000 / 3,600 s = 100: four times the decay of a session.
    assert_eq!(accounts.charge(group, 10_000.0, at(0)), 2_500.0);
    assert!((accounts.charge(group, 0.0, at(36)) - 2_400.0).abs() < 1e-9);
}

#[test]
fn a_cost_stays_when_the_last_connection_is_closed_until_it_is_forgiven() {
    let mut accounts = accounts(Groups::by_subnet());
    let group = accounts.connect(key(1), at(0)).unwrap();
    accounts.charge(group, 10_100.0, at(0));
    accounts.disconnect(group, at(0));
    assert_eq!(accounts.connect(key(1), at(0)), Err(OverLimit::Cost { cost: 10_100.0, limit: 10_000.0 }));
    let over = accounts.connect(key(1), at(35));
    // 35 s × 10,000 / 3,600 s = 97 forgiven.
    assert!(
        matches!(over, Err(OverLimit::Cost { cost, .. }) if (10_002.0..10_003.0).contains(&cost)),
        "{over:?}"
    );
    assert!(accounts.connect(key(2), at(0)).is_ok(), "another group");
    // 100 × 3,600 / 10,000 = 36 s, and one more second.
    assert_eq!(accounts.connect(key(1), at(37)), Ok(group));
    accounts.disconnect(group, at(3_700));
    assert_eq!(accounts.len(), 1, "nothing is kept of who has cost nothing");
}

#[test]
fn connections_over_the_limit_are_refused_until_one_is_closed() {
    let mut accounts = accounts(Groups::by_subnet().connections(2));
    let group = accounts.connect(key(1), at(0)).unwrap();
    accounts.connect(key(1), at(0)).unwrap();
    let over = OverLimit::Connections { open: 2, limit: 2 };
    assert_eq!(accounts.connect(key(1), at(0)), Err(over));
    assert_eq!(accounts.attach(key(1), at(0)), group, "but one that is brought is counted");
    accounts.disconnect(group, at(0));
    assert_eq!(accounts.connect(key(1), at(0)), Err(over));
    accounts.disconnect(group, at(0));
    assert_eq!(accounts.connect(key(1), at(0)), Ok(group));
}

#[test]
fn a_million_groups_take_the_room_of_the_bound_and_those_that_cost_most_are_kept() {
    let mut accounts = accounts(Groups::by_subnet().entries(1_000));
    let (dear, live) = (key(usize::MAX), key(usize::MAX - 1));
    accounts.connect(live, at(0)).unwrap();
    accounts.connect(dear, at(0)).unwrap();
    accounts.charge(dear, 9_000.0, at(0));
    accounts.disconnect(dear, at(0));
    for n in 0..1_000_000 {
        let group = accounts.connect(key(n), at(0)).unwrap();
        accounts.charge(group, 1.0, at(0));
        accounts.disconnect(group, at(0));
        assert!(accounts.len() <= 1_000);
    }
    assert!(accounts.entries.capacity() < 4_000, "{}", accounts.entries.capacity());
    assert_eq!(accounts.charge(dear, 0.0, at(0)), 9_000.0);
    assert_eq!(accounts.account(live).connections, 1);
}

#[test]
fn where_all_entries_have_connections_further_groups_share_one_account() {
    let mut accounts = accounts(Groups::by_subnet().entries(2).connections(2));
    let [one, two] = [1, 2].map(|n| accounts.connect(key(n), at(0)).unwrap());
    assert_eq!(accounts.connect(key(3), at(0)), Ok(GroupKey::OTHERS));
    assert_eq!(accounts.connect(key(4), at(0)), Ok(GroupKey::OTHERS));
    assert_eq!(accounts.connect(key(5), at(0)), Err(OverLimit::Connections { open: 2, limit: 2 }));
    assert_eq!((accounts.connect(key(1), at(0)), accounts.len()), (Ok(one), 2), "who has an entry keeps it");
    accounts.disconnect(two, at(0));
    assert_eq!(accounts.connect(key(5), at(0)), Ok(key(5)), "there is room again");
    accounts.disconnect(GroupKey::OTHERS, at(0));
    assert_eq!(accounts.others.connections, 1);
}
