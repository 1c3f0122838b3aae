//! How WebSockets are closed, and what either side learns.

use std::time::Duration;

use rpc::{
    CallError, CloseReason, Limits, Server,
    framing::FrameError,
    transport::websocket::{WebSocket, WebSocketServer},
};
use rpc_tests::{
    CalcClient, Events, Gate, echo,
    websocket::{BINARY, CLOSE, TEXT, WsPeer, frame, request, served},
};
use rpc_tests::{settled, waiting};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tracing::Level;

#[tokio::test(start_paused = true)]
async fn a_close_of_ours_is_1000_and_waits_for_the_peers() {
    let (mut peer, session) = served(echo()).await;
    session.start_close();
    assert_eq!(peer.closed().await, (1000, String::new()));
    settled().await;
    assert!(tokio::time::timeout(Duration::from_secs(1), session.closed()).await.is_err());
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
    assert_eq!(peer.closed().await, (1001, String::new()));
    peer.answer_close(1001).await;
    stopping.await.expect("no panic");
    assert!(matches!(session.closed().await, CloseReason::Shutdown));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_costs_too_much_is_told_that_it_went_too_far() {
    let (mut peer, session) =
        WsPeer::client_of(|connector| connector.service(echo()).limits(Limits::server())).await;
    for _ in 0..20 {
        peer.text("{").await;
    }
    assert_eq!(peer.closed().await.0, 1008);
    peer.answer_close(1008).await;
    assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_peers_code_and_reason_are_the_cause() {
    for (payload, expected) in [
        (b"\x03\xe9gone fishing".to_vec(), (1001, "gone fishing")),
        (b"\x03\xe8".to_vec(), (1000, "")),
        (b"\x0f\xa1own".to_vec(), (4001, "own")),
        // It says nothing: RFC 6455, section 7.1.5.
        (b"".to_vec(), (1005, "")),
    ] {
        let (mut peer, session) = WsPeer::server_of(|connector| connector).await;
        let calc = CalcClient::from(session.clone());
        let call = tokio::spawn(async move { calc.add(1, 2).await });
        settled().await;
        assert_eq!(peer.next().await.expect("a call").0, TEXT);
        peer.frame(CLOSE, &payload).await;
        // The code is given back.
        assert_eq!(peer.next().await, Some((CLOSE, payload)));
        assert_eq!(peer.next().await, None);
        let CallError::Closed(cause) = call.await.expect("no panic").expect_err("no reply") else {
            panic!("another error")
        };
        for cause in [cause, session.closed().await] {
            let CloseReason::PeerClosed { code, reason } = &cause else { panic!("{cause}") };
            assert_eq!((*code, reason.as_str()), expected);
        }
    }
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
async fn an_end_without_a_close_is_the_peers_all_the_same() {
    let (peer, session) = served(echo()).await;
    drop(peer);
    let cause = session.closed().await;
    assert!(matches!(cause, CloseReason::PeerClosed { code: 1006, .. }), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn handlers_are_dropped_when_the_peer_has_closed_because_nothing_can_be_sent_any_more() {
    let gate = Gate::closed();
    let (mut peer, session) = served(waiting(&gate)).await;
    peer.text(r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}"#).await;
    settled().await;
    assert_eq!(session.requests_in_flight(), 1);
    let closed = Instant::now();
    peer.frame(CLOSE, 1000_u16.to_be_bytes()).await;
    assert_eq!(peer.closed().await.0, 1000);
    assert!(matches!(session.closed().await, CloseReason::PeerClosed { code: 1000, .. }));
    assert_eq!((session.requests_in_flight(), closed.elapsed()), (0, Duration::ZERO));
    assert_eq!(peer.next().await, None);
}

/// What a peer sends that breaks the rules; what it is told, and what the cause is.
#[tokio::test(start_paused = true)]
async fn a_peer_that_breaks_the_rules_is_told_which() {
    let unmasked = frame(TEXT, b"{}", false);
    let masked = |first, payload: &[u8]| frame(first, payload, true);
    let cases: [(&str, Vec<u8>, u16); 10] = [
        ("unmasked", unmasked, 1002),
        ("a reserved bit", masked(0xc1, b"{}"), 1002),
        ("an opcode that nobody knows", masked(0x83, b"{}"), 1002),
        ("a continuation of nothing", masked(0x80, b"{}"), 1002),
        ("a message within a message", [masked(0x01, b"{"), masked(0x81, b"}")].concat(), 1002),
        ("a ping in fragments", masked(0x09, b"x"), 1002),
        ("a ping that is too long", masked(0x89, &[b'x'; 126]), 1002),
        ("a close of one byte", masked(CLOSE, b"x"), 1002),
        ("a text that is none", masked(TEXT, b"\"\xff\""), 1007),
        ("a text in fragments that is none", [masked(0x01, b"\"\xc3"), masked(0x80, b"(\"")].concat(), 1007),
    ];
    for (what, bytes, code) in cases {
        let (mut peer, session) = served(echo()).await;
        peer.write(bytes).await;
        let (told, reason) = peer.closed().await;
        assert_eq!(told, code, "{what}: {reason}");
        assert_ne!(reason, "", "{what}");
        assert_eq!(peer.next().await, None, "{what}");
        drop(peer);
        let cause = session.closed().await;
        assert!(matches!(cause, CloseReason::Frame(FrameError::Invalid(_))), "{what}: {cause}");
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
    let Err(CallError::Closed(reason)) = outcome else { panic!("{outcome:?}") };
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
