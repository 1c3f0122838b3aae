//! A graceful shutdown lets handlers finish until a deadline, then stops them; idle peers never hold it up.

use std::time::Duration;

use rpc::{CallError, CloseReason, Connector, Limits, Server, ServerHandle, Session};
use rpc_tests::{Gate, Raw, settled, soon, waiting};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A server with `gate`, and a session with it.
async fn served(gate: &Gate, change: impl FnOnce(&mut Limits)) -> (ServerHandle, Session) {
    let mut limits = Limits::server();
    change(&mut limits);
    let server =
        Server::builder().service(waiting(gate)).limits(limits).build().expect("one service").start();
    let (here, there) = rpc::transport::memory(1 << 16);
    drop(server.attach(there));
    (server, Connector::over(here).connect().await.expect("nothing can fail"))
}

/// A call of `wait` whose handler waits.
async fn busy(gate: &Gate, session: &Session) -> tokio::task::JoinHandle<Result<Value, CallError>> {
    let session = session.clone();
    let call = tokio::spawn(async move { session.call("wait", (1,)).without_timeout().await });
    gate.until(|gate| gate.waiting() > 0).await;
    call
}

#[tokio::test(start_paused = true)]
async fn idle_peers_never_hold_a_shutdown_up() {
    let gate = Gate::closed();
    let (server, session) = served(&gate, |_| ()).await;
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(session.closed().await, CloseReason::Peer));
    server.closed().await;
    assert_eq!(server.sessions().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_at_work_finishes_and_its_reply_arrives() {
    let gate = Gate::closed();
    let (server, session) = served(&gate, |_| ()).await;
    let call = busy(&gate, &session).await;
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown().await }
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!stopping.is_finished());
    gate.open();
    assert_eq!(call.await.expect("no panic").expect("a reply"), json!([1]));
    stopping.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_finish_is_dropped_at_the_deadline() {
    let gate = Gate::closed();
    let (server, session) = served(&gate, |limits| {
        limits.close_timeout = Some(Duration::from_secs(3));
        limits.request_timeout = None;
    })
    .await;
    let call = busy(&gate, &session).await;
    let ours = server.sessions();
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    settled().await;
    assert_eq!(gate.dropped(), 1);
    assert!(matches!(
        call.await.expect("no panic"),
        Err(CallError::Closed { reason: CloseReason::Peer, .. })
    ));
    assert!(matches!(ours[0].close_reason(), Some(CloseReason::Shutdown)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_dropped_at_the_deadline() {
    let gate = Gate::closed();
    let (server, _session) = served(&gate, |_| ()).await;
    let (_unread, there) = rpc::transport::memory(16);
    let session = server.attach(there);
    session.notify("unread", ("x".repeat(1_000),)).await.expect("accepted");
    let start = Instant::now();
    server.shutdown().await;
    assert!(start.elapsed() <= Duration::from_secs(30));
    assert_eq!(server.sessions().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_twice_waits_for_the_same_end() {
    let gate = Gate::closed();
    let (server, session) = served(&gate, |_| ()).await;
    let call = busy(&gate, &session).await;
    let (start, other) = (Instant::now(), server.clone());
    let open = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        gate.open();
    };
    tokio::join!(server.shutdown(), other.shutdown(), other.closed(), open);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    server.shutdown().await;
    call.await.expect("no panic").expect("a reply");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_nobody_waits_for_ends_all_the_same() {
    let gate = Gate::closed();
    let (server, session) = served(&gate, |_| ()).await;
    let call = busy(&gate, &session).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), server.shutdown()).await.is_err());
    gate.open();
    call.await.expect("no panic").expect("a reply");
    assert!(matches!(session.closed().await, CloseReason::Peer));
    tokio::time::timeout(Duration::from_secs(3600), server.closed()).await.expect("it has been shut down");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_served_after_a_shutdown() {
    let gate = Gate::closed();
    let (server, _session) = served(&gate, |_| ()).await;
    server.shutdown().await;
    let (here, there) = rpc::transport::memory(64);
    let session = server.attach(there);
    assert!(session.is_closed());
    Raw::over(here).expect_end().await;
}

#[tokio::test]
async fn the_port_is_free_after_a_shutdown() {
    let gate = Gate::closed();
    let server =
        Server::builder().service(waiting(&gate)).bind("tcp://127.0.0.1:0").await.expect("a port is free");
    let endpoint = server.endpoint().to_string();
    server.start().shutdown().await;
    let again = Server::builder().service(waiting(&gate)).bind(&endpoint).await;
    assert!(again.is_ok(), "{again:?}");
}

#[tokio::test]
async fn a_shutdown_ends_every_session_over_tcp() {
    let gate = Gate::closed();
    let server =
        Server::builder().service(waiting(&gate)).bind("tcp://127.0.0.1:0").await.expect("a port is free");
    let endpoint = server.endpoint().clone();
    let handle = server.start();
    let mut idle = Raw::connect(&endpoint).await;
    let session = rpc::connect(&endpoint.to_string()).await.expect("it listens");
    let call = busy(&gate, &session).await;
    let stopping = tokio::spawn({
        let handle = handle.clone();
        async move { handle.shutdown().await }
    });
    soon(idle.expect_end()).await;
    gate.open();
    assert_eq!(soon(call).await.expect("no panic").expect("a reply"), json!([1]));
    soon(stopping).await.expect("no panic");
    assert!(rpc::connect(&endpoint.to_string()).await.is_err(), "nobody listens any more");
}
