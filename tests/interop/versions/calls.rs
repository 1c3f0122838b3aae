//! Calls and notifications, by both sides, in every pair of versions that can talk.

use rpc::CallError;
use serde_json::{Value, json};

use super::{
    link::{Link, code},
    pairs::{self, BOTH, Common, Side},
};
use crate::service::{CalcClient, SpendError};

#[tokio::test]
async fn each_side_calls_by_position() {
    for pair in pairs::all() {
        let mut link = Link::new(pair).await;
        for side in BOTH.into_iter().filter(|side| pair.can_call(*side)) {
            assert_eq!(
                link.call(side, "add", json!([1, 2])).await,
                json!({"result": 3}),
                "{side:?}, {pair:?}"
            );
            assert_eq!(
                link.call(side, "notes", json!([])).await,
                json!({"result": []}),
                "{side:?}, {pair:?}"
            );
            let greeted = link.call(side, "greet", json!(["Ann \u{2028}\n", "Καλημέρα"])).await;
            assert_eq!(greeted, json!({"result": "Καλημέρα, Ann \u{2028}\n"}), "{side:?}, {pair:?}");
        }
    }
}

#[tokio::test]
async fn each_side_calls_by_name_in_2_0_and_does_not_send_it_in_1_0() {
    for pair in pairs::that_talk() {
        let mut link = Link::new(pair).await;
        for side in BOTH {
            let outcome = link.call(side, "greet", json!({"greeting": "Hello", "name": "Ann"})).await;
            let expected = match (pair.common, side) {
                (Common::V2, _) => json!({"result": "Hello, Ann"}),
                (_, Side::Python) => json!({"refused": "JSONRPCv1 does not support named arguments"}),
                (_, Side::We) => {
                    json!({"refused": "JSON-RPC 1.0 has no named parameters: send them by position"})
                }
            };
            assert_eq!(outcome, expected, "{side:?}, {pair:?}");
            // It has left no trace.
            assert_eq!(
                link.call(side, "add", json!([1, 2])).await,
                json!({"result": 3}),
                "{side:?}, {pair:?}"
            );
        }
    }
}

#[tokio::test]
async fn each_side_gets_the_others_errors_with_their_data() {
    for pair in pairs::all() {
        let mut link = Link::new(pair).await;
        for side in BOTH.into_iter().filter(|side| pair.can_call(*side)) {
            for (method, params, error) in [
                ("spend", json!([0]), json!({"code": 1, "message": "nothing to spend"})),
                (
                    "spend",
                    json!([9]),
                    json!({"code": 2, "message": "5 is not enough, 9 needed", "data": {"have": 5, "need": 9}}),
                ),
                ("fail", json!([-7, "no"]), json!({"code": -7, "message": "no"})),
            ] {
                let outcome = link.call(side, method, params).await;
                assert_eq!(outcome, json!({"error": error}), "{side:?}, {pair:?}");
            }
        }
        if pair.can_call(Side::We) {
            let error = CalcClient::from(link.session.clone()).spend(9).await.expect_err("not enough");
            let not_enough = SpendError::NotEnough { have: 5, need: 9 };
            assert!(matches!(&error, CallError::Service(e) if *e == not_enough), "{pair:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn each_side_is_told_what_is_wrong_with_a_call() {
    for pair in pairs::all() {
        let mut link = Link::new(pair).await;
        for side in BOTH.into_iter().filter(|side| pair.can_call(*side)) {
            for (method, params, expected) in [
                ("nosuch", json!([]), -32601),
                ("add", json!([1]), -32602),
                ("add", json!([1, 2, 3]), -32602),
                ("crash", json!([]), -32603),
            ] {
                let outcome = link.call(side, method, params).await;
                assert_eq!(*code(&outcome), json!(expected), "{side:?} {method}, {pair:?}: {outcome}");
            }
            assert_eq!(
                link.call(side, "add", json!([1, 2])).await,
                json!({"result": 3}),
                "{side:?}, {pair:?}"
            );
        }
    }
}

#[tokio::test]
async fn each_side_notifies_and_gets_no_answer() {
    for pair in pairs::that_talk() {
        let mut link = Link::new(pair).await;
        for side in BOTH {
            // The second and third are wrong, and not answered either.
            for (method, params) in [
                ("note", json!(["one"])),
                ("note", json!([])),
                ("nosuch", json!([])),
                ("note", json!(["two"])),
            ] {
                assert_eq!(link.notify(side, method, params).await, Value::Null, "{side:?}, {pair:?}");
            }
            let notes = link.call(side, "notes", json!([])).await;
            assert_eq!(notes, json!({"result": ["one", "two"]}), "{side:?}, {pair:?}");
        }
        let seen = link.python.run(json!(["messages"])).await;
        let answers = seen.as_array().expect("a list").iter().filter(|message| message["id"].is_null());
        // All that Python got without an id are our own four.
        assert_eq!(answers.filter(|message| message["method"].is_null()).count(), 0, "{pair:?}: {seen}");
        link.close().await;
    }
}

#[tokio::test]
async fn each_side_is_called_while_it_waits_for_the_other() {
    for pair in pairs::that_talk() {
        let mut link = Link::new(pair).await;
        for side in BOTH {
            let nested = link.call(side, "relay", json!(["relay", ["relay", ["add", [1, 2]]]])).await;
            assert_eq!(nested, json!({"result": 3}), "{side:?}, {pair:?}");
            let error = link.call(side, "relay", json!(["spend", [9]])).await;
            assert_eq!(error["error"]["data"], json!({"have": 5, "need": 9}), "{side:?}, {pair:?}");
        }
        link.close().await;
    }
}
