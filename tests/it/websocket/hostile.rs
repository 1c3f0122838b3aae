//! Peers that want to hurt.

use std::time::Duration;

use rpc::{CloseReason, Limits, framing::FrameError, transport::websocket::WebSocketServer};
use rpc_tests::{
    echo,
    websocket::{CLOSE, PING, PONG, TEXT, WsPeer, frame, served},
};
use tokio::time::{Instant, sleep, timeout};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["x"]}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":["x"]}"#;

fn timed() -> Limits {
    let mut limits = Limits::server();
    (limits.frame_timeout, limits.idle_timeout) = (Some(Duration::from_secs(30)), None);
    limits
}

#[tokio::test(start_paused = true)]
async fn a_giant_frame_is_refused_when_it_is_declared() {
    for length in [1_u64 << 40, 1 << 62, u64::MAX >> 1] {
        let (mut peer, session) =
            WsPeer::client_of(|connector| connector.service(echo()).limits(Limits::server())).await;
        let header = [&[0x81, 0xff][..], &length.to_be_bytes(), &[1, 2, 3, 4]].concat();
        peer.write(header).await;
        assert_eq!(peer.closed().await.0, 1009);
        assert_eq!(peer.next().await, None);
        drop(peer);
        let cause = session.closed().await;
        assert!(matches!(cause, CloseReason::Frame(FrameError::TooLarge { .. })), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_refuses_a_giant_frame_and_a_masked_one() {
    for (bytes, code) in [
        ([&[0x81, 0x7f][..], &(1_u64 << 40).to_be_bytes()].concat(), 1009),
        ([&[0x81, 0x7f][..], &(u64::MAX >> 1).to_be_bytes()].concat(), 1009),
        ([&[0x81, 0x7f][..], &u64::MAX.to_be_bytes()].concat(), 1002),
        (frame(TEXT, b"{}", true), 1002),
    ] {
        let (mut peer, session) = WsPeer::server_of(|connector| connector.limits(Limits::server())).await;
        peer.write(bytes).await;
        assert_eq!(peer.closed().await.0, code);
        drop(peer);
        assert!(matches!(session.closed().await, CloseReason::Frame(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_without_end_come_to_one() {
    // With something in them: the limit on the message.
    let mut limits = timed();
    limits.frame_size = 10_000;
    let (mut peer, _session) = WsPeer::client_of(|connector| connector.limits(limits)).await;
    peer.frame(0x01, b"[").await;
    for _ in 0..100 {
        peer.frame(0x00, [b' '; 100]).await;
    }
    assert_eq!(peer.closed().await.0, 1009);

    // With nothing, or pings between them that ought to look like life: the time that a message may take.
    for between in [None, Some(PING)] {
        let (mut peer, session) = WsPeer::client_of(|connector| connector.limits(timed())).await;
        let start = Instant::now();
        peer.frame(0x01, b"[").await;
        loop {
            sleep(Duration::from_secs(1)).await;
            if session.is_closed() {
                break;
            }
            assert!(start.elapsed().as_secs() < 60, "it goes on for ever");
            let mut bytes = frame(0x00, b"", true);
            bytes.extend(between.map(|first| frame(first, b"", true)).unwrap_or_default());
            peer.write(bytes).await;
        }
        let cause = session.closed().await;
        assert!(matches!(cause, CloseReason::FrameTimeout { received: 1.., .. }), "{cause}");
        assert_eq!(start.elapsed().as_secs(), 31, "as soon as this test looks");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_begun_and_not_finished_is_given_up() {
    let whole = frame(TEXT, CALL.as_bytes(), true);
    for bytes in [&whole[..1], &whole[..20], &frame(0x01, CALL.as_bytes(), true)] {
        let (mut peer, session) =
            WsPeer::client_of(|connector| connector.service(echo()).limits(timed())).await;
        // What is whole is not timed, whatever came with it.
        peer.write(&whole).await;
        peer.expect(ANSWER).await;
        peer.frame(PING, b"").await;
        assert_eq!(peer.next().await, Some((PONG, vec![])));
        sleep(Duration::from_secs(100)).await;
        assert!(!session.is_closed());
        let start = Instant::now();
        peer.write(bytes).await;
        let cause = session.closed().await;
        assert!(matches!(cause, CloseReason::FrameTimeout { .. }), "{cause}");
        assert_eq!(start.elapsed().as_secs(), 30);
    }
}

#[tokio::test(start_paused = true)]
async fn pings_without_end_are_not_kept() {
    let options = WebSocketServer::new();
    let (mut peer, session) =
        WsPeer::client_of_narrow(4096, &options, |connector| connector.service(echo())).await;
    // Nobody reads what is answered: it is not kept, and the session goes on reading.
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
    assert!(matches!(session.closed().await, CloseReason::Cost { .. }));

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
    assert!(matches!(session.closed().await, CloseReason::Idle { .. }));
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

#[tokio::test(start_paused = true)]
async fn what_comes_behind_a_close_is_not_read() {
    let (mut peer, session) = served(echo()).await;
    let close = frame(CLOSE, &1000_u16.to_be_bytes(), true);
    let call = frame(TEXT, CALL.as_bytes(), true);
    peer.write([call.clone(), close, call.repeat(100)].concat()).await;
    assert_eq!(peer.closed().await.0, 1000);
    assert_eq!(peer.next().await, None);
    session.closed().await;
    assert_eq!(session.statistics().messages_received, 1);
}
