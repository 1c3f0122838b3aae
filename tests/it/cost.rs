//! What a peer costs: it is slowed down over the soft limit, and disconnected at the hard one.

use std::time::Duration;

use rpc::{CloseReason, Limits};
use rpc_tests::{Gate, Raw, echo, settled, waiting};
use serde_json::json;
use tokio::time::Instant;

const EXCESSIVE: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-101,"message":"excessive resource usage"}}"#;

fn request(id: usize, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":[{id}]}}"#)
}

fn answer(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{id}]}}"#)
}

/// Asserts that a cost is what was worked out, but for what some seconds have forgiven.
#[track_caller]
fn assert_about(cost: f64, expected: f64) {
    assert!((expected - 10.0..=expected + 1e-6).contains(&cost), "{cost}, not {expected}");
}

/// Waits for the next line, which is `line`, and gives how long that took.
async fn time_to(peer: &mut Raw<tokio::io::DuplexStream>, line: &str) -> Duration {
    let started = Instant::now();
    peer.expect(line).await;
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn over_the_soft_limit_each_request_waits_before_its_handler_starts() {
    // (6,000 - 2,000) / (10,000 - 2,000) = 0.5, of 2 s; some cost is forgiven before the request comes.
    for (cost, least, most) in [(2_000.0, 0, 0), (2_800.0, 190, 202), (6_000.0, 990, 1_002)] {
        let gate = Gate::closed();
        let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::public());
        session.add_cost(cost);
        settled().await;
        peer.send(&request(1, "wait")).await;
        tokio::time::sleep(Duration::from_millis(least)).await;
        assert!(least == 0 || gate.entered() == 0, "at {cost} its handler has started too early");
        gate.open();
        let waited = time_to(&mut peer, &answer(1)).await + Duration::from_millis(least);
        assert!(waited <= Duration::from_millis(most), "at {cost}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_the_soft_limit_fewer_requests_are_worked_on_at_once() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::public());
    // 0.925 of the way: 0.075 of 20 is 1.5, which is 2.
    session.add_cost(9_400.0);
    settled().await;
    for id in 1..=5 {
        peer.send(&request(id, "wait")).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((gate.waiting(), session.requests_in_flight()), (2, 2));
    gate.open();
    for id in 1..=5 {
        peer.expect(&answer(id)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_delayed_less_does_not_overtake() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    session.add_cost(6_000.0);
    settled().await;
    peer.send(&request(1, "echo")).await;
    settled().await;
    session.add_cost(-6_000.0);
    settled().await;
    peer.send(&request(2, "echo")).await;
    peer.send(&format!("[{}]", request(3, "echo"))).await;
    peer.expect(&answer(1)).await;
    peer.expect(&answer(2)).await;
    peer.expect(&format!("[{}]", answer(3))).await;
    peer.send(&request(4, "echo")).await;
    assert_eq!(time_to(&mut peer, &answer(4)).await, Duration::ZERO, "nothing delays any more");
}

#[tokio::test(start_paused = true)]
async fn replies_are_read_while_requests_are_delayed() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    session.add_cost(9_200.0);
    settled().await;
    let call = tokio::spawn({
        let session = session.clone();
        async move { session.call::<u8>("ours", ()).await }
    });
    assert!(peer.line().await.expect("our call").contains("ours"));
    // More than are admitted: those that are not are refused, since the reply stands behind them.
    for id in 1..=30 {
        peer.send(&request(id, "echo")).await;
    }
    let started = Instant::now();
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("no panic").expect("a reply"), 7);
    assert_eq!(started.elapsed(), Duration::ZERO);
    let busy = peer.line().await.expect("an answer");
    assert!(busy.contains("-102"), "{busy}");
}

#[tokio::test(start_paused = true)]
async fn members_of_a_batch_are_delayed_and_answered_together() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    session.add_cost(6_000.0);
    settled().await;
    peer.send(&format!("[{},{}]", request(1, "echo"), request(2, "later"))).await;
    let waited = time_to(&mut peer, &format!("[{},{}]", answer(1), answer(2))).await;
    assert!((990..=1_002).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cost_that_the_application_adds_ends_the_session_at_the_hard_limit() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    session.add_cost(9_999.0);
    settled().await;
    assert!(!session.is_closed());
    session.add_cost(1_000.0);
    assert_eq!(peer.rest().await, [EXCESSIVE]);
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Cost { cost, limit: 10_000.0 } if cost >= 10_000.0), "{reason:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_for_its_cost_begins_nothing_any_more() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    session.add_cost(6_000.0);
    settled().await;
    peer.send(&request(1, "echo")).await;
    settled().await;
    session.add_cost(10_000.0);
    assert_eq!(peer.rest().await, [EXCESSIVE]);
}

#[tokio::test(start_paused = true)]
async fn the_request_whose_bytes_are_too_much_is_not_begun_nor_what_stands_behind_it() {
    for batch in [false, true] {
        let mut limits = Limits::public();
        limits.cost_per_byte = 1.0;
        let (mut peer, session) = Raw::peer_of(echo(), limits);
        session.add_cost(9_950.0);
        settled().await;
        let requests: Vec<_> = (1..=3).map(|id| request(id, "echo")).collect();
        match batch {
            true => peer.send(&format!("[{}]", requests.join(","))).await,
            false => peer.send(&requests.join("\n")).await,
        }
        assert_eq!(peer.rest().await, [EXCESSIVE]);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_cost_one_per_hundred_thousand_either_way() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    let text = "x".repeat(500_000);
    for id in 1..=10 {
        let line = json!({"jsonrpc": "2.0", "id": id, "method": "echo", "params": [text]}).to_string();
        peer.send(&line).await;
        assert!(peer.line().await.expect("an answer").len() > 500_000);
    }
    settled().await;
    // 10 × 500,000 bytes and as many back, and their envelopes: a little over 10,000,000.
    let cost = session.cost();
    assert!((98.0..=101.0).contains(&cost), "{cost}");
}

#[tokio::test(start_paused = true)]
async fn many_small_messages_cost_as_much_as_few_large_ones() {
    let mut limits = Limits::public();
    limits.cost_per_byte = 0.01;
    let (mut peer, session) = Raw::peer_of(echo(), limits);
    let mut bytes = 0;
    for id in 100..600 {
        peer.send(&request(id, "echo")).await;
        let answer = peer.line().await.expect("an answer");
        bytes += request(id, "echo").len() + answer.len() + 2;
    }
    // Less than 1 may not be charged yet.
    let expected = bytes as f64 * 0.01;
    let cost = session.cost();
    assert!((expected - 1.5..=expected + 1e-6).contains(&cost), "{cost}, not {expected}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_waited_is_served_at_once_again() {
    let mut limits = Limits::public();
    limits.idle_timeout = None;
    let (mut peer, session) = Raw::peer_of(echo(), limits);
    session.add_cost(9_000.0);
    settled().await;
    assert_about(session.cost(), 9_000.0);
    // 7,000 × 0.36 s
    tokio::time::sleep(Duration::from_secs(2_520)).await;
    assert_about(session.cost(), 2_000.0);
    peer.send(&request(1, "echo")).await;
    assert_eq!(time_to(&mut peer, &answer(1)).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_the_application_chose_may_cost_what_it_likes() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    session.add_cost(1e9);
    settled().await;
    peer.send(&request(1, "echo")).await;
    assert_eq!(time_to(&mut peer, &answer(1)).await, Duration::ZERO);
    assert_about(session.cost(), 1e9);
}
