//! One server that listens at several places, each with a dialect, services and limits of its own.

use std::time::Duration;

use rpc::{
    BindError, CallError, Cancellation, Connector, ErrorCode, HttpClient, Limits, Listen, Protocol, Server,
    ServerHandle, Session,
};
use rpc_tests::{CalcClient, CalcServer, Gate, MyCalc, Raw, echo, soon, waiting};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream, time::Instant};

fn at(url: &str) -> Listen {
    Listen::at(url).expect("a URL")
}

fn free() -> Listen {
    at("tcp://127.0.0.1:0")
}

/// The address of the server's place number `index`, as a URL of `scheme`.
fn url(server: &ServerHandle, scheme: &str, index: usize) -> String {
    format!("{scheme}://{}", server.endpoints()[index].socket_addr().expect("an address"))
}

async fn connect(url: &str) -> Session {
    soon(rpc::connect(url)).await.expect("it listens")
}

fn http(url: &str) -> HttpClient {
    HttpClient::new(url).expect("a URL")
}

async fn echoes(session: &Session) -> Result<Value, CallError> {
    soon(session.call::<Value>("echo", (1,)).into_future()).await
}

fn code(error: &CallError) -> Option<ErrorCode> {
    match error {
        CallError::Rpc(error) => Some(error.code()),
        _ => None,
    }
}

