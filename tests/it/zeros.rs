//! Limits of zero mean the least that works: none of them makes a session that hangs, or one that keeps a processor busy.

use std::time::Duration;

use rpc::{Limits, Session, testing::pair_with};
use rpc_tests::{Gate, echo, settled, soon, waiting};
use serde_json::Value;

/// A limit, and how it is set to 0.
type Zero = (&'static str, fn(&mut Limits));

/// Each limit that is a number of things or bytes.
const NUMBERS: [Zero; 12] = [
    ("connections", |limits| limits.connections = 0),
    ("frame_size", |limits| limits.frame_size = 0),
    ("reply_size", |limits| limits.reply_size = 0),
    ("batch_length", |limits| limits.batch_length = 0),
    ("subscriptions", |limits| limits.subscriptions = 0),
    ("subscription_items", |limits| limits.subscription_items = 0),
    ("subscription_bytes", |limits| limits.subscription_bytes = 0),
    ("requests_in_flight", |limits| limits.requests_in_flight = 0),
    ("request_bytes", |limits| limits.request_bytes = 0),
    ("body_bytes", |limits| limits.body_bytes = 0),
    ("outgoing_bytes", |limits| limits.outgoing_bytes = 0),
    ("calls_in_flight", |limits| limits.calls_in_flight = 0),
];

/// Each limit that is a duration.
const DURATIONS: [Zero; 8] = [
    ("call_timeout", |limits| limits.call_timeout = Some(Duration::ZERO)),
    ("request_timeout", |limits| limits.request_timeout = Some(Duration::ZERO)),
    ("send_timeout", |limits| limits.send_timeout = Some(Duration::ZERO)),
    ("close_timeout", |limits| limits.close_timeout = Some(Duration::ZERO)),
    ("idle_timeout", |limits| limits.idle_timeout = Some(Duration::ZERO)),
    ("frame_timeout", |limits| limits.frame_timeout = Some(Duration::ZERO)),
    ("target_response_time", |limits| limits.target_response_time = Some(Duration::ZERO)),
    ("cost_delay", |limits| limits.cost_delay = Duration::ZERO),
];

fn with(from: Limits, zero: fn(&mut Limits)) -> Limits {
    let mut limits = from;
    zero(&mut limits);
    limits
}

/// A call ends at once, whichever side has the limit; with what, `name` may decide.
async fn a_call_ends(name: &str, client: &Session) {
    for method in ["echo", "later"] {
        let call = client.call::<Value>(method, (1,)).into_future();
        let ended = tokio::time::timeout(Duration::from_secs(1), call).await;
        assert!(ended.is_ok(), "with `{name}` of 0, a call of `{method}` hangs");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_once_whatever_is_zero() {
    for (name, zero) in NUMBERS.into_iter().chain(DURATIONS) {
        let unchanged: fn(&mut Limits) = |_| ();
        for (here, there) in [(zero, unchanged), (unchanged, zero)] {
            let (client, server) =
                pair_with(echo(), with(Limits::client(), here), echo(), with(Limits::server(), there));
            a_call_ends(name, &client).await;
            soon(server.close()).await;
            soon(client.closed()).await;
            // The same where it is set while the session is open.
            let (client, server) = pair_with(echo(), Limits::client(), echo(), Limits::server());
            client.set_limits(&with(client.limits(), here));
            server.set_limits(&with(server.limits(), there));
            a_call_ends(name, &client).await;
            soon(client.close()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_work_with_one_works_with_zero() {
    for name in ["requests_in_flight", "request_bytes", "outgoing_bytes", "calls_in_flight"] {
        let zero = NUMBERS.iter().find(|(known, _)| *known == name).expect("it is in the list").1;
        let (client, server) =
            pair_with((), with(Limits::client(), zero), echo(), with(Limits::server(), zero));
        let replies = futures::future::join_all(
            (0..10)
                .map(|n| client.call::<Value>("later", (n,)).timeout(Duration::from_secs(5)).into_future()),
        );
        assert!(replies.await.iter().all(Result::is_ok), "{name}");
        server.notify("anything", ()).await.expect("there is room");
    }
}

/// A session that is looked at without a pause would not let time go on.
#[tokio::test(start_paused = true)]
async fn a_session_that_may_not_be_idle_at_all_waits_while_something_is_under_way() {
    for (name, zero) in DURATIONS {
        let gate = Gate::closed();
        let (client, server) = pair_with((), Limits::client(), waiting(&gate), with(Limits::server(), zero));
        let mut call = Box::pin(client.call::<Value>("wait", (1,)).into_future());
        let _ = rpc_tests::is_pending(&mut call);
        settled().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.open();
        let ended = tokio::time::timeout(Duration::from_secs(1), &mut call).await;
        assert!(ended.is_ok(), "with `{name}` of 0, a call hangs");
        drop(server);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_memory_holds_something() {
    let (here, there) = rpc::transport::memory(0);
    let client = rpc::testing::session(here, (), Limits::client());
    let _server = rpc::testing::session(there, echo(), Limits::server());
    soon(client.call::<Value>("echo", (1,))).await.expect("a reply");
}
