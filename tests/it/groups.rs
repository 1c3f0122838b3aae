//! Groups of sessions: they share one allowance of connections and of cost, which outlives them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::future::join_all;
use rpc::{
    CloseReason, Context, ErrorObject, GroupKey, Groups, Limits, Params, Router, Server, ServerHandle,
};
use rpc_tests::{Raw, echo, settled, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpSocket, TcpStream},
    time::Instant,
};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#;
const ECHOED: &str = r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#;
const EXCESSIVE: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-101,"message":"excessive resource usage"}}"#;

/// What is told to a peer that is not let in for it.
const NOT_LET_IN: &str = concat!(
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-101,"message":"excessive resource usage: those where you are have cost "#,
    r#"20000, and may cost 10000 (`cost_hard`). Try again later","data":{"executed":false}}}"#
);

async fn listening(groups: Groups) -> ServerHandle {
    let server = Server::builder().service(echo()).limits(Limits::public()).groups(groups);
    server.bind("tcp://127.0.0.1:0").await.expect("a port is free").start()
}

/// A peer that is served.
async fn served(server: &ServerHandle) -> Raw<TcpStream> {
    let mut peer = Raw::connect(server.endpoint()).await;
    assert_eq!(peer.ask(ECHO).await, ECHOED);
    peer
}

async fn is_refused(server: &ServerHandle, told: &str) {
    let mut peer = Raw::connect(server.endpoint()).await;
    // What it has sent already does not keep it from hearing why.
    peer.send(ECHO).await;
    peer.expect(told).await;
    peer.expect_end().await;
}

/// A server whose peers are attached, and are one group from the start.
fn in_memory(groups: Groups) -> ServerHandle {
    let login = Router::new().method("login", async |params: Params, cx: Context| {
        let (name,): (String,) = params.parse()?;
        let joined = cx.session().join_group(GroupKey::name(name));
        joined.map_err(|full| ErrorObject::new(1, full.to_string()))
    });
    let server = Server::builder().service(echo()).service(login).limits(Limits::public()).groups(groups);
    server.build().expect("two services").start()
}

fn everybody() -> Groups {
    Groups::by(|_| Some(GroupKey::name("everybody")))
}

fn attached(server: &ServerHandle) -> (Raw<DuplexStream>, rpc::Session) {
    let (here, there) = rpc::transport::memory(1 << 16);
    let session = server.attach(there);
    (Raw::over(here), session)
}

/// Asserts that a cost is what was worked out, but for some bytes and what some milliseconds have forgiven.
#[track_caller]
fn assert_about(cost: f64, expected: f64) {
    assert!((cost - expected).abs() < 0.5, "{cost}, not {expected}");
}

async fn login(peer: &mut Raw<DuplexStream>, name: &str) -> String {
    peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":2,"method":"login","params":["{name}"]}}"#)).await
}

