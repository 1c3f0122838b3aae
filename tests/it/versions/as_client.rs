//! What is sent, and what becomes of replies.

use futures::future::join_all;
use rpc::{BatchError, CallError, OutgoingBatch, Protocol, ProtocolError, Unsupported};
use rpc_tests::{is_pending, settled};
use serde::Serialize;
use serde_json::{Value, json};

use super::{COLUMNS, speaking};

/// How a call ends.
#[derive(Debug, Clone, PartialEq)]
enum Ends {
    Value(Value),
    Error(i64, &'static str),
    /// With a protocol error.
    Broken,
    /// Not by this.
    Waits,
}

use Ends::{Broken, Error, Value as Gives, Waits};

/// A reply to call 1, and how it ends with `V1`, `V2` and `Loose`.
fn rows() -> Vec<(&'static str, [Ends; 3])> {
    let three = || Gives(json!(3));
    let null = || Gives(Value::Null);
    let no = Error(-5, "no");
    let all = |ends: Ends| [ends.clone(), ends.clone(), ends];
    vec![
        // A result: both members and one of them null; `result`, or both; the same.
        (r#"{"jsonrpc":"2.0","id":1,"result":3}"#, [Broken, three(), three()]),
        (r#"{"id":1,"jsonrpc":"2.0","result":3}"#, [Broken, three(), three()]),
        (r#"{"jsonrpc":"2.0","result":3,"id":1,"error":null}"#, all(three())),
        (r#"{"result":3,"error":null,"id":1}"#, [three(), Broken, three()]),
        (r#"{"id":1,"result":3}"#, [Broken, Broken, three()]),
        (r#"{"jsonrpc":"1.0","id":1,"result":3,"error":null}"#, [three(), Broken, three()]),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, [Broken, null(), null()]),
        (r#"{"jsonrpc":"2.0","id":1,"result":null,"error":null}"#, all(null())),
        (r#"{"result":null,"error":null,"id":1}"#, [null(), Broken, null()]),
        (r#"{"jsonrpc":"2.0","id":1,"result":3,"extra":{"id":2}}"#, [Broken, three(), three()]),
        // An error, in the shape of either version.
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"no"}}"#, all(no.clone())),
        (r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-5,"message":"no"}}"#, all(no.clone())),
        (r#"{"result":null,"error":{"code":-5,"message":"no"},"id":1}"#, [no.clone(), Broken, no.clone()]),
        (r#"{"error":{"code":-5,"message":"no"},"id":1}"#, [no.clone(), Broken, no.clone()]),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"no","x":1,"name":"E"}}"#, all(no)),
        // An error that says less than it should, or something else.
        (
            r#"{"jsonrpc":"2.0","id":1,"error":"out of stock"}"#,
            [Error(-100, "out of stock"), Broken, Error(-100, "out of stock")],
        ),
        // Where it stands behind a result, in the usual order.
        (
            r#"{"jsonrpc":"2.0","id":1,"result":null,"error":"out of stock"}"#,
            [Error(-100, "out of stock"), Broken, Error(-100, "out of stock")],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result": null, "error": {"message":"no"}}"#,
            [Error(-100, "no"), Broken, Error(-100, "no")],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-5}}"#,
            [Error(-5, "the peer sent no message"), Broken, Error(-5, "the peer sent no message")],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"message":"no"}}"#,
            [Error(-100, "no"), Broken, Error(-100, "no")],
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":"-5","message":"no"}}"#,
            [Error(-100, "no"), Broken, Error(-100, "no")],
        ),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":0,"message":""}}"#, all(Error(0, ""))),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-9223372036854775808,"message":"m"}}"#,
            all(Error(i64::MIN, "m")),
        ),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":4294967296,"message":"m"}}"#, all(Error(1 << 32, "m"))),
        (r#"{"jsonrpc":"2.0","id":1,"error":true}"#, [Error(-100, "true"), Broken, Error(-100, "true")]),
        // Both, or neither.
        (r#"{"jsonrpc":"2.0","id":1,"result":3,"error":{"code":-5,"message":"no"}}"#, all(Broken)),
        (r#"{"jsonrpc":"2.0","id":1,"error":null}"#, all(Broken)),
        // A member that is there twice.
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"result":3,"error":null}"#, all(Broken)),
        (r#"{"jsonrpc":"2.0","id":1,"result":3,"result":3,"error":null}"#, all(Broken)),
        // Answers to notifications, and to nothing.
        (r#"{"jsonrpc":"2.0","result":3,"error":null}"#, all(Waits)),
        // An error to no id means the only call.
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-5,"message":"no"}}"#, all(Error(-5, "no"))),
        (r#"{"jsonrpc":"2.0","id":null,"result":3,"error":null}"#, all(Waits)),
        (r#"{"jsonrpc":"2.0","id":0,"result":3,"error":null}"#, all(Waits)),
        (r#"{"jsonrpc":"2.0","id":2,"result":3,"error":null}"#, all(Waits)),
        (r#"{"jsonrpc":"2.0","id":1.0,"result":3,"error":null}"#, all(Waits)),
        (r#"{"jsonrpc":"2.0","id":"1","result":3,"error":null}"#, all(Waits)),
        (r#"{"jsonrpc":"2.0","id":[1],"result":3,"error":null}"#, all(Waits)),
        (r#"{"jsonrpc":"2.0","id":true,"result":3,"error":null}"#, all(Waits)),
        ("null", all(Waits)),
        // As some peers write: padded, sorted by name, with escapes that nobody needs.
        (
            "  {\"error\":null,\"id\":1,\"jsonrpc\":\"2.0\",\"result\":\"a\\/b\u{2028}\\u00e9\"}\t ",
            all(Gives(json!("a/b\u{2028}é"))),
        ),
    ]
}

fn ended(outcome: Result<Value, CallError>) -> Ends {
    match outcome {
        Ok(value) => Gives(value),
        Err(CallError::Rpc(error)) => Error(error.code().value(), error.message().to_owned().leak()),
        Err(CallError::Protocol { source: ProtocolError::MalformedReply { .. }, .. }) => Broken,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_each_reply_as_its_version_says() {
    for (reply, ends) in rows() {
        for (protocol, expected) in COLUMNS.into_iter().zip(ends) {
            let (mut peer, session) = speaking(protocol).await;
            let mut call = Box::pin(session.call::<Value>("m", ()).into_future());
            assert!(is_pending(&mut call));
            assert!(peer.line().await.is_some());
            peer.send(reply).await;
            settled().await;
            if expected == Waits {
                assert!(is_pending(&mut call), "{protocol:?}, {reply}");
                assert_eq!(session.calls_in_flight(), 1);
                continue;
            }
            assert_eq!(ended(call.await), expected, "{protocol:?}, {reply}");
            assert_eq!(session.calls_in_flight(), 0);
            // Nothing was said about the reply.
            peer.expect_silence().await;
        }
    }
}

/// A detecting client believes the first reply, whatever it has asked in.
#[tokio::test(start_paused = true)]
async fn a_detecting_client_takes_replies_of_either_shape() {
    for reply in [
        r#"{"jsonrpc":"2.0","id":1,"result":3}"#,
        r#"{"result":3,"error":null,"id":1}"#,
        r#"{"jsonrpc":"1.0","result":3,"error":null,"id":1}"#,
        r#"{"id":1,"result":3}"#,
    ] {
        let (mut peer, session) = speaking(Protocol::Detect).await;
        let (outcome, ()) = tokio::join!(async { session.call::<i64>("m", ()).await }, peer.send(reply));
        assert_eq!(outcome.expect("a reply"), 3, "{reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn data_of_an_error_arrives_as_it_was_sent() {
    for protocol in COLUMNS {
        let (mut peer, session) = speaking(protocol).await;
        let reply = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":{"b": 1.0,"a":[]}}}"#;
        let (outcome, ()) = tokio::join!(async { session.call::<i64>("m", ()).await }, peer.send(reply));
        let Err(CallError::Rpc(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.raw_data().expect("data").get(), r#"{"b": 1.0,"a":[]}"#);
    }
}

#[derive(Serialize)]
struct Named {
    a: i64,
}

#[tokio::test(start_paused = true)]
async fn each_version_sends_what_it_can_say() {
    for (protocol, positional, notification, named) in [
        (
            Protocol::V1,
            r#"{"method":"m","params":[1],"id":1}"#,
            r#"{"method":"m","params":[1],"id":null}"#,
            None,
        ),
        (
            Protocol::V2,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":[1]}"#,
            Some(r#"{"jsonrpc":"2.0","id":2,"method":"m","params":{"a":1}}"#),
        ),
        (
            Protocol::Loose,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":[1]}"#,
            Some(r#"{"jsonrpc":"2.0","id":2,"method":"m","params":{"a":1}}"#),
        ),
        (
            Protocol::Detect,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
            r#"{"jsonrpc":"2.0","method":"m","params":[1]}"#,
            Some(r#"{"jsonrpc":"2.0","id":2,"method":"m","params":{"a":1}}"#),
        ),
    ] {
        let (mut peer, session) = speaking(protocol).await;
        let mut call = Box::pin(session.call::<i64>("m", (1,)).into_future());
        assert!(is_pending(&mut call));
        peer.expect(positional).await;
        session.notify("m", (1,)).await.expect("sent");
        peer.expect(notification).await;
        match named {
            Some(named) => {
                let mut call = Box::pin(session.call::<i64>("m", Named { a: 1 }).into_future());
                assert!(is_pending(&mut call));
                peer.expect(named).await;
            }
            None => {
                let outcome = session.call::<i64>("m", Named { a: 1 }).await;
                let refused = |error: &CallError| {
                    matches!(error, CallError::Unsupported { source: Unsupported::NamedParams, .. })
                };
                assert!(outcome.as_ref().is_err_and(refused), "{outcome:?}");
                let outcome = session.notify("m", Named { a: 1 }).await;
                assert!(outcome.as_ref().is_err_and(refused), "{outcome:?}");
                peer.expect_silence().await;
                assert_eq!(session.calls_in_flight(), 1, "the first one only");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn version_1_0_refuses_a_batch_and_sends_nothing() {
    let (mut peer, session) = speaking(Protocol::V1).await;
    let typed = session.batch((session.call::<i64>("a", (1,)), session.notify("b", ()))).await;
    assert!(matches!(typed, Err(BatchError::Unsupported(Unsupported::Batches))), "{typed:?}");
    let batch = OutgoingBatch::new().notify("a", &()).expect("no parameters");
    let untyped = session.try_batch(batch).await;
    assert!(matches!(untyped, Err(BatchError::Unsupported(Unsupported::Batches))), "{untyped:?}");
    peer.expect_silence().await;
    assert_eq!(session.calls_in_flight(), 0);
    // The ids of what was refused were not used.
    let mut call = Box::pin(session.call::<i64>("m", ()).into_future());
    assert!(is_pending(&mut call));
    peer.expect(r#"{"method":"m","params":[],"id":1}"#).await;
}

#[tokio::test(start_paused = true)]
async fn the_server_may_use_our_ids_before_it_replies() {
    for protocol in COLUMNS {
        let (mut peer, session) = speaking(protocol).await;
        let mut calls: Vec<_> =
            (0..3).map(|_| Box::pin(session.call::<i64>("m", ()).into_future())).collect();
        for call in &mut calls {
            assert!(is_pending(call));
            assert!(peer.line().await.is_some());
        }
        for id in 1..=3 {
            let answer =
                peer.ask(&format!(r#"{{"jsonrpc":"2.0","method":"echo","params":[],"id":{id}}}"#)).await;
            assert!(answer.contains(r#""result":[]"#), "{answer}");
        }
        for id in (1..=3).rev() {
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{id},"error":null}}"#)).await;
        }
        let values: Vec<i64> =
            join_all(calls).await.into_iter().map(|reply| reply.expect("its own")).collect();
        assert_eq!(values, [1, 2, 3]);
    }
}
