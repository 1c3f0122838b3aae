//! Ids of all kinds that aiorpcX can be made to use: it finds its request by what we echo.

use serde_json::{Value, json};

use super::{
    link::{Link, code},
    pairs::{self, Common, Pair, Side},
};

/// As JSON, since a number can have more digits than a type of ours.
fn ids() -> Vec<String> {
    let mut ids: Vec<String> =
        ["0", "-1", "1.5", "-0.25", "1e300", "18446744073709551616", r#""""#, r#""1""#, r#""a:b/c#d""#]
            .map(str::to_owned)
            .into();
    ids.extend([r#""ä\u0000\"\\""#, r#""\ud800""#, r#""null""#].map(str::to_owned));
    ids.push(format!("1{}", "0".repeat(4000)));
    ids.push(format!("\"{}\"", "x".repeat(10_000)));
    ids
}

#[tokio::test]
async fn python_finds_its_request_by_the_id_that_we_echo() {
    for pair in pairs::all().filter(|pair| pair.can_call(Side::Python)) {
        let mut link = Link::new(pair).await;
        for id in ids() {
            link.python.run(format!(r#"["number", [{id}]]"#)).await;
            let sum = link.call(Side::Python, "add", json!([1, 2])).await;
            assert_eq!(sum, json!({"result": 3}), "{id}, {pair:?}");
        }
        for id in ids() {
            link.python.run(format!(r#"["number", [{id}]]"#)).await;
            let error = link.call(Side::Python, "nosuch", json!([])).await;
            assert_eq!(*code(&error), json!(-32601), "{id}, {pair:?}");
        }
    }
}

/// aiorpcX sorts the ids of a reply to find the batch: those of one batch can be compared.
#[tokio::test]
async fn python_finds_its_batch_by_the_ids_that_we_echo() {
    for pair in pairs::that_speak_2_0().filter(Pair::begun_by_python) {
        let mut link = Link::new(pair).await;
        for ids in [json!(["", "a", "b"]), json!([-1, 0.5, 2]), json!([0, 1, 2])] {
            link.python.run(json!(["number", ids])).await;
            // The first is answered last.
            let members = [
                ("relay", json!(["add", [3, 4]]), true),
                ("add", json!([1, 2]), true),
                ("x", json!([]), true),
            ];
            let outcomes = link.batch(Side::Python, &members).await;
            assert_eq!(outcomes[0], json!({"result": 7}), "{ids}, {pair:?}: {outcomes}");
            assert_eq!(outcomes[1], json!({"result": 3}), "{ids}, {pair:?}");
            assert_eq!(*code(&outcomes[2]), json!(-32601), "{ids}, {pair:?}");
        }
    }
}

/// To Python `true` is a number. It is an id in 1.0, where anything is, and in no other version.
#[tokio::test]
async fn true_is_an_id_in_1_0_alone() {
    for pair in pairs::that_talk().filter(Pair::begun_by_python) {
        let mut link = Link::new(pair).await;
        let version = if pair.common == Common::V2 { r#""jsonrpc":"2.0","# } else { "" };
        let call = format!(r#"{{{version}"id":true,"method":"add","params":[1,2]}}"#);
        let answer = link.python.run(json!(["raw", call])).await;
        if link.session.protocol() == rpc::Protocol::V1 {
            assert_eq!(answer, json!({"result": 3, "error": null, "id": true}), "{pair:?}");
        } else {
            assert_eq!((&answer["id"], code(&answer)), (&Value::Null, &json!(-32600)), "{pair:?}");
        }
    }
}
