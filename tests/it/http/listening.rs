//! Servers that listen at `http://`, over real sockets.

use std::{io::ErrorKind, time::Duration};

use bytes::Bytes;
use http::{StatusCode, Version, header};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::{
    BindError, Context, ErrorObject, Groups, HttpOptions, Limits, Listen, Params, Router, Server,
    ServerBuilder, ServerHandle,
};
use rpc_tests::{CalcServer, Gate, MyCalc, soon, waiting};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceBuilder;
use tower_http::{add_extension::AddExtensionLayer, compression::CompressionLayer};

use super::kit::{Answer, message, posted, posted_to};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

async fn listening(builder: ServerBuilder) -> ServerHandle {
    builder.bind("http://127.0.0.1:0").await.expect("a port").start()
}

async fn dial(server: &ServerHandle) -> TcpStream {
    TcpStream::connect(server.endpoint().socket_addr().expect("an address")).await.expect("it listens")
}

type Http1 = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn connect(server: &ServerHandle) -> Http1 {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(dial(server).await))
        .await
        .expect("HTTP is spoken");
    tokio::spawn(connection);
    sender
}

async fn post(sender: &mut Http1, body: &'static str) -> Answer {
    soon(sender.ready()).await.expect("the connection is kept");
    Answer::read(soon(sender.send_request(message(body))).await.expect("a response")).await
}

/// Sends bytes as they are, and reads until the server closes.
/// A request, of whatever it may be.
const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn raw(server: &ServerHandle, bytes: &[u8]) -> String {
    let mut stream = dial(server).await;
    // It may close before it has taken all.
    let _sent = stream.write_all(bytes).await;
    let mut response = Vec::new();
    let _closed = soon(stream.read_to_end(&mut response)).await;
    String::from_utf8(response).expect("text")
}

