//! Subscribers that do not read or do not take what they get, and more subscriptions than there may be: what each overflow does.

use std::time::Duration;

use futures::{SinkExt, StreamExt, channel::mpsc, stream};
use rpc::{Context, ErrorObject, Limits, Overflow, Params, Router, Session, SubscriptionError, testing};
use rpc_tests::{Raw, settled};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use super::{counting, fed};

/// A subscriber that has not read a thousand items, of which 10 may wait; its session, and where the items come from.
async fn flooded(overflow: Overflow) -> (Raw<DuplexStream>, Session, mpsc::Sender<Value>) {
    let (sender, router) = fed(overflow);
    let mut limits = Limits::server();
    limits.subscription_items = 10;
    let (mut peer, session) = Raw::narrow_peer_of(256, router, limits);
    let reply = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"feed"}"#).await;
    assert!(reply.contains("result"), "{reply}");
    for n in 0..1000 {
        sender.clone().try_send(json!(n)).expect("there is room");
    }
    settled().await;
    (peer, session, sender)
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_a_subscriber_that_does_not_read() {
    let (mut peer, session, _sender) = flooded(Overflow::Wait).await;
    // Nothing was lost, and replies are not behind what waits.
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await;
    let mut before = 0;
    loop {
        let line = peer.line().await.expect("more");
        if line.contains("pong") {
            break;
        }
        before += 1;
    }
    assert!(before < 30, "{before} items before the reply");
    for n in before..1000 {
        let line = peer.line().await.expect("more");
        assert!(line.ends_with(&format!("\"result\":{n}}}}}")), "{line}");
    }
    assert_eq!(session.subscriptions_served(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_loses_the_oldest_where_it_is_to() {
    let (mut peer, _session, _sender) = flooded(Overflow::DropOldest).await;
    let (mut lost, mut came, mut next) = (0, 0, 0);
    while came + lost < 1000 {
        let line: Value = serde_json::from_str(&peer.line().await.expect("more")).expect("JSON");
        if line["method"] == "rpc.lost" {
            let items = line["params"]["items"].as_u64().expect("a number");
            lost += items;
            next += items;
        } else {
            assert_eq!(line["params"]["result"], next, "in order");
            came += 1;
            next += 1;
        }
    }
    assert!(lost > 900, "{lost}");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_is_told_that_it_has_ended_where_it_is_to() {
    let (mut peer, session, sender) = flooded(Overflow::End).await;
    assert!(sender.is_closed(), "the stream was dropped");
    let mut last = String::new();
    for _ in 0..100 {
        last = peer.line().await.expect("more");
        if last.contains("rpc.ended") {
            break;
        }
    }
    assert!(last.contains("\"code\":-102") && last.contains("too slow"), "{last}");
    settled().await;
    assert_eq!(session.subscriptions_served(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_who_does_not_take_items_loses_the_oldest_and_is_told_how_many() {
    let (mut sender, router) = fed(Overflow::Wait);
    let (session, _peer) = testing::pair((), router);
    let mut feed = session.subscribe::<u64>("feed", ()).buffer(3).await.expect("begun");
    for n in 0..10 {
        sender.send(json!(n)).await.expect("a stream");
    }
    settled().await;
    assert!(matches!(feed.next().await, Some(Err(SubscriptionError::Lost(7)))));
    for n in 7..10 {
        assert_eq!(feed.next().await.expect("an item").expect("a number"), n);
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_does_not_take_items_may_have_the_session_wait() {
    let (session, peer) = testing::pair((), counting());
    let subscribed = session.subscribe::<u64>("count", (0, 100_000)).buffer(10).overflow(Overflow::Wait);
    let mut items = subscribed.await.expect("begun");
    settled().await;
    assert_eq!(peer.subscriptions_served(), 1, "the stream waits");
    for n in 0..50_000 {
        assert_eq!(items.next().await.expect("an item").expect("a number"), n);
    }
    settled().await;
    // A call of ours gets its reply all the same.
    let pong: String = session.call("ping", ()).timeout(Duration::from_secs(1)).await.expect("a reply");
    assert_eq!(pong, "pong");
    for n in 50_000..50_005 {
        assert_eq!(items.next().await.expect("an item").expect("a number"), n);
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_a_limit_on_subscriptions() {
    let mut limits = Limits::server();
    limits.subscriptions = 2;
    let feeds = || mpsc::unbounded::<Value>();
    let router = Router::new().subscription("feed", move |_: Params, _: Context| {
        let (sender, feed) = feeds();
        async move {
            Ok::<_, ErrorObject>(feed.chain(stream::pending()).map(move |item| (item, sender.is_closed())))
        }
    });
    let (session, peer) = testing::pair_with((), Limits::client(), router, limits);
    let subscribe = || session.subscribe::<Value>("feed", ()).into_future();
    let (first, second) = (subscribe().await.expect("one"), subscribe().await.expect("two"));
    let refused = subscribe().await;
    assert!(
        matches!(&refused, Err(rpc::CallError::Rpc(error)) if error.code() == rpc::ErrorCode::TOO_MANY_SUBSCRIPTIONS),
        "{refused:?}"
    );
    assert_eq!(peer.subscriptions_served(), 2);
    drop((first, second));
}
