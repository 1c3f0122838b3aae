//! Peers that say nothing, or say it drop by drop: they do not keep a session for ever.

use std::time::Duration;

use futures::stream;
use rpc::{
    CloseReason, Context, ErrorObject, Limits, MethodInfo, Params, Router, Session, SubscriptionInfo,
    SubscriptionStyle,
    framing::{
        ContentLengthFramer, Framer, JsonFramer, LengthPrefixedFramer, NetstringFramer, NewlineFramer,
    },
};
use rpc_tests::{Gate, Raw, is_pending, settled, waiting};
use serde_json::Value;
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);

/// Idle sessions end after 60 s, messages may take 10 s.
fn limits() -> Limits {
    let mut limits = Limits::unlimited();
    limits.idle_timeout = Some(SECOND * 60);
    limits.frame_timeout = Some(SECOND * 10);
    limits
}

fn is_idle(reason: Option<&CloseReason>) -> bool {
    matches!(reason, Some(CloseReason::Idle { after }) if *after == SECOND * 60)
}

async fn ends_within(session: &Session, from: u64, to: u64) -> CloseReason {
    let start = Instant::now();
    let reason = session.closed().await;
    let after = start.elapsed();
    assert!(
        (SECOND * u32::try_from(from).expect("small")..SECOND * u32::try_from(to).expect("small"))
            .contains(&after),
        "{after:?}"
    );
    reason
}

#[tokio::test(start_paused = true)]
async fn a_session_on_which_nothing_comes_or_goes_is_closed() {
    let (mut peer, session) = Raw::peer_of((), limits());
    let reason = ends_within(&session, 60, 61).await;
    assert!(is_idle(Some(&reason)), "{reason}");
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_or_goes_keeps_a_session() {
    let (mut peer, session) = Raw::peer_of(waiting(&Gate::closed()), limits());
    for _ in 0..5 {
        sleep(SECOND * 50).await;
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[]}"#).await;
        sleep(SECOND * 50).await;
        session.notify("note", ()).await.expect("sent");
        peer.line().await.expect("the notification");
        sleep(SECOND * 50).await;
        peer.write("\n").await;
    }
    assert!(!session.is_closed());
    let reason = ends_within(&session, 59, 61).await;
    assert!(is_idle(Some(&reason)), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_request_a_call_or_a_subscription_is_not_idle() {
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "tick").with_unsubscribe("untick");
    let router = |gate: &Gate| {
        waiting(gate).subscription(
            MethodInfo::request("ticks").with_subscription(info),
            async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::pending::<u8>()),
        )
    };
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(router(&gate), limits());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}"#).await;
    sleep(SECOND * 1000).await;
    gate.open();
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#).await;
    assert!(is_idle(Some(&ends_within(&session, 59, 61).await)));

    let (mut peer, session) = Raw::peer_of((), limits());
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
    sleep(SECOND * 1000).await;
    peer.line().await.expect("the call");
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
    call.await.expect("a reply");
    assert!(is_idle(Some(&ends_within(&session, 59, 61).await)));

    let (mut peer, session) = Raw::peer_of(router(&gate), limits());
    let begun = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"ticks"}"#).await;
    sleep(SECOND * 1000).await;
    assert!(!session.is_closed());
    let begun: Value = serde_json::from_str(&begun).expect("a reply");
    peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":2,"method":"untick","params":[{}]}}"#, begun["result"]))
        .await;
    assert!(is_idle(Some(&ends_within(&session, 59, 61).await)));
}

