//! JSON-RPC 2.0, section 7: <https://www.jsonrpc.org/specification#examples>.

use std::sync::{Arc, Mutex};

use rpc::{Context, Dispatcher, ErrorObject, Params, Protocol, Router, rpc_service};
use rpc_tests::Raw;
use serde_json::Value;

use super::Printed;

/// Those that 2.0 is spoken in.
const PROTOCOLS: [Protocol; 3] = [Protocol::V2, Protocol::Loose, Protocol::Detect];

#[rpc_service]
trait Subtract {
    async fn subtract(&self, minuend: i64, subtrahend: i64) -> i64;
}

struct Subtraction;

impl Subtract for Subtraction {
    async fn subtract(&self, minuend: i64, subtrahend: i64) -> i64 {
        minuend - subtrahend
    }
}

/// The notifications that have come.
#[derive(Clone, Default)]
struct Notified(Arc<Mutex<Vec<String>>>);

impl Notified {
    fn add(&self, method: &str, params: &Params) {
        let numbers: Vec<i64> = params.parse().expect("numbers");
        self.0.lock().expect("no panic").push(format!("{method}{numbers:?}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

/// The other methods of the examples; `foobar` and `foo.get` are not there.
fn others(notified: &Notified) -> Router {
    let mut router = Router::new()
        .method("sum", async |params: Params, _: Context| {
            Ok::<_, ErrorObject>(params.parse::<Vec<i64>>()?.into_iter().sum::<i64>())
        })
        .method("get_data", async |_: Params, _: Context| Ok::<_, ErrorObject>(("hello", 5)));
    for method in ["update", "notify_sum", "notify_hello"] {
        let notified = notified.clone();
        router = router.notification(method, move |params: Params, _: Context| {
            notified.add(method, &params);
            async {}
        });
    }
    router
}

/// Sends an example to a session and to a dispatcher of each version. The reply is the one that is printed, but for the order of
/// members and the words of errors; where none is printed, none comes.
async fn example(sent: &str, reply: &str, notifications: &[&str]) {
    for protocol in PROTOCOLS {
        let notified = Notified::default();
        let (mut peer, session) = Raw::peer_with(|connector| {
            connector.protocol(protocol).framer(Printed).service(subtraction()).service(others(&notified))
        })
        .await;
        peer.write(format!("{sent}\0")).await;
        if reply.is_empty() {
            peer.expect_silence().await;
        } else {
            assert_same(&peer.line().await.expect("a reply"), reply, protocol);
            peer.expect_silence().await;
        }
        assert_eq!(notified.take(), notifications, "{protocol:?}");
        assert!(!session.is_closed());

        let dispatcher = Dispatcher::builder().service(subtraction()).service(others(&notified));
        let dispatcher = dispatcher.protocol(protocol).build().expect("no method is there twice");
        match dispatcher.dispatch(sent.as_bytes()).await {
            None => assert_eq!(reply, "", "{protocol:?}"),
            Some(got) => assert_same(std::str::from_utf8(&got).expect("a text"), reply, protocol),
        }
        assert_eq!(notified.take(), notifications, "{protocol:?}");
    }
}

fn subtraction() -> SubtractServer<Subtraction> {
    SubtractServer::new(Subtraction)
}

fn assert_same(got: &str, printed: &str, protocol: Protocol) {
    let (got, printed) = (without_words(got), without_words(printed));
    assert_eq!(got, printed, "{protocol:?}");
}

/// The reply, without the texts of errors: those are for people.
fn without_words(reply: &str) -> Value {
    let mut reply: Value = serde_json::from_str(reply).unwrap_or_else(|error| panic!("{error}: {reply}"));
    let replies = match &mut reply {
        Value::Array(replies) => replies.iter_mut().collect(),
        one => vec![one],
    };
    for reply in replies {
        if let Some(error) = reply.get_mut("error") {
            assert!(error["message"].is_string(), "{error}");
            error["message"] = Value::Null;
        }
    }
    reply
}

#[tokio::test(start_paused = true)]
async fn positional_parameters() {
    example(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 1}"#,
        &[],
    )
    .await;
    example(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#,
        r#"{"jsonrpc": "2.0", "result": -19, "id": 2}"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn named_parameters() {
    example(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 3}"#,
        &[],
    )
    .await;
    example(
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 4}"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_notification() {
    example(
        r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#,
        "",
        &["update[1, 2, 3, 4, 5]"],
    )
    .await;
    example(r#"{"jsonrpc": "2.0", "method": "foobar"}"#, "", &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_method_that_does_not_exist() {
    example(
        r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn invalid_json() {
    example(
        r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_request_object() {
    example(
        r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_invalid_json() {
    example(
        r#"[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_array() {
    example(
        "[]",
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_batch_that_is_not_empty() {
    example(
        "[1]",
        r#"[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_batch() {
    example(
        "[1,2,3]",
        r#"[
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
  {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
]"#,
        &[],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch() {
    example(
        r#"[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]"#,
        r#"[
        {"jsonrpc": "2.0", "result": 7, "id": "1"},
        {"jsonrpc": "2.0", "result": 19, "id": "2"},
        {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
        {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
        {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
    ]"#,
        &["notify_hello[7]"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_notifications() {
    example(
        r#"[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]"#,
        "",
        &["notify_sum[1, 2, 4]", "notify_hello[7]"],
    )
    .await;
}
