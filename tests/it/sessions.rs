//! How sessions end, and what a session that ends does to what it started.

use std::time::Duration;

use rpc::{CloseReason, Connector, Limits, Server, testing};
use rpc_tests::{CalcServer, Gate, MyCalc, Raw, echo, settled, soon, waiting};
use serde_json::Value;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_session_that_serves_nothing_closes_with_its_last_handle() {
    let (here, there) = rpc::transport::memory(1 << 16);
    let mut peer = Raw::over(here);
    let session = Connector::over(there).connect().await.expect("nothing can fail");
    let other = session.clone();
    drop(session);
    other.notify("last", ()).await.expect("open");
    drop(other);
    assert_eq!(peer.rest().await, [r#"{"jsonrpc":"2.0","method":"last"}"#], "what was sent leaves");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_given_no_methods_serves_nothing() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    drop(session);
    settled().await;
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_serves_lives_without_handles() {
    let (here, there) = rpc::transport::memory(1 << 16);
    let mut peer = Raw::over(here);
    drop(Connector::over(there).service(CalcServer::new(MyCalc)).connect().await.expect("nothing can fail"));
    for _ in 0..2 {
        let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#).await;
        assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":3}"#);
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_session_drops_its_handlers() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
    for id in 1..=3 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait"}}"#)).await;
    }
    settled().await;
    assert_eq!(gate.waiting(), 3);
    session.abort();
    peer.expect_end().await;
    settled().await;
    assert_eq!((gate.dropped(), session.requests_in_flight()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_closes_lets_its_handlers_finish_until_the_deadline() {
    for (opens, answers) in [(true, 1), (false, 0)] {
        let gate = Gate::closed();
        let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
        peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
        settled().await;
        // Not the request's own timeout, which began earlier.
        let start = Instant::now();
        session.start_close();
        settled().await;
        assert_eq!(gate.waiting(), 1);
        if opens {
            gate.open();
        }
        assert_eq!(peer.rest().await.iter().filter(|line| line.contains("result")).count(), answers);
        assert!(matches!(session.closed().await, CloseReason::Local));
        settled().await;
        assert_eq!(gate.waiting(), 0);
        assert!(start.elapsed() <= Duration::from_secs(31));
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_takes_no_longer_than_its_timeout() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.close_timeout = Some(Duration::from_secs(5));
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
    settled().await;
    let start = Instant::now();
    assert!(matches!(session.close().await, CloseReason::Local));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    settled().await;
    assert_eq!(gate.dropped(), 1);
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_for_a_peer_that_does_not_read() {
    let mut limits = Limits::client();
    limits.close_timeout = Some(Duration::from_secs(5));
    let (_peer, session) = Raw::narrow_peer_of(16, (), limits);
    session.notify("unread", ("x".repeat(1_000),)).await.expect("accepted");
    let start = Instant::now();
    assert!(matches!(session.close().await, CloseReason::Local));
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_close_leaves() {
    let (mut peer, session) = Raw::narrow_peer_of(16, (), Limits::client());
    for n in 0..100 {
        session.notify("note", (n,)).await.expect("accepted");
    }
    session.start_close();
    assert_eq!(peer.rest().await.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn closing_twice_and_aborting_afterwards_changes_nothing() {
    let (_peer, session) = Raw::peer_of(echo(), Limits::server());
    assert!(matches!(session.close().await, CloseReason::Local));
    assert!(matches!(session.close().await, CloseReason::Local));
    session.abort();
    assert!(matches!(session.closed().await, CloseReason::Local));
    assert!(matches!(session.close_reason(), Some(CloseReason::Local)));
    assert!(session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_for_the_end_is_told() {
    let (session, peer) = testing::pair((), echo());
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let peer = peer.clone();
            tokio::spawn(async move { peer.closed().await })
        })
        .collect();
    settled().await;
    session.start_close();
    for waited in waiting {
        assert!(matches!(waited.await.expect("no panic"), CloseReason::Peer));
    }
}

/// Forty requests for handlers that wait, of which twenty have no place, and the end of what the peer sends.
const LAST: usize = 40;

async fn half_close<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(peer: &mut Raw<T>, gate: &Gate) {
    for id in 1..=LAST {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait","params":[{id}]}}"#)).await;
    }
    peer.finish().await;
    soon(gate.until(|gate| gate.waiting() == 20)).await;
    gate.open();
    let mut answers = soon(peer.rest()).await;
    let mut expected: Vec<_> =
        (1..=LAST).map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{id}]}}"#)).collect();
    answers.sort();
    expected.sort();
    assert_eq!(answers, expected);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_no_more_still_gets_its_replies() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server().with_requests_in_flight(20));
    half_close(&mut peer, &gate).await;
    assert!(matches!(session.closed().await, CloseReason::Peer));
}

#[tokio::test]
async fn a_peer_that_sends_no_more_still_gets_its_replies_over_tcp() {
    let gate = Gate::closed();
    let limits = Limits::server().with_requests_in_flight(20);
    let server = Server::builder().service(waiting(&gate)).limits(limits).bind("tcp://127.0.0.1:0").await;
    let handle = server.expect("a port is free").start();
    let endpoint = handle.endpoint().clone();
    let mut peer = Raw::connect(&endpoint).await;
    half_close(&mut peer, &gate).await;
    handle.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_forgets_sessions_as_they_end() {
    let server = Server::builder().service(echo()).build().expect("one service").start();
    let mut peers = Vec::new();
    for n in 1..=5 {
        let (here, there) = rpc::transport::memory(64);
        drop(server.attach(there));
        peers.push(here);
        assert_eq!(server.sessions().len(), n);
    }
    peers.truncate(2);
    settled().await;
    assert_eq!(server.sessions().len(), 2);
    server.sessions().iter().for_each(rpc::Session::abort);
    settled().await;
    assert_eq!(server.sessions().len(), 0);
}

/// A session may end before the server has noted that it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_forgets_sessions_that_end_as_they_begin() {
    let server = Server::builder().service(echo()).build().expect("one service").start();
    for _ in 0..2_000 {
        let (here, there) = rpc::transport::memory(64);
        drop(here);
        soon(server.attach(there).closed()).await;
    }
    let all_forgotten = async {
        while !server.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    // It takes a moment, or for ever.
    let forgotten = tokio::time::timeout(Duration::from_secs(2), all_forgotten).await;
    assert!(forgotten.is_ok(), "{} of 2000 sessions that have ended are kept", server.sessions().len());
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_has_no_timeout_where_neither_side_has_set_one() {
    let mut limits = Limits::server();
    limits.idle_timeout = None;
    let (session, _peer) = testing::pair_with((), Limits::client(), echo(), limits);
    tokio::time::sleep(Duration::from_secs(30 * 86_400)).await;
    session.call::<Value>("echo", (1,)).await.expect("after a month");
}
