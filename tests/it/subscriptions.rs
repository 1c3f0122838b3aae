//! Streams of items: in order, behind the reply that begins them, and ended by either side.

mod both_ways;
mod ended_here;
mod given_up;
mod notices;
mod overflow;
mod pressure;
mod progress;
mod protocols;
mod soak;
mod twice;
mod version_1;

use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc, stream};
use rpc::{
    CloseReason, Context, ErrorObject, Limits, MethodInfo, Overflow, Params, Router, Session, Subscription,
    SubscriptionError, SubscriptionInfo, SubscriptionStyle, testing,
};
use rpc_tests::{Raw, settled};
use serde_json::{Value, json};

/// `count` gives numbers from its parameter on, `feed` what the test puts in.
fn router(feed: impl Fn() -> mpsc::Receiver<Value> + Send + Sync + 'static, overflow: Overflow) -> Router {
    let info = |name| {
        let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "item").with_unsubscribe("stop");
        MethodInfo::request(name).with_subscription(info.with_overflow(overflow))
    };
    Router::new()
        .subscription(info("count"), async |params: Params, _: Context| {
            let (from, to): (u64, u64) = params.parse()?;
            Ok::<_, ErrorObject>(stream::iter(from..to))
        })
        .subscription(info("feed"), move |_: Params, _: Context| {
            let feed = feed();
            async move { Ok::<_, ErrorObject>(feed) }
        })
        .subscription(info("refused"), async |_: Params, _: Context| {
            Err::<stream::Empty<u8>, _>(ErrorObject::new(7, "not today"))
        })
        .subscription(info("panics"), async |_: Params, _: Context| {
            let items = stream::iter(0..3).map(|n| if n == 2 { panic!("on purpose") } else { n });
            Ok::<_, ErrorObject>(items)
        })
        .method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"))
}

fn counting() -> Router {
    router(|| mpsc::channel(0).1, Overflow::Wait)
}

/// A router whose one feed the test fills.
fn fed(overflow: Overflow) -> (mpsc::Sender<Value>, Router) {
    let (sender, receiver) = mpsc::channel(10_000);
    let receiver = std::sync::Mutex::new(Some(receiver));
    (sender, router(move || receiver.lock().expect("no panic").take().expect("one subscriber"), overflow))
}

fn numbers(session: &Session) -> impl Future<Output = Subscription<u64>> {
    session
        .subscribe::<u64>("count", (0, 1000))
        .unsubscribe_with("stop")
        .into_future()
        .map(|s| s.expect("begun"))
}

