//! Handlers of notifications, for which no answer waits.

use std::time::Duration;

use http::StatusCode;
use rpc::{Context, Limits, MethodInfo, Params, Router, Server};
use rpc_tests::{Gate, echo, is_pending, settled, waiting};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::kit::{Answer, ask, message, mounted, mounted_with};

const NOTE: &str = r#"{"jsonrpc":"2.0","method":"note"}"#;
const BATCH: &str =
    r#"[{"jsonrpc":"2.0","method":"note"},{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}]"#;

/// `echo`, and `note`, which waits at the gate.
fn noted(gate: &Gate) -> Router {
    let gate = gate.clone();
    echo().notification(MethodInfo::notification("note"), move |_: Params, _: Context| {
        let gate = gate.clone();
        async move { gate.pass().await }
    })
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_answered_while_its_notification_is_at_work() {
    let gate = Gate::closed();
    let service = mounted(noted(&gate));
    let answer = ask(&service, message(BATCH)).await;
    assert_eq!(answer.json(), json!([{"jsonrpc": "2.0", "id": 1, "result": [1]}]));
    assert_eq!((gate.entered(), gate.waiting()), (1, 1));
    gate.open();
    settled().await;
    assert_eq!((gate.passed(), gate.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_notification_alone_is_answered_when_it_was_begun() {
    let gate = Gate::closed();
    let answer = ask(&mounted(noted(&gate)).no_content(), message(NOTE)).await;
    assert_eq!((answer.status, gate.waiting()), (StatusCode::NO_CONTENT, 1));
    gate.open();
    settled().await;
    assert_eq!((gate.passed(), gate.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_as_many_as_may_be_at_work_waits_for_one_of_them() {
    let gate = Gate::closed();
    let service = mounted_with(noted(&gate), Limits::server().with_requests_in_flight(1));
    let mut asked = Box::pin(ask(&service, message(BATCH)));
    assert!(is_pending(&mut asked));
    gate.open();
    assert_eq!(asked.await.json()[0]["result"], json!([1]));
}

#[tokio::test(start_paused = true)]
async fn calls_are_waited_for() {
    let gate = Gate::closed();
    let service = mounted(waiting(&gate));
    let mut asked = Box::pin(ask(
        &service,
        message(
            r#"[{"jsonrpc":"2.0","method":"echo"},{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}]"#,
        ),
    ));
    assert!(is_pending(&mut asked));
    gate.open();
    assert_eq!(asked.await.json()[0]["result"], Value::from(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn they_keep_the_permit_of_their_request_and_end_in_time() {
    let gate = Gate::closed();
    let limits = Limits::server().with_connections(1).with_request_timeout(Duration::from_secs(5));
    let service = mounted_with(noted(&gate), limits);
    assert_eq!(ask(&service, message(NOTE)).await.status, StatusCode::OK);
    assert_eq!(ask(&service, message(NOTE)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((gate.entered(), gate.dropped()), (1, 1));
    assert_eq!(ask(&service, message(NOTE)).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_them_and_ends_those_of_guests() {
    for (opens_after, took, dropped) in [(10, 10, 0), (100, 30, 1)] {
        let gate = Gate::closed();
        let limits = Limits::server().with_request_timeout(None);
        let server =
            Server::builder().service(noted(&gate)).limits(limits).build().expect("a server").start();
        let answer: Answer = ask(&server.http_service(), message(NOTE)).await;
        assert_eq!(answer.status, StatusCode::OK);
        let opener = gate.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(opens_after)).await;
            opener.open();
        });
        let start = Instant::now();
        server.shutdown().await;
        assert_eq!(start.elapsed(), Duration::from_secs(took));
        settled().await;
        assert_eq!((gate.waiting(), gate.dropped()), (0, dropped));
    }
}
