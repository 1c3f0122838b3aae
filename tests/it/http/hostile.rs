//! Peers that want to hurt, byte by byte: in memory, with time that stands still.

use http::StatusCode;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::ServerHandle;
use rpc_tests::{CalcServer, Gate, MyCalc, waiting};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, Instant, sleep},
};

use super::kit::{Answer, attach, posted, serving};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":"pong"}"#;

/// How a request begins that lacks nothing but its length and its body.
const HEAD: &str = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// Sends `begin`, and then `more` every millisecond until the server takes no more. How long that is, and what it has said.
async fn sends_without_end(server: &ServerHandle, begin: &str, more: &str) -> (Duration, String) {
    let (mut read, mut write) = tokio::io::split(attach(server));
    let start = Instant::now();
    let sending = async {
        write.write_all(begin.as_bytes()).await.expect("it reads");
        while write.write_all(more.as_bytes()).await.is_ok() {
            assert!(start.elapsed() < Duration::from_secs(60), "it is read for ever");
            sleep(Duration::from_millis(1)).await;
        }
    };
    let mut said = Vec::new();
    let ((), read) = tokio::join!(sending, read.read_to_end(&mut said));
    read.expect("it is closed");
    (start.elapsed(), String::from_utf8(said).expect("text"))
}

/// What the server says to these bytes before it closes.
async fn said_to(server: &ServerHandle, bytes: &str) -> String {
    let mut peer = attach(server);
    peer.write_all(bytes.as_bytes()).await.expect("it reads");
    let mut said = Vec::new();
    peer.read_to_end(&mut said).await.expect("it is closed");
    String::from_utf8(said).expect("text")
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_refused() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    for begin in ["", "GET /", HEAD, &format!("{HEAD}x: ")] {
        for more in ["yyyyyyyyyyyyyyyy".repeat(10), "x: yyyyyyyyyyyy\r\n".repeat(10)] {
            let (took, said) = sends_without_end(&server, begin, &more).await;
            // Long before the time is over that a head may take: for its size.
            assert!(took < Duration::from_secs(1), "{took:?}: {begin}{more}");
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
        }
    }
    let many = format!("{HEAD}{}\r\n", "x: y\r\n".repeat(1000));
    assert!(said_to(&server, &many).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test(start_paused = true)]
async fn a_large_head_of_http_2_is_refused_and_the_connection_goes_on() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    let io = TokioIo::new(attach(&server));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    let request = || posted().uri("http://localhost/");
    let large = request().header("x", "y".repeat(100_000)).body(Full::<bytes::Bytes>::from(PING));
    let refused = sender.send_request(large.expect("a request")).await.expect("a response");
    assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let response = sender.send_request(request().body(PING.into()).expect("a request")).await;
    assert_eq!(Answer::read(response.expect("a response")).await.json()["result"], "pong");
}

#[tokio::test(start_paused = true)]
async fn lengths_that_make_no_sense_are_refused_and_what_follows_is_no_request() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |_| ());
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;
    for (headers, body, status) in [
        ("content-length: -1", call, "400"),
        ("content-length: +54", call, "400"),
        ("content-length: ten", call, "400"),
        ("content-length: ", call, "400"),
        ("content-length: 54, 2", call, "400"),
        ("content-length: 54\r\ncontent-length: 2", call, "400"),
        ("content-length: 18446744073709551616", call, "400"),
        ("content-length: 9223372036854775807", call, "413"),
        ("content-length: 2147483647", call, "413"),
        ("transfer-encoding: gzip", call, "400"),
        ("transfer-encoding: chunked, gzip", call, "400"),
        // The chunks hold, and the connection is closed (RFC 9112, section 6.3): nobody behind it sees two requests in one.
        ("content-length: 2\r\ntransfer-encoding: chunked", "0\r\n\r\n", "200"),
        ("transfer-encoding: chunked", "xyz\r\n{}\r\n0\r\n\r\n", "400"),
        ("transfer-encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n", "400"),
        ("transfer-encoding: chunked", "10000000000000002\r\n{}\r\n0\r\n\r\n", "400"),
        ("transfer-encoding: chunked", "2\r\n{}{}\r\n0\r\n\r\n", "400"),
    ] {
        // Were it one, it would wait for ever.
        let follows = format!("{HEAD}content-length: {}\r\n\r\n{call}", call.len());
        let said = said_to(&server, &format!("{HEAD}{headers}\r\n\r\n{body}{follows}")).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{headers:?}, {body:?}: {said}");
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "{headers:?}, {body:?}: {said}");
        assert_eq!((gate.waiting(), gate.dropped()), (0, 0), "{headers:?}, {body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_length_has_no_body() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    let said = said_to(&server, &format!("{HEAD}connection: close\r\n\r\n{PING}")).await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains(r#""code":-32700"#), "{said}");
    assert!(!said.contains(PONG));
}

#[tokio::test(start_paused = true)]
async fn chunks_without_end_are_refused_at_the_limit() {
    let server = serving(CalcServer::new(MyCalc), |limits| limits.frame_size = 10_000);
    let begin = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
    let comment = "y".repeat(35);
    for more in ["10\r\n                \r\n", "1\r\n \r\n", &format!("1;x={comment}\r\n \r\n")] {
        let (took, said) = sends_without_end(&server, &begin, &more.repeat(100)).await;
        assert!(said.starts_with("HTTP/1.1 4"), "{said}");
        assert!(took < Duration::from_secs(5), "{took:?}: {more}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_http_2_that_is_given_up_has_its_handler_dropped() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |limits| limits.request_timeout = None);
    let io = TokioIo::new(attach(&server));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    let calls = [1, 2].map(|_| {
        let mut sender = sender.clone();
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;
        let request =
            posted().uri("http://localhost/").body(Full::<bytes::Bytes>::from(call)).expect("a request");
        tokio::spawn(
            async move { Answer::read(sender.send_request(request).await.expect("a response")).await },
        )
    });
    gate.until(|gate| gate.waiting() == 2).await;
    let [given_up, kept] = calls;
    given_up.abort();
    gate.until(|gate| gate.dropped() == 1).await;
    gate.open();
    assert_eq!(kept.await.expect("no panic").json()["result"][0], 1, "the other one does not notice");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_http_is_not_answered_in_it_or_as_a_mistake() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    for bytes in [
        // TLS, a session, SSH, half the greeting of HTTP/2.
        "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "\0\0\0\0",
    ] {
        let said = said_to(&server, bytes).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{bytes:?}: {said}");
    }
}
