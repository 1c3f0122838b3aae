//! Frames of more than sixteen times the limit: the session ends.

use rpc_tests::Events;
use tracing::Level;

use super::*;

/// Whether the session has ended for a frame over its limit, and has said so in the log, once.
async fn has_ended(session: &Session, size: usize, events: &Events) {
    let reason = session.closed().await;
    let CloseReason::Frame(FrameError::TooLarge { size: named, limit: LIMIT }) = reason else {
        panic!("{reason:?}")
    };
    assert!(named > 16 * LIMIT && named <= size, "{named} of {size}");
    let logged: Vec<_> =
        events.all().into_iter().filter(|event| event.message.contains("Limits::frame_size")).collect();
    let [event] = &logged[..] else { panic!("{logged:?}") };
    assert_eq!((event.level, event.field("limit")), (Level::WARN, "1000"));
    assert_eq!(event.field("size"), named.to_string());
    assert_eq!(event.field("session"), session.id().to_string());
}

async fn far_over_the_limit_the_session_ends(framer: impl Framer) {
    for is_client in [true, false] {
        let open = async || match is_client {
            true => client(&framer, Protocol::V2).await,
            false => server(&framer, Protocol::V2),
        };
        // Sixteen times the limit is not far over it.
        let (mut peer, session) = open().await;
        peer.send(&request(16 * LIMIT)).await;
        is_refusal(&peer.message().await.expect("a refusal"), "7", Protocol::V2, 16 * LIMIT);
        peer.expect_silence().await;
        assert!(!session.is_closed());

        let size = 17 * LIMIT;
        let response = request(size).replacen("method", "result", 1);
        // The session ends before it is seen to be a notification.
        let late = request(size + LIMIT).replacen("\"id\":7,", "", 1);
        for (message, id) in [(request(size), Some("7")), (response, None), (late, Some("null"))] {
            let events = Events::capture();
            let (mut peer, session) = open().await;
            let bytes = peer.framed(&message);
            peer.write(&bytes, 1_000).await;
            if let Some(id) = id {
                is_refusal(&peer.message().await.expect("a refusal"), id, Protocol::V2, message.len());
            }
            assert_eq!(peer.message().await, None, "{message:.60}");
            has_ended(&session, message.len(), &events).await;
            assert!(session.cost() >= 1_000.0);
        }
    }
}

over_our_own_framings!(far_over_the_limit_the_session_ends);

#[tokio::test(start_paused = true)]
async fn what_is_declared_far_over_the_limit_ends_the_session_before_it_comes() {
    async fn ends(framer: impl Framer) {
        let size = 17 * LIMIT;
        for (start, answer) in [
            ("", Some("null")),
            (r#"{"jsonrpc":"2.0","id":7,"method":"echo","par"#, Some("7")),
            (r#"{"jsonrpc":"2.0","id":7,"result":["#, None),
            (r#"{"jsonrpc":"2.0","id":7,"#, Some("null")),
        ] {
            let events = Events::capture();
            let (mut peer, session) = client(&framer, Protocol::V2).await;
            let bytes = [&*header(&framer, size), start.as_bytes()].concat();
            let start = Instant::now();
            peer.write(&bytes, usize::MAX).await;
            if let Some(id) = answer {
                is_refusal(&peer.message().await.expect("a refusal"), id, Protocol::V2, size);
            }
            assert_eq!(peer.message().await, None);
            has_ended(&session, size, &events).await;
            assert!(start.elapsed() < Duration::from_millis(100), "at once");
        }
    }
    let (content_length, prefix, netstring) = declared();
    ends(content_length).await;
    ends(prefix).await;
    ends(netstring).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_giant_answers_ends_with_its_own_error_and_the_others_with_the_session() {
    let framer = ContentLengthFramer::new();
    let (mut peer, session) = client(&framer, Protocol::V2).await;
    let (large, other, ()) =
        tokio::join!(session.call::<Value>("large", ()), session.call::<Value>("other", ()), async {
            settled().await;
            let reply = format!(r#"[{{"jsonrpc":"2.0","id":1,"result":"{}"}},"#, "x".repeat(LIMIT));
            let bytes = [&*header(&framer, 17 * LIMIT), reply.as_bytes()].concat();
            peer.write(&bytes, usize::MAX).await;
        });
    let Err(CallError::Protocol { source: ProtocolError::ReplyTooLarge { size, limit: LIMIT }, .. }) = large
    else {
        panic!("{large:?}")
    };
    assert_eq!(size, 17 * LIMIT);
    let Err(CallError::Closed { reason, .. }) = other else { panic!("{other:?}") };
    assert!(reason.to_string().contains("over the limit of 1000 bytes"), "{reason}");
}

/// What a codec gives up by itself, nothing is known of; this one is decoded.
#[tokio::test(start_paused = true)]
async fn what_a_codec_has_decoded_is_answered_before_the_session_ends() {
    let framer = CodecFramer::text(LinesCodec::new());
    let (mut peer, session) = client(&framer, Protocol::V2).await;
    let mut limits = session.limits();
    limits.frame_size = 100;
    session.set_limits(&limits);
    settled().await;
    peer.send(&request(1_700)).await;
    let refusal = peer.message().await.expect("a refusal");
    assert!(refusal.starts_with(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"#), "{refusal}");
    assert_eq!(peer.message().await, None);
    let reason = session.closed().await;
    assert!(
        matches!(reason, CloseReason::Frame(FrameError::TooLarge { size: 1_700, limit: 100 })),
        "{reason}"
    );
}
