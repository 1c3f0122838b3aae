//! From a request of HTTP to a WebSocket, on both sides.

use std::time::Duration;

use rpc::{
    ConnectError, Connector, Context, Endpoint, Limits, Listen, Params, Router, Server, ServerHandle,
    transport::websocket::{SubProtocol, WebSocket, WebSocketClient, WebSocketError, WebSocketServer},
};
use rpc_tests::{
    echo, settled, soon,
    websocket::{WsPeer, answer, header, request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

/// What the request said, as a handler sees it.
fn told() -> Router {
    Router::new().method("told", async |params: Params, cx: Context| {
        let (name,): (String,) = params.parse()?;
        let request = cx.http().expect("it is over WebSocket");
        let value = request.headers.get(name).map(|value| value.to_str().expect("a text").to_owned());
        let protocol = cx.extensions().get::<SubProtocol>().map(|protocol| protocol.0.clone());
        Ok::<_, rpc::ErrorObject>((request.uri.to_string(), value, protocol))
    })
}

async fn listening(url: &str, options: WebSocketServer, limits: Limits) -> ServerHandle {
    let listen = Listen::at(url).expect("a URL").websocket(options);
    let server = Server::builder().service(told()).service(echo()).limits(limits).bind(listen).await;
    server.expect("it is free").start()
}

#[tokio::test]
async fn the_server_sees_the_headers_and_both_sides_the_sub_protocol() {
    let options = WebSocketServer::new().protocol("two").and_then(|options| options.protocol("three"));
    let server = listening("ws://127.0.0.1:0/", options.expect("tokens"), Limits::server()).await;
    let url = format!("ws://{}/some/where?x=1", server.endpoint().socket_addr().expect("an address"));
    for (offered, chosen) in [
        (vec![], None),
        (vec!["one"], None),
        (vec!["one", "two"], Some("two")),
        (vec!["three", "two"], Some("three")),
    ] {
        let mut options = WebSocketClient::new().header("x-token", "s3cret").expect("a header");
        for protocol in offered {
            options = options.protocol(protocol).expect("a token");
        }
        let session =
            Connector::new(&url).expect("a URL").websocket(options).connect().await.expect("connected");
        let told: (String, Option<String>, Option<String>) =
            session.call("told", ("x-token",)).await.expect("answered");
        assert_eq!(told.0, "/some/where?x=1");
        assert_eq!((told.1.as_deref(), told.2.as_deref()), (Some("s3cret"), chosen));
        let agreed = session.extensions().get::<SubProtocol>();
        assert_eq!(agreed.as_deref().map(|protocol| protocol.0.as_str()), chosen);
        let host: (String, String, Option<String>) = session.call("told", ("host",)).await.expect("answered");
        assert_eq!(host.1, server.endpoint().socket_addr().expect("an address").to_string());
    }
}

#[test]
fn what_no_request_may_hold_is_refused_where_it_is_given() {
    for (name, value, reason) in [
        ("a b", "x", "it is no name of a header"),
        ("x", "a\r\nb: c", "its value has characters that no header may have"),
        ("Connection", "close", "the handshake has its own"),
        ("sec-websocket-protocol", "x", "the handshake has its own"),
    ] {
        let error = WebSocketClient::new().header(name, value).expect_err(name);
        assert_eq!(rpc::chain(&error).to_string(), format!("the header `{name}` cannot be sent: {reason}"));
    }
    for protocol in ["", "a b", "a,b", "ä"] {
        WebSocketClient::new().protocol(protocol).expect_err(protocol);
        WebSocketServer::new().protocol(protocol).expect_err(protocol);
    }
}

/// What a listener at `/v1` answers, as its status, and all of it.
async fn answered(server: &ServerHandle, sent: &str) -> (u16, String) {
    let mut peer = WsPeer::connect(server.endpoint()).await;
    peer.write(sent).await;
    let answer = soon(peer.rest()).await;
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect(&answer);
    (status.parse().expect("a number"), answer)
}

#[tokio::test]
async fn what_is_no_request_for_a_websocket_is_answered_why() {
    let server = listening("ws://127.0.0.1:0/v1?ignored=1", WebSocketServer::new(), Limits::server()).await;
    let good = request("localhost", "/v1?key=1", "");
    let cases = [
        (good.replace("/v1", "/v2"), 404, "nothing is served at this path"),
        (good.replace("GET", "POST"), 405, "handshakes are GET requests"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 426, "WebSocket is spoken here"),
        (good.replace("keep-alive, Upgrade", "keep-alive"), 426, "WebSocket is spoken here"),
        (good.replace("Upgrade: websocket", "Upgrade: h2c"), 426, "WebSocket is spoken here"),
        (good.replace("Version: 13", "Version: 8"), 426, "version 13 of WebSocket is spoken here"),
        (good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426, "version 13 of WebSocket is spoken here"),
        (good.replace("ZQ==", "ZQ="), 400, "a Sec-WebSocket-Key of 16 bytes"),
        (good.replace("Sec-WebSocket-Key", "X"), 400, "a Sec-WebSocket-Key of 16 bytes"),
        (good.replace("Host: localhost\r\n", ""), 400, "the Host header is missing"),
        (good.replace("Host: localhost", "Host: a\r\nHost: b"), 400, "there is more than one Host header"),
        (r#"{"jsonrpc":"2.0"}"#.to_owned() + "\r\n\r\n", 400, "this is no HTTP"),
        (format!("{}{}\r\n", good.trim_end(), "\r\nX: y".repeat(200)), 431, "more than 100 headers"),
        (request("localhost", "/v1", &format!("X: {}\r\n", "y".repeat(20_000))), 431, "within 16384 bytes"),
    ];
    for (sent, status, text) in cases {
        let (found, answer) = answered(&server, &sent).await;
        assert_eq!(found, status, "{sent}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(body.contains(text), "{answer}");
        assert_eq!(header(head, "content-length"), Some(body.len().to_string().as_str()));
        assert_eq!(header(head, "connection"), Some("close"));
        match status {
            405 => assert_eq!(header(head, "allow"), Some("GET")),
            426 => assert_eq!(header(head, "upgrade"), Some("websocket")),
            _ => {}
        }
    }
    assert!(server.sessions().is_empty());
    let mut peer = WsPeer::connect(server.endpoint()).await;
    // An extension that is offered is declined.
    peer.write(request("localhost", "/v1", "Sec-WebSocket-Extensions: permessage-deflate\r\n")).await;
    let head = peer.head().await;
    assert_eq!(
        header(&head, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "as RFC 6455 has it"
    );
    assert_eq!(header(&head, "sec-websocket-extensions"), None);
    assert_eq!(peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#).await.len(), 36);
}

#[tokio::test]
async fn half_a_handshake_is_given_up_and_its_place_is_free() {
    let mut limits = Limits::server();
    (limits.connections, limits.handshake_timeout) = (1, Some(Duration::from_millis(100)));
    let server = listening("ws://127.0.0.1:0", WebSocketServer::new(), limits).await;
    let good = request("localhost", "/", "");
    for sent in ["", &good[..20], &good[..good.len() - 2]] {
        let mut half = WsPeer::connect(server.endpoint()).await;
        half.write(sent).await;
        assert_eq!(soon(half.rest()).await, "", "nothing was said to {sent:?}");
        let mut whole = loop {
            let mut peer = WsPeer::connect(server.endpoint()).await;
            peer.write(&good).await;
            if peer.head().await.starts_with("HTTP/1.1 101") {
                break peer;
            }
        };
        // There is one place: somebody else is told so, in the language that is spoken before the handshake.
        let (status, answer) = answered(&server, &good).await;
        assert_eq!(status, 503);
        assert!(answer.contains("too many connections: 1 are open, and 1 may be"), "{answer}");
        whole.frame(0x88, 1000_u16.to_be_bytes()).await;
        assert_eq!(whole.closed().await.0, 1000);
        for session in server.sessions() {
            session.closed().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_drips_in_has_no_longer_and_a_server_that_never_answers_no_more() {
    let mut limits = Limits::server();
    limits.handshake_timeout = Some(Duration::from_secs(7));
    for url in ["ws://127.0.0.1:0", "http://127.0.0.1:0"] {
        let server = listening(url, WebSocketServer::new(), limits.clone()).await;
        let addr = server.endpoint().socket_addr().expect("an address");
        let (mut read, mut write) = TcpStream::connect(addr).await.expect("it listens").into_split();
        let begun = Instant::now();
        let dripping = tokio::spawn(async move {
            for byte in request("localhost", "/", "").into_bytes() {
                if write.write_all(&[byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(500)).await;
            }
        });
        // A reset, or an end.
        let _end = read.read(&mut [0; 8]).await;
        assert!((7..9).contains(&begun.elapsed().as_secs()), "{url}: {:?}", begun.elapsed());
        dripping.abort();
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("ws://{}/", silent.local_addr().expect("it has one"));
    let error =
        Connector::new(&url).expect("a URL").limits(limits).connect().await.expect_err("it is silent");
    assert_eq!(
        rpc::chain(&error).to_string(),
        format!("cannot connect to {url}: not within 7s (`handshake_timeout`)")
    );
}

/// What a client says when it gets `answer`, in which `ACCEPT` stands for what belongs to its key.
async fn refused_by(answer: &str, options: WebSocketClient) -> WebSocketError {
    let (here, there) = rpc::transport::memory(1 << 20);
    let url: Endpoint = "ws://example.org:8000/x".parse().expect("a URL");
    let server = async move {
        let mut peer = WsPeer::over(there, false);
        let request = peer.head().await;
        let key = header(&request, "sec-websocket-key").expect("a key").to_owned();
        let accept = self::answer(&key, "");
        let accept = header(&accept, "sec-websocket-accept").expect("it is there");
        peer.write(answer.replace("ACCEPT", accept)).await;
    };
    let (connected, ()) = tokio::join!(WebSocket::connect(here, &url, &options), server);
    connected.expect_err("it is no WebSocket")
}

#[tokio::test(start_paused = true)]
async fn a_client_says_how_it_was_refused() {
    for (answer, expected) in [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno entry\nmore",
            "the server answered 403: no entry",
        ),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "the server answered 401: Unauthorized"),
        ("HTTP/1.1 502\r\n\r\n<html>\x1b[2J", "the server answered 502: <html>\\u{1b}[2J"),
        ("HTTP/1.1 200 OK\r\n\r\n", "the server answered 200: OK"),
    ] {
        let error = refused_by(answer, WebSocketClient::new()).await;
        assert!(matches!(error, WebSocketError::Refused { .. }), "{error:?}");
        assert_eq!(rpc::chain(&error).to_string(), expected);
    }
    let busy = refused_by("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nlater", WebSocketClient::new()).await;
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)), "{busy:?}");
    let WebSocketError::Refused { headers, .. } = busy else { panic!("{busy:?}") };
    assert_eq!(headers["retry-after"], "7");
    let other = refused_by("HTTP/1.1 403 No\r\n\r\n", WebSocketClient::new()).await;
    assert_eq!(other.retry_after(), None, "{other:?}");
    let long = format!("HTTP/1.1 500 Oops\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let error = refused_by(&long, WebSocketClient::new()).await;
    assert_eq!(rpc::chain(&error).to_string(), format!("the server answered 500: {}", "x".repeat(512)));
}

/// What a client that passes over `interim` answers gets, which come in pieces of `step` bytes.
async fn connected_behind(interim: &str, step: usize) -> Result<WebSocket, WebSocketError> {
    let (here, there) = rpc::transport::memory(1 << 20);
    let url: Endpoint = "ws://example.org:8000/x".parse().expect("a URL");
    let server = async move {
        let mut peer = WsPeer::over(there, false);
        let request = peer.head().await;
        let all = interim.to_owned() + &answer(header(&request, "sec-websocket-key").expect("a key"), "");
        for piece in all.as_bytes().chunks(step) {
            peer.write(piece).await;
            settled().await;
        }
        peer
    };
    let options = WebSocketClient::new();
    let (connected, _peer) = tokio::join!(WebSocket::connect(here, &url, &options), server);
    connected
}

/// RFC 9110, section 15.2.
#[tokio::test(start_paused = true)]
async fn interim_answers_are_passed_over_and_not_without_end() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let both = format!("HTTP/1.1 100 Continue\r\n\r\n{hints}");
    for step in [1, 7, both.len() + 20, usize::MAX] {
        connected_behind(&both, step).await.expect("it is a WebSocket");
    }
    connected_behind(&hints.repeat(16), usize::MAX).await.expect("it is a WebSocket");
    let error = connected_behind(&hints.repeat(17), usize::MAX).await.expect_err("it is too much");
    assert!(matches!(error, WebSocketError::Answer { .. }), "{error:?}");
    let told = "more than 16 interim answers (1xx) have come, and no final one";
    assert!(rpc::chain(&error).to_string().ends_with(told), "{error}");
    let error =
        refused_by(&(hints.to_owned() + "HTTP/1.1 403 Forbidden\r\n\r\n"), WebSocketClient::new()).await;
    assert!(matches!(error, WebSocketError::Refused { status: 403, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_looks_at_the_answer() {
    let good = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: ACCEPT\r\n";
    for (answer, reason) in [
        (good.replace("ACCEPT", "AAAA"), "its Sec-WebSocket-Accept does not belong to our key"),
        (good.replace("Sec-WebSocket-Accept", "X"), "its Sec-WebSocket-Accept does not belong to our key"),
        (good.replace("WebSocket\r\n", "h2c\r\n"), "it upgrades to something else"),
        (
            good.to_owned() + "Sec-WebSocket-Protocol: b\r\n",
            "it chose the sub-protocol `b`, which was not offered",
        ),
        (
            good.to_owned() + "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            "it wants the extension `permessage-deflate`, and none was offered",
        ),
        (
            "\0\x01\x02\x03".to_owned(),
            "this is no HTTP: invalid HTTP version: it began with `\\x00\\x01\\x02\\x03\\r\\n`, which looks like \
             binary data. Look whether the address, or the program, is the right one",
        ),
        (
            good.to_owned() + &format!("X: {}", "y".repeat(20_000)),
            "the headers have not ended within 16384 bytes",
        ),
    ] {
        let options = WebSocketClient::new().protocol("a").expect("a token");
        let error = refused_by(&(answer + "\r\n"), options).await;
        assert!(matches!(error, WebSocketError::Answer { .. }), "{error:?}");
        let expected = format!("the server's answer is none to a WebSocket handshake: {reason}");
        assert_eq!(rpc::chain(&error).to_string(), expected);
    }
}

#[tokio::test]
async fn the_error_of_connecting_names_the_place() {
    let server = listening("ws://127.0.0.1:0/v1", WebSocketServer::new(), Limits::server()).await;
    let place = format!("ws://{}", server.endpoint().socket_addr().expect("an address"));
    let error = rpc::connect(&format!("{place}/v2")).await.expect_err("nothing is there");
    assert!(matches!(error, ConnectError::WebSocket { .. }), "{error:?}");
    assert_eq!(
        rpc::chain(&error).to_string(),
        format!("cannot connect to {place}/…: the server answered 404: nothing is served at this path")
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_right_behind_a_handshake_is_not_lost() {
    // The server's first frame in one packet with its answer.
    let (here, there) = rpc::transport::memory(4096);
    let url: Endpoint = "ws://localhost/".parse().expect("a URL");
    let server = async move {
        let mut peer = WsPeer::over(there, false);
        let request = peer.head().await;
        let mut bytes = answer(header(&request, "sec-websocket-key").expect("a key"), "").into_bytes();
        bytes.extend(rpc_tests::websocket::frame(
            0x81,
            br#"{"jsonrpc":"2.0","id":7,"method":"echo","params":[]}"#,
            false,
        ));
        peer.write(bytes).await;
        peer
    };
    let options = WebSocketClient::new();
    let (connected, mut peer) = tokio::join!(WebSocket::connect(here, &url, &options), server);
    let connector = Connector::over_websocket(connected.expect("a handshake")).service(echo());
    let _session = connector.connect().await.expect("connected");
    peer.expect(r#"{"jsonrpc":"2.0","id":7,"result":[]}"#).await;

    // The client's first frame in one packet with its request.
    let (here, there) = rpc::transport::memory(4096);
    let mut peer = WsPeer::over(here, true);
    let mut bytes = request("localhost", "/", "").into_bytes();
    bytes.extend(rpc_tests::websocket::frame(
        0x81,
        br#"{"jsonrpc":"2.0","id":8,"method":"echo","params":[]}"#,
        true,
    ));
    peer.write(bytes).await;
    let accepted = WebSocket::accept(there, &WebSocketServer::new()).await.expect("a handshake");
    let connector = Connector::over_websocket(accepted).service(echo());
    let _session = connector.connect().await.expect("connected");
    peer.head().await;
    peer.expect(r#"{"jsonrpc":"2.0","id":8,"result":[]}"#).await;
}
