//! Subscribing without end (ADVERSARIAL.md 19 and 27), however it is ended, leaves no task, no entry, and no memory.

use futures::{Stream, StreamExt, stream};
use rpc::{
    Context, ErrorObject, Handler, Limits, MethodInfo, Params, Progress, Router, Server, Session,
    SubscriptionInfo, SubscriptionStyle, rpc_service,
};
use rpc_tests::{Child, is_child, soak_rounds};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::soak::memory;

#[rpc_service]
trait Failing {
    #[rpc(subscription, unsubscribe = "stop")]
    async fn fail(&self) -> impl Stream<Item = Result<u64, ErrorObject>>;
}

impl Failing for () {
    async fn fail(&self) -> impl Stream<Item = Result<u64, ErrorObject>> {
        stream::iter(0..3).map(Ok).chain(stream::iter([Err(ErrorObject::new(1, "no"))]))
    }
}

/// Streams of three items that go on (`count`, `status`), end or fail; and work that goes on or is done.
fn router() -> Router {
    let method = |name| {
        let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, name).with_unsubscribe("stop");
        MethodInfo::request(name).with_subscription(info)
    };
    let electrum = SubscriptionInfo::new(SubscriptionStyle::Electrum, "status").with_unsubscribe("unstatus");
    let items = || stream::iter(0..3);
    let steps = move || items().map(Progress::<u64, u64>::Step);
    Router::new()
        .subscription(method("count"), handler(move || items().chain(stream::pending())))
        .subscription(
            MethodInfo::request("status").with_subscription(electrum),
            handler(move || items().chain(stream::pending())),
        )
        .subscription(method("end"), handler(items))
        .progress("work", handler(move || steps().chain(stream::pending())))
        .progress("done", handler(move || steps().chain(stream::iter([Progress::Done(3)]))))
}

fn handler<S: Send + 'static>(
    stream: impl Fn() -> S + Send + Sync + 'static,
) -> impl Handler<Result<S, ErrorObject>> {
    move |_: Params, _: Context| std::future::ready(Ok(stream()))
}

/// Begins a subscription of one kind or another, takes some of it or all, and drops it.
async fn round(session: &Session, n: usize) {
    let name = ["count", "status", "end", "fail", "work", "done"][n % 6];
    let subscribe = session.subscribe::<Value>(name, ());
    let mut feed = match name {
        "status" => subscribe.style(SubscriptionStyle::Electrum).unsubscribe_with("unstatus").await,
        "work" | "done" => subscribe.style(SubscriptionStyle::Progress).await,
        _ => subscribe.unsubscribe_with("stop").await,
    }
    .expect("begun");
    // Those that end are also left before they do, now and then.
    let goes_on = matches!(name, "count" | "status" | "work");
    let most = if goes_on || n.is_multiple_of(5) { n % 3 } else { usize::MAX };
    let mut taken = 0;
    while taken < most
        && let Some(item) = feed.next().await
    {
        assert_eq!(item.is_err(), name == "fail" && taken == 3, "{item:?}");
        taken += 1;
    }
    assert!(taken == most || taken == if name == "end" { 3 } else { 4 }, "{name}: {taken} items");
}

async fn rounds(session: &Session, peer: &Session, rounds: usize) {
    for n in 0..rounds {
        round(session, n).await;
    }
    // The last one is ended when the peer has answered.
    while session.calls_in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    for side in [session, peer] {
        assert_eq!((side.subscriptions(), side.subscriptions_served(), side.requests_in_flight()), (0, 0, 0));
    }
}

fn served() -> (Session, Session) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let server =
        Server::builder().service(router()).service(FailingServer::new(())).build().expect("a server");
    let session = rpc::testing::session(here, (), Limits::client());
    (session, server.start().attach(there))
}

#[test]
fn subscribing_and_unsubscribing_leaves_nothing() {
    Child::run("subscriptions::soak::in_a_process_of_its_own");
}

#[test]
#[ignore = "run as a process of its own by `subscribing_and_unsubscribing_leaves_nothing`"]
fn in_a_process_of_its_own() {
    if !is_child() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (session, peer) = served();
        rounds(&session, &peer, 2_000).await;
        let (before, tasks) = (memory("VmRSS:"), Handle::current().metrics().num_alive_tasks());
        rounds(&session, &peer, soak_rounds(20_000)).await;
        let (after, tasks_after) = (memory("VmRSS:"), Handle::current().metrics().num_alive_tasks());
        assert!(tasks_after <= tasks, "{tasks} tasks became {tasks_after}");
        // An entry kept for each would be 2 MB or more.
        assert!(after < before + 1_500_000, "{before} bytes became {after}");
    });
}
