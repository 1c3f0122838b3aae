//! Peers that do not take their answers, and are busy otherwise: in memory, with time that stands
//! still.

use rpc::{Context, ErrorObject, HttpOptions, Params, Router, ServerHandle};
use rpc_tests::{Hoard, settled, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    task::JoinHandle,
    time::{Duration, Instant, sleep},
};

use super::{
    http2::{
        CANCEL, DATA, END_HEADERS, END_STREAM, GREETING, HEADERS, HEADERS_FRAME, PING, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, frame,
    },
    kit::{attach, serving},
};

/// `send_timeout`, in seconds.
const LIMIT: u64 = 7;

/// A server with a small answer and a large one.
fn server() -> ServerHandle {
    let router = Router::new()
        .method("big", async |_: Params, _: Context| Ok::<_, ErrorObject>("z".repeat(3_000_000)))
        .method("small", async |_: Params, _: Context| Ok::<_, ErrorObject>("z"));
    serving(router, |limits| {
        limits.send_timeout = Some(Duration::from_secs(LIMIT));
        limits.handshake_timeout = Some(Duration::from_secs(3));
    })
}

/// A peer of HTTP/2 that reads all frames, and opens windows as it likes.
struct Peer {
    write: WriteHalf<DuplexStream>,
    /// How many bytes of answers it had when the server closed.
    reading: JoinHandle<(usize, Instant)>,
    next_stream: u32,
}

impl Peer {
    /// With so large windows for each stream.
    async fn of(server: &ServerHandle, window: u32) -> Self {
        let (read, mut write) = tokio::io::split(attach(server));
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        write.write_all(&GREETING[..24]).await.expect("it reads");
        write.write_all(&frame(SETTINGS, 0, 0, &settings)).await.expect("it reads");
        Self { write, reading: tokio::spawn(data_until_closed(read)), next_stream: 1 }
    }

    async fn send(&mut self, frame: Vec<u8>) {
        // It may have closed already.
        let _is_open = self.write.write_all(&frame).await;
    }

    /// Calls `method`, and gives the stream.
    async fn call(&mut self, method: &str) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        self.send(frame(HEADERS_FRAME, END_HEADERS, stream, HEADERS)).await;
        self.send(frame(DATA, END_STREAM, stream, call.as_bytes())).await;
        stream
    }

    async fn open(&mut self, stream: u32, window: u32) {
        self.send(frame(WINDOW_UPDATE, 0, stream, &window.to_be_bytes())).await;
    }

    /// The server closes when the limit is over after `since`.
    async fn expect_closed(self, since: Instant, busy: impl std::fmt::Debug) {
        let (_, at) = soon(self.reading).await.expect("no panic");
        assert_eq!((at - since).as_secs_f64().round() as u64, LIMIT, "{busy:?}");
    }
}

/// How much data comes, and when it ends.
async fn data_until_closed(mut read: ReadHalf<DuplexStream>) -> (usize, Instant) {
    let mut data = 0;
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        if read.read_exact(&mut payload).await.is_err() {
            break;
        }
        if head[3] == DATA {
            data += length;
        }
    }
    (data, Instant::now())
}

/// What a peer does every second.
#[derive(Debug, Clone, Copy)]
enum Busy {
    Pings,
    Settles,
    /// Takes its own windows back, and gives them again.
    Wavers,
    OpensTheConnection,
    OpensOtherStreams,
    Calls,
}

impl Busy {
    async fn act(self, peer: &mut Peer) {
        let settings = |window: u32| [&[0, 4][..], &window.to_be_bytes()].concat();
        match self {
            Self::Pings => peer.send(frame(PING, 0, 0, &[0; 8])).await,
            Self::Settles => peer.send(frame(SETTINGS, 0, 0, &[])).await,
            Self::Wavers => {
                peer.send(frame(SETTINGS, 0, 0, &settings(0))).await;
                peer.send(frame(SETTINGS, 0, 0, &settings(1024))).await;
            }
            Self::OpensTheConnection => peer.open(0, 1).await,
            Self::OpensOtherStreams => {
                let stream = peer.call("big").await;
                peer.open(stream, 100_000).await;
                peer.open(0, 100_000).await;
            }
            Self::Calls => _ = peer.call("small").await,
        }
    }
}

