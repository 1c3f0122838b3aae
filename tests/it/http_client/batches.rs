//! Batches over HTTP: one request, one answer, a result for each call.

use std::time::Duration;

use rpc::{Batch, BatchError, CallError, HttpClient, HttpError, OutgoingBatch, Protocol, Unsupported};
use rpc_tests::http::{HttpPeer, ok, response};
use serde_json::Value;

type Outcome = Result<Vec<Result<Value, CallError>>, BatchError>;

/// What becomes of a batch of two calls and a notification that is answered with `answer`.
async fn outcome_of(protocol: Protocol, answer: impl AsRef<[u8]>) -> Outcome {
    let (mut peer, client) = HttpPeer::with(|builder| builder.protocol(protocol));
    let calls =
        async { client.batch(Vec::from(["a", "b"].map(|name| client.call::<Value>(name, ())))).await };
    let (outcome, ()) = tokio::join!(calls, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.write(answer).await;
    });
    outcome
}

/// The value or the error of each. Of a reply that is none it is told which call had it.
fn told(outcome: Outcome) -> Vec<String> {
    let tell = |(result, called): (Result<Value, CallError>, &str)| match result {
        Ok(value) => value.to_string(),
        Err(CallError::Protocol { method, source }) => {
            assert_eq!(method, called);
            source.to_string()
        }
        Err(error) => rpc::chain(&error).to_string(),
    };
    outcome.expect("nothing is wrong with it").into_iter().zip(["a", "b"]).map(tell).collect()
}

const MISSING: &str = "the peer's reply is malformed: the reply to the batch has none to this call";
const NOTHING: &str = "the peer's reply is malformed: the answer has none to this call";
const REFUSED: &str = "the peer answered with an error: too long (code -1)";

#[tokio::test(start_paused = true)]
async fn replies_come_in_any_order_and_some_or_all_may_be_missing() {
    for (answer, told_first, told_second) in [
        (r#"[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2,"result":2}]"#, "1", "2"),
        (r#"[{"jsonrpc":"2.0","id":2,"result":2},{"jsonrpc":"2.0","id":1,"result":1}]"#, "1", "2"),
        (r#"[{"jsonrpc":"2.0","id":2,"result":2}]"#, MISSING, "2"),
        (r#"{"jsonrpc":"2.0","id":1,"result":1}"#, "1", NOTHING),
        ("[]", MISSING, MISSING),
        // A refusal of all of it.
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"too long"}}"#, REFUSED, REFUSED),
        (r#"[{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"too long"}}]"#, REFUSED, REFUSED),
        (r#"{"jsonrpc":"2.0","id":0,"error":{"code":-1,"message":"too long"}}"#, REFUSED, REFUSED),
        // Twice the same, and some that nobody asked for.
        (
            r#"[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":1,"result":9},{"jsonrpc":"2.0","id":7,"result":8},
                {"jsonrpc":"2.0","id":2,"result":2}]"#,
            "1",
            "2",
        ),
        (
            r#"[{"jsonrpc":"2.0","id":7,"result":8}]"#,
            "the peer's reply is malformed: it has the id of another call",
            "the peer's reply is malformed: it has the id of another call",
        ),
    ] {
        assert_eq!(told(outcome_of(Protocol::V2, ok(answer)).await), [told_first, told_second], "{answer}");
    }
    // Bitcoin Core answers batches in the form of 1.0, and refuses them with a status.
    let core = r#"[{"result":1,"error":null,"id":1},{"result":null,"error":{"code":-1,"message":"too long"},"id":2}]"#;
    assert_eq!(told(outcome_of(Protocol::Loose, ok(core)).await), ["1", REFUSED]);
    let core = r#"{"result":null,"error":{"code":-1,"message":"too long"},"id":null}"#;
    let outcome = outcome_of(Protocol::Loose, response("500 Internal Server Error", "", core)).await;
    assert_eq!(told(outcome), [REFUSED, REFUSED]);
}

#[tokio::test(start_paused = true)]
async fn what_http_refuses_fails_the_batch_as_a_whole() {
    let outcome = outcome_of(Protocol::V2, response("401 Unauthorized", "", "")).await;
    assert!(matches!(outcome, Err(BatchError::Http(HttpError::Status { status: 401, .. }))), "{outcome:?}");
    let outcome = outcome_of(Protocol::V2, ok("")).await;
    assert!(matches!(outcome, Err(BatchError::Http(HttpError::NoReply { .. }))), "{outcome:?}");
    // 1.0 has no batches: nothing is sent.
    let (peer, client) = HttpPeer::with(|builder| builder.protocol(Protocol::V1));
    let outcome = client.batch([client.call::<Value>("a", ())]).await;
    assert!(matches!(outcome, Err(BatchError::Unsupported(Unsupported::Batches))), "{outcome:?}");
    let empty = client.batch(Vec::<rpc::Notify<'_, HttpClient>>::new()).await;
    assert!(empty.is_err());
    assert_eq!(peer.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_notifications_alone_is_not_answered() {
    let notifications = || OutgoingBatch::new().notify("a", &()).unwrap().notify("b", &()).unwrap();
    for (answer, is_taken) in [
        (ok(""), true),
        (response("204 No Content", "", ""), true),
        (ok(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"what?"}}"#), true),
        (response("401 Unauthorized", "", ""), false),
    ] {
        let (mut peer, client) = HttpPeer::of_client();
        let (outcome, ()) = tokio::join!(async { client.batch(notifications()).await }, async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection.write(&answer).await;
        });
        assert_eq!(outcome.is_ok(), is_taken, "{answer}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_of_a_batch_has_its_own_time() {
    let (mut peer, client) = HttpPeer::of_client();
    let batch = || {
        let hasty = client.call::<u8>("a", ()).timeout(Duration::from_secs(1));
        let patient = client.call::<u8>("b", ()).timeout(Duration::from_secs(3));
        Batch::over(&client, (hasty, patient))
    };
    let (outcome, _connection) = tokio::join!(async { batch().await }, async {
        let mut connection = peer.accept().await;
        connection.request().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        connection
            .answer(r#"[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2,"result":2}]"#)
            .await;
        connection
    });
    let (hasty, patient) = outcome.unwrap();
    assert!(matches!(hasty, Err(CallError::Timeout(after)) if after == Duration::from_secs(1)), "{hasty:?}");
    assert_eq!(patient.unwrap(), 2);
    // Without an answer, the batch ends when the most patient one does.
    let began = tokio::time::Instant::now();
    let (hasty, patient) = batch().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert!(matches!(hasty, Err(CallError::Timeout(after)) if after == Duration::from_secs(1)), "{hasty:?}");
    assert!(
        matches!(patient, Err(CallError::Timeout(after)) if after == Duration::from_secs(3)),
        "{patient:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn all_or_nothing_says_which_has_failed() {
    let (mut peer, client) = HttpPeer::of_client();
    let calls = async { client.try_batch((client.call::<u8>("a", ()), client.call::<u8>("b", ()))).await };
    let (outcome, _) = tokio::join!(calls, async {
        let answer = r#"[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2,"error":{"code":4,"message":"no"}}]"#;
        peer.accept().await.serve(|_| answer.to_owned()).await
    });
    let error = outcome.unwrap_err();
    assert_eq!(
        rpc::chain(&error).to_string(),
        "`b`, member 1 of the batch, failed: the peer answered with an error: no (code 4)"
    );
}
