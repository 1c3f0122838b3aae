//! Limits that change while a session is open.

use std::time::Duration;

use rpc::{Limits, Session};
use rpc_tests::{Gate, Raw, echo, settled, waiting};
use serde_json::{Value, json};
use tokio::time::Instant;

fn change(session: &Session, change: impl FnOnce(&mut Limits)) {
    let mut limits = session.limits();
    change(&mut limits);
    session.set_limits(&limits);
    assert_eq!(session.limits(), limits);
}

fn request(id: usize, method: &str, param: impl Into<Value>) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": [param.into()]}).to_string()
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_start_when_more_may() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    for id in 1..=3 {
        peer.send(&request(id, "wait", id)).await;
    }
    settled().await;
    assert_eq!(gate.waiting(), 1);
    change(&session, |limits| limits.requests_in_flight = 3);
    settled().await;
    assert_eq!(gate.waiting(), 3);
    change(&session, |limits| limits.requests_in_flight = 2);
    peer.send(&request(4, "wait", 4)).await;
    gate.let_through(1);
    settled().await;
    assert_eq!(gate.waiting(), 2, "those that were begun are finished, and no other begins");
    gate.let_through(1);
    settled().await;
    assert_eq!((gate.entered(), gate.waiting()), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn frames_and_batches_are_measured_by_what_holds_when_they_come() {
    let mut limits = Limits::server();
    (limits.frame_size, limits.batch_length) = (100, 1);
    let (mut peer, session) = Raw::peer_of(echo(), limits);
    let long = request(1, "echo", "x".repeat(200));
    let batch = format!("[{},{}]", request(2, "echo", 2), request(3, "echo", 3));
    assert!(peer.ask(&long).await.contains("the limit is 100 "));
    change(&session, |limits| limits.frame_size = 300);
    assert!(peer.ask(&long).await.contains("xxx"));
    assert!(peer.ask(&batch).await.contains("error"));
    change(&session, |limits| limits.batch_length = 2);
    assert!(!peer.ask(&batch).await.contains("error"));
    change(&session, |limits| limits.frame_size = 100);
    assert!(peer.ask(&long).await.contains("the limit is 100 "));
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_room_are_sent_when_there_may_be_more() {
    let mut limits = Limits::client();
    (limits.outgoing_bytes, limits.send_timeout) = (1_000, None);
    let (_peer, session) = Raw::narrow_peer_of(16, echo(), limits);
    session.notify("fill", ("x".repeat(1_000),)).await.expect("one message is always accepted");
    settled().await;
    let calls = ["a", "b"].map(|method| {
        let session = session.clone();
        tokio::spawn(async move { session.call::<Value>(method, ()).await })
    });
    settled().await;
    assert_eq!(session.calls_in_flight(), 0);
    change(&session, |limits| limits.outgoing_bytes = 2_000);
    settled().await;
    assert_eq!(session.calls_in_flight(), 2);
    session.abort();
    for call in calls {
        call.await.expect("no panic").expect_err("the session has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_may_cost_more_is_slowed_down_no_more() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    session.add_cost(9_000.0);
    let time = |start: Instant| start.elapsed().as_millis();
    let start = Instant::now();
    peer.ask(&request(1, "echo", 1)).await;
    assert!(time(start) > 1_000);
    change(&session, |limits| limits.cost_hard = f64::INFINITY);
    let start = Instant::now();
    peer.ask(&request(2, "echo", 2)).await;
    assert_eq!(time(start), 0);
    change(&session, |limits| limits.cost_hard = 5_000.0);
    let last = peer.rest().await;
    assert!(last.len() == 1 && last[0].contains("-101"), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn timeouts_hold_for_what_begins_afterwards() {
    let (_peer, session) = Raw::peer_of(echo(), Limits::client());
    let start = Instant::now();
    let first = session.call::<Value>("m", ()).into_future();
    let second = async {
        settled().await;
        change(&session, |limits| limits.call_timeout = Some(Duration::from_secs(3)));
        session.call::<Value>("m", ()).await.expect_err("nobody answers");
        start.elapsed().as_secs()
    };
    let (first, second) = tokio::join!(first, second);
    first.expect_err("nobody answers");
    assert_eq!((second, start.elapsed().as_secs()), (3, 30));
    change(&session, |limits| limits.idle_timeout = Some(Duration::from_secs(60)));
    session.closed().await;
    assert!((30 + 30..=30 + 60).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}
