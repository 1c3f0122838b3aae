//! Before the version is known, 2.0 is written. Where the other side speaks 1.0 and the first message is none that 1.0 has, that message
//! fails, and the next is right.

use rpc::{Limits, Protocol};
use serde_json::{Value, json};

use super::{
    link::{Link, code},
    pairs::{self, Pair, Side},
};
use crate::python::Spoken;

fn pair(begins: Side, ours: Protocol, theirs: Spoken) -> Pair {
    pairs::all()
        .find(|pair| (pair.begins, pair.ours, pair.theirs) == (begins, ours, theirs))
        .expect("the table has all")
}

async fn undecided() -> Link {
    let link = Link::connected(pair(Side::We, Protocol::Detect, Spoken::V1), Limits::client()).await;
    assert_eq!(link.session.protocol(), Protocol::Detect);
    link
}

#[tokio::test]
async fn our_first_message_may_be_a_batch_that_python_refuses() {
    let mut link = undecided().await;
    let outcome = link.batch(Side::We, &[("add", json!([1, 2]), true), ("add", json!([3, 4]), true)]).await;
    let refusal = json!({"error": {"code": -32600, "message": "request object must be a dictionary"}});
    assert_eq!(outcome, json!([refusal, refusal]));
    assert_eq!(link.session.protocol(), Protocol::V1);
    assert_eq!(link.call(Side::We, "add", json!([1, 2])).await, json!({"result": 3}));
    link.close().await;
}

#[tokio::test]
async fn our_first_message_may_be_a_call_by_name_that_python_refuses() {
    let mut link = undecided().await;
    let outcome = link.call(Side::We, "greet", json!({"name": "Ann", "greeting": "Hello"})).await;
    assert_eq!(*code(&outcome), json!(-32602), "{outcome}");
    assert_eq!(link.session.protocol(), Protocol::V1);
    assert_eq!(link.call(Side::We, "greet", json!(["Ann", "Hello"])).await, json!({"result": "Hello, Ann"}));
    link.close().await;
}

#[tokio::test]
async fn our_first_message_may_be_a_notification_that_python_refuses() {
    let mut link = undecided().await;
    assert_eq!(link.notify(Side::We, "note", json!(["lost"])).await, Value::Null);
    assert_eq!(link.call(Side::We, "add", json!([1, 2])).await, json!({"result": 3}));
    assert_eq!(link.session.protocol(), Protocol::V1);
    assert_eq!(link.notify(Side::We, "note", json!(["kept"])).await, Value::Null);
    assert_eq!(link.call(Side::We, "notes", json!([])).await, json!({"result": ["kept"]}));
    link.close().await;
}

#[tokio::test]
async fn python_may_speak_first_to_our_client() {
    for theirs in [Spoken::V1, Spoken::V2, Spoken::Loose] {
        let mut link = Link::connected(pair(Side::We, Protocol::Detect, theirs), Limits::client()).await;
        assert_eq!(link.call(Side::Python, "add", json!([1, 2])).await, json!({"result": 3}), "{theirs:?}");
        assert_eq!(link.call(Side::We, "add", json!([1, 2])).await, json!({"result": 3}), "{theirs:?}");
        assert_eq!(link.notify(Side::We, "note", json!(["one"])).await, Value::Null, "{theirs:?}");
        assert_eq!(link.call(Side::We, "notes", json!([])).await, json!({"result": ["one"]}), "{theirs:?}");
        link.close().await;
    }
}

/// aiorpcX knows no refusal of a batch as a whole: it waits until its time is over. Our answer has told it what we speak.
#[tokio::test]
async fn pythons_first_message_may_be_a_batch_that_we_refuse() {
    let (_server, mut python) =
        Link::listening(pair(Side::Python, Protocol::V1, Spoken::AutoDetect), Limits::server()).await;
    python.run(json!(["wait_at_most", 0.1])).await;
    let members = json!([["add", [1, 2], true], ["add", [3, 4], true]]);
    assert_eq!(python.run(json!(["batch", members])).await, json!({"timeout": true}));
    let answer = python.run(json!(["received"])).await;
    assert_eq!((&answer["id"], code(&answer)), (&Value::Null, &json!(-32600)), "{answer}");
    python.run(json!(["wait_at_most", 30])).await;
    assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
    let named = json!(["request", "greet", {"name": "Ann", "greeting": "Hello"}]);
    assert_eq!(python.run(named).await, json!({"refused": "JSONRPCv1 does not support named arguments"}));
}
