//! How TCP cuts frames means nothing: only a data message under way is timed, from its first byte on.

use std::{ops::Range, time::Duration};

use rpc::{CloseReason, Limits};
use rpc_tests::{
    echo, soon,
    websocket::{BINARY, CLOSE, Frame, PING, PONG, TEXT, frame},
};
use tokio::time::{Instant, sleep};

use super::roads::{Ends, Road};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A pause that a message under way survives, and one that it does not.
const SHORT: Duration = Duration::from_secs(25);
const LONG: Duration = Duration::from_secs(100);

fn timed() -> Limits {
    let mut limits = Limits::server();
    (limits.frame_timeout, limits.idle_timeout) = (Some(TIMEOUT), None);
    limits
}

async fn open(road: Road) -> Ends {
    road.open(echo(), timed()).await
}

/// A call whose params are so long, and its answer.
fn call(length: usize) -> (String, String) {
    let text = "x".repeat(length);
    (
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{text}"]}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":["{text}"]}}"#),
    )
}

/// Frames, and what comes for them.
struct Kind {
    name: &'static str,
    sent: Vec<Frame>,
    answers: Vec<Frame>,
}

impl Kind {
    fn bytes(&self, road: Road) -> Vec<u8> {
        let frames = self.sent.iter();
        frames.flat_map(|(first, payload)| frame(*first, payload, road.is_server())).collect()
    }

    /// Where a cut falls into a data message: behind its first byte, before its last one.
    fn under_way(&self, road: Road) -> Range<usize> {
        let (mut at, mut message) = (0, None::<Range<usize>>);
        for (first, payload) in &self.sent {
            let end = at + frame(*first, payload, road.is_server()).len();
            if first & 0x08 == 0 {
                message = Some(message.map_or(at, |message| message.start)..end);
            }
            at = end;
        }
        message.map_or(0..0, |message| message.start + 1..message.end)
    }

    /// Every byte at which it can be cut. Of a long one: in and around its head, and here and there.
    fn cuts(&self, road: Road) -> Vec<usize> {
        let length = self.bytes(road).len();
        (1..length)
            .filter(|cut| length < 1_000 || *cut < 16 || length - cut < 2 || cut % 30_011 == 0)
            .collect()
    }

    /// All of it comes back. Of the pings that came in one read, the latest has to be answered.
    async fn is_answered(&self, ends: &mut Ends, at: &str) {
        let mut missing: Vec<&Frame> = self.answers.iter().collect();
        let is_needed = |missing: &[&Frame]| {
            let latest = self.answers.iter().rfind(|(first, _)| *first == PONG);
            missing.iter().any(|&answer| answer.0 != PONG || Some(answer) == latest)
        };
        while is_needed(&missing) {
            let (mut first, mut payload) =
                ends.peer.next().await.unwrap_or_else(|| panic!("{at}: the stream has ended"));
            while first & 0x80 == 0 {
                // A long answer leaves in fragments.
                let (fin, rest) = ends.peer.next().await.expect("the rest of it");
                first |= fin;
                payload.extend(rest);
            }
            let found = missing.iter().position(|&answer| (answer.0, &answer.1) == (first, &payload));
            missing.remove(found.unwrap_or_else(|| panic!("{at}: {first:x}, {} bytes", payload.len())));
        }
    }
}

/// Messages, whole and in fragments.
fn messages() -> Vec<Kind> {
    let ((short, answer), (medium, medium_answer), (long, long_answer)) = (call(1), call(100), call(65_536));
    let (start, rest) = short.split_at(20);
    let (middle, end) = rest.split_at(20);
    let whole = |name, first: u8, call: &str, answer: &str| Kind {
        name,
        sent: vec![(first, call.into())],
        answers: vec![(TEXT, answer.into())],
    };
    vec![
        whole("a text", TEXT, &short, &answer),
        whole("a binary message", BINARY, &short, &answer),
        whole("a length of 16 bits", TEXT, &medium, &medium_answer),
        whole("a length of 64 bits", TEXT, &long, &long_answer),
        Kind {
            name: "a text in fragments with pings and a pong between",
            sent: vec![
                (0x01, start.into()),
                (PING, b"one".to_vec()),
                (0x00, middle.into()),
                (PONG, b"unasked".to_vec()),
                (0x00, vec![]),
                (PING, vec![]),
                (0x80, end.into()),
            ],
            answers: vec![(PONG, b"one".to_vec()), (PONG, vec![]), (TEXT, answer.clone().into())],
        },
    ]
}

