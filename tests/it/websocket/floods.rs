//! Peers that send without end: fragments, headers, pings.

use std::time::Duration;

use rpc::{CloseReason, Limits, framing::FrameError, transport::websocket::WebSocketServer};
use rpc_tests::{
    echo, settled, soon,
    websocket::{PING, PONG, TEXT, WsPeer, frame},
};
use tokio::time::{Instant, sleep};

use super::roads::{Ends, Road};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["x"]}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":["x"]}"#;

/// The session ends with a close of the code, and what comes before it is left out.
async fn is_told(mut ends: Ends, code: u16, at: &str) -> CloseReason {
    let (told, reason) = ends.peer.closed().await;
    assert_eq!(told, code, "{at}: {reason}");
    assert_ne!(reason, "", "{at}");
    assert_eq!(ends.peer.next().await, None, "{at}");
    soon(ends.session.closed()).await
}

/// How many fragments without payload a message may have, before its last.
const EMPTY: usize = 64;

#[tokio::test(start_paused = true)]
async fn a_flood_of_empty_fragments_ends() {
    for road in Road::IN_MEMORY {
        let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
        for first in [0x01, 0x02] {
            for (between, what) in
                [(vec![], "nothing"), (frame(PING, b"?"), "pings"), (frame(PONG, b""), "pongs")]
            {
                for step in [1, 7, usize::MAX] {
                    let at = format!("{road:?}, {first:x}, {what} between, in pieces of {step}");
                    let mut ends = road.open(echo(), Limits::unlimited()).await;
                    let flood = [&frame(0x00, b"")[..], &between].concat().repeat(EMPTY);
                    let all = [frame(first, b""), flood].concat();
                    for piece in all.chunks(step.min(all.len())) {
                        ends.peer.offer(piece).await;
                        settled().await;
                    }
                    let cause = is_told(ends, 1008, &at).await;
                    assert!(matches!(cause, CloseReason::Frame(FrameError::Invalid(_))), "{at}: {cause}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_empty_fragments_as_a_clumsy_sender_makes_are_taken() {
    for road in Road::IN_MEMORY {
        let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
        let mut ends = road.open(echo(), Limits::unlimited()).await;
        let (start, rest) = CALL.as_bytes().split_at(9);
        // All of a message's count, wherever they stand; each message has its own.
        let half = frame(0x00, b"").repeat(EMPTY / 2 - 1);
        let message =
            [frame(0x01, b""), half.clone(), frame(0x00, start), half, frame(0x00, b""), frame(0x80, rest)];
        for _ in 0..3 {
            ends.send(&message.concat()).await;
            ends.peer.expect(ANSWER).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_in_fragments_is_bounded_like_any_other() {
    for road in Road::IN_MEMORY {
        for size in [1, 7, 100] {
            let mut limits = Limits::server();
            limits.frame_size = 1_000;
            let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
            let fragment = frame(0x00, &vec![b' '; size]);
            // As long as the limit is fine.
            let mut ends = road.open(echo(), limits).await;
            let padding = 1_000 - CALL.len();
            let padded = fragment.repeat(padding / size);
            let rest = frame(0x80, &[CALL.as_bytes(), &vec![b' '; padding % size]].concat());
            ends.send(&[frame(0x01, b""), padded, rest].concat()).await;
            ends.peer.expect(ANSWER).await;

            ends.send(&[frame(0x01, b""), fragment.repeat(1_000 / size)].concat()).await;
            assert!(!ends.session.is_closed(), "{road:?}, {size}");
            // Refused by its header, of which the mask is a part.
            let header = if road.is_server() { 6 } else { 2 };
            ends.peer.write(&frame(0x80, &[b' '; 100])[..header]).await;
            let cause = is_told(ends, 1009, &format!("{road:?}, {size}")).await;
            assert!(
                matches!(cause, CloseReason::Frame(FrameError::TooLarge { limit: 1_000, .. })),
                "{cause}"
            );
        }
    }
}

/// Every byte costs: those of headers, masks and control frames, too.
fn priced(cost_per_byte: f64) -> Limits {
    let mut limits = Limits::unlimited();
    (limits.cost_per_byte, limits.cost_hard, limits.cost_forgiven_per_second) = (cost_per_byte, 1e9, 0.0);
    limits
}

#[tokio::test(start_paused = true)]
async fn bytes_of_headers_and_control_frames_cost_what_bytes_cost() {
    for road in Road::IN_MEMORY {
        let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
        let kinds = [
            ("fragments of one byte", frame(0x00, b" ")),
            ("empty fragments", frame(0x00, b"")),
            ("pings", frame(PING, b"")),
            ("pongs", frame(PONG, b"pong")),
            ("large pongs", frame(PONG, &[b'x'; 125])),
        ];
        for (what, one) in kinds {
            let mut ends = road.open(echo(), priced(1.0)).await;
            let start = frame(0x01, b"[");
            let (mut sent, mut step) = (start.len(), 1);
            ends.send(&start).await;
            for round in 0..60 {
                // In pieces, too.
                step = step % 5 + 1;
                for piece in one.chunks(step) {
                    ends.send(piece).await;
                }
                sent += one.len();
                let statistics = ends.session.statistics();
                assert_eq!(statistics.bytes_received, sent as u64, "{road:?}, {what}, {round}");
                // Answers cost as much.
                let expected = sent as f64 + statistics.bytes_sent as f64;
                let cost = ends.session.cost();
                assert!(
                    (expected - 1.0..=expected).contains(&cost),
                    "{road:?}, {what}, {round}: {cost} of {expected}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn floods_of_small_frames_cost_until_the_session_ends() {
    for road in Road::IN_MEMORY {
        for (first, payload) in [(0x00, &b" "[..]), (PONG, b""), (PONG, b"x"), (PING, b"")] {
            let mut limits = priced(1.0);
            limits.cost_hard = 10_000.0;
            let mut ends = road.open(echo(), limits).await;
            let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
            ends.peer.write(frame(0x01, b"[")).await;
            let mut sent = 0;
            while !ends.session.is_closed() {
                assert!(sent < 20_000, "{road:?}, {first:x}: it goes on for ever");
                let some = frame(first, payload).repeat(50);
                sent += some.len();
                ends.peer.offer(some).await;
                settled().await;
            }
            let cause = soon(ends.session.closed()).await;
            assert!(matches!(cause, CloseReason::Cost { .. }), "{road:?}, {first:x}: {cause}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pings_without_end_are_not_kept() {
    let options = WebSocketServer::new();
    let (mut peer, session) =
        WsPeer::client_of_narrow(4096, &options, |connector| connector.service(echo())).await;
    // The peer does not read the answers: they are not kept, and the session goes on reading.
    let ping = frame(PING, &[b'x'; 125], true);
    for _ in 0..20_000 {
        peer.write(&ping).await;
    }
    peer.text(CALL).await;
    let mut pongs = 0;
    loop {
        match peer.next().await.expect("a frame") {
            (PONG, payload) => {
                assert_eq!(payload, [b'x'; 125]);
                pongs += 1;
            }
            (TEXT, answer) => break assert_eq!(answer, ANSWER.as_bytes()),
            other => panic!("{other:?}"),
        }
    }
    assert!(pongs < 3000, "{pongs} were kept");
    assert_eq!(session.statistics().errors, 0);
}

#[tokio::test(start_paused = true)]
async fn pings_without_end_cost_and_do_not_keep_a_session() {
    let mut limits = Limits::server();
    limits.cost_per_byte = 1.0;
    let (mut peer, session) = WsPeer::client_of(|connector| connector.limits(limits)).await;
    let mut pings = 0;
    while !session.is_closed() {
        pings += 1;
        assert!(pings < 1000, "they cost nothing");
        peer.frame(PING, [b'x'; 100]).await;
        // The last one is told why, too.
        assert!(matches!(peer.next().await.expect("an answer").0, PONG | TEXT));
        tokio::task::yield_now().await;
    }
    assert_eq!(peer.closed().await.0, 1008);
    peer.answer_close(1008).await;
    assert!(matches!(soon(session.closed()).await, CloseReason::Cost { .. }));

    let mut limits = Limits::server();
    limits.idle_timeout = Some(Duration::from_secs(60));
    let (mut peer, session) = WsPeer::client_of(|connector| connector.limits(limits)).await;
    let start = Instant::now();
    while !session.is_closed() {
        assert!(start.elapsed().as_secs() < 100, "it is kept");
        peer.frame(PING, b"").await;
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(start.elapsed().as_secs(), 61, "as soon as this test looks");
    assert!(matches!(soon(session.closed()).await, CloseReason::Idle { .. }));
}
