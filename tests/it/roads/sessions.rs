//! The parts of the conversation that only a session has: it goes both ways, things come unasked, and it ends.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use rpc::{CallError, CloseReason, Limits, framing::FrameError};
use rpc_tests::{WorkClient, soon};

use super::{
    calls::clients,
    road::{Road, Versions},
    sides::{Ends, Sides, is_the_peers, until},
};

pub(super) async fn subscriptions(road: &Road, versions: Versions) {
    let ends = road.open(versions).await;
    for (caller, called) in ends.both_ways() {
        let (_, work) = clients(&caller.session);
        let mut items = work.status(0, u64::MAX).await.expect("subscribed");
        for n in 0..20 {
            assert_eq!(soon(items.next()).await.expect("it goes on").expect("an item"), n);
        }
        drop(items);
        let counted: Vec<_> = soon(work.count(0, 20).await.expect("subscribed").collect()).await;
        let counted: Vec<u64> = counted.into_iter().map(|n| n.expect("an item")).collect();
        assert_eq!(counted, (0..20).collect::<Vec<_>>());

        let (mut one, mut other) =
            (work.count(0, u64::MAX).await.expect("one"), work.status(7, u64::MAX).await.expect("another"));
        for n in 0..10 {
            assert_eq!(soon(one.next()).await.expect("it goes on").expect("an item"), n);
            assert_eq!(soon(other.next()).await.expect("it goes on").expect("an item"), n + 7);
        }
        drop((one, other));
        until(|| called.session.subscriptions_served() == 0 && called.counts.alive() == 0).await;
    }
    ends.end().await;
}

pub(super) async fn call_backs(road: &Road, versions: Versions) {
    let ends = road.open(versions).await;
    for (caller, _) in ends.both_ways() {
        let (_, work) = clients(&caller.session);
        assert_eq!(work.back(1, 0).await.expect("called back"), 1);
        // As many as are worked on at once.
        let backs = soon(join_all((0..20).map(|n| work.back(n, 1).into_future()))).await;
        let backs: Vec<u64> = backs.into_iter().map(|n| n.expect("called back")).collect();
        assert_eq!(backs, (0..20).collect::<Vec<_>>());
    }
    ends.end().await;
}

pub(super) async fn frames_over_the_limit(road: &Road, versions: Versions) {
    let (mut client, mut server) = (Limits::client(), Limits::server());
    for limits in [&mut client, &mut server] {
        limits.frame_size = 20_000;
        limits.cost_hard = f64::INFINITY;
    }
    let ends = road.open_with(versions, client, server).await;
    if !road.ends_over_the_limit {
        for (caller, called) in ends.both_ways() {
            let (calc, _) = clients(&caller.session);
            // A version is detected by what is said first.
            calc.ping().await.expect("a pong");
            let errors = called.session.statistics().errors;
            caller.session.notify("note", ("x".repeat(30_000),)).await.expect("nobody here minds");
            assert_eq!(calc.add(1, 2).await.expect("the session goes on"), 3);
            assert_eq!(called.session.statistics().errors, errors + 1);
            // A request is answered, and not by a timeout.
            let refused = soon(calc.greet(&"x".repeat(30_000)).into_future()).await;
            let Err(CallError::Rpc(error)) = refused else { panic!("{refused:?}") };
            assert!(error.message().contains("the limit is 20000 (`frame_size`)"), "{error}");
            assert_eq!(called.session.statistics().errors, errors + 2);
        }
        ends.end().await;
        return far_over_the_limit(road, versions).await;
    }
    let Ends { near, far, handle } = ends;
    near.session.notify("note", ("x".repeat(30_000),)).await.expect("nobody here minds");
    let (found, cause) = (soon(near.session.closed()).await, soon(far.session.closed()).await);
    assert!(matches!(cause, CloseReason::Frame(FrameError::TooLarge { .. })), "{cause}");
    assert!(matches!(found, CloseReason::PeerClosed { code: 1009, .. }), "{found}");
    assert!(found.to_string().contains("the limit is 20000 (`frame_size`)"), "{found}");
    soon(handle.shutdown()).await;
}

