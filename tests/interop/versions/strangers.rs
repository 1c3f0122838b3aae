//! Pairs of versions that cannot talk: whoever calls is told so, at once, and can hang up.

use rpc::Protocol;
use serde_json::{Value, json};

use super::{
    link::Link,
    pairs::{self, BOTH, Pair, Side},
};
use crate::python::Spoken;

/// What a call of `side` ends with.
fn failure(pair: Pair, side: Side) -> Value {
    match (pair.ours, pair.theirs, side) {
        // Nobody has read the request.
        (Protocol::V1, Spoken::V2, Side::We) => {
            json!({"error": {"code": -32600, "message": "\"jsonrpc\" is not \"2.0\""}})
        }
        // It was carried out, but the answer is of the wrong version.
        (Protocol::V1, Spoken::V2, Side::Python) => json!({"refused": "\"jsonrpc\" is not \"2.0\""}),
        (Protocol::V2, Spoken::V1, Side::We) => {
            json!({"refused": "the peer's reply is malformed: `jsonrpc` is missing: it must be \"2.0\""})
        }
        (Protocol::V1, Spoken::Loose | Spoken::AutoDetect, Side::We) => {
            json!({"refused": "the peer's reply is malformed: it must have both `result` and `error`"})
        }
        (Protocol::V2 | Protocol::Loose, Spoken::V1, Side::Python) => {
            json!({"refused": "response must contain both \"result\" and \"error\""})
        }
        _ => panic!("{side:?} should be able to call: {pair:?}"),
    }
}

#[tokio::test]
async fn every_call_that_cannot_be_understood_ends_with_the_reason() {
    for pair in pairs::all().filter(|pair| !pair.talks()) {
        let mut link = Link::new(pair).await;
        if !pair.can_call(pair.begins) {
            assert_eq!(link.first, failure(pair, pair.begins), "{pair:?}");
        }
        for side in BOTH.into_iter().filter(|side| !pair.can_call(*side)) {
            // Twice: the first has broken nothing.
            for _ in 0..2 {
                let outcome = link.call(side, "add", json!([1, 2])).await;
                assert_eq!(outcome, failure(pair, side), "{side:?}, {pair:?}");
            }
        }
        link.close().await;
    }
}

/// Some are understood (a 1.0 notification has an id of null, which others take for one as well), some are not; nobody can know.
#[tokio::test]
async fn notifications_that_cannot_be_understood_do_no_harm() {
    for pair in pairs::all().filter(|pair| !pair.talks()) {
        let mut link = Link::new(pair).await;
        for side in BOTH {
            assert_eq!(link.notify(side, "note", json!(["one"])).await, Value::Null, "{side:?}, {pair:?}");
            let outcome = link.call(side, "add", json!([1, 2])).await;
            let expected = if pair.can_call(side) { json!({"result": 3}) } else { failure(pair, side) };
            assert_eq!(outcome, expected, "{side:?}, {pair:?}");
        }
        link.close().await;
    }
}

#[tokio::test]
async fn a_batch_of_ours_ends_where_python_speaks_1_0_and_we_do_not() {
    for pair in pairs::all().filter(|pair| !pair.talks() && pair.theirs == Spoken::V1) {
        let mut link = Link::new(pair).await;
        let outcome =
            link.batch(Side::We, &[("add", json!([1, 2]), true), ("add", json!([3, 4]), true)]).await;
        let expected = match pair.ours {
            Protocol::Loose => {
                json!({"error": {"code": -32600, "message": "request object must be a dictionary"}})
            }
            _ => failure(pair, Side::We),
        };
        assert_eq!(outcome, json!([expected, expected]), "{pair:?}");
        link.close().await;
    }
}
