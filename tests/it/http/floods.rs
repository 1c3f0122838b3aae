//! Frames of HTTP/2 that cost their sender nothing: in memory, with time that stands still.

use rpc::ServerHandle;
use rpc_tests::{CalcServer, Gate, MyCalc, waiting};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, Instant},
};

use super::{
    http2::{
        CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, GREETING, HEADERS,
        HEADERS_FRAME, PING, RST_STREAM, SETTINGS, frame, streams,
    },
    kit::{attach, serving},
};

/// The last payload of `kind` among frames.
fn last_of(kind: u8, mut bytes: &[u8]) -> Option<&[u8]> {
    let mut last = None;
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let (payload, rest) = rest.split_at_checked(length)?;
        if head[3] == kind {
            last = Some(payload);
        }
        bytes = rest;
    }
    last
}

/// Sends the greeting and then each of `frames`, and reads along, until the server takes no more or there are none left. What it has said,
/// and how many frames it took.
async fn flood(server: &ServerHandle, frames: impl Iterator<Item = Vec<u8>>) -> (Vec<u8>, usize) {
    let (mut read, mut write) = tokio::io::split(attach(server));
    let sending = async {
        write.write_all(GREETING).await.expect("it reads");
        let mut sent = 0;
        for frame in frames {
            if write.write_all(&frame).await.is_err() {
                break;
            }
            sent += 1;
        }
        write.shutdown().await.expect("no more comes");
        sent
    };
    let mut said = Vec::new();
    let (sent, read) = tokio::join!(sending, read.read_to_end(&mut said));
    read.expect("it is closed");
    (said, sent)
}

/// More than fit between the peer and the server.
const MANY: usize = 10_000;

/// That the server has given the peer up for being a nuisance.
async fn expect_calm(server: &ServerHandle, frames: impl Iterator<Item = Vec<u8>>) {
    let (said, sent) = flood(server, frames.take(MANY)).await;
    let goodbye = last_of(GOAWAY, &said).expect("it says why");
    assert_eq!(goodbye[4..8], ENHANCE_YOUR_CALM);
    assert!(sent < MANY, "it took all of them");
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    let frames = streams().map(|stream| {
        [frame(HEADERS_FRAME, END_HEADERS, stream, HEADERS), frame(RST_STREAM, 0, stream, &CANCEL)].concat()
    });
    expect_calm(&server, frames).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_goes_on_without_end_ends_the_connection() {
    let server = serving(CalcServer::new(MyCalc), |_| ());
    for more in [&b""[..], b"\0\x01x\x01y", &[b"\0\x01x\x7f\x80\x07" as &[u8], &[b'y'; 1023]].concat()] {
        let begin = frame(HEADERS_FRAME, 0, 1, HEADERS);
        let frames = std::iter::once(begin).chain(std::iter::repeat_with(|| frame(CONTINUATION, 0, 1, more)));
        expect_calm(&server, frames).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_taken_back_at_once_are_not_worked_on() {
    let gate = Gate::closed();
    let server = serving(waiting(&gate), |_| ());
    let frames = streams().map(|stream| {
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#;
        [
            frame(HEADERS_FRAME, END_HEADERS, stream, HEADERS),
            frame(DATA, END_STREAM, stream, call),
            frame(RST_STREAM, 0, stream, &CANCEL),
        ]
        .concat()
    });
    expect_calm(&server, frames).await;
    gate.until(|gate| gate.waiting() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_and_does_not_read_the_answers_is_not_read_either_and_given_up() {
    let server =
        serving(CalcServer::new(MyCalc), |limits| limits.send_timeout = Some(Duration::from_secs(7)));
    for asking in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut peer = attach(&server);
        peer.write_all(GREETING).await.expect("it reads");
        let mut taken = 0;
        let mut moved = Instant::now();
        while peer.write_all(&asking).await.is_ok() {
            taken += asking.len();
            moved = Instant::now();
            assert!(taken < 1 << 20, "it is read for ever");
        }
        assert_eq!(moved.elapsed().as_secs(), 7);
    }
}