/// Both sides find out why the session has ended, and the call that it has ended for does.
async fn far_over_the_limit(road: &Road, versions: Versions) {
    let mut server = Limits::server();
    server.frame_size = 2_000;
    let Ends { near, far, handle } = road.open_with(versions, Limits::client(), server).await;
    let (calc, _) = clients(&near.session);
    calc.ping().await.expect("a pong");
    let refused = soon(calc.greet(&"x".repeat(60_000)).into_future()).await.expect_err("it is too large");
    assert!(matches!(refused, CallError::Rpc(_) | CallError::Closed { .. }), "{refused:?}");
    let cause = soon(far.session.closed()).await;
    assert!(matches!(cause, CloseReason::Frame(FrameError::TooLarge { limit: 2_000, .. })), "{cause}");
    soon(near.session.closed()).await;
    soon(handle.shutdown()).await;
}

pub(super) async fn a_close_in_good_order(road: &Road, versions: Versions) {
    let Ends { near, far, handle } = road.open(versions).await;
    let (calc, work) = clients(&near.session);
    calc.ping().await.expect("a pong");
    let mut under_way = work.later(3, 50).into_future();
    assert!(rpc_tests::is_pending(&mut under_way));
    until(|| far.counts.alive() == 1).await;
    soon(far.session.close()).await;
    // What was begun is answered.
    assert_eq!(soon(under_way).await.expect("it is answered"), 3);
    let reason = soon(near.session.closed()).await;
    assert!(is_the_peers(&reason), "{reason}");
    assert!(handle.sessions().is_empty());
    soon(handle.shutdown()).await;
}

pub(super) async fn loss_of_the_connection(road: &Road, versions: Versions) {
    let (mut client, mut server) = (Limits::client(), Limits::server());
    for limits in [&mut client, &mut server] {
        // Who has closed only the way from there to here still gets the answers that come within this time.
        limits.close_timeout = Some(Duration::from_millis(50));
    }
    for far_is_lost in [true, false] {
        let Ends { near, far, handle } = road.open_with(versions, client.clone(), server.clone()).await;
        let (calc, work) = clients(&near.session);
        calc.ping().await.expect("a pong");
        let back = WorkClient::from(far.session.clone());
        let mut calls: Vec<_> = (0..10).map(|n| work.later(n, 60_000).into_future()).collect();
        calls.extend((0..10).map(|n| back.later(n, 60_000).into_future()));
        for call in &mut calls {
            assert!(rpc_tests::is_pending(call));
        }
        let mut items = work.status(0, u64::MAX).await.expect("subscribed");
        until(|| near.counts.alive() == 10 && far.counts.alive() >= 10).await;
        let lost = if far_is_lost { &far } else { &near };
        lost.session.abort();
        for call in soon(join_all(calls)).await {
            let error = call.expect_err("it has no answer");
            assert!(matches!(error, CallError::Closed { .. }), "{error:?}");
        }
        let last = soon(async { while let Some(Ok(_)) = items.next().await {} });
        last.await;
        let (here, there) = (soon(near.session.closed()).await, soon(far.session.closed()).await);
        let (cause, found) = if far_is_lost { (there, here) } else { (here, there) };
        assert!(matches!(cause, CloseReason::Aborted), "{cause}");
        assert!(is_the_peers(&found) || matches!(found, CloseReason::Io(_)), "{found}");
        until(|| near.counts.alive() + far.counts.alive() == 0).await;
        let after = calc.add(1, 2).timeout(Duration::from_secs(5)).await.expect_err("it is over");
        assert!(matches!(after, CallError::Closed { .. }), "{after:?}");
        soon(handle.shutdown()).await;
    }
}
