//! A subscription that ends on the side that has asked for it, because too much of it waits: the peer is told at once, though
//! its value is still there, and its place is free on both sides.

use std::time::Duration;

use futures::StreamExt;
use rpc::{
    Limits, Overflow, Progress, Session, Subscription, SubscriptionError, SubscriptionInfo,
    SubscriptionStyle, testing,
};
use rpc_tests::{Raw, settled};
use serde_json::json;
use tokio::{io::DuplexStream, time::Instant};

use super::fed;

/// A subscription of which two items wait at most, and its peer, which has answered with `result`.
async fn narrow(
    style: SubscriptionStyle,
    overflow: Overflow,
    result: &str,
) -> (Raw<DuplexStream>, Session, Subscription<u32>) {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let subscribe = session
        .subscribe::<u32>("m", ("x",))
        .style(style)
        .unsubscribe_with("m.stop")
        .overflow(overflow)
        .buffer(2)
        .into_future();
    let answer = async {
        assert!(peer.line().await.expect("a request").contains(r#""id":1"#));
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)).await;
    };
    let subscription = tokio::join!(subscribe, answer).0.expect("begun");
    (peer, session, subscription)
}

async fn rest(subscription: &mut Subscription<u32>) -> Vec<String> {
    let shown = |item: Result<u32, SubscriptionError>| match item {
        Ok(item) => item.to_string(),
        Err(error) => error.to_string(),
    };
    subscription.map(shown).collect().await
}

const TOO_SLOW: &str = "the subscription has ended: 2 items wait, and none is taken";

#[tokio::test(start_paused = true)]
async fn one_that_overflows_is_unsubscribed_while_it_is_held() {
    let (mut peer, session, mut held) = narrow(SubscriptionStyle::PubSub, Overflow::End, "7").await;
    for n in 1..=4 {
        peer.send(&format!(
            r#"{{"jsonrpc":"2.0","method":"item","params":{{"subscription":7,"result":{n}}}}}"#
        ))
        .await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"method":"m.stop","params":[7]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"result":true}"#).await;
    settled().await;
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
    assert_eq!(rest(&mut held).await, ["1", "2", TOO_SLOW]);
    // Once is enough.
    drop(held);
    peer.expect_silence().await;
}

