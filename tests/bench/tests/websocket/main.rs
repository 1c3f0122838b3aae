//! jsonrpsee over WebSocket: its client and our server, its server and our client.

#[path = "../calculator/mod.rs"]
mod calculator;
mod closing;

use std::time::Duration;

use futures::StreamExt;
use jsonrpsee::{
    core::{
        client::{ClientT, Error as ClientError, Subscription, SubscriptionClientT},
        params::BatchRequestBuilder,
    },
    rpc_params,
    server::{PingConfig, Server as JsonrpseeServer, ServerConfig, ServerHandle as JsonrpseeHandle},
    ws_client::{PingConfig as ClientPings, WsClient, WsClientBuilder},
};
use rpc::{
    Broadcast, CallError, CloseReason, Connector, Context, ErrorObject, KeepAlive, Limits, MethodInfo,
    Params, Router, Server, ServerHandle, Session, SubscriptionInfo, SubscriptionStyle, rpc_service,
};

use calculator::{DivError, calculator};

#[rpc_service]
trait Calc {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn div(&self, a: i64, b: i64) -> Result<i64, DivError>;
    async fn repeat(&self, text: &str, times: usize) -> String;
}

struct MyCalc;

impl Calc for MyCalc {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn div(&self, a: i64, b: i64) -> Result<i64, DivError> {
        a.checked_div(b).ok_or(DivError::ByZero { dividend: a })
    }

    async fn repeat(&self, text: &str, times: usize) -> String {
        text.repeat(times)
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it happens soon")
}

/// Our server, where numbers that are sent to the source go to whoever follows.
async fn our_server() -> (String, ServerHandle, Broadcast<u64>) {
    let source = Broadcast::new(64);
    let numbers = source.clone();
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "number").with_unsubscribe("unfollow");
    let method = MethodInfo::request("follow").with_subscription(info);
    let router = Router::new().subscription(method, move |_: Params, _: Context| {
        let numbers = numbers.subscribe();
        async move { Ok::<_, ErrorObject>(numbers) }
    });
    let builder = Server::builder().service(CalcServer::new(MyCalc)).service(router);
    let server = builder.limits(Limits::server()).bind("ws://127.0.0.1:0").await.unwrap();
    let handle = server.start();
    (handle.endpoint().to_string(), handle, source)
}

async fn jsonrpsee_client(url: &str) -> WsClient {
    // It pings, and gives a server up that does not answer.
    let pings = ClientPings::new()
        .ping_interval(Duration::from_millis(20))
        .inactive_limit(Duration::from_secs(10))
        .max_failures(1);
    WsClientBuilder::default().enable_ws_ping(pings).build(url).await.unwrap()
}

