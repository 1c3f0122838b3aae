//! Peers that want to hurt.

use std::time::Duration;

use rpc::{CallError, CloseReason, Limits, framing::FrameError, transport::websocket::WebSocketServer};
use rpc_tests::{
    echo, settled, soon,
    websocket::{BINARY, CLOSE, PING, PONG, TEXT, WsPeer},
};
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep, timeout};

use super::roads::{Ends, Road};

/// The session ends with a close of the code, which says why.
async fn is_told(ends: &mut Ends, code: u16, at: &str) -> CloseReason {
    let (told, reason) = ends.peer.closed().await;
    assert_eq!(told, code, "{at}: {reason}");
    assert_ne!(reason, "", "{at}");
    assert_eq!(ends.peer.next().await, None, "{at}");
    ends.hang_up();
    soon(ends.session.closed()).await
}

/// A header that declares `length`, written in 2, 4 or 10 bytes, and no mask.
fn header(first: u8, length: u64, bytes: usize, road: Road) -> Vec<u8> {
    let mask_bit = if road.is_server() { 0x80 } else { 0 };
    match bytes {
        2 => vec![first, mask_bit | u8::try_from(length).expect("it fits")],
        4 => {
            let length = u16::try_from(length).expect("it fits");
            [&[first, mask_bit | 126][..], &length.to_be_bytes()].concat()
        }
        _ => [&[first, mask_bit | 127][..], &length.to_be_bytes()].concat(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_giant_message_is_refused_when_it_is_declared() {
    for road in Road::IN_MEMORY {
        for length in [1_000_001, 1 << 40, 1 << 62, u64::MAX >> 1] {
            for first in [TEXT, BINARY, 0x01, 0x02] {
                let at = format!("{road:?}, {first:x}, {length}");
                let mut ends = road.open(echo(), Limits::server()).await;
                // A mask may be part of the header.
                let header =
                    [header(first, length, 10, road), vec![0; if road.is_server() { 4 } else { 0 }]].concat();
                ends.peer.write(header).await;
                let cause = is_told(&mut ends, 1009, &at).await;
                let CloseReason::Frame(FrameError::TooLarge { size, limit: 1_000_000 }) = cause else {
                    panic!("{at}: {cause}")
                };
                assert_eq!(size as u64, length, "{at}");
            }
        }
    }
}

/// A rule that is broken is found with the byte that breaks it, whatever would follow.
#[tokio::test(start_paused = true)]
async fn a_header_that_breaks_a_rule_is_refused_by_itself() {
    for road in Road::IN_MEMORY {
        let of = |first, length, bytes| header(first, length, bytes, road);
        // What is masked where it must not be, and the other way round.
        let other_side = if road.is_server() { 0x00 } else { 0x80 };
        let mut headers = vec![
            of(TEXT | 0x10, 0, 2)[..1].to_vec(),
            of(TEXT | 0x20, 0, 2)[..1].to_vec(),
            of(TEXT | 0x40, 0, 2)[..1].to_vec(),
            of(0x83, 0, 2)[..1].to_vec(),
            of(0x8f, 0, 2)[..1].to_vec(),
            of(PING & 0x0f, 0, 2)[..1].to_vec(),
            vec![TEXT, other_side],
            vec![PING, other_side | 4],
            vec![CLOSE, other_side],
            of(PING, 126, 4)[..2].to_vec(),
            of(PONG, 126, 4)[..2].to_vec(),
            of(CLOSE, 70_000, 10)[..2].to_vec(),
        ];
        // Lengths that fit into less, and one that no number of this kind may be.
        for first in [TEXT, BINARY, 0x01, 0x02] {
            headers.extend([0, 1, 125].map(|length| of(first, length, 4)));
            headers.extend([0, 125, 126, 65_535, 1 << 63, u64::MAX].map(|length| of(first, length, 10)));
        }
        for header in headers {
            let at = format!("{road:?}, {header:x?}");
            let mut ends = road.open(echo(), Limits::unlimited()).await;
            let (last, before) = header.split_last().expect("it has some bytes");
            for byte in before {
                ends.peer.write([*byte]).await;
                settled().await;
                assert!(!ends.session.is_closed(), "{at}");
            }
            ends.peer.write([*last]).await;
            let cause = is_told(&mut ends, 1002, &at).await;
            assert!(matches!(cause, CloseReason::Frame(FrameError::Invalid(_))), "{at}: {cause}");
        }
        // Each length in its shortest form is fine.
        for (length, bytes) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut ends = road.open(echo(), Limits::unlimited()).await;
            ends.send(&of(TEXT, length, bytes)).await;
            assert!(!ends.session.is_closed(), "{road:?}, {length}");
        }
    }
}

/// Bytes that are no text, in places of a message that a session may never look at.
fn hidden() -> Vec<Vec<u8>> {
    let messages = [
        r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["@"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"there.is.none","params":["@"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"@"}"#,
        r#"{"jsonrpc":"2.0","id":"@","method":"echo","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[],"more":"@"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[],"@":1}"#,
        r#"{"jsonrpc":"2.0","method":"there.is.none","params":["@"]}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"there.is.none","params":{"a":"@"}}]"#,
        r#"{"jsonrpc":"2.0","id":77,"result":"@"}"#,
        r#"{"jsonrpc":"2.0","id":77,"error":{"code":1,"message":"","data":"@"}}"#,
        "@",
    ];
    let bytes = messages.iter().flat_map(|message| {
        let (before, behind) = message.split_once('@').expect("a place");
        [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80"]
            .map(|bytes| [before.as_bytes(), bytes, behind.as_bytes()].concat())
    });
    bytes.collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_no_text_is_no_message_wherever_it_hides() {
    for road in Road::IN_MEMORY {
        for bytes in hidden() {
            let at = format!("{road:?}, {}", bytes.escape_ascii());
            let mut ends = road.open(echo(), Limits::unlimited()).await;
            ends.peer.frame(TEXT, &bytes).await;
            let cause = is_told(&mut ends, 1007, &at).await;
            assert!(matches!(cause, CloseReason::Frame(FrameError::Invalid(_))), "{at}: {cause}");

            // A binary message may be anything.
            let mut ends = road.open(echo(), Limits::unlimited()).await;
            ends.peer.frame(BINARY, &bytes).await;
            settled().await;
            assert!(!ends.session.is_closed(), "{at}: {:?}", ends.session.close_reason());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_no_text_is_no_reply() {
    for road in Road::IN_MEMORY {
        let mut ends = road.open((), Limits::unlimited()).await;
        let session = ends.session.clone();
        let call = tokio::spawn(async move { session.call::<IgnoredAny>("ours", ()).await });
        ends.peer.next().await.expect("a call");
        ends.peer.frame(TEXT, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\"}").await;
        is_told(&mut ends, 1007, &format!("{road:?}")).await;
        let told = soon(call).await.expect("no panic");
        assert!(
            matches!(told, Err(CallError::Closed { reason: CloseReason::Frame(_), .. })),
            "{road:?}: {told:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_not_read_from_and_given_up() {
    let mut limits = Limits::server();
    (limits.outgoing_bytes, limits.send_timeout) = (50_000, Some(Duration::from_secs(20)));
    let with = |connector: rpc::Connector| connector.service(echo()).limits(limits);
    let (mut peer, session) = WsPeer::client_of_narrow(4096, &WebSocketServer::new(), with).await;
    let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{}"]}}"#, "x".repeat(2000));
    let mut asked = 0;
    while timeout(Duration::from_secs(1), peer.text(&call)).await.is_ok() {
        asked += 1;
        assert!(asked < 200, "it goes on reading");
    }
    assert!(asked > 25, "{asked}");
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::SendTimeout { .. }), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up_however_busy_it_is() {
    for pings in [true, false] {
        let mut limits = Limits::server();
        limits.send_timeout = Some(Duration::from_secs(20));
        let with = |connector: rpc::Connector| connector.service(echo()).limits(limits);
        let (mut peer, session) = WsPeer::client_of_narrow(1_000, &WebSocketServer::new(), with).await;
        let call = |text: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":["{text}"]}}"#);
        peer.text(&call(&"x".repeat(2_000))).await;
        let start = Instant::now();
        while session.close_reason().is_none() {
            match pings {
                true => peer.frame(PING, b"still here").await,
                false => peer.text(&call("y")).await,
            }
            sleep(Duration::from_secs(1)).await;
            assert!(start.elapsed() < Duration::from_secs(100), "it is there for ever");
        }
        assert!((20..=21).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        let reason = session.closed().await;
        assert!(matches!(reason, CloseReason::SendTimeout { .. }), "{reason}");
    }
}
