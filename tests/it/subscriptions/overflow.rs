//! Subscribers that do not read or do not take what they get, and more subscriptions than there may be: what each overflow does.

use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc, stream};
use rpc::{
    Context, ErrorObject, Limits, Overflow, Params, Router, Session, SubscriptionError, SubscriptionStyle,
    testing,
};
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
    let reply = peer.subscribe(r#"{"jsonrpc":"2.0","id":1,"method":"feed"}"#).await;
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

/// Of 10,000 bytes, with items of 100,000, of 3,000 and of 10: what is kept while a call waits, so that the session must go on reading.
#[tokio::test(start_paused = true)]
async fn the_bound_in_bytes_holds_whatever_the_policy_and_whatever_call_waits() {
    for overflow in [Overflow::Wait, Overflow::DropOldest, Overflow::End] {
        for size in [100_000, 3_000, 10] {
            let mut limits = Limits::client();
            limits.subscription_bytes = 10_000;
            limits.subscription_items = 100_000;
            let (mut peer, session) = Raw::narrow_peer_of(1 << 20, (), limits);
            let (items, ()) =
                tokio::join!(session.subscribe::<Value>("s", ()).overflow(overflow).into_future(), async {
                    peer.line().await.expect("it is asked for");
                    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
                });
            let mut items = items.expect("begun");
            let waiting = session.clone();
            let call = tokio::spawn(async move { waiting.call::<Value>("slow", ()).await });
            peer.line().await.expect("a call");
            let item = format!(
                r#"{{"jsonrpc":"2.0","method":"i","params":{{"subscription":"x","result":"{}"}}}}"#,
                "y".repeat(size)
            );
            for _ in 0..(2_000_000 / size).min(20_000) {
                peer.send(&item).await;
            }
            settled().await;
            let mut kept = 0;
            while let Some(Some(next)) = items.next().now_or_never() {
                match next {
                    Ok(item) => kept += item.as_str().map_or(0, str::len),
                    Err(SubscriptionError::Lost(_)) => {}
                    Err(_) => break,
                }
            }
            // One is always kept; where the session waits, twice as much may be.
            assert!(kept <= size.max(20_000), "{overflow:?}: {kept} bytes in items of {size}");
            assert!(kept >= size.min(9_000), "{overflow:?}: {kept} bytes in items of {size}");
            peer.send(r#"{"jsonrpc":"2.0","id":2,"result":"slowly"}"#).await;
            assert_eq!(call.await.expect("no panic").expect("a reply"), "slowly");
        }
    }
}

/// On the side that sends, a large item waits with its stream until it fits, and is not kept beside others.
#[tokio::test(start_paused = true)]
async fn a_large_item_waits_until_it_fits_beside_those_that_are_not_read() {
    let (mut sender, router) = fed(Overflow::Wait);
    let mut limits = Limits::server();
    limits.subscription_bytes = 10_000;
    let (mut peer, session) = Raw::narrow_peer_of(64, router, limits);
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"feed"}"#).await;
    for text in ["a".repeat(3_000), "b".repeat(3_000), "c".repeat(9_000), "d".repeat(10)] {
        sender.send(json!(text)).await.expect("a stream");
        settled().await;
        assert!(session.statistics().bytes_unsent < 13_000, "{}", session.statistics().bytes_unsent);
    }
    for (letter, length) in [('a', 3_000), ('b', 3_000), ('c', 9_000), ('d', 10)] {
        let line = peer.line().await.expect("an item");
        assert_eq!(line.chars().filter(|&found| found == letter).count() / length, 1, "{letter}");
    }
}

/// Items that come before the reply which begins their subscription, with a subscriber that has the session wait.
#[tokio::test(start_paused = true)]
async fn items_before_their_subscription_make_nobody_deaf() {
    for early in [1, 2, 3, 4, 5, 10] {
        let (mut peer, session) = Raw::peer_of((), Limits::client());
        let subscribe = session.subscribe::<u64>("s", ()).buffer(2).overflow(Overflow::Wait);
        let (items, ()) = tokio::join!(subscribe.into_future(), async {
            peer.line().await.expect("it is asked for");
            for n in 0..early {
                let item = format!(r#"{{"subscription":"x","result":{n}}}"#);
                peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"i","params":{item}}}"#)).await;
            }
            peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
        });
        let mut items = items.expect("begun");
        while let Some(Some(item)) = items.next().now_or_never() {
            drop(item);
        }
        hears(&mut peer, &session).await;
        drop(items);
        hears(&mut peer, &session).await;
    }
}

/// What a peer sends under a name that work of ours will have, and numbers that are too large to be added up.
#[tokio::test(start_paused = true)]
async fn events_that_a_peer_has_made_up_make_nobody_deaf() {
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    let opening = session.clone();
    // Asked for and not answered: what comes meanwhile may be of it.
    let opening = tokio::spawn(async move { opening.subscribe::<u64>("s", ()).await.is_ok() });
    peer.line().await.expect("it is asked for");
    for n in 0..20 {
        for token in 1..5 {
            let key = format!(r#"{{"token":"{token}"}}"#);
            for (method, rest) in [
                ("i", r#""result":1"#),
                ("rpc.lost", r#""items":18446744073709551615"#),
                ("rpc.ended", r#""x":0"#),
            ] {
                let params = format!(r#"{{"subscription":{key},{rest}}}"#);
                if method != "rpc.ended" || n == 19 {
                    peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)).await;
                }
            }
        }
    }
    settled().await;
    let work = session.subscribe::<rpc::Progress<u8, u8>>("work", ()).buffer(2).overflow(Overflow::Wait);
    let (work, ()) = tokio::join!(work.style(SubscriptionStyle::Progress).into_future(), async {
        let request: Value = serde_json::from_str(&peer.line().await.expect("a request")).expect("JSON");
        let token = &request["params"]["workDoneToken"];
        for n in 0..3 {
            let params = json!({"token": token, "value": n});
            peer.send(&json!({"jsonrpc": "2.0", "method": "$/progress", "params": params}).to_string()).await;
        }
        peer.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": 9}).to_string()).await;
    });
    let steps: Vec<_> = work.expect("it begins").map(|step| step.expect("a step")).collect().await;
    assert_eq!(steps.len(), 4, "the steps that were reported, and the result: {steps:?}");
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#).await;
    assert!(opening.await.expect("no panic"));
    for _ in 0..2 {
        let lost = r#"{"subscription":"x","items":18446744073709551615}"#;
        peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"rpc.lost","params":{lost}}}"#)).await;
    }
    hears(&mut peer, &session).await;
}

/// The session still reads what its peer sends.
async fn hears(peer: &mut Raw<DuplexStream>, session: &Session) {
    let (reply, ()) = tokio::join!(session.call::<u64>("m", ()).into_future(), async {
        let request = loop {
            let line: Value = serde_json::from_str(&peer.line().await.expect("a call")).expect("JSON");
            if line["method"] == "m" {
                break line;
            }
        };
        peer.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": 7}).to_string()).await;
    });
    assert_eq!(reply.expect("a reply"), 7);
    assert!(!session.is_closed());
    // Also where no call has it read.
    let mut news = session.notifications::<(u64,)>("news");
    peer.send(r#"{"jsonrpc":"2.0","method":"news","params":[7]}"#).await;
    settled().await;
    assert!(matches!(news.next().now_or_never(), Some(Some(Ok((7,))))), "it is deaf");
}