#[tokio::test]
async fn jsonrpsees_client_calls_our_server() {
    let (url, server, _) = our_server().await;
    let client = jsonrpsee_client(&url).await;
    let sum: i64 = client.request("add", rpc_params![1, 2]).await.unwrap();
    assert_eq!(sum, 3);
    let text: String = client.request("repeat", rpc_params!["ü", 200_000]).await.unwrap();
    assert_eq!(text, "ü".repeat(200_000));
    let long = "ü".repeat(200_000);
    let text: String = client.request("repeat", rpc_params![&long, 1]).await.unwrap();
    assert_eq!(text, long);

    let error = client.request::<i64, _>("div", rpc_params![8, 0]).await.unwrap_err();
    let ClientError::Call(error) = error else { panic!("{error:?}") };
    assert_eq!((error.code(), error.message()), (7, "division by zero"));
    assert_eq!(error.data().unwrap().get(), r#"{"dividend":8}"#);
    let error = client.request::<i64, _>("nobody_has_this", rpc_params![]).await.unwrap_err();
    assert!(matches!(error, ClientError::Call(error) if error.code() == -32601));

    let mut batch = BatchRequestBuilder::new();
    batch.insert("add", rpc_params![1, 2]).unwrap();
    batch.insert("div", rpc_params![1, 0]).unwrap();
    let answers = client.batch_request::<i64>(batch).await.unwrap();
    assert_eq!((answers.num_successful_calls(), answers.num_failed_calls()), (1, 1));

    let sums = (0..200).map(|n| client.request::<i64, _>("add", rpc_params![n, 1]));
    for (sum, expected) in futures::future::join_all(sums).await.into_iter().zip(1..) {
        assert_eq!(sum.unwrap(), expected);
    }
    drop(server);
}

#[tokio::test]
async fn jsonrpsees_client_subscribes_with_us() {
    let (url, server, source) = our_server().await;
    let client = jsonrpsee_client(&url).await;
    let subscribed = client.subscribe("follow", rpc_params![], "unfollow").await;
    let mut numbers: Subscription<u64> = subscribed.unwrap();
    for number in 0..100 {
        source.send(number).await;
    }
    for number in 0..100 {
        assert_eq!(soon(numbers.next()).await.unwrap().unwrap(), number);
    }
    let session = server.sessions().pop().unwrap();
    assert_eq!(session.subscriptions_served(), 1);
    numbers.unsubscribe().await.unwrap();
    soon(async {
        while session.subscriptions_served() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    // Whoever goes away says so, either way.
    drop(client);
    let cause = soon(session.closed()).await;
    assert!(matches!(cause, CloseReason::Peer | CloseReason::PeerClosed { code: 1000, .. }), "{cause}");
    let client = jsonrpsee_client(&url).await;
    soon(server.shutdown()).await;
    soon(client.on_disconnect()).await;
}

/// jsonrpsee's server, which pings and gives up who does not answer.
async fn jsonrpsee_server() -> (String, JsonrpseeHandle) {
    let mut module = calculator();
    module
        .register_subscription("count", "number", "uncount", |params, asked, _, _| async move {
            let end: u64 = params.one()?;
            let sink = asked.accept().await?;
            for number in 0..end {
                sink.send(serde_json::value::to_raw_value(&number)?).await?;
            }
            sink.closed().await;
            Ok(())
        })
        .unwrap();
    let pings = PingConfig::new()
        .ping_interval(Duration::from_millis(20))
        .inactive_limit(Duration::from_secs(10))
        .max_failures(1);
    let config = ServerConfig::builder().enable_ws_ping(pings).build();
    let server = JsonrpseeServer::builder().set_config(config).build("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", server.local_addr().unwrap());
    (url, server.start(module))
}

async fn our_client(url: &str) -> Session {
    let pings = KeepAlive::ping().interval(Duration::from_millis(20)).limit(Duration::from_secs(10));
    Connector::new(url).unwrap().keep_alive(pings).connect().await.unwrap()
}

#[tokio::test]
async fn our_client_calls_jsonrpsees_server() {
    let (url, server) = jsonrpsee_server().await;
    let session = our_client(&url).await;
    let calc = CalcClient::from(session.clone());
    assert_eq!(calc.add(1, 2).await.unwrap(), 3);
    assert_eq!(calc.repeat("ü", 200_000).await.unwrap(), "ü".repeat(200_000));
    let long = "ü".repeat(200_000);
    assert_eq!(calc.repeat(&long, 1).await.unwrap(), long);
    match calc.div(8, 0).await {
        Err(CallError::Service(error)) => assert_eq!(error, DivError::ByZero { dividend: 8 }),
        other => panic!("{other:?}"),
    }
    let (sum, div) = session.batch((calc.add(1, 2), calc.div(6, 3))).await.unwrap();
    assert_eq!((sum.unwrap(), div.unwrap()), (3, 2));
    let sums = futures::future::join_all((0..200).map(|n| calc.add(n, 1).into_future())).await;
    assert!(sums.into_iter().zip(1..).all(|(sum, expected)| sum.unwrap() == expected));

    server.stop().unwrap();
    let cause = soon(session.closed()).await;
    assert!(matches!(cause, CloseReason::Peer | CloseReason::PeerClosed { .. }), "{cause}");
}

#[tokio::test]
async fn our_client_subscribes_with_jsonrpsee() {
    let (url, _server) = jsonrpsee_server().await;
    let session = our_client(&url).await;
    let subscribe = session.subscribe::<u64>("count", (100,)).unsubscribe_with("uncount");
    let mut numbers = subscribe.await.unwrap();
    for number in 0..100 {
        assert_eq!(soon(numbers.next()).await.unwrap().unwrap(), number);
    }
    // Both sides have pinged meanwhile, and nobody was given up.
    tokio::time::timeout(Duration::from_millis(200), numbers.next()).await.unwrap_err();
    drop(numbers);
    assert_eq!(CalcClient::from(session.clone()).add(1, 2).await.unwrap(), 3);
    assert!(matches!(soon(session.close()).await, CloseReason::Local));
}
