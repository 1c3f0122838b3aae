//! Subscriptions by id: an item is an object in 2.0, and an array of the id and the item in 1.0.

use futures::{StreamExt, stream};
use rpc::{
    Context, ErrorObject, MethodInfo, Notices, Params, Router, Server, SubscriptionInfo, SubscriptionStyle,
};
use serde_json::json;

use super::{
    link::Link,
    pairs::{self, Common, Pair},
};
use crate::python::{Python, soon};

/// `ticks` gives the numbers below its parameter, and ends.
fn ticks() -> Router {
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "tick").with_unsubscribe("unticks");
    Router::new().subscription(
        MethodInfo::request("ticks").with_subscription(info),
        async |params: Params, _: Context| {
            let (to,): (u64,) = params.parse()?;
            Ok::<_, ErrorObject>(stream::iter(0..to))
        },
    )
}

#[tokio::test]
async fn python_takes_our_items_and_nothing_comes_unasked() {
    for pair in pairs::that_talk().filter(Pair::begun_by_python) {
        // Where it is told all the same, it takes that for an error of ours.
        for (notices, errors) in [(Notices::Negotiated, 0), (Notices::Always, 1)] {
            let builder = Server::builder().service(ticks()).notices(notices).protocol(pair.ours);
            let server = builder.bind("tcp://127.0.0.1:0").await.expect("a free port").start();
            let mut python = Python::connect(server.endpoint(), pair.theirs).await;

            let id = python.run(json!(["request", "ticks", [3]])).await["result"].take();
            assert!(id.is_string(), "{pair:?}");
            let items = [json!([id, 0]), json!([id, 1]), json!([id, 2])];
            assert_eq!(python.noted(3).await, items, "{pair:?}");
            soon(async { while python.errors().await < errors {} }).await;
            // It has ended: there is nothing to unsubscribe from.
            let unticks = python.run(json!(["request", "unticks", [id]])).await;
            assert_eq!(unticks, json!({"result": false}), "{pair:?}");
            assert_eq!(server.sessions()[0].subscriptions_served(), 0, "{pair:?}");
            assert_eq!(python.errors().await, errors, "{pair:?}, {notices:?}");
        }
    }
}

#[tokio::test]
async fn python_takes_our_marked_request_and_we_its_items() {
    for pair in pairs::that_talk().filter(Pair::begun_by_us) {
        let Link { session, mut python, .. } = Link::new(pair).await;
        let subscribe = session.subscribe::<u64>("ticks", (2,)).unsubscribe_with("unticks");
        let mut ticks = soon(subscribe.into_future()).await.expect("begun");
        let texts = python.run(json!(["texts"])).await;
        let request = texts.as_array().and_then(|texts| texts.last()?.as_str()).expect("a request");
        assert!(request.contains("ticks") && request.ends_with(" \t}"), "{pair:?}: {request:?}");

        for n in [0, 1] {
            let item = match pair.common {
                Common::V1 => json!(["an id", n]),
                _ => json!({"subscription": "an id", "result": n}),
            };
            python.run(json!(["notify", "tick", item])).await;
            assert_eq!(soon(ticks.next()).await.expect("an item").expect("a number"), n, "{pair:?}");
        }
        drop(ticks);
        assert_eq!(python.noted(1).await, [json!("an id")], "{pair:?}");
        assert_eq!(python.errors().await, 0, "{pair:?}");
    }
}
