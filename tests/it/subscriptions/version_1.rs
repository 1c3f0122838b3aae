//! Subscriptions in JSON-RPC 1.0, where all parameters are arrays: an item is `[id, item]`, as in the `update` of RFC 7047 (4.1.6).

use futures::{StreamExt, stream};
use rpc::{
    Connector, Context, ErrorObject, MethodInfo, Params, Protocol, Router, Server, Session, Subscription,
    SubscriptionError, SubscriptionInfo, SubscriptionStyle, rpc_service,
};
use rpc_tests::{Raw, settled};
use serde_json::Value;
use tokio::io::DuplexStream;

use super::counting;

/// A client of 1.0 and the session of a server that serves `router` and detects what is spoken.
async fn both(router: Router) -> (Session, Session) {
    let server =
        Server::builder().service(router).protocol(Protocol::Detect).build().expect("a server").start();
    let (here, there) = rpc::transport::memory(64 << 10);
    let served = server.attach(there);
    let session = Connector::over(here).protocol(Protocol::V1).connect().await.expect("connected");
    (session, served)
}

/// A client that speaks `protocol`, and its server, played by hand.
async fn client_of(protocol: Protocol) -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector| connector.protocol(protocol)).await
}

/// Asks for a subscription that the server answers with the id 7.
async fn subscribed<T>(
    server: &mut Raw<DuplexStream>,
    before_the_reply: &str,
    subscribe: impl Future<Output = Result<Subscription<T>, rpc::CallError>>,
) -> Subscription<T> {
    let answer = async {
        let request: Value = serde_json::from_str(&server.line().await.expect("a request")).expect("JSON");
        server.write(before_the_reply).await;
        server.send(&format!(r#"{{"result":7,"error":null,"id":{}}}"#, request["id"])).await;
    };
    tokio::join!(subscribe, answer).0.expect("begun")
}

#[tokio::test(start_paused = true)]
async fn items_are_an_array_of_the_id_and_the_item() {
    let server =
        Server::builder().service(counting()).protocol(Protocol::V1).build().expect("a server").start();
    let (here, there) = rpc::transport::memory(64 << 10);
    let session = server.attach(there);
    let mut peer = Raw::over(here);
    let reply = peer.ask(r#"{"method":"count","params":[7,1000000],"id":2}"#).await;
    assert!(reply.starts_with(r#"{"result":"0x"#) && reply.ends_with(r#"","error":null,"id":2}"#), "{reply}");
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    let id = reply["result"].as_str().expect("an id");
    for n in [7, 8] {
        peer.expect(&format!(r#"{{"method":"item","params":["{id}",{n}],"id":null}}"#)).await;
    }
    peer.send(&format!(r#"{{"method":"stop","params":["{id}"],"id":3}}"#)).await;
    while peer.line().await.expect("more").as_str() != r#"{"result":true,"error":null,"id":3}"# {}
    peer.expect_silence().await;
    assert_eq!(session.subscriptions_served(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_ours_gets_the_items_and_the_end() {
    let (session, served) = both(counting()).await;
    let items = session.subscribe::<u64>("count", (0, 100)).unsubscribe_with("stop").await.expect("begun");
    let items: Vec<u64> = items.map(|item| item.expect("an item")).collect().await;
    assert_eq!(items, (0..100).collect::<Vec<u64>>());
    settled().await;
    assert_eq!((session.subscriptions(), served.subscriptions_served()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_ours_learns_of_a_failure() {
    let (session, _served) = both(counting()).await;
    let items = session.subscribe::<u64>("panics", ()).await.expect("begun");
    let items: Vec<_> = items.collect().await;
    assert_eq!(items.len(), 3, "{items:?}");
    assert!(matches!(&items[2], Err(SubscriptionError::Rpc(error)) if error.code().value() == -32603));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_ours_learns_of_items_that_were_lost_and_can_unsubscribe() {
    for style in [SubscriptionStyle::PubSub, SubscriptionStyle::Electrum] {
        let source = rpc::Broadcast::new(2);
        let ours = source.clone();
        let info = SubscriptionInfo::new(style, "lagging").with_unsubscribe("stop");
        let router = Router::new().subscription(
            MethodInfo::request("lagging").with_subscription(info),
            move |_: Params, _: Context| {
                let later = ours.subscribe();
                async move { Ok::<_, ErrorObject>(stream::iter([rpc::SharedJson::new(0)]).chain(later)) }
            },
        );
        let (session, served) = both(router).await;
        let begin = session.subscribe::<u64>("lagging", ()).style(style).unsubscribe_with("stop");
        let mut items = begin.await.expect("begun");
        for n in 1..=5 {
            source.publish(n);
        }
        let mut came = Vec::new();
        while came.last().is_none_or(|last| last != "5") {
            came.push(match items.next().await.expect("more") {
                Ok(item) => item.to_string(),
                Err(error) => error.to_string(),
            });
        }
        assert_eq!(came, ["0", "3 items were lost", "4", "5"], "{style:?}");
        drop(items);
        settled().await;
        assert_eq!(served.subscriptions_served(), 0, "{style:?}");
    }
}

#[rpc_service]
trait Ticks {
    #[rpc(subscription, item = "tick", unsubscribe = "stop")]
    async fn ticks(&self) -> impl futures::Stream<Item = u32>;
}

/// A notification of another name is none of the subscription's, be its first parameter what it may.
#[tokio::test(start_paused = true)]
async fn only_what_comes_under_the_name_of_the_items_is_one() {
    for protocol in [Protocol::V1, Protocol::Loose] {
        let (mut server, session) = client_of(protocol).await;
        let mut news = session.notifications::<(u32, u32)>("news");
        let client = TicksClient::from(session.clone());
        let early = "{\"method\":\"tick\",\"params\":[7,1],\"id\":null}\n";
        let mut ticks = subscribed(&mut server, early, client.ticks().into_future()).await;
        for line in [
            r#"{"method":"tick","params":[8,100],"id":null}"#,
            r#"{"method":"news","params":[7,101],"id":null}"#,
            r#"{"method":"tick","params":[7,2],"id":null}"#,
            r#"{"method":"rpc.ended","params":[7],"id":null}"#,
        ] {
            server.send(line).await;
        }
        let items: Vec<u32> = ticks.by_ref().map(|item| item.expect("an item")).collect().await;
        assert_eq!(items, [1, 2], "{protocol:?}");
        assert_eq!(news.next().await.expect("one").expect("two numbers"), (7, 101));
        drop(ticks);
        server.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_name_of_the_items_is_not_known_any_is_one() {
    let (mut server, session) = client_of(Protocol::V1).await;
    let early = "{\"method\":\"update\",\"params\":[7,1],\"id\":null}\n";
    let subscribe = session.subscribe::<u32>("monitor", ()).into_future();
    let mut updates = subscribed(&mut server, early, subscribe).await;
    server.send(r#"{"method":"update","params":[7,2],"id":null}"#).await;
    assert_eq!(updates.next().await.expect("one").expect("a number"), 1);
    assert_eq!(updates.next().await.expect("one").expect("a number"), 2);
    server.send(r#"{"method":"rpc.lost","params":[7,3],"id":null}"#).await;
    server.send(r#"{"method":"rpc.ended","params":[7,{"code":9,"message":"no more"}],"id":null}"#).await;
    assert!(matches!(updates.next().await, Some(Err(SubscriptionError::Lost(3)))));
    assert!(
        matches!(updates.next().await, Some(Err(SubscriptionError::Rpc(error))) if error.message() == "no more")
    );
    assert!(updates.next().await.is_none());
}

/// Where it is known by its parameters, an array is read in that way, whatever another subscription is called.
#[tokio::test(start_paused = true)]
async fn one_of_electrums_style_comes_first() {
    let (mut server, session) = client_of(Protocol::V1).await;
    let mut other = subscribed(&mut server, "", session.subscribe::<u32>("monitor", ()).into_future()).await;
    let status = session.subscribe::<u32>("status", (7,)).style(SubscriptionStyle::Electrum);
    let mut status = subscribed(&mut server, "", status.into_future()).await;
    server.send(r#"{"method":"status","params":[7,5],"id":null}"#).await;
    server.send(r#"{"method":"update","params":[7,6],"id":null}"#).await;
    assert_eq!(status.next().await.expect("one").expect("a number"), 7, "the reply");
    assert_eq!(status.next().await.expect("one").expect("a number"), 5);
    assert_eq!(other.next().await.expect("one").expect("a number"), 6);
}

#[tokio::test(start_paused = true)]
async fn strictly_in_2_0_an_array_is_no_item_of_an_id() {
    let (mut server, session) = client_of(Protocol::V2).await;
    let subscribe = session.subscribe::<u32>("monitor", ()).into_future();
    let answer = async {
        server.line().await.expect("a request");
        server.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    };
    let mut updates = tokio::join!(subscribe, answer).0.expect("begun");
    server.send(r#"{"jsonrpc":"2.0","method":"update","params":[7,1]}"#).await;
    server.send(r#"{"jsonrpc":"2.0","method":"update","params":{"subscription":7,"result":2}}"#).await;
    assert_eq!(updates.next().await.expect("one").expect("a number"), 2);
}

/// Reports of progress have names in their parameters, which 1.0 has not.
#[tokio::test(start_paused = true)]
async fn reports_of_progress_are_refused_where_they_cannot_be_said() {
    let info = SubscriptionInfo::new(SubscriptionStyle::Progress, "$/progress");
    let router = Router::new().progress(
        MethodInfo::request("work").with_subscription(info),
        async |_: Params, _: Context| {
            Ok::<_, ErrorObject>(stream::iter([rpc::Progress::Step(1), rpc::Progress::Done(2)]))
        },
    );
    let server =
        Server::builder().service(router).protocol(Protocol::Detect).build().expect("a server").start();
    let (here, there) = rpc::transport::memory(64 << 10);
    let _session = server.attach(there);
    let mut peer = Raw::over(here);
    // It says no version, so that it is answered in 1.0.
    assert_eq!(
        peer.ask(r#"{"method":"work","params":{},"id":1}"#).await,
        r#"{"result":2,"error":null,"id":1}"#
    );
    let refused = peer.ask(r#"{"method":"work","params":{"workDoneToken":5},"id":2}"#).await;
    let refused: Value = serde_json::from_str(&refused).expect("JSON");
    assert_eq!(refused["error"]["code"], -32600);
    assert_eq!(
        refused["error"]["message"],
        "JSON-RPC 1.0 has no named parameters, which reports of progress need: ask without a token, or in 2.0"
    );
    peer.expect_silence().await;
}