/// The id is compared as a value, and sent back as the peer wrote it.
#[tokio::test(start_paused = true)]
async fn it_is_named_as_the_peer_has_named_it() {
    let (mut peer, _session, _held) = narrow(SubscriptionStyle::PubSub, Overflow::End, r#""a\/b""#).await;
    for n in 1..=4 {
        peer.send(&format!(
            r#"{{"jsonrpc":"2.0","method":"item","params":{{"subscription":"a/b","result":{n}}}}}"#
        ))
        .await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"method":"m.stop","params":["a\/b"]}"#).await;
}

#[tokio::test(start_paused = true)]
async fn so_is_one_of_electrums_style_unless_another_one_goes_on() {
    let (mut peer, session, mut held) = narrow(SubscriptionStyle::Electrum, Overflow::End, "0").await;
    let another = session
        .subscribe::<u32>("m", ("x",))
        .style(SubscriptionStyle::Electrum)
        .unsubscribe_with("m.stop")
        .into_future();
    let answer = async {
        assert!(peer.line().await.expect("a request").contains(r#""id":2"#));
        peer.send(r#"{"jsonrpc":"2.0","id":2,"result":0}"#).await;
    };
    let another = tokio::join!(another, answer).0.expect("begun");
    for n in 1..=4 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"m","params":["x",{n}]}}"#)).await;
    }
    peer.expect_silence().await;
    assert_eq!(session.subscriptions(), 1);
    assert_eq!(rest(&mut held).await, ["0", "1", TOO_SLOW]);
    drop(another);
    peer.expect(r#"{"jsonrpc":"2.0","id":3,"method":"m.stop","params":["x"]}"#).await;
}

#[tokio::test(start_paused = true)]
async fn so_is_one_whose_session_has_waited_for_it_and_could_not_while_a_call_waits() {
    let (mut peer, session, mut held) = narrow(SubscriptionStyle::PubSub, Overflow::Wait, "7").await;
    let call = tokio::spawn({
        let session = session.clone();
        async move { session.call::<u32>("slow", (1,)).await }
    });
    assert!(peer.line().await.expect("a call").contains("slow"));
    for n in 1..=5 {
        peer.send(&format!(
            r#"{{"jsonrpc":"2.0","method":"item","params":{{"subscription":7,"result":{n}}}}}"#
        ))
        .await;
    }
    peer.expect(r#"{"jsonrpc":"2.0","id":3,"method":"m.stop","params":[7]}"#).await;
    assert_eq!(session.subscriptions(), 0);
    peer.send(r#"{"jsonrpc":"2.0","id":2,"result":9}"#).await;
    assert_eq!(call.await.expect("no panic").expect("a reply"), 9);
    let ended = "the subscription has ended: 4 items wait, and none is taken";
    assert_eq!(rest(&mut held).await, ["1", "2", "3", "4", ended]);
}

#[tokio::test(start_paused = true)]
async fn so_is_one_that_overflows_with_what_came_before_its_reply() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let subscribe = session
        .subscribe::<u32>("m", ("x",))
        .unsubscribe_with("m.stop")
        .overflow(Overflow::End)
        .buffer(2)
        .into_future();
    let answer = async {
        assert!(peer.line().await.expect("a request").contains(r#""id":1"#));
        for n in 1..=4 {
            peer.send(&format!(
                r#"{{"jsonrpc":"2.0","method":"item","params":{{"subscription":7,"result":{n}}}}}"#
            ))
            .await;
        }
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    };
    let mut held = tokio::join!(subscribe, answer).0.expect("begun");
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"method":"m.stop","params":[7]}"#).await;
    assert_eq!(session.subscriptions(), 0);
    assert_eq!(rest(&mut held).await, ["1", "2", TOO_SLOW]);
}

#[tokio::test(start_paused = true)]
async fn work_whose_reports_overflow_is_taken_back() {
    for (style, report, cancel) in [
        (
            SubscriptionStyle::Progress,
            r#"{"jsonrpc":"2.0","method":"$/progress","params":{"token":"1","value":5}}"#,
            r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#,
        ),
        (
            SubscriptionStyle::McpProgress,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"1","progress":5}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        ),
    ] {
        let (mut peer, session) = Raw::peer_of((), Limits::client());
        let subscribe = session
            .subscribe::<Progress<serde_json::Value, u32>>("work", json!({"x": 1}))
            .described_by(SubscriptionInfo::new(style, style.item().expect("a name")))
            .overflow(Overflow::End)
            .buffer(2)
            .into_future();
        let reports = async {
            assert!(peer.line().await.expect("a request").contains(r#""id":1"#));
            for _ in 0..4 {
                peer.send(report).await;
            }
        };
        let before = Instant::now();
        let held = tokio::join!(subscribe, reports).0.expect("begun");
        peer.expect(cancel).await;
        assert!(before.elapsed() < Duration::from_secs(1), "and not when the time of the call is over");
        assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0), "{style:?}");
        drop(held);
        peer.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn its_place_on_the_server_is_free() {
    let (mut sender, router) = fed(Overflow::Wait);
    let (session, peer) = testing::pair((), router);
    let held = session
        .subscribe::<u32>("feed", ())
        .unsubscribe_with("stop")
        .overflow(Overflow::End)
        .buffer(2)
        .await
        .expect("begun");
    for n in 0..4 {
        sender.try_send(json!(n)).expect("there is room");
    }
    settled().await;
    assert_eq!((session.subscriptions(), peer.subscriptions_served()), (0, 0));
    assert!(sender.is_closed() || sender.try_send(json!(5)).is_err(), "the stream was dropped");
    drop(held);
}
