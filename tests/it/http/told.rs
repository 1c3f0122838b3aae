//! What peers are told for whom there is no place: what was too many, the limit, how many there are, and
//! the field that has the limit.

use std::time::Duration;

use http::StatusCode;
use rpc::{
    CallError, Endpoint, Executed, GroupKey, Groups, HttpClient, Limits, Listen, Server, ServerHandle,
};
use rpc_tests::{Authority, Raw, echo, soon};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use super::kit::{Answer, ask, attach, message, serving, websocket};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[7]}"#;

/// Limits by which nothing is forgiven, and nothing but errors costs anything.
fn limits() -> Limits {
    let mut limits = Limits::server();
    limits.cost_forgiven_per_second = 0.0;
    limits
}

/// A server that listens for sessions, and at `url`.
async fn listening(url: &str, limits: Limits, groups: Groups) -> ServerHandle {
    let server = Server::builder().service(echo()).limits(limits).groups(groups);
    let server = server.bind("tcp://127.0.0.1:0").await.expect("a port is free");
    server.and_bind(url).await.expect("a port is free").start()
}

/// What one hears that connects to the second place, and asks for something: nothing before that.
async fn told(server: &ServerHandle) -> String {
    let addr = server.endpoints()[1].socket_addr().expect("an address");
    let mut peer = TcpStream::connect(addr).await.expect("it listens");
    let silent = time::timeout(Duration::from_millis(50), peer.read_u8()).await;
    assert!(silent.is_err(), "it was answered before it has asked: {silent:?}");
    peer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is read");
    let mut told = String::new();
    soon(peer.read_to_string(&mut told)).await.expect("it is closed in good order");
    told
}

const URLS: [&str; 2] = ["http://127.0.0.1:0", "ws://127.0.0.1:0"];

#[tokio::test]
async fn a_listener_says_whether_the_server_or_the_group_has_too_many_connections() {
    for url in URLS {
        let mut few = limits();
        few.connections = 1;
        let of_server = listening(url, few, Groups::by_address()).await;
        let of_group = listening(url, limits(), Groups::by_address().connections(1)).await;
        for (server, why) in [
            (of_server, "too many connections: 1 are open, and 1 may be (`Limits::connections`)"),
            (
                of_group,
                "too many connections from where you are: 1 are open, and 1 may be (`Groups::connections`)",
            ),
        ] {
            let mut peer = Raw::connect(server.endpoint()).await;
            peer.ask(ECHO).await;
            let told = told(&server).await;
            assert!(told.starts_with("HTTP/1.1 503 ") && told.contains(why), "{url}: {told}");
            soon(server.shutdown()).await;
        }
    }
}

#[tokio::test]
async fn a_listener_says_what_a_group_has_cost_that_has_cost_too_much() {
    for url in URLS {
        let server = listening(url, limits(), Groups::by_address()).await;
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(ECHO).await;
        let session = server.sessions().pop().expect("one");
        session.add_cost(20_000.0);
        soon(session.closed()).await;
        let told = told(&server).await;
        assert!(told.starts_with("HTTP/1.1 429 "), "{url}: {told}");
        assert!(told.contains("have cost 20000, and may cost 10000 (`cost_hard`)"), "{url}: {told}");
        soon(server.shutdown()).await;
    }
}

async fn connect(server: &ServerHandle) -> hyper::client::conn::http1::SendRequest<super::kit::Body> {
    let io = hyper_util::rt::TokioIo::new(attach(server));
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    sender
}

