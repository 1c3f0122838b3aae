//! How WebSockets are closed, and what either side learns.

use std::time::Duration;

use rpc::{
    CallError, CloseReason, Limits, Server,
    framing::FrameError,
    transport::websocket::{WebSocket, WebSocketServer},
};
use rpc_tests::{
    Events, echo, settled,
    websocket::{BINARY, CLOSE, PING, TEXT, WsPeer, frame, request, served},
};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tracing::Level;

use super::roads::Road;

#[tokio::test(start_paused = true)]
async fn a_close_of_ours_is_1000_and_waits_for_the_peers() {
    let (mut peer, session) = served(echo()).await;
    session.start_close();
    assert_eq!(peer.closed().await, (1000, String::new()));
    settled().await;
    assert!(timeout(Duration::from_secs(1), session.closed()).await.is_err());
    peer.answer_close(1000).await;
    assert!(matches!(session.closed().await, CloseReason::Local));

    let (mut peer, session) = WsPeer::server_of(|connector| connector).await;
    drop(session);
    assert_eq!(peer.closed().await, (1000, String::new()));
    peer.answer_close(1000).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_close_holds_nobody_up() {
    let (mut peer, session) = served(echo()).await;
    let start = Instant::now();
    session.start_close();
    peer.text(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["too late"]}"#).await;
    assert!(matches!(session.closed().await, CloseReason::Local));
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!(peer.closed().await.0, 1000);
    assert_eq!(peer.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shuts_down_says_that_it_goes_away() {
    let server = Server::builder().service(echo()).build().expect("no method twice").start();
    let (here, there) = rpc::transport::memory(4096);
    let mut peer = WsPeer::over(here, true);
    peer.write(request("localhost", "/", "")).await;
    let accepted = WebSocket::accept(there, &WebSocketServer::new()).await.expect("a handshake");
    let session = server.attach_websocket(accepted);
    peer.head().await;
    let stopping = tokio::spawn(async move { server.shutdown().await });
    assert_eq!(peer.closed().await, (1001, "the server is shutting down".to_owned()));
    peer.answer_close(1001).await;
    stopping.await.expect("no panic");
    assert!(matches!(session.closed().await, CloseReason::Shutdown));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_costs_too_much_is_told_that_it_went_too_far() {
    let (mut peer, session) =
        WsPeer::client_of(|connector| connector.service(echo()).limits(Limits::public())).await;
    for _ in 0..20 {
        peer.text("{").await;
    }
    assert_eq!(peer.closed().await, (1008, "excessive resource usage".to_owned()));
    peer.answer_close(1008).await;
    assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
}

#[test]
fn an_end_of_the_peers_is_shown_with_its_code() {
    for (code, reason, text) in [
        (1001, "gone fishing", "closed by the peer with code 1001: gone fishing"),
        (1000, "", "closed by the peer with code 1000: no reason given"),
        (1005, "", "closed by the peer without a code (1005)"),
        (1006, "", "the connection has ended without a close frame of the peer's (1006)"),
    ] {
        let told = CloseReason::PeerClosed { code, reason: reason.to_owned() };
        assert_eq!(told.to_string(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_ends_the_session_with_1009() {
    let mut limits = Limits::server();
    limits.frame_size = 1000;
    let whole = frame(BINARY, &[b' '; 1001], true);
    let fragments = [frame(0x02, &[b' '; 500], true), frame(0x80, &[b' '; 501], true)].concat();
    for bytes in [whole, fragments] {
        let (mut peer, session) =
            WsPeer::client_of(|connector| connector.service(echo()).limits(limits.clone())).await;
        // As long as the limit is fine.
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#;
        peer.frame(BINARY, format!("{call}{}", " ".repeat(1000 - call.len()))).await;
        assert_eq!(peer.next().await.expect("an answer").0, TEXT);
        peer.write(bytes).await;
        let reason = "the message has 1001 bytes or more, and the limit is 1000 (`frame_size`)";
        assert_eq!(peer.closed().await, (1009, reason.to_owned()));
        assert_eq!(peer.next().await, None);
        drop(peer);
        let cause = session.closed().await;
        let CloseReason::Frame(FrameError::TooLarge { size: 1001, limit: 1000 }) = cause else {
            panic!("{cause}")
        };
    }
}

/// The peer may be in the middle of it, and has not read the close yet.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_message_is_refused_may_finish_it_and_close() {
    for road in Road::IN_MEMORY {
        let frame = |first, payload: &[u8]| frame(first, payload, road.is_server());
        let (first, more) = (frame(0x01, &[b' '; 500]), frame(0x00, &[b' '; 501]));
        let refused = [
            (1007, frame(0x01, b"\xff")),
            (1008, [frame(0x02, b""), frame(0x00, b"").repeat(64)].concat()),
            (1009, frame(0x01, &[b' '; 1001])),
            (1009, [first, more].concat()),
        ];
        let others = [frame(PING, b""), frame(TEXT, b"\xff"), frame(BINARY, &[b' '; 2000])].concat();
        let rest =
            [frame(0x00, b"\xff"), frame(0x00, &[b' '; 2000]), frame(0x80, b""), others.clone()].concat();
        let refused = refused.map(|(code, begin)| (code, begin, &rest));
        for (code, begin, rest) in refused.into_iter().chain([(1007, frame(TEXT, b"\xff"), &others)]) {
            let at = format!("{road:?}, {code}, {} bytes", begin.len());
            let mut limits = Limits::server();
            limits.frame_size = 1000;
            let mut ends = road.open(echo(), limits).await;
            ends.peer.write(begin).await;
            assert_eq!(ends.peer.closed().await.0, code, "{at}");
            let start = Instant::now();
            ends.peer.write(rest).await;
            let closed = timeout(Duration::from_secs(1), ends.session.closed()).await;
            assert!(closed.is_err(), "{at}: the peer is not waited for");
            ends.peer.frame(CLOSE, u16::to_be_bytes(code)).await;
            assert_eq!(ends.peer.next().await, None, "{at}");
            let reason = ends.session.closed().await;
            assert!(matches!(reason, CloseReason::Frame(_)), "{at}: {reason}");
            assert_eq!(start.elapsed().as_secs(), 1, "{at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_over_the_limit_ends_the_session_of_a_client_with_1009() {
    let events = Events::capture();
    let mut limits = Limits::client();
    limits.frame_size = 1000;
    let (mut peer, session) = WsPeer::server_of(|connector| connector.limits(limits)).await;
    let (outcome, ()) = tokio::join!(async { session.call::<Value>("large", ()).await }, async {
        peer.next().await.expect("a request");
        let reply = format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{}"}}"#, "x".repeat(1000));
        peer.text(&reply).await;
        let reason =
            format!("the message has {} bytes or more, and the limit is 1000 (`frame_size`)", reply.len());
        assert_eq!(peer.closed().await, (1009, reason));
        drop(peer);
    });
    let Err(CallError::Closed { reason, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(reason, CloseReason::Frame(FrameError::TooLarge { limit: 1000, .. })), "{reason}");
    let told = events.all().into_iter().filter(|event| event.message.contains("Limits::frame_size"));
    assert_eq!(told.map(|event| event.level).collect::<Vec<_>>(), [Level::WARN]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_moved_while_the_session_is_open_holds() {
    let (mut peer, session) = served(echo()).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[]}"#;
    assert_eq!(peer.ask(call).await, r#"{"jsonrpc":"2.0","id":1,"result":[]}"#);
    let mut limits = session.limits();
    limits.frame_size = 10;
    session.set_limits(&limits);
    sleep(Duration::from_secs(1)).await;
    peer.text(call).await;
    assert_eq!(peer.closed().await.0, 1009);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_idle_or_silent_or_stops_within_a_message_says_so() {
    let second = Duration::from_secs(1);
    let mut idle = Limits::unlimited();
    idle.idle_timeout = Some(second * 60);
    let mut slow = Limits::unlimited();
    slow.frame_timeout = Some(second * 5);
    for (limits, half, code, told) in [
        (idle, false, 1000, "nothing came or went for 60s (`Limits::idle_timeout` of the side that closed)"),
        (Limits::unlimited(), false, 1008, "nothing came for 70s, not even the answer to a ping"),
        (
            slow,
            true,
            1008,
            "a message was begun, and not ended within 5s (`Limits::frame_timeout` of the side that closed)",
        ),
    ] {
        let (mut peer, session) = WsPeer::client_of(|connector| {
            let connector = connector.service(echo()).limits(limits.clone());
            if code == 1008 && !half { connector.keep_alive(rpc::KeepAlive::ping()) } else { connector }
        })
        .await;
        if half {
            let whole = frame(TEXT, br#"{"jsonrpc":"2.0"}"#, true);
            peer.write(&whole[..8]).await;
        }
        loop {
            let (first, payload) = peer.next().await.unwrap_or_else(|| panic!("no close frame: {told}"));
            if first == CLOSE {
                let (stated, text) = payload.split_at(2);
                assert_eq!(stated, u16::to_be_bytes(code));
                assert_eq!(String::from_utf8_lossy(text), told);
                break;
            }
        }
        session.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_forced_says_so_too() {
    let gate = rpc_tests::Gate::closed();
    let mut limits = Limits::server();
    limits.close_timeout = Some(Duration::from_secs(3));
    let server = Server::builder().service(rpc_tests::waiting(&gate)).limits(limits);
    let server = server.build().expect("no method twice").start();
    let (here, there) = rpc::transport::memory(4096);
    let mut peer = WsPeer::over(here, true);
    peer.write(request("localhost", "/", "")).await;
    let accepted = WebSocket::accept(there, &WebSocketServer::new()).await.expect("a handshake");
    let session = server.attach_websocket(accepted);
    peer.head().await;
    peer.text(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
    gate.until(|gate| gate.waiting() == 1).await;
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(peer.closed().await, (1001, "the server is shutting down".to_owned()));
    assert!(matches!(session.closed().await, CloseReason::Shutdown));
}
