//! Python calls us.

use std::time::Duration;

use rpc::{Limits, Server, ServerHandle};
use serde_json::{Value, json};

use crate::{
    python::{Python, Spoken, soon},
    service::{CalcServer, MyCalc},
};

/// A server of ours, and a Python client of it.
pub(crate) async fn served(limits: Limits) -> (ServerHandle, Python) {
    let builder = Server::builder().service(CalcServer::new(MyCalc::default())).limits(limits);
    let server = builder.bind("tcp://127.0.0.1:0").await.expect("a free port").start();
    let python = Python::connect(server.endpoint(), Spoken::V2).await;
    (server, python)
}

fn code(outcome: &Value) -> &Value {
    &outcome["error"]["code"]
}

#[tokio::test]
async fn python_calls_by_position_and_by_name() {
    let (_server, mut python) = served(Limits::server()).await;
    assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
    assert_eq!(python.run(json!(["request", "add", {"b": 2, "a": 1}])).await, json!({"result": 3}));
    let greet = json!(["request", "greet", {"name": "Ann \u{2028}\n", "greeting": "Καλημέρα"}]);
    assert_eq!(python.run(greet).await, json!({"result": "Καλημέρα, Ann \u{2028}\n"}));
    assert_eq!(python.run(json!(["request", "notes", []])).await, json!({"result": []}));
    assert_eq!(python.run(json!(["request", "notes", {}])).await, json!({"result": []}));
}

#[tokio::test]
async fn python_gets_errors_of_the_service_with_their_data() {
    let (_server, mut python) = served(Limits::server()).await;
    assert_eq!(
        python.run(json!(["request", "spend", [0]])).await,
        json!({"error": {"code": 1, "message": "nothing to spend"}})
    );
    assert_eq!(
        python.run(json!(["request", "spend", [9]])).await,
        json!({"error": {"code": 2, "message": "5 is not enough, 9 needed", "data": {"have": 5, "need": 9}}})
    );
    assert_eq!(
        python.run(json!(["request", "fail", [-7, "no"]])).await,
        json!({"error": {"code": -7, "message": "no"}})
    );
}

#[tokio::test]
async fn python_gets_the_standard_errors() {
    let (_server, mut python) = served(Limits::server()).await;
    for (method, args, expected) in [
        ("nosuch", json!([]), json!({"code": -32601, "message": "method `nosuch` not found"})),
        (
            "add",
            json!([1]),
            json!({"code": -32602, "message":
                "invalid params for `add`: too few: it takes 2 parameters, got 1; `b` is missing"}),
        ),
        (
            "add",
            json!([1, 2, 3]),
            json!({"code": -32602, "message":
                "invalid params for `add`: too many: it takes 2 parameters, got 3"}),
        ),
        (
            "add",
            json!({"a": 1, "c": 2}),
            json!({"code": -32602, "message":
                "invalid params for `add`: unknown parameter `c`: it takes `a`, `b`"}),
        ),
        ("crash", json!([]), json!({"code": -32603, "message": "internal error"})),
    ] {
        let outcome = python.run(json!(["request", method, args])).await;
        assert_eq!(outcome, json!({"error": expected}), "{method} {args}");
    }
    // None of it has hurt the session.
    assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
}

#[tokio::test]
async fn python_gets_the_errors_of_what_it_would_never_send() {
    let (_server, mut python) = served(Limits::server()).await;
    // Each character of the text is a byte.
    for (bytes, expected_code, expected_id) in [
        ("rubbish", -32700, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,"#, -32700, Value::Null),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\u{ff}\"}", -32700, Value::Null),
        ("1", -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":7}"#, -32600, json!(7)),
        (r#"{"jsonrpc":"2.0","id":"x","method":5}"#, -32600, json!("x")),
        (r#"{"id":7,"method":"add","params":[1,2]}"#, -32600, json!(7)),
        (r#"{"jsonrpc":"2.0","id":7,"method":"add","params":1}"#, -32600, json!(7)),
    ] {
        let answer = python.run(json!(["raw", bytes])).await;
        assert_eq!(*code(&answer), json!(expected_code), "{bytes}: {answer}");
        assert_eq!(answer["id"], expected_id, "{bytes}: {answer}");
    }
    assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
}

#[tokio::test]
async fn python_that_keeps_sending_rubbish_is_told_and_cut_off() {
    let mut limits = Limits::public();
    // Each costs 1,000 and its bytes, and a little is forgiven from one to the next: the tenth is too much in any case.
    limits.cost_hard = 9_500.0;
    let (server, mut python) = served(limits).await;
    for _ in 0..10 {
        assert_eq!(*code(&python.run(json!(["raw", "rubbish"])).await), json!(-32700));
    }
    assert_eq!(*code(&python.run(json!(["received"])).await), json!(-101));
    assert_eq!(python.run(json!(["ended"])).await, Value::Null);
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn python_gets_server_busy_for_a_handler_that_takes_too_long() {
    let mut limits = Limits::server();
    limits.request_timeout = Some(Duration::from_millis(20));
    let (_server, mut python) = served(limits).await;
    assert_eq!(*code(&python.run(json!(["request", "hold", []])).await), json!(-102));
}

/// The one place is taken by `relay`, which waits for a reply of Python's: Python's own question cannot wait behind it.
#[tokio::test]
async fn python_gets_server_busy_when_waiting_would_lock_both_sides_up() {
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (_server, mut python) = served(limits).await;
    let nested = json!(["request", "relay", ["relay", ["add", [1, 2]]]]);
    assert_eq!(*code(&python.run(nested).await), json!(-102));
}

#[tokio::test]
async fn python_notifies_and_gets_no_answer() {
    let (_server, mut python) = served(Limits::server()).await;
    python.run(json!(["notify", "note", ["one"]])).await;
    python.run(json!(["notify", "note", {"text": "two"}])).await;
    // Neither of these is answered, wrong as they are: the next message is that of the call.
    python.run(json!(["notify", "note", []])).await;
    python.run(json!(["notify", "nosuch", []])).await;
    let call = r#"{"jsonrpc":"2.0","id":"n","method":"notes"}"#;
    assert_eq!(
        python.run(json!(["raw", call])).await,
        json!({"jsonrpc": "2.0", "id": "n", "result": ["one", "two"]})
    );
}

#[tokio::test]
async fn python_is_called_while_it_waits_for_us() {
    let (server, mut python) = served(Limits::server()).await;
    // Python calls us, we call Python, Python calls us, we call Python.
    let nested = json!(["request", "relay", ["relay", ["relay", ["add", [1, 2]]]]]);
    assert_eq!(python.run(nested).await, json!({"result": 3}));
    // And without having been asked.
    let session = server.sessions().pop().expect("Python has connected");
    assert_eq!(soon(async { session.call::<i64>("add", (3, 4)).await }).await.expect("add"), 7);
}

#[tokio::test]
async fn python_pipelines_a_thousand_calls() {
    let (server, mut python) = served(Limits::server()).await;
    let args: Vec<_> = (0..1000).map(|n| [n, 1]).collect();
    let sums: Vec<_> = (1..=1000).collect();
    assert_eq!(python.run(json!(["pipeline", "add", args])).await, json!(sums));
    assert_eq!(server.sessions()[0].requests_in_flight(), 0);
}