#[tokio::test]
async fn a_connection_is_kept_for_many_requests() {
    let server = listening(Server::builder().service(CalcServer::new(MyCalc))).await;
    assert_eq!(server.endpoint().scheme(), "http");
    let mut sender = connect(&server).await;
    for _ in 0..3 {
        assert_eq!(post(&mut sender, PING).await.json()["result"], "pong");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn http_2_is_spoken_with_those_who_do() {
    let gate = Gate::closed();
    let server = listening(Server::builder().service(waiting(&gate))).await;
    let io = TokioIo::new(dial(&server).await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    let ask = |body: &'static str| {
        let mut sender = sender.clone();
        async move {
            let request =
                posted().uri("http://localhost/").body(Full::<Bytes>::from(body)).expect("a request");
            let response = soon(sender.send_request(request)).await.expect("a response");
            assert_eq!(response.version(), Version::HTTP_2);
            Answer::read(response).await.json()["result"].clone()
        }
    };
    let waiting = tokio::spawn(ask(r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#));
    soon(gate.until(|gate| gate.waiting() == 1)).await;
    // Others are not held up.
    assert_eq!(ask(r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":[2]}"#).await[0], 2);
    gate.open();
    assert_eq!(waiting.await.expect("no panic")[0], 1);
    server.shutdown().await;
}

#[tokio::test]
async fn requests_that_come_in_one_go_are_answered_one_after_the_other() {
    let server = listening(Server::builder().service(CalcServer::new(MyCalc))).await;
    let request = |connection: &str, id: usize| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"add_later","params":[1,{id}]}}"#);
        format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: {connection}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let both = request("keep-alive", 1) + &request("close", 2);
    let answers = raw(&server, both.as_bytes()).await;
    let first = answers.find(r#""id":1,"result":2"#).expect("an answer");
    let second = answers.find(r#""id":2,"result":3"#).expect("an answer");
    assert!(first < second);
    server.shutdown().await;
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let server = listening(Server::builder().service(CalcServer::new(MyCalc))).await;
    let (start, end) = PING.split_at(10);
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n",
        start.len(),
        end.len()
    );
    assert!(raw(&server, request.as_bytes()).await.ends_with(r#""result":"pong"}"#));
    server.shutdown().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_though_nobody_reads_it() {
    let server = listening(Server::builder().service(CalcServer::new(MyCalc))).await;
    for head in ["content-length: 5000000", "transfer-encoding: chunked"] {
        let mut request =
            format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{head}\r\n\r\n")
                .into_bytes();
        if head.contains("chunked") {
            request.extend_from_slice(b"4C4B40\r\n");
        }
        request.resize(request.len() + 5_000_000, b' ');
        let answer = raw(&server, &request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("the limit is 1000000 (`frame_size`)"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_body_that_is_declared_far_over_the_limit_is_not_waited_for() {
    let server = listening(Server::builder().service(CalcServer::new(MyCalc))).await;
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 17000000\r\n\r\n";
    let mut stream = dial(&server).await;
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    // This side stays open, and sends nothing more.
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.expect("the connection ends");
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("17000000 bytes: the limit is 1000000 (`frame_size`)"), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_page_that_comes_by_a_rebound_name_is_refused_though_it_says_nothing_of_itself() {
    let server = listening(Server::builder().service(CalcServer::new(MyCalc))).await;
    let mut sender = connect(&server).await;
    for (host, status) in [("evil.example", StatusCode::FORBIDDEN), ("localhost", StatusCode::OK)] {
        let request = posted_to(host).body(PING.into()).expect("a request");
        let answer = Answer::read(soon(sender.send_request(request)).await.expect("a response")).await;
        assert_eq!(answer.status, status, "{host}");
        sender = connect(&server).await;
    }
    server.shutdown().await;
}

#[tokio::test]
async fn there_is_nothing_beside_the_path_that_is_listened_at() {
    let builder = Server::builder().service(CalcServer::new(MyCalc));
    // A query is no part of the path.
    let server = builder.bind("http://127.0.0.1:0/rpc?key").await.expect("a port").start();
    for (path, status) in
        [("/rpc", StatusCode::OK), ("/rpc?x=1", StatusCode::OK), ("/", StatusCode::NOT_FOUND)]
    {
        let mut sender = connect(&server).await;
        let request = posted().uri(path).body(PING.into()).expect("a request");
        let answer = Answer::read(soon(sender.send_request(request)).await.expect("a response")).await;
        assert_eq!(answer.status, status, "{path}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn layers_stand_before_the_service() {
    #[derive(Debug, Clone)]
    struct User(&'static str);
    let router = Router::new().method("who", async |_: Params, cx: Context| {
        let who = cx.extensions().get::<User>().map(|user| user.0).unwrap_or("nobody");
        Ok::<_, ErrorObject>(who.repeat(100))
    });
    let layers =
        ServiceBuilder::new().layer(CompressionLayer::new()).layer(AddExtensionLayer::new(User("ann")));
    let listen = Listen::at("http://127.0.0.1:0").expect("a URL").http(HttpOptions::new().layer(layers));
    let server = Server::builder().service(router).bind(listen).await.expect("a port").start();
    let mut sender = connect(&server).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"who"}"#;
    assert_eq!(post(&mut sender, call).await.json()["result"], "ann".repeat(100));
    let packed = posted().header(header::ACCEPT_ENCODING, "gzip").body(call.into()).expect("a request");
    let packed = Answer::read(soon(sender.send_request(packed)).await.expect("a response")).await;
    assert_eq!(packed.headers[header::CONTENT_ENCODING], "gzip");
    assert!(packed.body.len() < 200);
    server.shutdown().await;
}

#[tokio::test]
async fn the_peer_is_who_has_connected() {
    let router = Router::new()
        .method("peer", async |_: Params, cx: Context| Ok::<_, ErrorObject>(cx.peer().to_string()));
    let server = listening(Server::builder().service(router)).await;
    let stream = dial(&server).await;
    let ours = stream.local_addr().expect("an address");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    let answer = post(&mut sender, r#"{"jsonrpc":"2.0","id":1,"method":"peer"}"#).await;
    assert_eq!(answer.json()["result"], format!("http://{ours}"));
    server.shutdown().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let mut limits = Limits::server();
    limits.connections = 1;
    let server = listening(Server::builder().service(CalcServer::new(MyCalc)).limits(limits)).await;
    let mut sender = connect(&server).await;
    post(&mut sender, PING).await;
    let refused = raw(&server, ASKED).await;
    assert!(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{refused}");
    assert!(refused.contains("content-type: application/json\r\n"), "{refused}");
    let (_, body) = refused.split_once("\r\n\r\n").expect("a body");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["error"]["code"], -102);
    // The place is free again when the first has gone.
    drop(sender);
    soon(async {
        loop {
            let mut sender = connect(&server).await;
            if let Ok(response) = sender.send_request(message(PING)).await
                && response.status() == StatusCode::OK
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.shutdown().await;
}

#[tokio::test]
async fn connections_of_a_group_are_counted_together() {
    let groups = Groups::by_subnet().connections(1);
    let server = listening(Server::builder().service(CalcServer::new(MyCalc)).groups(groups)).await;
    let mut sender = connect(&server).await;
    post(&mut sender, PING).await;
    assert!(raw(&server, ASKED).await.contains("too many connections from where you are"));
    server.shutdown().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_has_its_handler_dropped() {
    let gate = Gate::closed();
    let server = listening(Server::builder().service(waiting(&gate))).await;
    let mut sender = connect(&server).await;
    let request = message(r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#);
    let call = tokio::spawn(async move { sender.send_request(request).await });
    soon(gate.until(|gate| gate.waiting() == 1)).await;
    call.abort();
    soon(gate.until(|gate| gate.dropped() == 1)).await;
    server.shutdown().await;
}

#[tokio::test]
async fn nobody_listens_any_more_where_it_was_stopped_and_connections_go_on() {
    let server = listening(Server::builder().service(CalcServer::new(MyCalc))).await;
    let mut sender = connect(&server).await;
    post(&mut sender, PING).await;
    server.stop_listening().await;
    let refused = TcpStream::connect(server.endpoint().socket_addr().expect("an address")).await;
    assert_eq!(refused.expect_err("nobody listens").kind(), ErrorKind::ConnectionRefused);
    post(&mut sender, PING).await;
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn every_message_has_a_service_of_its_own_where_every_session_would() {
    let made = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&made);
    let server = listening(Server::builder().session(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        CalcServer::new(MyCalc)
    }))
    .await;
    let mut sender = connect(&server).await;
    for count in 1..=2 {
        assert_eq!(post(&mut sender, PING).await.json()["result"], "pong");
        assert_eq!(made.load(std::sync::atomic::Ordering::SeqCst), count);
    }
    server.shutdown_within(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_server_may_listen_for_both_http_and_sessions() {
    let server = Server::builder()
        .service(CalcServer::new(MyCalc))
        .bind("http://127.0.0.1:0")
        .await
        .expect("a port")
        .and_bind("tcp://127.0.0.1:0")
        .await
        .expect("a port")
        .start();
    assert_eq!(post(&mut connect(&server).await, PING).await.json()["result"], "pong");
    let session = rpc::connect(&server.endpoints()[1].to_string()).await.expect("it listens");
    assert_eq!(session.call::<String>("ping", ()).await.expect("a reply"), "pong");
    server.shutdown().await;
}

#[tokio::test]
async fn a_place_that_is_taken_is_an_error() {
    let server = listening(Server::builder()).await;
    let again = Server::builder().bind(server.endpoint()).await.expect_err("it is taken");
    assert!(matches!(again, BindError::Io { source, .. } if source.kind() == ErrorKind::AddrInUse));
    server.shutdown().await;
}
