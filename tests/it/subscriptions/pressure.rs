//! Peers that ask for too much, or do not read (ADVERSARIAL.md 15 and 19): what they cost is bounded, and costs nobody else.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, SinkExt, StreamExt, stream};
use rpc::{CloseReason, Context, ErrorObject, Limits, MethodInfo, Overflow, Params, Router};
use rpc::{SubscriptionError, SubscriptionInfo, SubscriptionStyle, testing};
use rpc_tests::{Gate, Raw, marked, settled};
use serde_json::{Value, json};

use super::{counting, fed};

#[tokio::test(start_paused = true)]
async fn nothing_of_a_subscription_precedes_its_reply_in_a_batch() {
    let gate = Gate::closed();
    let held = gate.clone();
    let router = counting().method("wait", move |_: Params, _: Context| {
        let held = held.clone();
        async move {
            held.pass().await;
            Ok::<_, ErrorObject>("done")
        }
    });
    let (mut peer, session) = Raw::peer_of(router, Limits::server());
    let count = marked(r#"{"jsonrpc":"2.0","id":1,"method":"count","params":[0,2]}"#);
    peer.send(&format!(r#"[{count},{{"jsonrpc":"2.0","id":2,"method":"wait"}}]"#)).await;
    settled().await;
    assert_eq!(session.subscriptions_served(), 1);
    gate.open();
    let replies: Value = serde_json::from_str(&peer.line().await.expect("a reply")).expect("JSON");
    let id = replies[0]["result"].as_str().expect("the batch is answered first").to_owned();
    for n in 0..2 {
        let item: Value = serde_json::from_str(&peer.line().await.expect("an item")).expect("JSON");
        assert_eq!(item["params"], json!({"subscription": id, "result": n}));
    }
    assert!(peer.line().await.expect("the end").contains("rpc.ended"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_keeps_a_bounded_number_of_items_waiting_and_is_aborted() {
    let produced = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&produced);
    let router = Router::new().subscription("endless", move |_: Params, _: Context| {
        let count = Arc::clone(&count);
        let items = stream::repeat_with(move || {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            "x".repeat(1000)
        });
        async move { Ok::<_, ErrorObject>(items) }
    });
    let mut limits = Limits::server();
    limits.subscription_bytes = 100_000;
    let stall = limits.send_timeout.expect("a server has one");
    let (mut peer, session) = Raw::deaf_peer_of(1_000, router, limits);
    for _ in 0..10 {
        peer.write("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"endless\"}\n").await;
    }
    settled().await;
    let waiting = produced.load(std::sync::atomic::Ordering::Relaxed);
    // Fewer than a hundred for each of ten, and what was taken to be written.
    assert!((900..1_200).contains(&waiting), "{waiting}");
    tokio::time::sleep(stall + Duration::from_secs(1)).await;
    assert!(matches!(session.close_reason(), Some(CloseReason::SendTimeout { .. })), "{session:?}");
    assert_eq!(session.subscriptions_served(), 0);
    assert_eq!(produced.load(std::sync::atomic::Ordering::Relaxed), waiting, "the streams are gone");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_over_the_limit_are_refused_and_those_that_exist_go_on() {
    let mut limits = Limits::server();
    limits.subscriptions = 3;
    let router = Router::new().subscription("s", async |_: Params, _: Context| {
        Ok::<_, ErrorObject>(stream::once(async { 1 }).chain(stream::pending()))
    });
    let (mut peer, session) = Raw::peer_of(router, limits);
    let mut refused = 0;
    let mut begun = Vec::new();
    for id in 0..100 {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"s"}}"#);
        peer.send(&line).await;
        let reply: Value = serde_json::from_str(&peer.line().await.expect("an answer")).expect("JSON");
        if reply["error"]["code"] == -32006 {
            refused += 1;
        } else {
            begun.push(reply["result"].clone());
            assert!(peer.line().await.expect("an item").contains("\"result\":1"));
        }
    }
    assert_eq!((refused, session.subscriptions_served()), (97, 3));
    assert!(!session.is_closed(), "asking for too many is no broken rule");
}

/// With `overflow` on our side; gives what the one that is not taken says in the end.
async fn beside_one_that_is_not_taken(overflow: Overflow) -> SubscriptionError {
    let (mut slow_feed, router) = fed(Overflow::Wait);
    let router = router.subscription(
        MethodInfo::request("fast").with_subscription(SubscriptionInfo::new(SubscriptionStyle::PubSub, "f")),
        async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::iter(0..5_000)),
    );
    let (session, _peer) = testing::pair((), router);
    let slow = session.subscribe::<u64>("feed", ()).buffer(4).overflow(overflow);
    let mut slow = slow.await.expect("begun");
    for n in 0..5_000 {
        slow_feed.send(json!(n)).await.expect("there is a stream");
    }
    let mut fast = session.subscribe::<u64>("fast", ()).buffer(5_000).await.expect("begun");
    for n in 0..5_000 {
        assert_eq!(fast.next().await.expect("an item").expect("a number"), n);
        if n % 500 == 0 {
            session.call::<String>("ping", ()).await.expect("a reply");
        }
    }
    settled().await;
    loop {
        match slow.next().now_or_never() {
            Some(Some(Ok(_))) => {}
            Some(Some(Err(error))) => return error,
            other => panic!("neither an item nor an error: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_not_taken_slows_neither_another_one_nor_replies() {
    let lost = beside_one_that_is_not_taken(Overflow::DropOldest).await;
    assert!(matches!(lost, SubscriptionError::Lost(4_996)), "{lost}");
    let ended = beside_one_that_is_not_taken(Overflow::End).await;
    assert!(matches!(ended, SubscriptionError::TooSlow(4)), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_waits_lets_replies_and_the_unsubscription_through() {
    let router = Router::new()
        .subscription(
            MethodInfo::request("endless").with_subscription(
                SubscriptionInfo::new(SubscriptionStyle::PubSub, "e").with_unsubscribe("stop"),
            ),
            async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::repeat(1)),
        )
        .method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
    let (session, peer) = testing::pair((), router);
    let mut endless = session.subscribe::<u64>("endless", ()).unsubscribe_with("stop").await.expect("begun");
    for _ in 0..3 {
        endless.next().await.expect("an item").ok();
        assert_eq!(session.call::<String>("ping", ()).await.expect("a reply"), "pong");
    }
    drop(endless);
    settled().await;
    assert_eq!((session.subscriptions(), peer.subscriptions_served()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_a_reply_is_kept_within_bounds_and_the_newest_counts() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let begun = tokio::spawn(async move {
        let items = session.subscribe::<u64>("s", ()).await.expect("begun");
        (items, session)
    });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
    // Ends and losses of nobody's, among items of nobody's.
    for n in 0..5_000 {
        for (method, rest) in [("rpc.ended", ""), ("rpc.lost", r#","items":3"#), ("i", r#","result":1"#)] {
            peer.send(&format!(
                r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"subscription":"{n}"{rest}}}}}"#
            ))
            .await;
        }
    }
    peer.send(r#"{"jsonrpc":"2.0","method":"i","params":{"subscription":"x","result":7}}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
    let (mut items, _session) = begun.await.expect("no panic");
    assert_eq!(items.next().await.expect("an item").expect("a number"), 7);
}