/// A peer that has asked for much, with a window of so many bytes for each stream, and is busy since.
async fn is_ended(busy: Busy, window: u32) {
    let server = server();
    let mut peer = Peer::of(&server, window).await;
    peer.call("big").await;
    settled().await;
    let since = Instant::now();
    for _ in 0..12 {
        busy.act(&mut peer).await;
        sleep(Duration::from_secs(1)).await;
    }
    peer.expect_closed(since, busy).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_window_stays_shut_ends_the_connection_whatever_else_comes() {
    for busy in [
        Busy::Pings,
        Busy::Settles,
        Busy::Wavers,
        Busy::OpensTheConnection,
        Busy::OpensOtherStreams,
        Busy::Calls,
    ] {
        is_ended(busy, 1_024).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_window_stays_shut_is_ended_whatever_else_comes() {
    for busy in [Busy::Pings, Busy::Settles, Busy::Calls] {
        is_ended(busy, 10_000_000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_which_not_one_byte_is_taken_ends_the_connection() {
    let server = server();
    let mut peer = Peer::of(&server, 0).await;
    peer.call("small").await;
    settled().await;
    peer.expect_closed(Instant::now(), ()).await;
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_is_progress() {
    let server = server();
    let mut peer = Peer::of(&server, 1024).await;
    let stream = peer.call("big").await;
    for _ in 0..10 {
        sleep(Duration::from_secs(LIMIT - 1)).await;
        peer.open(stream, 1).await;
    }
    settled().await;
    peer.expect_closed(Instant::now(), ()).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_for_its_turn_is_not_held_back() {
    let server = server();
    let mut peer = Peer::of(&server, 10_000_000).await;
    for _ in 0..20 {
        peer.call("big").await;
    }
    // Less than a frame for each of them in the time of the limit.
    for _ in 0..50 {
        sleep(Duration::from_secs(1)).await;
        peer.open(0, 16_384).await;
    }
    settled().await;
    peer.expect_closed(Instant::now(), ()).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_on_where_no_answer_is_held_back() {
    let server = server();
    let mut peer = Peer::of(&server, 0).await;
    // The window is open before there is an answer; and of a large one, it is shut and the stream taken back.
    let taken = peer.call("small").await;
    peer.open(taken, 1000).await;
    let taken_back = peer.call("big").await;
    settled().await;
    peer.send(frame(RST_STREAM, 0, taken_back, &CANCEL)).await;
    sleep(Duration::from_secs(500)).await;
    assert!(!peer.reading.is_finished());
    let late = peer.call("small").await;
    peer.open(late, 1000).await;
    settled().await;
    peer.write.shutdown().await.expect("it is there");
    let (data, _) = soon(peer.reading).await.expect("no panic");
    assert_eq!(data, 2 * r#"{"jsonrpc":"2.0","id":1,"result":"z"}"#.len());
}

#[tokio::test(start_paused = true)]
async fn headers_that_drip_in_are_given_up_on_a_connection_of_http_2_too() {
    let server = server();
    let mut peer = Peer::of(&server, 1000).await;
    peer.call("small").await;
    sleep(Duration::from_secs(100)).await;
    let since = Instant::now();
    peer.send(frame(HEADERS_FRAME, 0, 3, HEADERS)).await;
    for _ in 0..5 {
        sleep(Duration::from_secs(1)).await;
        peer.send(frame(super::http2::CONTINUATION, 0, 3, b"\0\x01x\x01y")).await;
    }
    let (_, at) = soon(peer.reading).await.expect("no panic");
    assert_eq!((at - since).as_secs(), 3, "`handshake_timeout`");
}

/// A call over HTTP/1.1.
fn request(method: &str) -> String {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_http_1_that_goes_on_asking_is_given_up_as_well() {
    let server = server();
    let mut peer = attach(&server);
    peer.write_all(request("big").as_bytes()).await.expect("it reads");
    settled().await;
    let since = Instant::now();
    while peer.write_all(request("small").as_bytes()).await.is_ok() {
        assert!(since.elapsed() < Duration::from_secs(60), "it is there for ever");
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(since.elapsed().as_secs(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_takes_and_keeps_has_not_left() {
    let asks = request("small").into_bytes();
    let pings = frame(PING, 0, 0, &[0; 8]);
    for (begin, goes_on) in [(&b""[..], asks), (GREETING, pings)] {
        let server = server();
        let (mut peer, io) = tokio::io::duplex(50);
        server.attach_http(Hoard::new(io), &HttpOptions::new());
        peer.write_all(begin).await.expect("it reads");
        let since = Instant::now();
        while peer.write_all(&goes_on).await.is_ok() {
            assert!(since.elapsed() < Duration::from_secs(60), "it is there for ever");
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(since.elapsed().as_secs(), LIMIT);
    }
}
