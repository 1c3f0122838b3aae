//! Connections that are lost: every call ends, on both sides, and says why.

use futures::future::join_all;
use rpc::{CallError, CloseReason, Limits, ServerHandle, Session};
use serde_json::{Value, json};

use crate::{
    our_client::connected,
    our_server::served,
    python::{Python, soon},
};

/// Kills Python while a hundred calls wait for it.
pub(crate) async fn every_call_ends_when_python_is_killed(session: &Session, python: Python) {
    let calls = join_all((0..100).map(|_| session.call::<Value>("hold", ()).into_future()));
    let killed = async {
        // Behind the hundred: when it is answered they have arrived.
        session.call::<Value>("add", (1, 2)).await.expect("Python lives");
        assert_eq!(session.calls_in_flight(), 100);
        python.kill().await;
    };
    let (outcomes, ()) = soon(async { tokio::join!(calls, killed) }).await;
    let cause = soon(session.closed()).await;
    assert!(matches!(cause, CloseReason::Peer | CloseReason::Io(_)), "{cause}");
    let later = session.call::<Value>("add", (1, 2)).await;
    for outcome in outcomes.into_iter().chain([later]) {
        match outcome {
            Err(CallError::Closed { reason, .. }) => assert_eq!(reason.to_string(), cause.to_string()),
            other => panic!("a call ended with {other:?}"),
        }
    }
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test]
async fn our_clients_calls_end_with_the_cause_when_python_is_killed() {
    let (session, python) = connected().await;
    every_call_ends_when_python_is_killed(&session, python).await;
}

#[tokio::test]
async fn our_servers_calls_end_with_the_cause_when_python_is_killed() {
    let (server, mut python) = served(Limits::server()).await;
    let session = accepted(&server, &mut python).await;
    every_call_ends_when_python_is_killed(&session, python).await;
    assert!(server.sessions().is_empty());
}

/// The server's session with Python. Whoever was answered has been accepted.
async fn accepted(server: &ServerHandle, python: &mut Python) -> Session {
    assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
    server.sessions().pop().expect("Python has a session")
}

/// Has Python wait for a call that we never answer, and waits until we have it.
async fn python_waits(session: &Session, python: &mut Python) {
    python.begin(json!(["request", "hold", []])).await;
    // Python's answer comes behind its question.
    while session.requests_in_flight() == 0 {
        soon(async { session.call::<Value>("add", (1, 2)).await }).await.expect("Python lives");
    }
}

#[tokio::test]
async fn pythons_call_ends_when_our_client_drops_the_connection() {
    let (session, mut python) = connected().await;
    python_waits(&session, &mut python).await;
    session.abort();
    assert_eq!(python.outcome().await, json!({"lost": true}));
}

#[tokio::test]
async fn pythons_call_ends_when_our_server_drops_the_connection() {
    let (server, mut python) = served(Limits::server()).await;
    let session = accepted(&server, &mut python).await;
    python_waits(&session, &mut python).await;
    session.abort();
    assert_eq!(python.outcome().await, json!({"lost": true}));
}
