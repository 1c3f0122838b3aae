//! Answers that are too large: the call ends with an error, and so does the member of a batch; nothing else does.

use rpc::Limits;
use serde_json::{Value, json};

use super::{
    link::{Link, Member, code},
    pairs::{self, Common, Pair, Side},
};

const LIMIT: usize = 300;

fn large() -> Value {
    json!(["Ann", "x".repeat(LIMIT)])
}

/// Each answer has less than [`LIMIT`] bytes by itself.
fn medium() -> Member {
    ("greet", json!(["Ann", "x".repeat(LIMIT / 2)]), true)
}

fn small() -> Member {
    ("add", json!([1, 2]), true)
}

#[tokio::test]
async fn python_answers_an_error_for_a_result_that_is_too_large() {
    for pair in pairs::that_talk().filter(Pair::begun_by_us) {
        let mut link = Link::new(pair).await;
        link.python.run(json!(["answer_at_most", LIMIT])).await;
        let error = link.call(Side::We, "greet", large()).await;
        assert_eq!(
            error,
            json!({"error": {"code": -32600, "message": "response too large (over 300 bytes"}}),
            "{pair:?}"
        );
        assert_eq!(link.call(Side::We, "add", json!([1, 2])).await, json!({"result": 3}), "{pair:?}");
        if pair.common == Common::V2 {
            let outcomes = link.batch(Side::We, &[small(), ("greet", large(), true)]).await;
            assert_eq!(outcomes[0], json!({"result": 3}), "{pair:?}");
            assert_eq!(*code(&outcomes[1]), json!(-32600), "{pair:?}");
        }
        link.close().await;
    }
}

#[tokio::test]
async fn we_answer_an_error_for_a_result_that_is_too_large() {
    let mut limits = Limits::server();
    limits.reply_size = LIMIT;
    for pair in pairs::that_talk().filter(Pair::begun_by_python) {
        let mut link = Link::with_limits(pair, limits.clone()).await;
        let error = link.call(Side::Python, "greet", large()).await;
        assert_eq!(*code(&error), json!(-32603), "{pair:?}: {error}");
        assert!(error["error"]["message"].as_str().expect("a text").contains("300"), "{pair:?}: {error}");
        assert_eq!(link.call(Side::Python, "add", json!([1, 2])).await, json!({"result": 3}), "{pair:?}");
        if pair.common == Common::V2 {
            let outcomes = link.batch(Side::Python, &[medium(), small(), medium(), medium()]).await;
            assert_eq!(outcomes[1], json!({"result": 3}), "{pair:?}: {outcomes}");
            assert!(outcomes[0]["result"].is_string(), "{pair:?}: {outcomes}");
            // Together they would be too large.
            assert_eq!(*code(&outcomes[2]), json!(-32603), "{pair:?}: {outcomes}");
            assert_eq!(*code(&outcomes[3]), json!(-32603), "{pair:?}: {outcomes}");
        }
        link.close().await;
    }
}