#[tokio::test]
async fn one_connection_too_many_of_a_network_is_told_so_and_closed() {
    let server = listening(Groups::by_subnet().connections(2)).await;
    let (mut first, second) = (served(&server).await, served(&server).await);
    let told = "too many connections from where you are: 2 are open, and 2 may be (`Groups::connections`). Try again later";
    let error = format!(r#"{{"code":-102,"message":"{told}","data":{{"executed":false}}}}"#);
    let told = format!(r#"{{"jsonrpc":"2.0","id":null,"error":{error}}}"#);
    is_refused(&server, &told).await;
    assert_eq!(first.ask(ECHO).await, ECHOED, "the others do not notice");

    let ended = server.sessions()[1].clone();
    drop(second);
    soon(ended.closed()).await;
    // The handle of the one that has ended does not keep its place.
    let _third = served(&server).await;
    is_refused(&server, &told).await;
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn connecting_again_does_not_wash_a_peer_clean() {
    let mut limits = Limits::public();
    limits.cost_forgiven_per_second = 0.0;
    let server = Server::builder().service(echo()).limits(limits).groups(Groups::by_address());
    let server = server.bind("tcp://127.0.0.1:0").await.expect("a port is free").start();
    let mut peer = served(&server).await;
    let session = server.sessions().pop().expect("one");
    session.add_cost(20_000.0);
    peer.expect(EXCESSIVE).await;
    peer.expect_end().await;
    soon(session.closed()).await;
    for _ in 0..3 {
        is_refused(&server, NOT_LET_IN).await;
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn who_is_exempt_is_not_counted() {
    let loopback = "127.0.0.0/8".parse().expect("a network");
    let without_any = || Groups::by_subnet().connections(0);
    for groups in [without_any().exempt(loopback), without_any().exempt_if(|peer| peer.port().is_some())] {
        let server = listening(groups).await;
        let _one = served(&server).await;
        server.sessions()[0].add_cost(5_000.0);
        let _other = served(&server).await;
        assert!(server.sessions()[1].cost() < 1.0);
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn a_closure_that_panics_costs_its_peer_the_connection_and_nobody_else() {
    let panics = AtomicBool::new(true);
    let server = listening(Groups::by(move |_| {
        assert!(!panics.swap(false, Ordering::Relaxed), "on purpose");
        Some(GroupKey::name("all"))
    }))
    .await;
    Raw::connect(server.endpoint()).await.expect_end().await;
    let _peer = served(&server).await;
    soon(server.shutdown()).await;
}

#[tokio::test(start_paused = true)]
async fn many_connections_share_one_allowance() {
    let server = in_memory(everybody());
    let mut peers: Vec<_> = (0..10).map(|_| attached(&server)).collect();
    for (_, session) in &peers {
        session.add_cost(600.0);
    }
    settled().await;
    for (_, session) in &peers {
        assert_about(session.cost(), 6_000.0);
    }
    // (6,000 - 2,000) / (10,000 - 2,000) = 0.5 of 2 s, also for one that has only just come.
    for newcomer in [attached(&server).0, peers.pop().expect("ten").0] {
        let mut newcomer = newcomer;
        let started = Instant::now();
        assert_eq!(newcomer.ask(ECHO).await, ECHOED);
        let waited = started.elapsed().as_millis();
        assert!((990..=1_002).contains(&waited), "{waited} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_hard_limit_each_session_of_a_group_ends_when_it_is_charged() {
    let server = in_memory(everybody());
    let [(mut one, dear), (mut other, cheap)] = [attached(&server), attached(&server)];
    dear.add_cost(10_000.0);
    assert_eq!(one.rest().await, [EXCESSIVE]);
    assert!(!cheap.is_closed());
    cheap.add_cost(50.0);
    assert_eq!(other.rest().await, [EXCESSIVE]);
    assert!(matches!(cheap.closed().await, CloseReason::Cost { cost, .. } if cost > 10_000.0));
}

#[tokio::test(start_paused = true)]
async fn what_a_group_has_cost_outlives_its_sessions_and_is_forgiven_with_time() {
    let server = in_memory(everybody());
    let (peer, session) = attached(&server);
    session.add_cost(5_000.0);
    drop(peer);
    session.closed().await;
    assert_eq!(attached(&server).1.cost(), 5_000.0);
    // 360 s × 10,000 / 3,600 s = 1,000.
    tokio::time::sleep(Duration::from_secs(360)).await;
    let cost = attached(&server).1.cost();
    assert!((cost - 4_000.0).abs() < 1.0, "{cost}");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_not_charged_yet_are_when_the_session_ends() {
    let server = in_memory(everybody());
    let text = format!("[\"{}\"]", "x".repeat(45_000));
    for _ in 0..20 {
        let (mut peer, session) = attached(&server);
        // 90,000 bytes both ways: 0.9 of what is worth a charge.
        let line = ECHO.replace("[1]", &text);
        assert!(peer.ask(&line).await.len() > 45_000);
        drop(peer);
        session.closed().await;
    }
    let cost = attached(&server).1.cost();
    assert!((18.0..19.0).contains(&cost), "{cost}");
}

#[tokio::test(start_paused = true)]
async fn who_has_logged_in_shares_the_account_of_his_name_wherever_he_comes_from() {
    let server = in_memory(everybody().connections(2));
    let [(mut ann, first), (mut too, second)] = [attached(&server), attached(&server)];
    let (mut bob, other) = attached(&server);
    assert!(login(&mut ann, "ann").await.ends_with(r#""result":null}"#));
    first.add_cost(3_000.0);
    assert!(login(&mut too, "ann").await.ends_with(r#""result":null}"#));
    assert_about(first.cost(), 3_000.0);
    assert_about(second.cost(), 3_000.0);
    assert_about(other.cost(), 0.0);
    let full = r#"{"code":1,"message":"the group has 2 connections, and may have 2"}"#;
    assert_eq!(login(&mut bob, "ann").await, format!(r#"{{"jsonrpc":"2.0","id":2,"error":{full}}}"#));
    other.add_cost(100.0);
    assert_about(other.cost(), 100.0);
    // He has stayed where he was.
    assert_about(attached(&server).1.cost(), 100.0);
    // Twice is once, and whose connection is closed makes room.
    assert!(login(&mut too, "ann").await.ends_with(r#""result":null}"#));
    drop(ann);
    first.closed().await;
    assert!(login(&mut bob, "ann").await.ends_with(r#""result":null}"#));
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_group_that_has_cost_too_much_is_disconnected() {
    let server = in_memory(Groups::by_subnet());
    let (mut peer, session) = attached(&server);
    login(&mut peer, "ann").await;
    session.add_cost(10_000.0);
    session.closed().await;
    let (mut peer, session) = attached(&server);
    assert_eq!(session.cost(), 0.0, "without an address and a name there is no group");
    login(&mut peer, "ann").await;
    assert_eq!(peer.rest().await, [EXCESSIVE]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_joins_no_group() {
    let server = in_memory(Groups::by_subnet().connections(1));
    let (peer, session) = attached(&server);
    drop(peer);
    session.closed().await;
    assert_eq!(session.join_group(GroupKey::name("ann")), Ok(()));
    let (_peer, other) = attached(&server);
    assert_eq!(other.join_group(GroupKey::name("ann")), Ok(()));
}

/// How many of `count` connections, all open at once, are served.
async fn served_of(server: &ServerHandle, count: usize) -> usize {
    let address = server.endpoint().socket_addr().expect("an address");
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(TcpStream::connect(address).await.expect("it listens"));
    }
    let answers = peers.into_iter().map(|mut peer| async move {
        let (mut answer, echo) = ([0; 1 << 10], format!("{ECHO}\n"));
        // One that is cut off without a word is refused, too.
        let read = match peer.write_all(echo.as_bytes()).await {
            Ok(()) => peer.read(&mut answer).await.unwrap_or(0),
            Err(_) => 0,
        };
        let is_served = answer[..read].trim_ascii_end() == ECHOED.as_bytes();
        (is_served, peer)
    });
    // Those that are served stay until all have been.
    let answers = soon(join_all(answers)).await;
    answers.iter().filter(|(is_served, _)| *is_served).count()
}

#[tokio::test]
async fn of_thousands_of_connections_from_one_address_no_more_than_may_be_are_served() {
    let server = listening(Groups::by_subnet().connections(20)).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut kept = Vec::new();
    for _ in 0..20 {
        kept.push(served(&server).await);
    }
    for _ in 0..30 {
        assert_eq!(served_of(&server, 100).await, 0);
        assert_eq!(server.sessions().len(), 20);
        // The sessions, those that are being told (64 at most), and what accepts.
        assert!(metrics.num_alive_tasks() <= 20 + 64 + 1, "{} tasks", metrics.num_alive_tasks());
    }
    assert_eq!(kept[0].ask(ECHO).await, ECHOED, "those that were there do not notice");
    drop(kept);
    for session in server.sessions() {
        soon(session.closed()).await;
    }
    assert_eq!(served_of(&server, 100).await, 20);
    soon(server.shutdown()).await;
}

/// (Other systems have one address to come from.)
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_group_keeps_nobody_else_out() {
    let server = listening(Groups::by_subnet().connections(1)).await;
    let _one = served(&server).await;
    assert_eq!(served_of(&server, 50).await, 0);
    let elsewhere = TcpSocket::new_v4().expect("a socket");
    elsewhere.bind("127.0.1.1:0".parse().expect("an address")).expect("all of 127/8 is this machine");
    let address = server.endpoint().socket_addr().expect("an address");
    let mut other = elsewhere.connect(address).await.expect("it listens");
    other.write_all(format!("{ECHO}\n").as_bytes()).await.expect("it reads");
    let mut answer = vec![0; ECHOED.len()];
    soon(other.read_exact(&mut answer)).await.expect("an answer");
    assert_eq!(answer, ECHOED.as_bytes());
    soon(server.shutdown()).await;
}