fn pings() -> Vec<Kind> {
    let ping = |name, payload: &[u8]| Kind {
        name,
        sent: vec![(PING, payload.to_vec())],
        answers: vec![(PONG, payload.to_vec())],
    };
    let pong = |name, payload: &[u8]| Kind { name, sent: vec![(PONG, payload.to_vec())], answers: vec![] };
    vec![
        ping("an empty ping", b""),
        ping("a ping", b"ping"),
        ping("a ping of 125 bytes", &[b'x'; 125]),
        pong("an empty pong", b""),
        pong("a pong", b"pong"),
    ]
}

fn closes() -> Vec<Kind> {
    let close = |name, payload: &[u8]| {
        let close = (CLOSE, payload.to_vec());
        Kind { name, sent: vec![close.clone()], answers: vec![close] }
    };
    vec![
        close("an empty close", b""),
        close("a code", b"\x03\xe8"),
        close("a code and a reason", b"\x03\xe9gone"),
    ]
}

/// Sends a kind in two pieces, with the longest pause between them that an honest peer may make.
async fn cut_at(ends: &mut Ends, road: Road, kind: &Kind, cut: usize) {
    let bytes = kind.bytes(road);
    ends.send(&bytes[..cut]).await;
    ends.passes(if kind.under_way(road).contains(&cut) { SHORT } else { LONG }).await;
    assert!(
        !ends.session.is_closed(),
        "{road:?}, {}, cut at {cut}: {:?}",
        kind.name,
        ends.session.close_reason()
    );
    ends.peer.write(&bytes[cut..]).await;
}

