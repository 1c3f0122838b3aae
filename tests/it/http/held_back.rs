//! Peers that hold something back, and those that hold much: the others are served. In memory, with
//! time that stands still.

use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use http::StatusCode;
use http_body_util::{Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::{HttpOptions, HttpService, Limits, Server, ServerHandle};
use rpc_tests::{Gate, echo, settled, waiting};
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::{Duration, Instant, sleep},
};
use tower::ServiceExt;

use super::{
    http2::{DATA, END_HEADERS, END_STREAM, GREETING, HEADERS, HEADERS_FRAME, frame, streams},
    kit::{Answer, attach, message, mounted_with, post, posted, serving},
};

const WAIT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;
const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[7]}"#;

/// How a request begins that lacks nothing but its length and its body.
const HEAD: &str = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// A call on a connection of its own is answered, and at once.
async fn expect_served(server: &ServerHandle) {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(attach(server))).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    let start = Instant::now();
    let answer = Answer::read(sender.send_request(message(ECHO)).await.expect("a response")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["result"][0], 7);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A peer that has sent these bytes, and keeps its connection.
async fn peer_that_said(server: &ServerHandle, bytes: &[u8]) -> DuplexStream {
    let mut peer = attach(server);
    peer.write_all(bytes).await.expect("it reads");
    peer
}

/// The start of a connection of HTTP/2 with `count` requests, each a head and then `body`.
fn requests(count: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = GREETING.to_vec();
    for stream in streams().take(count) {
        bytes.extend(frame(HEADERS_FRAME, END_HEADERS, stream, HEADERS));
        if !body.is_empty() {
            bytes.extend(frame(DATA, 0, stream, body));
        }
    }
    bytes
}

type Http2<B> = hyper::client::conn::http2::SendRequest<B>;

async fn connect_http2<B>(server: &ServerHandle) -> Http2<B>
where
    B: hyper::body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    let io = TokioIo::new(attach(server));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    sender
}

/// Posts `body` in a task.
fn ask(sender: &Http2<Full<Bytes>>, body: impl Into<Bytes>) -> JoinHandle<Answer> {
    let mut sender = sender.clone();
    let request = posted().uri("http://localhost/").body(Full::new(body.into())).expect("a request");
    tokio::spawn(async move {
        sender.ready().await.expect("it is open");
        Answer::read(sender.send_request(request).await.expect("a response")).await
    })
}

