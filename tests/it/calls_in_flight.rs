//! How many calls of ours may be in flight, and how the number follows the peer.

use std::time::Duration;

use rpc::{CallError, Context, ErrorObject, Limits, Params, Router, Session, testing};
use rpc_tests::{Gate, Raw, echo, settled, waiting};
use serde_json::Value;
use tokio::{
    io::DuplexStream,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

fn places(count: usize) -> Limits {
    let mut limits = Limits::client();
    limits.calls_in_flight = count;
    limits.call_timeout = None;
    limits
}

/// A session with so many places, to a peer that is played by hand.
fn session_with(count: usize) -> (Raw<DuplexStream>, Session) {
    Raw::peer_of(echo(), places(count))
}

fn call(session: &Session, value: u32) -> JoinHandle<Result<Value, CallError>> {
    let session = session.clone();
    tokio::spawn(async move { session.call("m", (value,)).await })
}

async fn expect_call(peer: &mut Raw<DuplexStream>, id: u32, value: u32) {
    peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":[{value}]}}"#)).await;
}

async fn reply(peer: &mut Raw<DuplexStream>, id: u32) {
    peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{id}}}"#)).await;
    settled().await;
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_number_wait_in_order() {
    let (mut peer, session) = session_with(2);
    let mut calls = Vec::new();
    for value in 1..=5 {
        calls.push(call(&session, value));
        settled().await;
    }
    assert_eq!(session.calls_in_flight(), 2);
    expect_call(&mut peer, 1, 1).await;
    expect_call(&mut peer, 2, 2).await;
    peer.expect_silence().await;
    for (answered, next) in [(2, 3), (1, 4), (3, 5)] {
        reply(&mut peer, answered).await;
        // One who comes at this moment has no better turn.
        calls.push(call(&session, 5 + answered));
        expect_call(&mut peer, next, next).await;
        peer.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_gives_its_turn_to_the_next() {
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.limits(places(1)).cancellation(None)).await;
    let first = call(&session, 1);
    settled().await;
    let second = call(&session, 2);
    settled().await;
    let third = call(&session, 3);
    settled().await;
    expect_call(&mut peer, 1, 1).await;
    // One that waits.
    second.abort();
    // One in flight.
    first.abort();
    settled().await;
    expect_call(&mut peer, 2, 3).await;
    reply(&mut peer, 2).await;
    assert_eq!(third.await.expect("no panic").expect("a reply"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_a_call_includes_its_wait() {
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.limits(places(1)).cancellation(None)).await;
    let start = Instant::now();
    let first = call(&session, 1);
    settled().await;
    let never_sent = session.call::<Value>("m", (2,)).timeout(Duration::from_secs(3)).await;
    assert!(matches!(never_sent, Err(CallError::Timeout(after)) if after.as_secs() == 3), "{never_sent:?}");
    assert_eq!(start.elapsed().as_secs(), 3);
    let late = {
        let session = session.clone();
        tokio::spawn(async move { session.call::<Value>("m", (3,)).timeout(Duration::from_secs(10)).await })
    };
    tokio::time::sleep(Duration::from_secs(4)).await;
    expect_call(&mut peer, 1, 1).await;
    reply(&mut peer, 1).await;
    first.await.expect("no panic").expect("a reply");
    expect_call(&mut peer, 2, 3).await;
    assert!(matches!(late.await.expect("no panic"), Err(CallError::Timeout(_))));
    assert_eq!(start.elapsed().as_secs(), 13);
    // Its place is free again.
    let _next = call(&session, 4);
    expect_call(&mut peer, 3, 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_takes_one_place_and_notifications_none() {
    let (mut peer, session) = session_with(1);
    let batch = {
        let session = session.clone();
        tokio::spawn(async move {
            let call = |value: u32| session.call::<u32>("m", (value,));
            session.batch((call(1), call(2), call(3))).await
        })
    };
    settled().await;
    assert_eq!(session.calls_in_flight(), 3);
    assert!(peer.line().await.expect("the batch").starts_with('['));
    let next = call(&session, 4);
    session.notify("n", ()).await.expect("it is sent");
    assert!(peer.line().await.expect("the notification").contains(r#""method":"n""#));
    peer.expect_silence().await;
    peer.send(
        r#"[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2,"result":2},{"jsonrpc":"2.0","id":3,"result":3}]"#,
    )
    .await;
    let replies = batch.await.expect("no panic").expect("replies");
    assert!(matches!(replies, (Ok(1), Ok(2), Ok(3))), "{replies:?}");
    expect_call(&mut peer, 4, 4).await;
    reply(&mut peer, 4).await;
    next.await.expect("no panic").expect("a reply");
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_their_turn_end_with_the_session() {
    for end in [Session::abort as fn(&Session), Session::start_close] {
        let (_peer, session) = session_with(1);
        let calls: Vec<_> = (0..4).map(|value| call(&session, value)).collect();
        settled().await;
        end(&session);
        for call in calls {
            let outcome = call.await.expect("no panic");
            assert!(matches!(outcome, Err(CallError::Closed { .. })), "{outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_places_let_those_go_that_wait_and_fewer_are_kept_to_as_replies_come() {
    let (mut peer, session) = session_with(1);
    let _calls: Vec<_> = (1..=9).map(|value| call(&session, value)).collect();
    settled().await;
    let set = |count| {
        let mut limits = session.limits();
        limits.calls_in_flight = count;
        session.set_limits(&limits);
    };
    for (count, in_flight) in [(3, 3), (5, 5), (2, 5)] {
        set(count);
        settled().await;
        assert_eq!(session.calls_in_flight(), in_flight, "{count}");
    }
    for (answered, in_flight) in [(1, 4), (2, 3), (3, 2), (4, 2), (5, 2)] {
        reply(&mut peer, answered).await;
        assert_eq!(session.calls_in_flight(), in_flight, "after {answered}");
    }
    set(usize::MAX);
    settled().await;
    assert_eq!(session.calls_in_flight(), 4, "all the rest");
}

/// Calls without end, to a peer that takes `time` for each, until `count` were answered. Gives how many are in flight then.
async fn paced(limits: Limits, time: Duration, count: usize) -> usize {
    let router = Router::new().method("wait", move |_: Params, _: Context| async move {
        tokio::time::sleep(time).await;
        Ok::<_, ErrorObject>(())
    });
    let (session, _peer) = testing::pair_with((), limits, router, Limits::unlimited());
    let mut calls = JoinSet::new();
    for _ in 0..300 {
        let session = session.clone();
        calls.spawn(async move { session.call::<()>("wait", ()).await });
    }
    for _ in 0..count {
        calls.join_next().await.expect("a call").expect("no panic").expect("a reply");
    }
    settled().await;
    session.calls_in_flight()
}

#[tokio::test(start_paused = true)]
async fn the_number_follows_how_fast_the_peer_answers() {
    // The fifty that are sent together are answered together. The thirtieth of them changes the number.
    for (seconds, expected) in [(1, 55), (3, 50), (6, 40)] {
        assert_eq!(paced(places(50), Duration::from_secs(seconds), 50).await, expected, "{seconds} s");
    }
    let mut limits = places(50);
    limits.target_response_time = None;
    assert_eq!(paced(limits, Duration::from_secs(6), 50).await, 50);
    let mut limits = places(50);
    limits.target_response_time = Some(Duration::from_secs(6));
    assert_eq!(paced(limits, Duration::from_secs(6), 50).await, 50);
}

#[tokio::test(start_paused = true)]
async fn without_a_number_all_are_sent() {
    let gate = Gate::closed();
    let (session, _peer) = testing::pair_with((), Limits::client(), waiting(&gate), Limits::unlimited());
    let mut calls = JoinSet::new();
    for value in 0..2_000 {
        let session = session.clone();
        calls.spawn(async move { session.call::<Value>("wait", (value,)).await });
    }
    settled().await;
    assert_eq!(session.calls_in_flight(), 2_000);
}
