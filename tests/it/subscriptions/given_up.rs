//! Subscriptions that are dropped wherever they wait (ADVERSARIAL.md 22): nothing is left on either side, and the session goes on.

use futures::{FutureExt, SinkExt, StreamExt};
use rpc::{CloseReason, Limits, Overflow, SubscriptionError, testing};
use rpc_tests::{Raw, is_pending, settled};
use serde_json::json;

use super::{counting, fed, numbers};

#[tokio::test(start_paused = true)]
async fn one_that_was_never_polled_sends_nothing() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    drop(session.subscribe::<u64>("s", ()).into_future());
    peer.expect_silence().await;
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_room_to_be_asked_for_sends_nothing() {
    let mut limits = Limits::client();
    limits.outgoing_bytes = 60;
    let (mut peer, session) = Raw::narrow_peer_of(16, (), limits);
    let mut first = Box::pin(session.call::<u64>("first", ("a long parameter",)).into_future());
    assert!(is_pending(&mut first));
    let mut begun = Box::pin(session.subscribe::<u64>("s", ()).into_future());
    assert!(is_pending(&mut begun));
    drop(begun);
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"first","params":["a long parameter"]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(first.await.expect("a reply"), 7);
    peer.expect_silence().await;
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_answered_and_not_polled_again_is_ended() {
    let (mut sender, router) = fed(Overflow::Wait);
    let (session, peer) = testing::pair((), router);
    let mut begun = Box::pin(session.subscribe::<u64>("feed", ()).unsubscribe_with("stop").into_future());
    assert!(is_pending(&mut begun));
    sender.send(json!(1)).await.expect("there is a stream");
    settled().await;
    assert_eq!((session.subscriptions(), peer.subscriptions_served()), (1, 1));
    drop(begun);
    settled().await;
    assert!(sender.is_closed());
    assert_eq!((session.subscriptions(), peer.subscriptions_served()), (0, 0));
    assert_eq!((session.calls_in_flight(), peer.requests_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_full_already_does_not_keep_the_session_from_reading() {
    let (session, peer) = testing::pair((), counting());
    let full = session.subscribe::<u64>("count", (0, 1000)).unsubscribe_with("stop");
    let mut begun = Box::pin(full.buffer(1).overflow(Overflow::Wait).into_future());
    assert!(is_pending(&mut begun));
    // The items are here, and nobody has taken the subscription yet.
    settled().await;
    drop(begun);
    settled().await;
    // No call of ours is in flight, for whose reply the session would read anyway.
    assert_eq!(session.calls_in_flight(), 0);
    let mut news = session.notifications::<(u8,)>("news");
    peer.notify("news", (1,)).await.expect("sent");
    settled().await;
    assert!(matches!(news.next().now_or_never(), Some(Some(Ok((1,))))), "the session reads on");
}

#[tokio::test(start_paused = true)]
async fn next_that_is_dropped_loses_no_item() {
    let (mut sender, router) = fed(Overflow::Wait);
    let (session, _peer) = testing::pair((), router);
    let mut feed = session.subscribe::<u64>("feed", ()).await.expect("begun");
    for n in 0..100 {
        assert!(is_pending(&mut feed.next()), "and dropped");
        sender.send(json!(n)).await.expect("there is a stream");
        settled().await;
        assert_eq!(feed.next().await.expect("an item").expect("a number"), n);
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_many_is_dropped_at_every_step_of_the_way() {
    // After each number of turns that the runtime takes from asking to the last item, and some more.
    for turns in 0..40 {
        let (session, peer) = testing::pair((), counting());
        let kept = numbers(&session).await;
        let mut dropped = Box::pin(async {
            let feed = session.subscribe::<u64>("count", (0, 20)).unsubscribe_with("stop").await;
            feed.expect("begun").for_each(async |item| assert!(item.is_ok())).await;
        });
        for _ in 0..turns {
            if !is_pending(&mut dropped) {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(dropped);
        let items: Vec<u64> = kept.map(|item| item.expect("an item")).collect().await;
        assert_eq!(items.len(), 1000, "the other one goes on, after {turns} turns");
        settled().await;
        assert_eq!((session.subscriptions(), peer.subscriptions_served()), (0, 0), "after {turns} turns");
        assert_eq!((session.calls_in_flight(), peer.requests_in_flight()), (0, 0), "after {turns} turns");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_a_subscription_is_asked_for_ends_it_with_the_cause() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let asked = session.clone();
    let begun = tokio::spawn(async move { asked.subscribe::<u64>("s", ()).await });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
    session.abort();
    let begun = begun.await.expect("no panic");
    assert!(matches!(begun, Err(rpc::CallError::Closed { reason: CloseReason::Aborted, .. })), "{begun:?}");
    let after = session.subscribe::<u64>("s", ()).await;
    assert!(matches!(after, Err(rpc::CallError::Closed { reason: CloseReason::Aborted, .. })));
    let mut news = session.notifications::<u64>("news");
    assert!(matches!(news.next().await, Some(Err(SubscriptionError::Closed(CloseReason::Aborted)))));
}

#[tokio::test(start_paused = true)]
async fn the_unsubscription_may_cross_the_end_of_the_stream() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let asked = session.clone();
    let begun =
        tokio::spawn(async move { asked.subscribe::<u64>("s", ()).unsubscribe_with("u").await.map(drop) });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
    begun.await.expect("no panic").expect("begun");
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"method":"u","params":["x"]}"#).await;
    // It ended before that arrived: there was nothing to end.
    peer.send(r#"{"jsonrpc":"2.0","method":"rpc.ended","params":{"subscription":"x"}}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"result":false}"#).await;
    settled().await;
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
    assert!(!session.is_closed());
}
