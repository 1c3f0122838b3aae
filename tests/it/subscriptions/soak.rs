//! Subscribing and unsubscribing without end (ADVERSARIAL.md 19 and 27) leaves no task, no entry, and no memory.

use futures::{StreamExt, stream};
use rpc::{Context, ErrorObject, MethodInfo, Params, Router, Session, SubscriptionInfo, SubscriptionStyle};
use rpc_tests::{Child, is_child, soak_rounds};
use tokio::runtime::Handle;

use crate::soak::memory;

fn router() -> Router {
    let info = |style, name| {
        MethodInfo::request(name).with_subscription(SubscriptionInfo::new(style, name).with_unsubscribe(
            match style {
                SubscriptionStyle::Electrum => "unstatus",
                _ => "uncount",
            },
        ))
    };
    let items =
        async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::iter(0..3).chain(stream::pending()));
    Router::new()
        .subscription(info(SubscriptionStyle::PubSub, "count"), items)
        .subscription(info(SubscriptionStyle::Electrum, "status"), items)
}

/// Begins a subscription, takes `items` of it, and drops it.
async fn round(session: &Session, n: usize) {
    let pubsub = session.subscribe::<u64>("count", ()).unsubscribe_with("uncount");
    let mut feed = match n % 2 {
        0 => pubsub.await,
        _ => {
            let electrum = session.subscribe::<u64>("status", ()).style(SubscriptionStyle::Electrum);
            electrum.unsubscribe_with("unstatus").await
        }
    }
    .expect("begun");
    for item in 0..n as u64 % 3 {
        assert_eq!(feed.next().await.expect("an item").expect("a number"), item);
    }
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
        let (session, peer) = rpc::testing::pair((), router());
        rounds(&session, &peer, 2_000).await;
        let (before, tasks) = (memory("VmRSS:"), Handle::current().metrics().num_alive_tasks());
        rounds(&session, &peer, soak_rounds(20_000)).await;
        let (after, tasks_after) = (memory("VmRSS:"), Handle::current().metrics().num_alive_tasks());
        assert!(tasks_after <= tasks, "{tasks} tasks became {tasks_after}");
        // An entry kept for each would be 2 MB or more.
        assert!(after < before + 1_500_000, "{before} bytes became {after}");
    });
}