#[tokio::test(start_paused = true)]
async fn items_come_in_order_and_the_stream_ends_with_the_peers() {
    let (session, peer) = testing::pair((), counting());
    let items: Vec<u64> = numbers(&session).await.map(|item| item.expect("an item")).collect().await;
    assert_eq!(items, (0..1000).collect::<Vec<u64>>());
    settled().await;
    assert_eq!((session.subscriptions(), peer.subscriptions_served()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_wire_is_what_the_guide_shows() {
    let (mut peer, session) = Raw::peer_of(counting(), Limits::server());
    let reply = peer.subscribe(r#"{"jsonrpc":"2.0","id":1,"method":"count","params":[7,9]}"#).await;
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    let id = reply["result"].as_str().expect("an id").to_owned();
    assert_eq!(id.len(), 34, "128 bits: {id}");
    for n in [7, 8] {
        peer.expect(&format!(
            r#"{{"jsonrpc":"2.0","method":"item","params":{{"subscription":"{id}","result":{n}}}}}"#
        ))
        .await;
    }
    peer.expect(&format!(r#"{{"jsonrpc":"2.0","method":"rpc.ended","params":{{"subscription":"{id}"}}}}"#))
        .await;
    assert_eq!(session.subscriptions_served(), 0);
    // It is over: there is nothing to end.
    let answer = peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":2,"method":"stop","params":["{id}"]}}"#)).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":2,"result":false}"#);
}

#[tokio::test(start_paused = true)]
async fn ids_cannot_be_guessed_from_one_another() {
    let (mut peer, _session) = Raw::peer_of(counting(), Limits::server());
    let mut ids = std::collections::HashSet::new();
    for _ in 0..100 {
        let reply = peer.subscribe(r#"{"jsonrpc":"2.0","id":1,"method":"count","params":[0,0]}"#).await;
        let reply: Value = serde_json::from_str(&reply).expect("JSON");
        let id = reply["result"].as_str().expect("an id").to_owned();
        assert!(ids.insert(id[..10].to_owned()), "{id}");
        assert!(peer.line().await.expect("the end").contains("rpc.ended"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_of_another_session_is_of_no_use_and_says_nothing_of_those_here() {
    let (_feed, router) = fed(Overflow::Wait);
    let (mut theirs, their_session) = Raw::peer_of(router, Limits::server());
    let reply = theirs.ask(r#"{"jsonrpc":"2.0","id":1,"method":"feed"}"#).await;
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    let id = reply["result"].as_str().expect("an id").to_owned();

    let (mut ours, _session) = Raw::peer_of(counting(), Limits::server());
    let reply = ours.subscribe(r#"{"jsonrpc":"2.0","id":1,"method":"count","params":[0,0]}"#).await;
    // Neither the session nor how many there were can be told from it.
    assert!(!reply.contains(&id[..10]), "{reply}");
    assert!(ours.line().await.expect("the end").contains("rpc.ended"));
    let answer = ours.ask(&format!(r#"{{"jsonrpc":"2.0","id":2,"method":"stop","params":["{id}"]}}"#)).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":2,"result":false}"#);
    assert_eq!(their_session.subscriptions_served(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_subscription_stops_the_stream() {
    let (mut sender, router) = fed(Overflow::Wait);
    let (session, peer) = testing::pair((), router);
    let mut feed = session.subscribe::<u64>("feed", ()).unsubscribe_with("stop").await.expect("begun");
    sender.send(json!(1)).await.expect("there is a stream");
    assert_eq!(feed.next().await.expect("an item").expect("a number"), 1);
    drop(feed);
    settled().await;
    assert!(sender.is_closed(), "the stream was dropped");
    assert_eq!((session.subscriptions(), peer.subscriptions_served()), (0, 0));
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_ends_is_not_ended_again() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let begun = tokio::spawn(async move {
        let feed = session.subscribe::<u64>("s", ()).unsubscribe_with("u").await.expect("begun");
        (session, feed.collect::<Vec<_>>().await)
    });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"rpc.ended","params":{"subscription":7}}"#).await;
    let (session, items) = begun.await.expect("no panic");
    assert!(items.is_empty());
    drop(session);
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_the_subscriber() {
    let (session, _peer) = testing::pair((), counting());
    let refused = session.subscribe::<u64>("refused", ()).await;
    assert!(matches!(refused, Err(rpc::CallError::Rpc(error)) if error.code().value() == 7));
    let items: Vec<_> = session.subscribe::<u64>("panics", ()).await.expect("begun").collect().await;
    assert_eq!(items.len(), 3, "{items:?}");
    assert!(matches!(&items[1], Ok(1)));
    assert!(matches!(&items[2], Err(SubscriptionError::Rpc(error)) if error.code().value() == -32603));
}

#[tokio::test(start_paused = true)]
async fn items_right_behind_the_reply_and_before_it_are_not_lost() {
    for early in [false, true] {
        let (mut peer, session) = Raw::peer_of((), Limits::client());
        let begun = tokio::spawn(async move { session.subscribe::<u64>("s", ()).await });
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
        let item = |n| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"i\",\"params\":{{\"subscription\":\"x\",\"result\":{n}}}}}\n"
            )
        };
        let reply = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"x\"}\n";
        let all = match early {
            true => format!("{}{}{reply}{}", item(1), item(2), item(3)),
            false => format!("{reply}{}{}{}", item(1), item(2), item(3)),
        };
        peer.write(all).await;
        let mut items = begun.await.expect("no panic").expect("begun");
        for n in 1..=3 {
            assert_eq!(items.next().await.expect("an item").expect("a number"), n);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_ends_the_subscription_with_the_cause() {
    for by_peer in [false, true] {
        let (_sender, router) = fed(Overflow::Wait);
        let (session, peer) = testing::pair((), router);
        let mut feed = session.subscribe::<u64>("feed", ()).await.expect("begun");
        if by_peer {
            peer.abort();
        } else {
            session.start_close();
        }
        let last = feed.next().await.expect("the cause");
        match (by_peer, last) {
            (true, Err(SubscriptionError::Closed(CloseReason::Peer)))
            | (false, Err(SubscriptionError::Closed(CloseReason::Local))) => {}
            other => panic!("{other:?}"),
        }
        assert!(feed.next().await.is_none());
        assert!(feed.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_drops_the_streams_it_serves() {
    let (sender, router) = fed(Overflow::Wait);
    let (session, peer) = testing::pair((), router);
    let feed = session.subscribe::<u64>("feed", ()).await.expect("begun");
    peer.close().await;
    assert!(sender.is_closed());
    assert_eq!(peer.subscriptions_served(), 0);
    drop(feed);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_nobody_waits_for_is_ended_when_its_reply_comes() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let mut begun = Box::pin(session.subscribe::<u64>("s", ()).unsubscribe_with("u").into_future());
    assert!(begun.as_mut().now_or_never().is_none());
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
    drop(begun);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"method":"u","params":["x"]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"result":true}"#).await;
    settled().await;
    assert_eq!((session.subscriptions(), session.calls_in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_whose_reply_comes_too_late_is_ended() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let second = Duration::from_secs(1);
    let late = session.subscribe::<u64>("s", ()).unsubscribe_with("u").timeout(second).await;
    assert!(matches!(late, Err(rpc::CallError::Timeout(_))));
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"method":"u","params":["x"]}"#).await;
}

#[tokio::test(start_paused = true)]
async fn the_style_of_electrum_begins_with_the_current_value() {
    let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "status").with_unsubscribe("unstatus");
    let router = Router::new().subscription(
        MethodInfo::request("status").with_subscription(info),
        async |params: Params, _: Context| {
            let (name,): (String,) = params.parse()?;
            let items = (0..3).map(move |n| format!("{name}{n}"));
            Ok::<_, ErrorObject>(stream::iter(items).chain(stream::pending()))
        },
    );
    let (mut peer, served) = Raw::peer_of(router.clone(), Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"status","params":["a"]}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":"a0"}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","method":"status","params":["a","a1"]}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","method":"status","params":["a","a2"]}"#).await;
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":2,"method":"unstatus","params":[ "a" ]}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":2,"result":true}"#);
    assert_eq!(served.subscriptions_served(), 0);

    let (session, served) = testing::pair((), router);
    let subscribe = |name: &'static str| {
        session
            .subscribe::<String>("status", (name,))
            .style(SubscriptionStyle::Electrum)
            .unsubscribe_with("unstatus")
    };
    let (mut a, mut b) = (subscribe("a").await.expect("begun"), subscribe("b").await.expect("begun"));
    for n in 0..3 {
        assert_eq!(b.next().await.expect("an item").expect("a text"), format!("b{n}"));
        assert_eq!(a.next().await.expect("an item").expect("a text"), format!("a{n}"));
    }
    drop(a);
    settled().await;
    assert_eq!(served.subscriptions_served(), 1);
}

#[tokio::test(start_paused = true)]
async fn notifications_that_nobody_asked_for_are_a_stream_too() {
    let (session, peer) = testing::pair((), ());
    let mut first = session.notifications::<(u8, String)>("news");
    let mut second = session.notifications::<Value>("news");
    peer.notify("news", (1, "rain")).await.expect("sent");
    peer.notify("other", (2, "sun")).await.expect("sent");
    peer.notify("news", json!({"named": true})).await.expect("sent");
    assert_eq!(first.next().await.expect("an item").expect("a tuple"), (1, "rain".to_owned()));
    assert!(matches!(first.next().await, Some(Err(SubscriptionError::Decode(_)))));
    assert_eq!(second.next().await.expect("an item").expect("a value"), json!([1, "rain"]));
    assert_eq!(second.next().await.expect("an item").expect("a value"), json!({"named": true}));
}

#[tokio::test(start_paused = true)]
async fn what_still_comes_of_a_subscription_that_was_dropped_costs_nothing() {
    // A server's session, which charges for broken rules.
    let (mut peer, session) = Raw::peer_of((), Limits::server());
    let begun = tokio::spawn(async move { (session.subscribe::<u64>("s", ()).await.map(drop), session) });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"s"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
    let (outcome, session) = begun.await.expect("no panic");
    outcome.expect("begun");
    for _ in 0..1000 {
        peer.send(r#"{"jsonrpc":"2.0","method":"i","params":{"subscription":"x","result":1}}"#).await;
    }
    settled().await;
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_refused_where_it_cannot_be_served() {
    let dispatcher = rpc::Dispatcher::builder().service(counting()).build().expect("one service");
    let reply = dispatcher.dispatch(br#"{"jsonrpc":"2.0","id":1,"method":"count","params":[0,9]}"#).await;
    let reply: Value = serde_json::from_slice(&reply.expect("an answer")).expect("JSON");
    assert_eq!(reply["error"]["message"], "a subscription needs a session");

    let (mut peer, session) = Raw::peer_of(counting(), Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","method":"count","params":[0,9]}"#).await;
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"count","params":["x",9]}"#).await;
    assert!(answer.contains("-32602"), "{answer}");
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"stop","params":{}}"#).await;
    assert!(answer.contains("it takes the id of a subscription"), "{answer}");
    assert_eq!(session.subscriptions_served(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_one_too_many_breaks_no_rule() {
    let (mut peer, session) = Raw::peer_of(counting(), Limits::public().with_subscriptions(0));
    for id in 0..200 {
        let answer =
            peer.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"count","params":[0,9]}}"#)).await;
        assert!(answer.contains("-32006"), "{answer}");
    }
    let statistics = session.statistics();
    assert!(!session.is_closed());
    assert_eq!(statistics.errors, 0);
    assert!(statistics.cost < 10.0, "{statistics:?}");
}
