//! `testing::Script` plays what code subscribes to, and `testing::pair_as` logs a user in.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures::{FutureExt as _, Stream, StreamExt as _};
use rpc::{
    CallError, Context, ErrorObject, Extensions, Overflow, Progress, RpcError, SubscriptionError,
    rpc_service,
    testing::{self, Script},
};
use serde_json::json;
use tokio::time::timeout;

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
enum Gone {
    #[error("{stock} is not traded any more")]
    #[rpc(code = 7)]
    Delisted { stock: String },
}

#[rpc_service]
trait Market {
    #[rpc(subscription, unsubscribe = "unfollow")]
    async fn follow(&self, stock: &str) -> Result<impl Stream<Item = Result<u32, Gone>>, Gone>;
    #[rpc(subscription, style = "electrum")]
    async fn headers(&self) -> impl Stream<Item = String>;
    #[rpc(subscription, style = "progress")]
    async fn index(&self, folder: &str) -> impl Stream<Item = Progress<String, u32>>;
    async fn price(&self, stock: &str) -> u32;
}

fn market(script: &Script) -> MarketClient<Script> {
    MarketClient::from(script.clone())
}

fn delisted() -> Gone {
    Gone::Delisted { stock: "ACME".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn items_come_and_the_stream_ends_fails_or_waits() {
    let script = Script::new()
        .expect("follow", ("ACME",))
        .streams([3, 9])
        .expect("follow", ("ACME",))
        .streams_and_fails([3], delisted())
        .expect_any("follow")
        .streams_and_waits([4])
        .expect("follow", ("ACME",))
        .streams_and_fails([0; 0], ErrorObject::new(1, "no more"));
    let market = market(&script);

    let items: Vec<_> = market.follow("ACME").await.expect("it begins").collect().await;
    assert!(matches!(items[..], [Ok(3), Ok(9)]), "{items:?}");

    let items: Vec<_> = market.follow("ACME").await.expect("it begins").collect().await;
    let [Ok(3), Err(SubscriptionError::Service(error))] = &items[..] else { panic!("{items:?}") };
    assert_eq!(*error, delisted());

    let mut waits = market.follow("B").await.expect("it begins");
    assert!(matches!(waits.next().await, Some(Ok(4))));
    timeout(Duration::from_secs(3600), waits.next()).await.expect_err("nothing comes");
    drop(waits);

    let items: Vec<_> = market.follow("ACME").await.expect("it begins").collect().await;
    assert!(
        matches!(&items[..], [Err(SubscriptionError::Rpc(error))] if error.message() == "no more"),
        "{items:?}"
    );
    script.finish();
}

#[tokio::test(start_paused = true)]
async fn every_style_of_subscription_is_played() {
    let steps = [Progress::Step("a".to_owned()), Progress::Step("b".to_owned()), Progress::Done(2)];
    let script = Script::new()
        .expect("headers", ())
        .streams(["one", "two"])
        .expect("index", json!({"folder": "notes"}))
        .streams(steps.clone());
    let market = market(&script);
    let headers: Vec<_> =
        market.headers().await.expect("it begins").map(|item| item.expect("an item")).collect().await;
    assert_eq!(headers, ["one", "two"]);
    let reports: Vec<_> =
        market.index("notes").await.expect("it begins").map(|item| item.expect("an item")).collect().await;
    assert_eq!(reports, steps);
}

#[tokio::test(start_paused = true)]
async fn all_items_are_there_however_few_are_kept() {
    let script = Script::new().expect("follow", ("ACME",)).streams(0..10_000);
    let items = market(&script).follow("ACME").buffer(2).overflow(Overflow::End).await.expect("it begins");
    // Long after all of them came.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let items: Vec<_> = items.map(|item| item.expect("an item")).collect().await;
    assert!(items.into_iter().eq(0..10_000));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_may_be_refused_and_departs_from_no_script() {
    let script = Script::new()
        .expect("follow", ("ACME",))
        .fails(delisted())
        .expect("follow", ("ACME",))
        .ends_with(CallError::Timeout(Duration::from_secs(1)));
    let market = market(&script);
    let refused = market.follow("ACME").await.expect_err("it is refused");
    assert!(matches!(&refused, CallError::Service(error) if *error == delisted()), "{refused:?}");
    let late = market.follow("ACME").await.expect_err("there is no answer");
    assert!(matches!(late, CallError::Timeout(_)), "{late:?}");

    for (script, told) in [
        (
            Script::new().expect("price", ("ACME",)).returns(1),
            "the script expects price [\"ACME\"], and the subscription follow [\"ACME\"] came",
        ),
        (
            Script::new().expect("follow", ("ACME",)).returns(1),
            "the script expects follow [\"ACME\"], and the subscription follow [\"ACME\"] came",
        ),
        (
            Script::new().expect("follow", ("B",)).streams([1]),
            "the script expects the subscription follow [\"B\"], and the subscription follow [\"ACME\"] came",
        ),
        (Script::new(), "the script has ended, and the subscription follow [\"ACME\"] came"),
    ] {
        let market = MarketClient::from(script);
        let panic =
            catch_unwind(AssertUnwindSafe(|| drop(market.follow("ACME").into_future().now_or_never())));
        assert_eq!(panic.expect_err("it departs").downcast_ref::<String>().map(String::as_str), Some(told));
    }
    let market = MarketClient::from(Script::new().expect("price", ("ACME",)).streams([1]));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(market.price("ACME").into_future().now_or_never())));
    let told = "the script expects the subscription price [\"ACME\"], and price [\"ACME\"] came";
    assert_eq!(panic.expect_err("it departs").downcast_ref::<String>().map(String::as_str), Some(told));
}

struct User(&'static str);

#[rpc_service]
trait Account {
    async fn owner(&self, #[rpc(context)] cx: &Context) -> Option<String>;
    async fn agent(&self, #[rpc(context)] cx: &Context) -> Option<String>;
}

struct Accounts;

impl Account for Accounts {
    async fn owner(&self, cx: &Context) -> Option<String> {
        cx.extensions().get::<User>().map(|user| user.0.to_owned())
    }
    async fn agent(&self, cx: &Context) -> Option<String> {
        Some(cx.http()?.headers.get("user-agent")?.to_str().ok()?.to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_session_of_a_pair_has_a_user() {
    let request = http::Request::get("/").header("user-agent", "curl/8").body(()).expect("a request");
    let extensions = Extensions::of_http(request.into_parts().0);
    extensions.insert(User("Ann"));
    let (session, peer) = testing::pair_as(extensions, (), AccountServer::new(Accounts));
    assert!(session.extensions().get::<User>().is_none(), "the user is the other side's");
    let account = AccountClient::from(session);
    assert_eq!(account.owner().await.expect("a reply").as_deref(), Some("Ann"));
    assert_eq!(account.agent().await.expect("a reply").as_deref(), Some("curl/8"));
    peer.extensions().insert(User("Bob"));
    assert_eq!(account.owner().await.expect("a reply").as_deref(), Some("Bob"));

    let (session, _peer) = testing::pair((), AccountServer::new(Accounts));
    assert_eq!(AccountClient::from(session).owner().await.expect("a reply"), None);
}
