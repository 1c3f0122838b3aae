//! A process that is killed ends every call of the other one, with the cause.

use std::{env, time::Duration};

use rpc::{CallError, CloseReason, Connector, Context, ErrorObject, Params, Router, Server, Session};
use rpc_tests::{Child, Gate, is_child, soon, waiting};
use serde_json::Value;

const ENDPOINT: &str = "RPC_TESTS_ENDPOINT";
const LISTEN: &str = "tcp://127.0.0.1:0";

/// What the process that is killed serves: `hang` says that it was called, calls back, and waits for ever.
fn hanging() -> Router {
    Router::new().method("hang", async |_: Params, cx: Context| {
        cx.session()
            .call::<Value>("wait", ())
            .without_timeout()
            .await
            .map_err(|error| ErrorObject::new(1, error.to_string()))
    })
}

/// Calls of ours and handlers for its calls are under way when the other process is killed.
async fn kill_while_calls_are_pending(session: Session, gate: Gate, mut child: Child) {
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.call::<Value>("hang", ()).without_timeout().await })
        })
        .collect();
    soon(gate.until(|gate| gate.waiting() == 5)).await;
    assert_eq!((session.calls_in_flight(), session.requests_in_flight()), (5, 5));
    child.kill();
    for call in calls {
        match soon(call).await.expect("no panic") {
            Err(CallError::Closed { reason: CloseReason::Peer | CloseReason::Io(_), .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    gate.open();
    let reason = soon(session.closed()).await;
    assert!(matches!(reason, CloseReason::Peer | CloseReason::Io(_)), "{reason:?}");
    assert_eq!((session.calls_in_flight(), session.requests_in_flight()), (0, 0));
}

#[tokio::test]
async fn a_server_that_is_killed_ends_the_calls_of_its_client() {
    let mut child = Child::start("lost::a_process_to_be_killed", (ENDPOINT, ""));
    let endpoint = child.printed("listening on");
    let gate = Gate::closed();
    let session = Connector::new(&endpoint).expect("an endpoint").service(waiting(&gate)).connect().await;
    kill_while_calls_are_pending(session.expect("it listens"), gate, child).await;
}

#[tokio::test]
async fn a_client_that_is_killed_ends_the_calls_of_its_server() {
    let gate = Gate::closed();
    let server = Server::builder().service(waiting(&gate)).bind(LISTEN).await.expect("a port is free");
    let endpoint = server.endpoint().to_string();
    let handle = server.start();
    let child = Child::start("lost::a_process_to_be_killed", (ENDPOINT, &endpoint));
    let session = soon(async {
        loop {
            match handle.sessions().pop() {
                Some(session) => break session,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    kill_while_calls_are_pending(session, gate, child).await;
    assert_eq!(handle.sessions().len(), 0);
}

#[test]
#[ignore = "run as a process of its own by the tests above"]
fn a_process_to_be_killed() {
    if !is_child() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let endpoint = env::var(ENDPOINT).expect("where to connect");
        if endpoint.is_empty() {
            let server = Server::builder().service(hanging()).bind(LISTEN).await.expect("a port is free");
            println!("\nlistening on {}", server.endpoint());
            drop(server.start());
        } else {
            let session = Connector::new(&endpoint).expect("an endpoint").service(hanging()).connect().await;
            drop(session.expect("it listens"));
        }
        // Longer than any test; the process does not outlive one that forgot it by much.
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}