#[tokio::test]
async fn each_place_has_its_version() {
    let server = Server::builder()
        .service(echo())
        .bind(free())
        .await
        .expect("a port")
        .and_bind(free().protocol(Protocol::V1))
        .await
        .expect("a port")
        .and_bind(free().protocol(Protocol::Detect))
        .await
        .expect("a port")
        .and_bind(at("http://127.0.0.1:0").protocol(Protocol::V1))
        .await
        .expect("a port")
        .start();
    let old = r#"{"method":"echo","params":[1],"id":1}"#;
    let new = r#"{"jsonrpc":"2.0","method":"echo","params":[1],"id":1}"#;
    let old_reply = r#"{"id":1,"result":[1],"error":null}"#;
    let new_reply = r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#;
    for (place, sent, expected) in
        [(0, new, new_reply), (1, old, old_reply), (2, new, new_reply), (2, old, old_reply)]
    {
        let mut peer = Raw::connect(&server.endpoints()[place]).await;
        let reply: Value = serde_json::from_str(&peer.ask(sent).await).expect("JSON");
        assert_eq!(reply, serde_json::from_str::<Value>(expected).expect("JSON"), "{place}");
    }
    // The first does not take the other's.
    let mut peer = Raw::connect(&server.endpoints()[0]).await;
    let refused: Value = serde_json::from_str(&peer.ask(old).await).expect("JSON");
    assert_eq!(refused["error"]["code"], -32600, "{refused}");
    // Over HTTP, and over the WebSocket of the same port.
    let client = |protocol| {
        let builder = HttpClient::builder(&url(&server, "http", 3)).expect("a URL");
        builder.protocol(protocol).build().expect("a client")
    };
    assert_eq!(client(Protocol::V1).call::<Value>("echo", (1,)).await.expect("it is spoken"), json!([1]));
    assert!(client(Protocol::V2).call::<Value>("echo", (1,)).await.is_err());
    let connector = Connector::new(&url(&server, "ws", 3)).expect("a URL").protocol(Protocol::V1);
    assert_eq!(echoes(&connector.connect().await.expect("it listens")).await.expect("so"), json!([1]));
    assert!(echoes(&connect(&url(&server, "ws", 3)).await).await.is_err());
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn each_place_has_calls_taken_back_in_its_way() {
    let gate = Gate::closed();
    let server = Server::builder()
        .service(waiting(&gate))
        .cancellation(Cancellation::LSP)
        .bind(free())
        .await
        .expect("a port")
        .and_bind(free().cancellation(Cancellation::new("stop", "call")))
        .await
        .expect("a port")
        .and_bind(free().cancellation(None).protocol(Protocol::V1))
        .await
        .expect("nothing is to be said that 1.0 cannot say")
        .start();
    let lsp = r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#;
    let own = r#"{"jsonrpc":"2.0","method":"stop","params":{"call":1}}"#;
    for (place, meant, other) in [(0, lsp, own), (1, own, lsp)] {
        let mut peer = Raw::connect(&server.endpoints()[place]).await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
        peer.send(other).await;
        // The other way is a notification that nothing here knows: the request goes on.
        peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":[2]}"#).await;
        peer.expect(r#"{"jsonrpc":"2.0","id":2,"result":[2]}"#).await;
        let cancelled: Value = serde_json::from_str(&peer.ask(meant).await).expect("JSON");
        assert_eq!((&cancelled["id"], &cancelled["error"]["code"]), (&json!(1), &json!(-32800)), "{place}");
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn each_place_has_its_services_over_every_transport() {
    let server = Server::builder()
        .service(CalcServer::new(MyCalc))
        .bind(at("http://127.0.0.1:0"))
        .await
        .expect("a port")
        .and_bind(at("http://127.0.0.1:0").service(echo()))
        .await
        .expect("a port")
        .and_bind(free().session(|_| echo()))
        .await
        .expect("a port")
        .and_bind(at("ws://127.0.0.1:0").service(echo()).service(CalcServer::new(MyCalc)))
        .await
        .expect("a port")
        .start();

    // The server's own services are in the first place only, over HTTP and over the WebSocket of the same port.
    assert_eq!(http(&url(&server, "http", 0)).call::<i64>("add", (1, 2)).await.expect("it is served"), 3);
    let refused = http(&url(&server, "http", 1)).call::<i64>("add", (1, 2)).await.expect_err("it is not");
    assert_eq!(code(&refused), Some(ErrorCode::METHOD_NOT_FOUND));
    assert_eq!(http(&url(&server, "http", 1)).call::<Value>("echo", (1,)).await.expect("so"), json!([1]));
    for (scheme, place, has_calc, has_echo) in
        [("ws", 0, true, false), ("ws", 1, false, true), ("tcp", 2, false, true), ("ws", 3, true, true)]
    {
        let session = connect(&url(&server, scheme, place)).await;
        let calc = CalcClient::from(session.clone());
        assert_eq!(calc.add(1, 2).await.is_ok(), has_calc, "{scheme} {place}");
        assert_eq!(echoes(&session).await.is_ok(), has_echo, "{scheme} {place}");
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn each_place_has_its_limits_and_connections_are_counted_for_all() {
    let mut whole = Limits::server();
    whole.connections = 20;
    let mut small = Limits::server();
    (small.connections, small.frame_size) = (1, 100);
    let server = Server::builder()
        .service(echo())
        .limits(whole)
        .bind(at("http://127.0.0.1:0"))
        .await
        .expect("a port")
        .and_bind(at("http://127.0.0.1:0").limits(small.clone()))
        .await
        .expect("a port")
        .and_bind(free().limits(small))
        .await
        .expect("a port")
        .start();
    let text = "x".repeat(200);
    assert!(http(&url(&server, "http", 0)).call::<Value>("echo", (&text,)).await.is_ok());
    let refused =
        http(&url(&server, "http", 1)).call::<Value>("echo", (&text,)).await.expect_err("too large");
    let refused = rpc::chain(&refused).to_string();
    assert!(refused.contains("the limit is 100 (`frame_size`)"), "{refused}");
    let sessions = [
        connect(server.endpoints()[2].to_string().as_str()).await,
        connect(server.endpoints()[2].to_string().as_str()).await,
    ];
    for session in &sessions {
        assert!(echoes(session).await.is_ok(), "two, where its limits say 1: the server has more");
        let refused = session.call::<Value>("echo", (&text,)).await.expect_err("too large");
        assert_eq!(code(&refused), Some(ErrorCode::INVALID_REQUEST), "{refused:?}");
    }
    soon(server.shutdown()).await;

    let (mut one, mut many) = (Limits::server(), Limits::server());
    (one.connections, many.connections) = (1, 10);
    let builder = Server::builder().service(echo()).limits(one);
    let server = builder.bind(free().limits(many)).await.expect("a port").start();
    let _first = connect(&url(&server, "tcp", 0)).await;
    let mut second = Raw::connect(server.endpoint()).await;
    let refused: Value = serde_json::from_str(&second.line().await.expect("it is told")).expect("JSON");
    assert_eq!(refused["error"]["code"], -102, "{refused}");
    second.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn each_place_has_its_patience_for_handshakes() {
    let mut short = Limits::server();
    short.handshake_timeout = Some(Duration::from_secs(3));
    let server = Server::builder()
        .service(echo())
        .bind("ws://127.0.0.1:0")
        .await
        .expect("a port")
        .and_bind(at("ws://127.0.0.1:0").limits(short.clone()))
        .await
        .expect("a port")
        .and_bind(at("http://127.0.0.1:0").limits(short))
        .await
        .expect("a port")
        .start();
    let long = Limits::server().handshake_timeout.expect("there is one").as_secs();
    for (place, expected) in [(0, long), (1, 3), (2, 3)] {
        let addr = server.endpoints()[place].socket_addr().expect("an address");
        let mut silent = TcpStream::connect(addr).await.expect("it listens");
        let begun = Instant::now();
        // A reset, or an end.
        let _end = silent.read(&mut [0; 8]).await;
        assert!(
            (expected..expected + 2).contains(&begun.elapsed().as_secs()),
            "{place}: {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_where_it_is_bound() {
    let server = || Server::builder().service(echo()).cancellation(Cancellation::LSP);
    let error = server().bind(free().protocol(Protocol::V1)).await.expect_err("1.0 cannot say it");
    assert!(matches!(error, BindError::Unsupported(_)), "{error:?}");
    let error = server().bind(free().service(echo()).service(echo())).await.expect_err("twice");
    assert!(matches!(error, BindError::DuplicateMethod(_)), "{error:?}");
    // What the server serves is not in the way of what is served in its place.
    server().bind(free().service(echo())).await.expect("each once");
}

#[tokio::test]
async fn what_came_over_a_stream_of_yours_is_served_as_the_server_says() {
    let server = Server::builder()
        .service(echo())
        .bind(free().service(CalcServer::new(MyCalc)).protocol(Protocol::V1))
        .await
        .expect("a port")
        .start();
    let (here, there) = rpc::transport::memory(4096);
    drop(server.attach(there));
    let session = Connector::over(here).connect().await.expect("connected already");
    assert_eq!(echoes(&session).await.expect("it is served"), json!([1]));
    soon(server.shutdown()).await;
}
