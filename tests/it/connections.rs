//! How many connections a server may have, and what one too many is told; where it listens, and when it no longer does.

use std::time::Duration;

use rpc::{CloseReason, Limits, Server, ServerHandle};
use rpc_tests::{Gate, Raw, echo, settled, soon, waiting};
use tokio::{net::TcpStream, time::Instant};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#;
const ECHOED: &str = r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#;

fn limits(connections: usize) -> Limits {
    let mut limits = Limits::server();
    limits.connections = connections;
    limits
}

async fn listening(connections: usize) -> ServerHandle {
    let server = Server::builder().service(echo()).limits(limits(connections));
    server.bind("tcp://127.0.0.1:0").await.expect("a port is free").start()
}

/// A peer that is served.
async fn served(server: &ServerHandle) -> Raw<TcpStream> {
    let mut peer = Raw::connect(server.endpoint()).await;
    assert_eq!(peer.ask(ECHO).await, ECHOED);
    peer
}

async fn is_refused(server: &ServerHandle) {
    let mut peer = Raw::connect(server.endpoint()).await;
    // What it has sent already does not keep it from hearing why.
    peer.send(ECHO).await;
    let told = "too many connections: 2 are open, and 2 may be (`Limits::connections`). Try again later";
    let error = format!(r#"{{"code":-102,"message":"{told}","data":{{"executed":false}}}}"#);
    peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":null,"error":{error}}}"#)).await;
    peer.expect_end().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_closed() {
    let server = listening(2).await;
    let (mut first, second) = (served(&server).await, served(&server).await);
    is_refused(&server).await;
    assert_eq!(first.ask(ECHO).await, ECHOED, "the others do not notice");
    assert_eq!(server.sessions().len(), 2);

    let ended = server.sessions()[1].clone();
    drop(second);
    soon(ended.closed()).await;
    let _third = served(&server).await;
    is_refused(&server).await;
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn refused_peers_that_do_nothing_hold_nobody_up() {
    let server = listening(1).await;
    let one = served(&server).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(
            TcpStream::connect(server.endpoint().socket_addr().expect("an address"))
                .await
                .expect("it listens"),
        );
    }
    let session = server.sessions().pop().expect("one");
    drop(one);
    soon(session.closed()).await;
    // Behind a hundred that were refused and neither read nor close.
    soon(served(&server)).await;
    soon(server.shutdown()).await;
    drop(idle);
}

#[tokio::test(start_paused = true)]
async fn what_the_application_attaches_is_never_one_too_many() {
    let server = Server::builder().service(echo()).limits(limits(1)).build().expect("one service").start();
    for _ in 0..3 {
        let (here, there) = rpc::transport::memory(1 << 16);
        drop(server.attach(there));
        assert_eq!(Raw::over(here).ask(ECHO).await, ECHOED);
    }
}

#[tokio::test]
async fn who_stops_listening_leaves_sessions_alone_and_twice_waits_for_the_same_end() {
    let server = listening(10).await;
    let mut peer = served(&server).await;
    let other = server.clone();
    soon(async { tokio::join!(server.stop_listening(), other.stop_listening()) }).await;
    let again = std::net::TcpListener::bind(server.endpoint().socket_addr().expect("an address"));
    assert!(again.is_ok(), "the port is free at once: {again:?}");
    drop(again);
    assert!(rpc::connect(&server.endpoint().to_string()).await.is_err(), "nobody listens");
    assert_eq!(peer.ask(ECHO).await, ECHOED);
    // Whom the application brings is still served.
    let (here, there) = rpc::transport::memory(1 << 16);
    drop(server.attach(there));
    assert_eq!(Raw::over(here).ask(ECHO).await, ECHOED);
    soon(server.shutdown()).await;
    soon(server.stop_listening()).await;
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_found_by_its_id_and_closed_alone() {
    let server = Server::builder().service(echo()).build().expect("one service").start();
    let (here, there) = rpc::transport::memory(1 << 16);
    let (other_here, other_there) = rpc::transport::memory(1 << 16);
    let (id, other) = (server.attach(there).id(), server.attach(other_there).id());
    let session = server.session(id).expect("it is open");
    assert!(matches!(session.close().await, CloseReason::Local));
    Raw::over(here).expect_end().await;
    assert!(server.session(id).is_none());
    assert_eq!(server.sessions().iter().map(rpc::Session::id).collect::<Vec<_>>(), [other]);
    assert_eq!(Raw::over(other_here).ask(ECHO).await, ECHOED);
}

/// A server with a handler at work for a peer, and one idle peer.
async fn busy() -> (ServerHandle, Gate, [Raw<tokio::io::DuplexStream>; 2]) {
    let gate = Gate::closed();
    let server = Server::builder().service(waiting(&gate)).build().expect("one service").start();
    let peers = [(); 2].map(|()| {
        let (here, there) = rpc::transport::memory(1 << 16);
        drop(server.attach(there));
        Raw::over(here)
    });
    let [mut busy, idle] = peers;
    busy.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#).await;
    settled().await;
    assert_eq!(gate.waiting(), 1);
    (server, gate, [busy, idle])
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_takes_no_longer_than_it_is_given() {
    let (server, gate, [mut busy, mut idle]) = busy().await;
    let sessions = server.sessions();
    let start = Instant::now();
    let shutdown = server.shutdown_within(Duration::from_secs(3));
    let (elapsed, ()) = tokio::join!(
        async {
            shutdown.await;
            start.elapsed()
        },
        async {
            idle.expect_end().await;
            assert_eq!(start.elapsed(), Duration::ZERO, "who is idle is not waited for");
        }
    );
    assert_eq!(elapsed, Duration::from_secs(3));
    settled().await;
    assert_eq!((gate.dropped(), server.sessions().len()), (1, 0));
    busy.expect_end().await;
    for session in sessions {
        assert!(matches!(session.close_reason(), Some(CloseReason::Shutdown)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_has_time_left_ends_when_the_last_handler_has() {
    let (server, gate, [mut busy, _idle]) = busy().await;
    let start = Instant::now();
    tokio::join!(server.shutdown_within(Duration::from_secs(20)), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        gate.open();
    });
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    busy.expect(r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#).await;
}

#[tokio::test(start_paused = true)]
async fn of_several_deadlines_the_earliest_counts() {
    let (server, gate, _peers) = busy().await;
    let start = Instant::now();
    let (patient, other) = (server.clone(), server.clone());
    let waits = tokio::spawn(async move { patient.shutdown().await });
    settled().await;
    // Nobody waits for this one: it counts all the same.
    let given_up =
        tokio::time::timeout(Duration::from_secs(1), other.shutdown_within(Duration::from_secs(5)));
    assert!(given_up.await.is_err());
    server.shutdown_within(Duration::from_secs(60)).await;
    waits.await.expect("no panic");
    assert_eq!(start.elapsed().as_secs(), 5);
    settled().await;
    assert_eq!(gate.dropped(), 1);
}