#[tokio::test(start_paused = true)]
async fn an_honest_peer_is_never_ended_however_its_frames_are_cut() {
    for road in Road::ALL {
        let (mut ends, mut messages_sent) = (open(road).await, 0);
        for kind in messages().iter().chain(&pings()) {
            for cut in kind.cuts(road) {
                messages_sent += u64::from(kind.answers.iter().any(|(first, _)| *first == TEXT));
                cut_at(&mut ends, road, kind, cut).await;
                ends.sent_all(kind.bytes(road).len() - cut);
                kind.is_answered(&mut ends, &format!("{road:?}, {}, cut at {cut}", kind.name)).await;
            }
        }
        let statistics = ends.session.statistics();
        assert_eq!((statistics.messages_received, statistics.errors), (messages_sent, 0), "{road:?}");
        ends.peer.frame(CLOSE, b"").await;
        assert_eq!(ends.peer.next().await, Some((CLOSE, vec![])), "{road:?}");
        assert_eq!(ends.peer.next().await, None, "{road:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_in_two_pieces_is_one() {
    for road in Road::ALL {
        for kind in closes() {
            for cut in kind.cuts(road) {
                let mut ends = open(road).await;
                cut_at(&mut ends, road, &kind, cut).await;
                let at = format!("{road:?}, {}, cut at {cut}", kind.name);
                kind.is_answered(&mut ends, &at).await;
                assert_eq!(ends.peer.next().await, None, "{at}");
                let reason = soon(ends.session.closed()).await;
                assert!(matches!(reason, CloseReason::PeerClosed { .. }), "{at}: {reason}");
            }
        }
    }
}

/// Ended by time, and exactly by then.
async fn is_timed_out(ends: &Ends, start: Instant, at: &str) {
    let reason = ends.ends_by_time().await;
    assert!(matches!(reason, CloseReason::FrameTimeout { after: TIMEOUT, .. }), "{at}: {reason}");
    let (taken, slack) = (start.elapsed(), ends.slack());
    assert!((TIMEOUT..=TIMEOUT + slack).contains(&taken), "{at}: ended after {taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stands_still_is_ended_when_its_time_is_over() {
    let (whole, answer) = call(2);
    let answered = (TEXT, answer.into_bytes());
    for road in Road::ALL {
        for kind in messages() {
            let (bytes, under_way) = (kind.bytes(road), kind.under_way(road));
            let in_it = kind.cuts(road).into_iter().filter(|cut| under_way.contains(cut));
            // Handshakes take their time: over sockets, some of the cuts.
            for cut in
                in_it.enumerate().filter(|(nth, _)| road.is_in_memory() || nth % 17 == 0).map(|(_, cut)| cut)
            {
                // By itself, and in one read with a whole message before it.
                for before in [vec![], frame(TEXT, whole.as_bytes(), road.is_server())] {
                    let at = format!("{road:?}, {}, cut at {cut}, behind {} bytes", kind.name, before.len());
                    let mut ends = open(road).await;
                    let start = Instant::now();
                    ends.send(&[&before, &bytes[..cut]].concat()).await;
                    is_timed_out(&ends, start, &at).await;
                    // What was whole was answered.
                    while !before.is_empty() && ends.peer.next().await.expect("the answer") != answered {}
                }
            }
        }
    }
}

/// Sends what `with` does every five seconds within a message, until the session is ended.
async fn goes_on(road: Road, at: &str, with: impl Fn(usize) -> Vec<u8>) {
    let mut ends = open(road).await;
    let start = Instant::now();
    ends.send(&frame(0x01, b"[", road.is_server())).await;
    for round in 0..5 {
        ends.passes(Duration::from_secs(5)).await;
        ends.send(&with(round)).await;
        assert!(!ends.session.is_closed(), "{road:?}, {at}, {round}");
    }
    is_timed_out(&ends, start, &format!("{road:?}, {at}")).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_between_two_fragments_gives_a_message_no_more_time() {
    for road in Road::ALL {
        let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
        goes_on(road, "nothing", |_| vec![]).await;
        goes_on(road, "pings", |_| frame(PING, b"still here")).await;
        goes_on(road, "pongs", |_| frame(PONG, b"")).await;
        goes_on(road, "fragments", |_| frame(0x00, b" ")).await;
        goes_on(road, "empty fragments", |_| frame(0x00, b"")).await;
        let ping = frame(PING, b"in two pieces");
        let (start, end) = ping.split_at(5);
        goes_on(road, "pings in pieces", |round| if round % 2 == 0 { start } else { end }.to_vec()).await;
        let fragment = frame(0x00, b"     ");
        goes_on(road, "a fragment byte by byte", |round| vec![fragment[round]]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_message_has_a_time_of_its_own() {
    for road in Road::ALL {
        let mut ends = open(road).await;
        let (call, answer) = call(3);
        let bytes = frame(TEXT, call.as_bytes(), road.is_server());
        let (start, end) = bytes.split_at(10);
        let mut begun = Instant::now();
        ends.send(start).await;
        for _ in 0..5 {
            ends.passes(SHORT).await;
            begun = Instant::now();
            // The end of one and the start of the next in one read.
            ends.send(&[end, start].concat()).await;
            ends.peer.expect(&answer).await;
        }
        is_timed_out(&ends, begun, &format!("{road:?}")).await;
    }
}

/// Control frames that stand behind a message, before it, or both: they are no part of it.
#[tokio::test(start_paused = true)]
async fn half_a_control_frame_beside_a_message_is_not_timed() {
    let (call, answer) = call(4);
    for road in Road::IN_MEMORY {
        let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
        let (text, ping) = (frame(TEXT, call.as_bytes()), frame(PING, b"ping"));
        for cut in 1..ping.len() {
            let mut ends = open(road).await;
            ends.send(&[&text, &ping[..cut]].concat()).await;
            ends.peer.expect(&answer).await;
            sleep(LONG).await;
            // Its end comes with the start of a message, which is timed from then on.
            let start = Instant::now();
            ends.send(&[&ping[cut..], &text[..5]].concat()).await;
            assert_eq!(ends.peer.next().await, Some((PONG, b"ping".to_vec())), "{road:?}, cut at {cut}");
            is_timed_out(&ends, start, &format!("{road:?}, cut at {cut}")).await;
        }
    }
}