#[tokio::test(start_paused = true)]
async fn no_websocket_is_opened_for_one_whose_group_has_cost_too_much() {
    let groups = Groups::by(|_: &Endpoint| Some(GroupKey::name("all")));
    let server = Server::builder().service(echo()).limits(limits()).groups(groups);
    let server = server.build().expect("one service").start();
    let mut sender = connect(&server).await;
    let asked = sender.send_request(message(ECHO)).await.expect("a response");
    assert_eq!(Answer::read(asked).await.status, StatusCode::OK);
    let (_peer, io) = rpc::transport::memory(1024);
    server.attach(io).add_cost(20_000.0);
    sender.ready().await.expect("it is open");
    let refused = Answer::read(sender.send_request(websocket()).await.expect("a response")).await;
    let told = "have cost 20000, and may cost 10000 (`cost_hard`)";
    refused.expect_refusal(StatusCode::TOO_MANY_REQUESTS, -101, told);
    assert_eq!(refused.headers["connection"], "close");
}

#[tokio::test(start_paused = true)]
async fn no_websocket_is_opened_where_it_is_mounted_and_there_are_as_many_sessions_as_may_be() {
    let server = serving(echo(), |limits| limits.connections = 1);
    let (_peer, io) = rpc::transport::memory(1024);
    let _session = server.attach(io);
    let refused = ask(&server.http_service(), websocket()).await;
    let told = "too many connections: 1 are open, and 1 may be (`Limits::connections`)";
    refused.expect_refusal(StatusCode::SERVICE_UNAVAILABLE, -102, told);
}

/// How our own client asks: over HTTP/1.1 and HTTP/2, in the clear and with TLS, which offers both.
async fn our_clients(limits: Limits, groups: Groups) -> Vec<(ServerHandle, HttpClient)> {
    let authority = Authority::new();
    let mut all = Vec::new();
    for (scheme, http2_only) in [("http", false), ("http", true), ("https", false)] {
        let at = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL");
        let at = if scheme == "https" { at.tls(authority.issue(&["localhost"]).server()) } else { at };
        let server = Server::builder().service(echo()).limits(limits.clone()).groups(groups.clone());
        let server = server.bind("tcp://127.0.0.1:0").await.expect("a port is free");
        let server = server.and_bind(at).await.expect("a port is free").start();
        let port = server.endpoints()[1].port().expect("it has one");
        let client = HttpClient::builder(&format!("{scheme}://localhost:{port}")).expect("a URL");
        let client = if scheme == "https" { client.tls(authority.trusted()) } else { client };
        let client = if http2_only { client.http2_only() } else { client };
        all.push((server, client.build().expect("nothing is wrong with it")));
    }
    all
}

/// Whatever the size of what is asked, the client reads why it is not answered.
async fn our_client_reads(client: &HttpClient, code: i64, why: &str) {
    for round in 0..20 {
        let param = "x".repeat(if round % 2 == 0 { 1 } else { 256 << 10 });
        let error = soon(client.call::<Value>("echo", (param,))).await.expect_err("there is no place");
        let CallError::Rpc(told) = &error else { panic!("round {round}: {error:?}") };
        assert_eq!(told.code(), rpc::ErrorCode::new(code));
        assert!(told.message().contains(why), "round {round}: {told}");
        assert_eq!(error.executed(), Executed::No);
    }
}

#[tokio::test]
async fn our_client_reads_that_the_server_has_as_many_connections_as_may_be() {
    let mut few = limits();
    few.connections = 1;
    for (server, client) in our_clients(few, Groups::by_address()).await {
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(ECHO).await;
        our_client_reads(&client, -102, "1 are open, and 1 may be (`Limits::connections`)").await;
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn our_client_reads_that_its_group_has_as_many_connections_as_may_be() {
    for (server, client) in our_clients(limits(), Groups::by_address().connections(1)).await {
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(ECHO).await;
        our_client_reads(&client, -102, "1 are open, and 1 may be (`Groups::connections`)").await;
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn our_client_reads_what_its_group_has_cost() {
    for (server, client) in our_clients(limits(), Groups::by_address()).await {
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(ECHO).await;
        let session = server.sessions().pop().expect("one");
        session.add_cost(20_000.0);
        soon(session.closed()).await;
        our_client_reads(&client, -101, "have cost 20000, and may cost 10000 (`cost_hard`)").await;
        soon(server.shutdown()).await;
    }
}
