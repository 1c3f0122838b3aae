//! Pings of WebSocket's own.

use std::time::Duration;

use rpc::{CloseReason, Connector, KeepAlive, Limits};
use rpc_tests::{
    Gate, Raw, settled, waiting,
    websocket::{PING, PONG, WsPeer},
};
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);

/// Pings after 30 s, and waits for 40 s more.
async fn pinged(limits: Limits) -> (WsPeer<DuplexStream>, rpc::Session) {
    let with = |connector: Connector| {
        connector.service(waiting(&Gate::closed())).limits(limits).keep_alive(KeepAlive::ping())
    };
    WsPeer::client_of(with).await
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_to_a_ping_is_gone() {
    let (mut peer, session) = pinged(Limits::unlimited()).await;
    let start = Instant::now();
    assert_eq!(peer.next().await, Some((PING, vec![])));
    assert_eq!(start.elapsed().as_secs(), 30);
    // It is no call.
    assert_eq!((session.calls_in_flight(), session.statistics().messages_sent), (0, 0));
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Silent { after } if after == SECOND * 70), "{reason}");
    assert_eq!(start.elapsed().as_secs(), 70);
}

#[tokio::test(start_paused = true)]
async fn a_pong_is_life_and_so_is_anything_else() {
    let (mut peer, session) = pinged(Limits::unlimited()).await;
    let mut start = Instant::now();
    let answers: [(u8, &[u8]); 4] =
        [(PONG, b""), (PONG, b"unasked"), (PING, b"ping"), (0x01, b"{\"beginning\"")];
    for (first, payload) in answers {
        assert_eq!(peer.next().await, Some((PING, vec![])));
        assert_eq!(start.elapsed().as_secs(), 30, "before {first:x}");
        sleep(SECOND * 39).await;
        peer.frame(first, payload).await;
        start = Instant::now();
        if first == PING {
            assert_eq!(peer.next().await, Some((PONG, payload.to_vec())));
        }
        settled().await;
        sleep(SECOND * 2).await;
        assert!(!session.is_closed(), "{first:x}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_message_that_takes_its_time_is_life() {
    let (mut peer, session) = pinged(Limits::unlimited()).await;
    peer.write([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]).await;
    for _ in 0..20 {
        sleep(SECOND * 25).await;
        peer.write([b'x'; 100]).await;
        assert!(peer.is_silent(SECOND).await);
    }
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn pings_keep_no_session_that_nobody_uses() {
    let mut limits = Limits::unlimited();
    limits.idle_timeout = Some(SECOND * 100);
    let (mut peer, session) = pinged(limits).await;
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(peer.next().await, Some((PING, vec![])));
        peer.frame(PONG, b"").await;
    }
    assert_eq!(peer.closed().await.0, 1000);
    peer.answer_close(1000).await;
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::Idle { .. }), "{reason}");
    assert_eq!(start.elapsed().as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn where_there_are_no_pings_a_method_is_called_if_there_is_one() {
    let with = |connector: Connector| connector.keep_alive(KeepAlive::ping().or_call("are.you.there"));
    let (mut peer, _session) = WsPeer::client_of(with).await;
    assert_eq!(peer.next().await, Some((PING, vec![])));

    let (mut peer, _session) = Raw::peer_with(with).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"are.you.there"}"#).await;

    let (mut peer, session) = Raw::peer_with(|connector| connector.keep_alive(KeepAlive::ping())).await;
    peer.expect_silence().await;
    assert!(!session.is_closed(), "who was not asked owes no answer");

    let with = |connector: Connector| connector.keep_alive(KeepAlive::call("are.you.there"));
    let (mut peer, _session) = WsPeer::client_of(with).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"are.you.there"}"#).await;
}