#[tokio::test(start_paused = true)]
async fn many_connections_that_each_hold_something_back_hold_nobody_up() {
    let chunked = format!("{HEAD}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n");
    let declared = format!("{HEAD}content-length: 1000000\r\n\r\n");
    let upgrade = format!("{HEAD}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n");
    for held_back in [
        b"".to_vec(),
        b"POST / HT".to_vec(),
        HEAD.as_bytes().to_vec(),
        upgrade.into_bytes(),
        chunked.into_bytes(),
        format!("{declared}{{").into_bytes(),
        declared.into_bytes(),
        GREETING[..20].to_vec(),
        GREETING.to_vec(),
        [GREETING, &frame(HEADERS_FRAME, 0, 1, HEADERS)].concat(),
        requests(20, b""),
        requests(20, b"{"),
        requests(20, &[b' '; 1000]),
    ] {
        let server = serving(echo(), |_| ());
        let mut peers = Vec::new();
        for _ in 0..50 {
            peers.push(peer_that_said(&server, &held_back).await);
        }
        settled().await;
        expect_served(&server).await;
        drop(peers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_delayed_for_its_cost_holds_nobody_up() {
    let server = serving(echo(), |limits| {
        limits.connections = 20;
        limits.cost_of_unreadable = 1_000.0;
        limits.cost_soft = 0.0;
        limits.cost_hard = 100_000.0;
        limits.cost_delay = Duration::from_secs(1000);
    });
    let sender = connect_http2(&server).await;
    ask(&sender, "what?").await.expect("no panic");
    let start = Instant::now();
    let delayed: Vec<_> = (0..20).map(|_| ask(&sender, ECHO)).collect();
    settled().await;
    expect_served(&server).await;
    for call in delayed {
        assert_eq!(call.await.expect("no panic").json()["result"][0], 7);
    }
    assert!(start.elapsed() > Duration::from_secs(5), "they were delayed");
}

#[tokio::test(start_paused = true)]
async fn no_connection_takes_all_permits_of_a_server() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |limits| limits.connections = 20);
    let sender = connect_http2(&server).await;
    let calls: FuturesUnordered<_> = (0..20).map(|_| ask(&sender, WAIT)).collect();
    settled().await;
    // One of its own, and half of those that are there for all.
    assert_eq!(gate.waiting(), 11);
    expect_served(&server).await;
    // Nor do all others together.
    let mut others = Vec::new();
    for _ in 0..15 {
        let sender = connect_http2(&server).await;
        others.extend((0..20).map(|_| ask(&sender, WAIT)));
    }
    settled().await;
    expect_served(&server).await;
    gate.open();
    let answers: Vec<Answer> = calls.map(|answer| answer.expect("no panic")).collect().await;
    let (answered, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!((answered.len(), refused.len()), (11, 9));
    let told = "over one connection: it has 11, and may have no more than are left for others, 10 of the 20 that the \
                server may work on (`Limits::connections`)";
    refused[0].expect_refusal(StatusCode::SERVICE_UNAVAILABLE, -102, told);
    for call in others {
        call.await.expect("no panic");
    }
    // All are free again.
    let calls: Vec<_> = (0..11).map(|_| ask(&sender, WAIT)).collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic").status, StatusCode::OK);
    }
}

/// A body of which these bytes come, and no more.
fn unfinished(
    bytes: usize,
) -> impl hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static {
    let piece = hyper::body::Frame::data(Bytes::from(vec![b' '; bytes]));
    StreamBody::new(futures::stream::iter([Ok(piece)]).chain(futures::stream::pending()))
}

#[tokio::test(start_paused = true)]
async fn in_a_mounted_service_a_body_holds_nobody_up_either() {
    let mut limits = Limits::server();
    limits.connections = 20;
    let service: HttpService = mounted_with(echo(), limits);
    for _ in 0..50 {
        let request = posted().body(unfinished(1)).expect("a request");
        tokio::spawn(service.clone().oneshot(request));
    }
    settled().await;
    assert_eq!(post(&service, ECHO).await.json()["result"][0], 7);
}

/// The start of a request over HTTP/1.1 of which all but the last of `bytes` have come.
fn all_but_the_last(bytes: usize) -> Vec<u8> {
    let head = format!("{HEAD}content-length: {bytes}\r\n\r\n");
    [head.as_bytes(), &vec![b' '; bytes - 1]].concat()
}

#[tokio::test(start_paused = true)]
async fn bodies_that_arrive_are_bounded_together_and_small_ones_get_through() {
    let server = serving(echo(), |limits| (limits.frame_size, limits.body_bytes) = (500_000, 1_000_000));
    let mut peers = Vec::new();
    for size in [500_000; 50].into_iter().chain([15_000; 100]) {
        peers.push(peer_that_said(&server, &all_but_the_last(size)).await);
    }
    settled().await;
    // Half of all is more than one may have now.
    let mut refused = peer_that_said(&server, &all_but_the_last(400_000)).await;
    let said = read_response(&mut refused).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(said.contains("1000000 bytes together (`body_bytes`)"), "{said}");
    // A small one comes in pieces, and is served.
    let body = format!("{ECHO}{}", " ".repeat(10_000));
    let mut small =
        peer_that_said(&server, format!("{HEAD}content-length: {}\r\n\r\n", body.len()).as_bytes()).await;
    for piece in body.as_bytes().chunks(1_000) {
        small.write_all(piece).await.expect("it reads");
        settled().await;
    }
    let said = read_response(&mut small).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    expect_served(&server).await;
    // And not for ever: the others have had their time.
    sleep(Duration::from_secs(31)).await;
    let mut late = peer_that_said(&server, &all_but_the_last(400_000)).await;
    settled().await;
    late.write_all(b" ").await.expect("it reads");
    let said = read_response(&mut late).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_a_body_declares_to_have_takes_no_room() {
    let server = serving(echo(), |limits| (limits.frame_size, limits.body_bytes) = (500_000, 1_000_000));
    let declared = format!("{HEAD}content-length: 500000\r\n\r\n{{");
    let mut peers = Vec::new();
    for _ in 0..50 {
        peers.push(peer_that_said(&server, declared.as_bytes()).await);
    }
    settled().await;
    let mut large = peer_that_said(&server, &all_but_the_last(400_000)).await;
    settled().await;
    large.write_all(b" ").await.expect("it reads");
    let said = read_response(&mut large).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn the_largest_body_has_room_however_little_there_is_for_all() {
    for body_bytes in [0, 1, 2_000_000] {
        let server =
            serving(echo(), |limits| (limits.frame_size, limits.body_bytes) = (3_000_000, body_bytes));
        let mut large = peer_that_said(&server, &all_but_the_last(3_000_000)).await;
        settled().await;
        large.write_all(b" ").await.expect("it reads");
        let said = read_response(&mut large).await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
}

/// What comes until nothing does without time passing.
async fn read_response(peer: &mut DuplexStream) -> String {
    use tokio::io::AsyncReadExt;
    let mut said = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(1), peer.read(&mut said)).await.expect("an answer");
    said.truncate(read.expect("it is there"));
    String::from_utf8(said).expect("text")
}

#[tokio::test(start_paused = true)]
async fn large_bodies_of_one_connection_are_read_in_turn_and_all_of_them_are() {
    let server = serving(echo(), |_| ());
    let sender = connect_http2(&server).await;
    // Together five times what the requests of one connection may have.
    let text = "x".repeat(990_000);
    let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{text}"]}}"#));
    let start = Instant::now();
    let calls: Vec<_> = (0..20).map(|_| ask(&sender, body.clone())).collect();
    for call in calls {
        let answer = call.await.expect("no panic");
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_connection_that_wait_for_bytes_hold_up_only_those_behind_them() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |limits| {
        limits.frame_size = 10_000;
        limits.request_bytes = 25_000;
    });
    let sender = connect_http2(&server).await;
    let large = format!("{WAIT}{}", " ".repeat(9_900));
    let calls: Vec<_> = (0..5).map(|_| ask(&sender, large.clone())).collect();
    settled().await;
    assert_eq!(gate.waiting(), 2, "two of them fit");
    expect_served(&server).await;
    gate.let_through(1);
    settled().await;
    assert_eq!((gate.passed(), gate.waiting()), (1, 2));
    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic").status, StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_never_come_are_given_up_in_turn() {
    let server = serving(echo(), |limits| limits.request_bytes = limits.frame_size);
    let mut peer = attach(&server);
    // The first holds all that the connection may have. The second is small, whole, and behind it.
    let mut bytes = requests(1, b"{");
    bytes.extend(frame(HEADERS_FRAME, END_HEADERS, 3, HEADERS));
    bytes.extend(frame(DATA, END_STREAM, 3, ECHO.as_bytes()));
    peer.write_all(&bytes).await.expect("it reads");
    let mut said = Vec::new();
    let start = Instant::now();
    while !String::from_utf8_lossy(&said).contains("[7]") {
        use tokio::io::AsyncReadExt;
        assert!(peer.read_buf(&mut said).await.expect("it is there") > 0, "it is closed");
    }
    assert_eq!(start.elapsed(), Duration::from_secs(30), "`frame_timeout`");
}

#[tokio::test]
async fn a_connection_that_is_attached_is_bounded_like_one_that_came() {
    // `serving` attaches. This one comes over a socket.
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.connections = 20;
    let server = Server::builder().service(waiting(&gate)).limits(limits).bind("http://127.0.0.1:0").await;
    let server = server.expect("a port").start();
    let addr = server.endpoint().socket_addr().expect("an address");
    let io = TokioIo::new(tokio::net::TcpStream::connect(addr).await.expect("it listens"));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    tokio::spawn(connection);
    let _calls: Vec<_> = (0..20).map(|_| ask(&sender, WAIT)).collect();
    rpc_tests::soon(gate.until(|gate| gate.waiting() == 11)).await;
    // One that is attached shares with it.
    let (peer, io) = rpc::transport::memory(64 << 10);
    server.attach_http(io, &HttpOptions::new());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(peer)).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    let answer = rpc_tests::soon(sender.send_request(message(ECHO))).await.expect("a response");
    assert_eq!(Answer::read(answer).await.json()["result"][0], 7);
}