/// Drips `text`, a byte every second, until the session has ended.
async fn drip(peer: &mut Raw<DuplexStream>, session: &Session, text: &str) {
    for byte in text.bytes() {
        if session.is_closed() {
            return;
        }
        peer.write([byte]).await;
        sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_drips_in_ends_the_session() {
    let (mut peer, session) = Raw::peer_of((), limits());
    let start = Instant::now();
    drip(&mut peer, &session, &"x".repeat(100)).await;
    assert!(start.elapsed() < SECOND * 12, "{:?}", start.elapsed());
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::FrameTimeout { received: 10 | 11, .. }), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_message_that_is_too_large_may_drip_no_longer() {
    let mut limits = limits();
    limits.frame_size = 5;
    for first in ["x", "more than five at once"] {
        let (mut peer, session) = Raw::peer_of((), limits.clone());
        let start = Instant::now();
        peer.write(first).await;
        drip(&mut peer, &session, &"x".repeat(100)).await;
        assert!(start.elapsed() < SECOND * 12, "{:?}", start.elapsed());
        assert!(matches!(session.closed().await, CloseReason::FrameTimeout { .. }));
    }
}

/// Of a frame that is dropped, nothing may be missing for longer: neither what its header declares,
/// nor what stands behind its message.
async fn ends_in_time(framer: impl Framer, sent: &str, is_whole: bool) {
    let mut limits = limits();
    limits.frame_size = 5;
    let (mut peer, session) = Raw::peer_with(|with| with.limits(limits).framer(framer)).await;
    peer.write(sent).await;
    match is_whole {
        false => {
            let reason = ends_within(&session, 10, 11).await;
            assert!(matches!(reason, CloseReason::FrameTimeout { .. }), "{sent:?}: {reason}");
        }
        true => assert!(is_idle(Some(&ends_within(&session, 59, 61).await)), "{sent:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_of_a_message_that_is_too_large_has_no_longer_to_come() {
    for (sent, is_whole) in [("6:", false), ("6:123", false), ("6:123456", false), ("6:123456,", true)] {
        ends_in_time(NetstringFramer::new(), sent, is_whole).await;
    }
    const HEADER: &str = "Content-Length: 6\r\n\r\n";
    for (rest, is_whole) in [("", false), ("12345", false), ("123456", true)] {
        ends_in_time(ContentLengthFramer::new(), &format!("{HEADER}{rest}"), is_whole).await;
        ends_in_time(LengthPrefixedFramer::u32_be(), &format!("\0\0\0\x06{rest}"), is_whole).await;
        ends_in_time(LengthPrefixedFramer::u8(), &format!("\x06{rest}"), is_whole).await;
    }
    ends_in_time(JsonFramer::new(), "[1,2,3", false).await;
    ends_in_time(JsonFramer::new(), "[1,2,3]", true).await;
    ends_in_time(NewlineFramer::new(), "[1,2,3]", false).await;
    ends_in_time(NewlineFramer::new(), "[1,2,3]\n", true).await;
}

/// What was late by itself is not late because of the one before.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_dropped_message_is_over_with_its_last_byte() {
    let mut limits = limits();
    limits.frame_size = 5;
    let (mut peer, session) = Raw::peer_with(|with| with.limits(limits).framer(NetstringFramer::new())).await;
    for _ in 0..5 {
        for part in ["6:", "123456", ","] {
            peer.write(part).await;
            sleep(SECOND * 4).await;
        }
    }
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn each_message_has_its_own_time_and_blank_lines_have_none() {
    let (mut peer, session) = Raw::peer_of(waiting(&Gate::closed()), limits());
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[]}"#;
    // The end of one and the beginning of the next come together.
    let (head, tail) = request.split_at(20);
    peer.write(head).await;
    for _ in 0..10 {
        sleep(SECOND * 8).await;
        peer.write(format!("{tail}\n{head}")).await;
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#).await;
    }
    peer.write(format!("{tail}\n")).await;
    peer.line().await.expect("a reply");
    drip(&mut peer, &session, &"\n".repeat(30)).await;
    drip(&mut peer, &session, &" \r\n".repeat(10)).await;
    assert!(!session.is_closed());
}

/// What is not read cannot arrive.
#[tokio::test(start_paused = true)]
async fn time_in_which_nothing_is_read_does_not_count() {
    let gate = Gate::closed();
    let mut limits = limits();
    limits.requests_in_flight = 1;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}"#;
    let (head, tail) = request.split_at(20);
    peer.write(format!("{request}\n{request}\n{head}")).await;
    settled().await;
    peer.write(format!("{tail}\n")).await;
    sleep(SECOND * 100).await;
    assert!(!session.is_closed());
    gate.open();
    for _ in 0..3 {
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":[]}"#).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_limits_silence_is_no_fault() {
    let (mut peer, session) = Raw::peer_of(Router::new(), Limits::client());
    peer.write("x").await;
    sleep(SECOND * 100_000).await;
    assert!(!session.is_closed());
}
