//! How long a connection may do what, and how it ends: in memory, with time that stands still.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::{Endpoint, GroupKey, Groups, Limits, Server, ServerHandle};
use rpc_tests::{CalcServer, Events, Gate, MyCalc, echo, settled, waiting};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::Instant,
};
use tracing::Level;

use super::kit::{Answer, attach, message, posted, serving};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const WAIT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn connect(server: &ServerHandle) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let io = TokioIo::new(attach(server));
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP is spoken");
    (sender, tokio::spawn(connection))
}

async fn connect_http2(
    server: &ServerHandle,
) -> (hyper::client::conn::http2::SendRequest<Full<Bytes>>, JoinHandle<hyper::Result<()>>) {
    let io = TokioIo::new(attach(server));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2 is spoken");
    (sender, tokio::spawn(connection))
}

async fn post(sender: &mut Sender, body: &'static str) -> Answer {
    sender.ready().await.expect("the connection is kept");
    Answer::read(sender.send_request(message(body)).await.expect("a response")).await
}

/// How long it takes until the server closes.
async fn closes(peer: &mut DuplexStream) -> Duration {
    let start = Instant::now();
    let mut read = Vec::new();
    peer.read_to_end(&mut read).await.expect("it is closed");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_says_nothing_is_given_up() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    assert_eq!(closes(&mut attach(&server)).await, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_in_is_given_up() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    for before in ["", "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut peer = attach(&server);
        peer.write_all(before.as_bytes()).await.expect("it reads");
        settled().await;
        if !before.is_empty() {
            // The answer, and a pause that is fine.
            let mut answer = [0; 4096];
            assert!(peer.read(&mut answer).await.expect("an answer") > 0);
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        let start = Instant::now();
        for byte in "POST / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyy".bytes() {
            if peer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let took = start.elapsed().as_secs();
        assert!((9..=11).contains(&took), "{took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_idle_for_so_long_between_requests() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    let (mut sender, connection) = connect(&server).await;
    for _ in 0..3 {
        post(&mut sender, PING).await;
        tokio::time::sleep(Duration::from_secs(599)).await;
        assert!(!connection.is_finished());
    }
    post(&mut sender, PING).await;
    let start = Instant::now();
    let _ended = connection.await.expect("no panic");
    assert_eq!(start.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_of_http_2_ends_too() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    let (mut sender, connection) = connect_http2(&server).await;
    let request = posted().uri("http://localhost/").body(PING.into()).expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    assert_eq!(Answer::read(response).await.json()["result"], "pong");
    let start = Instant::now();
    let _ended = connection.await.expect("no panic");
    assert_eq!(start.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_longer_than_a_connection_may_be_idle() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |limits| {
        limits.idle_timeout = Some(Duration::from_secs(5));
        limits.request_timeout = None;
    });
    let (mut sender, _connection) = connect(&server).await;
    let call = tokio::spawn(async move { post(&mut sender, WAIT).await });
    gate.until(|gate| gate.waiting() == 1).await;
    tokio::time::sleep(Duration::from_secs(1000)).await;
    gate.open();
    assert_eq!(call.await.expect("no panic").json()["result"][0], 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_the_answer_is_given_up() {
    let server = serving(echo(), |_| ());
    let mut peer = attach(&server);
    let text = "x".repeat(500_000);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{text}"]}}"#);
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    peer.write_all(request.as_bytes()).await.expect("it reads");
    tokio::time::sleep(Duration::from_secs(19)).await;
    // Writing fails only once the other side has gone.
    peer.write_all(b"\r\n").await.expect("it is there");
    tokio::time::sleep(Duration::from_secs(2)).await;
    peer.write_all(b"\r\n").await.expect_err("it has given up");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_never_hold_a_shutdown_up() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    let mut silent = attach(&server);
    let mut half = attach(&server);
    half.write_all(b"POST / HT").await.expect("it reads");
    let (mut sender, connection) = connect(&server).await;
    post(&mut sender, PING).await;
    let (mut sender2, connection2) = connect_http2(&server).await;
    let request = posted().uri("http://localhost/").body(PING.into()).expect("a request");
    Answer::read(sender2.send_request(request).await.expect("a response")).await;
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    connection.await.expect("no panic").expect("it was closed in good order");
    connection2.await.expect("no panic").expect("it was closed in good order");
    assert_eq!(closes(&mut silent).await, Duration::ZERO);
    assert_eq!(closes(&mut half).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_idle_peer_of_http_2_that_does_not_answer_holds_a_shutdown_up_for_a_second() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    let mut deaf = attach(&server);
    deaf.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("it reads");
    // A request that is refused: then it is known that HTTP/2 is spoken.
    deaf.write_all(b"\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86").await.expect("it reads");
    settled().await;
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_at_hand_is_finished_before_the_server_stops() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |_| ());
    let (mut sender, connection) = connect(&server).await;
    let call = tokio::spawn(async move { post(&mut sender, WAIT).await });
    gate.until(|gate| gate.waiting() == 1).await;
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown().await }
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!stopping.is_finished());
    gate.open();
    let answer = call.await.expect("no panic");
    assert_eq!(answer.json()["result"][0], 1);
    assert_eq!(answer.headers["connection"], "close");
    stopping.await.expect("no panic");
    connection.await.expect("no panic").expect("it was closed in good order");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_finish_is_dropped_at_the_deadline() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |limits| {
        limits.close_timeout = Some(Duration::from_secs(3));
        limits.request_timeout = None;
    });
    let (mut sender, _connection) = connect(&server).await;
    let call = tokio::spawn(async move { sender.send_request(message(WAIT)).await });
    let (mut sender2, _connection2) = connect_http2(&server).await;
    let request = posted().uri("http://localhost/").body(WAIT.into()).expect("a request");
    let call2 = tokio::spawn(async move { sender2.send_request(request).await });
    gate.until(|gate| gate.waiting() == 2).await;
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    settled().await;
    assert_eq!(gate.dropped(), 2);
    call.await.expect("no panic").expect_err("no response");
    call2.await.expect("no panic").expect_err("no response");
}

#[tokio::test(start_paused = true)]
async fn patience_may_be_shorter_than_the_limits() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |_| ());
    let (mut sender, _connection) = connect(&server).await;
    tokio::spawn(async move { sender.send_request(message(WAIT)).await });
    gate.until(|gate| gate.waiting() == 1).await;
    let start = Instant::now();
    server.shutdown_within(Duration::from_secs(2)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    settled().await;
    assert_eq!(gate.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_cost_much_is_slowed_down_and_who_has_cost_too_much_sent_away() {
    let server = serving(CalcServer::new(MyCalc), |limits| *limits = Limits::public());
    let (mut sender, connection) = connect(&server).await;
    let events = Events::capture();
    // 1,000 each; the soft limit is 2,000, the hard one 10,000.
    for _ in 0..6 {
        post(&mut sender, "what?").await;
    }
    let start = Instant::now();
    post(&mut sender, "what?").await;
    let delay = start.elapsed().as_secs_f64();
    assert!((0.9..1.1).contains(&delay), "half way between the limits, half of 2 s: {delay} s");
    let warned = || events.all().into_iter().filter(|event| event.level == Level::WARN).collect::<Vec<_>>();
    let [event] = &warned()[..] else { panic!("{:?}", events.all()) };
    assert!(event.message.contains("`Limits::cost_soft`"), "{event:?}");
    // Two are over it by their bytes.
    let cost: f64 = event.field("cost").parse().expect("a number");
    assert!((2_000.0..2_001.0).contains(&cost), "{cost}");
    // A little is forgiven meanwhile: it takes eleven to come to 10,000.
    for _ in 0..3 {
        post(&mut sender, "what?").await;
    }
    assert!(!connection.is_finished());
    assert_eq!(warned().len(), 1, "it is said once a connection");
    post(&mut sender, "what?").await;
    let start = Instant::now();
    connection.await.expect("no panic").expect("it was closed in good order");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_belongs_to_those_who_have_cost_too_much_is_told_so() {
    let groups = Groups::by(|_: &Endpoint| Some(GroupKey::name("all")));
    let server =
        Server::builder().service(CalcServer::new(MyCalc)).limits(Limits::public()).groups(groups).build();
    let server = server.expect("one service").start();
    let (mut one, _one) = connect(&server).await;
    let (mut other, other_connection) = connect(&server).await;
    post(&mut other, PING).await;
    for _ in 0..11 {
        post(&mut one, "what?").await;
    }
    let refused = post(&mut other, PING).await;
    refused.expect_refusal(StatusCode::TOO_MANY_REQUESTS, -101, "excessive resource usage");
    let start = Instant::now();
    other_connection.await.expect("no panic").expect("it was closed in good order");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_requests_of_a_connection_are_worked_on_at_once() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |limits| limits.requests_in_flight = 2);
    let (sender, _connection) = connect_http2(&server).await;
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                sender.ready().await.expect("it is open");
                let request = posted().uri("http://localhost/").body(WAIT.into()).expect("a request");
                Answer::read(sender.send_request(request).await.expect("a response")).await
            })
        })
        .collect();
    settled().await;
    assert_eq!(gate.waiting(), 2);
    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic").json()["result"][0], 1);
    }
}
