//! Subscriptions in the style of Electrum, followed by Python and followed by us.

use futures::{StreamExt, stream};
use rpc::{
    Broadcast, Context, ErrorObject, MethodInfo, Notices, Params, Router, Server, SharedJson,
    SubscriptionInfo, SubscriptionStyle,
};
use serde_json::json;

use crate::{
    our_client::connected,
    python::{Python, Spoken, soon},
};

/// `status` gives `NAME0`, and then whatever is published of the name. It ends with any `end`.
fn statuses(source: &Broadcast<(String, String)>) -> Router {
    let source = source.clone();
    let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "status").with_unsubscribe("unstatus");
    let method = MethodInfo::request("status").with_subscription(info);
    Router::new().subscription(method, move |params: Params, _: Context| {
        let changes = source.subscribe();
        async move {
            let (name,): (String,) = params.parse()?;
            let current = SharedJson::new(format!("{name}0"));
            let until_end = changes.take_while(|change| std::future::ready(change.1 != "end"));
            let later = until_end.filter_map(move |change| {
                let value = (change.0 == name).then(|| SharedJson::new(change.1.clone()));
                std::future::ready(value)
            });
            Ok::<_, ErrorObject>(stream::iter([current]).chain(later))
        }
    })
}

#[tokio::test]
async fn python_follows_a_subscription_of_ours() {
    // It does not know how the end is said. Where it is told all the same, it takes that for an error of ours.
    for (notices, errors) in [(Notices::Negotiated, 0), (Notices::Always, 1)] {
        let source = Broadcast::new(16);
        let builder = Server::builder().service(statuses(&source)).notices(notices);
        let server = builder.bind("tcp://127.0.0.1:0").await.expect("a free port").start();
        let mut python = Python::connect(server.endpoint(), Spoken::V2).await;

        for name in ["a", "b"] {
            let current = python.run(json!(["request", "status", [name]])).await;
            assert_eq!(current, json!({"result": format!("{name}0")}));
        }
        for (name, value) in [("a", "a1"), ("b", "b1"), ("c", "c1"), ("a", "a2")] {
            source.publish((name.to_owned(), value.to_owned()));
        }
        let noted = python.noted(3).await;
        let of = |name| -> Vec<_> {
            noted.iter().filter(|note| note[0] == name).map(|note| note[1].clone()).collect()
        };
        assert_eq!((of("a"), of("b"), of("c")), (vec![json!("a1"), json!("a2")], vec![json!("b1")], vec![]));

        assert_eq!(python.run(json!(["request", "unstatus", ["a"]])).await, json!({"result": true}));
        assert_eq!(python.run(json!(["request", "unstatus", ["a"]])).await, json!({"result": false}));
        assert_eq!(source.subscribers(), 1);
        let session = server.sessions().pop().expect("Python is connected");
        assert_eq!(session.subscriptions_served(), 1);

        source.publish((String::new(), "end".to_owned()));
        soon(async { while python.errors().await < errors || session.subscriptions_served() > 0 {} }).await;
        assert_eq!(python.run(json!(["request", "unstatus", ["b"]])).await, json!({"result": false}));
        assert_eq!(python.errors().await, errors, "{notices:?}");
    }
}

#[tokio::test]
async fn we_follow_a_subscription_of_pythons() {
    let (session, mut python) = connected().await;
    let follow = async |name: &'static str| {
        session
            .subscribe::<String>("status", (name,))
            .style(SubscriptionStyle::Electrum)
            .await
            .expect("begun")
    };
    let (mut a, mut b) = (follow("a").await, follow("b").await);
    for (name, value) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
        python.run(json!(["notify", "status", [name, value]])).await;
    }
    for value in ["a0", "a1", "a2"] {
        assert_eq!(soon(a.next()).await.expect("an item").expect("a text"), value);
    }
    for value in ["b0", "b1"] {
        assert_eq!(soon(b.next()).await.expect("an item").expect("a text"), value);
    }
    // It has no method to unsubscribe: what it still sends is ignored.
    drop(a);
    python.run(json!(["notify", "status", ["a", "a3"]])).await;
    python.run(json!(["notify", "status", ["b", "b2"]])).await;
    assert_eq!(soon(b.next()).await.expect("an item").expect("a text"), "b2");
    assert_eq!(session.subscriptions(), 1);
}
