//! Batches, by both sides, in every pair of versions that have them; and in those that have none, the refusal.

use rpc::{BatchError, CallError, Limits, OutgoingBatch, Protocol};
use serde_json::{Value, json};

use super::{
    link::{Link, Member, code},
    pairs::{self, BOTH, Pair, Side},
};
use crate::{
    python::soon,
    service::{CalcClient, SpendError},
};

#[tokio::test]
async fn each_member_of_a_batch_has_its_own_outcome() {
    let members: Vec<Member> = vec![
        // Takes longest: it is answered first all the same, or last, as the peer likes.
        ("relay", json!(["add", [3, 4]]), true),
        ("add", json!([1, 2]), true),
        ("note", json!(["one"]), false),
        ("note", json!([]), false),
        ("greet", json!({"name": "Ann", "greeting": "Hello"}), true),
        ("spend", json!([9]), true),
        ("nosuch", json!([]), true),
        ("nosuch", json!([]), false),
        ("add", json!([1]), true),
        ("notes", json!([]), true),
    ];
    for pair in pairs::that_speak_2_0() {
        let mut link = Link::new(pair).await;
        for side in BOTH {
            let outcomes = link.batch(side, &members).await;
            assert_eq!(outcomes[0], json!({"result": 7}), "{side:?}, {pair:?}: {outcomes}");
            assert_eq!(outcomes[1], json!({"result": 3}), "{side:?}, {pair:?}");
            assert_eq!(outcomes[2], json!({"result": "Hello, Ann"}), "{side:?}, {pair:?}");
            assert_eq!(*code(&outcomes[3]), json!(2), "{side:?}, {pair:?}");
            assert_eq!(outcomes[3]["error"]["data"], json!({"have": 5, "need": 9}), "{side:?}, {pair:?}");
            assert_eq!(*code(&outcomes[4]), json!(-32601), "{side:?}, {pair:?}");
            assert_eq!(*code(&outcomes[5]), json!(-32602), "{side:?}, {pair:?}");
            assert_eq!(outcomes[6], json!({"result": ["one"]}), "{side:?}, {pair:?}");
            assert_eq!(outcomes.as_array().map(Vec::len), Some(7), "{side:?}, {pair:?}");
        }
        link.close().await;
    }
}

#[tokio::test]
async fn python_raises_the_errors_of_a_batch_if_it_wants_to() {
    for pair in pairs::that_speak_2_0().filter(Pair::begun_by_python) {
        let mut link = Link::new(pair).await;
        let raise = true;
        let good = json!([["add", [1, 2], true], ["note", ["one"], false]]);
        let outcome = link.python.run(json!(["batch", good, raise])).await;
        assert_eq!(outcome, json!([{"result": 3}]), "{pair:?}");
        let bad = json!([["add", [1, 2], true], ["fail", [-7, "no"], true]]);
        let outcome = link.python.run(json!(["batch", bad, raise])).await;
        let error = json!({"error": {"code": -7, "message": "no"}});
        assert_eq!(outcome, json!({"raised": [{"result": 3}, error]}), "{pair:?}");
    }
}

#[tokio::test]
async fn our_batches_are_typed_and_may_fail_as_a_whole() {
    for pair in pairs::that_speak_2_0().filter(Pair::begun_by_us) {
        let link = Link::new(pair).await;
        let (session, calc) = (&link.session, CalcClient::from(link.session.clone()));
        let (sum, (), spent, greeted) = soon(
            session
                .batch((calc.add(1, 2), calc.note("one"), calc.spend(9), calc.greet("Ann", "Hello")))
                .into_future(),
        )
        .await
        .expect("sent");
        assert_eq!(sum.expect("a sum"), 3, "{pair:?}");
        let not_enough = SpendError::NotEnough { have: 5, need: 9 };
        assert!(matches!(&spent, Err(CallError::Service(e)) if *e == not_enough), "{pair:?}: {spent:?}");
        assert_eq!(greeted.expect("by name"), "Hello, Ann", "{pair:?}");

        let all = soon(session.try_batch((calc.notes(), calc.add(1, 2))).into_future()).await;
        assert_eq!(all.expect("both"), (vec!["one".to_owned()], 3), "{pair:?}");
        let sums =
            soon(session.try_batch((0..250).map(|n| calc.add(n, 1)).collect::<Vec<_>>()).into_future());
        assert_eq!(
            sums.await.expect("more than we would take ourselves"),
            (1..=250).collect::<Vec<i64>>(),
            "{pair:?}"
        );
        match soon(session.try_batch((calc.add(1, 2), calc.note("two"), calc.spend(0))).into_future()).await {
            Err(BatchError::Member { index: 2, method, .. }) => assert_eq!(method, "spend", "{pair:?}"),
            other => panic!("{pair:?}: {other:?}"),
        }
        drop(calc);
        link.close().await;
    }
}

/// Nothing answers it, so the next call must.
#[tokio::test]
async fn a_batch_of_notifications_is_not_answered() {
    for pair in pairs::that_speak_2_0() {
        let mut link = Link::new(pair).await;
        for side in BOTH {
            let notes = [("note", json!(["one"]), false), ("note", json!(["two"]), false)];
            assert_eq!(link.batch(side, &notes).await, json!([]), "{side:?}, {pair:?}");
            let noted = link.call(side, "notes", json!([])).await;
            assert_eq!(noted, json!({"result": ["one", "two"]}), "{side:?}, {pair:?}");
        }
        let seen = link.python.run(json!(["messages"])).await;
        let arrays = seen.as_array().expect("a list").iter().filter(|message| message.is_array());
        assert_eq!(arrays.count(), 1, "only our own batch has come: {pair:?}: {seen}");
        link.close().await;
    }
}

#[tokio::test]
async fn a_batch_of_one_is_answered_by_a_batch_of_one() {
    for pair in pairs::that_speak_2_0().filter(Pair::begun_by_python) {
        let mut link = Link::new(pair).await;
        for side in BOTH {
            let outcome = link.batch(side, &[("add", json!([1, 2]), true)]).await;
            assert_eq!(outcome, json!([{"result": 3}]), "{side:?}, {pair:?}");
        }
        let raw = r#"[{"jsonrpc":"2.0","id":"x","method":"add","params":[1,2]}]"#;
        let answer = link.python.run(json!(["raw", raw])).await;
        assert_eq!(answer, json!([{"jsonrpc": "2.0", "id": "x", "result": 3}]), "{pair:?}");
    }
}

/// aiorpcX knows no refusal of a batch as a whole, and waits until its time is over; everything else goes on.
#[tokio::test]
async fn we_refuse_a_batch_of_pythons_that_is_too_long() {
    for pair in pairs::that_speak_2_0().filter(Pair::begun_by_python) {
        let mut limits = Limits::server();
        limits.batch_length = 2;
        let mut link = Link::with_limits(pair, limits).await;
        let outcome =
            link.batch(Side::Python, &[("add", json!([1, 2]), true), ("x", json!([]), false)]).await;
        assert_eq!(outcome, json!([{"result": 3}]), "{pair:?}");
        link.python.run(json!(["wait_at_most", 0.1])).await;
        let three = ["a", "b", "c"].map(|text| ("note", json!([text]), true));
        assert_eq!(link.batch(Side::Python, &three).await, json!({"timeout": true}), "{pair:?}");
        link.python.run(json!(["wait_at_most", 30])).await;
        assert_eq!(link.call(Side::Python, "notes", json!([])).await, json!({"result": []}), "{pair:?}");
        // It was answered before that call.
        let seen = link.python.run(json!(["messages"])).await;
        let answer = &seen.as_array().expect("a list").iter().rev().nth(1).expect("an answer");
        assert_eq!((&answer["id"], code(answer)), (&Value::Null, &json!(-32600)), "{pair:?}: {answer}");
    }
}

#[tokio::test]
async fn neither_side_sends_an_empty_batch_and_we_refuse_one() {
    for pair in pairs::that_talk().filter(Pair::begun_by_python) {
        let mut link = Link::new(pair).await;
        let ours = link.session.batch(OutgoingBatch::new()).await;
        assert!(matches!(ours, Err(BatchError::Unsupported(_))), "{pair:?}: {ours:?}");
        assert_eq!(link.batch(Side::Python, &[]).await, json!({"refused": "batch is empty"}), "{pair:?}");
        let answer = link.python.run(json!(["raw", "[]"])).await;
        assert_eq!((&answer["id"], code(&answer)), (&Value::Null, &json!(-32600)), "{pair:?}: {answer}");
        link.close().await;
    }
}

#[tokio::test]
async fn in_1_0_neither_side_sends_a_batch_and_we_refuse_one() {
    let members = [("add", json!([1, 2]), true), ("add", json!([3, 4]), true)];
    for pair in pairs::that_speak_1_0() {
        let mut link = Link::new(pair).await;
        let outcome = link.batch(Side::Python, &members).await;
        assert_eq!(outcome, json!({"refused": "protocol does not permit batches"}), "{pair:?}");

        let outcome = link.batch(Side::We, &members).await;
        let refused = json!({"refused": "JSON-RPC 1.0 has no batches: send the calls one by one"});
        assert_eq!(outcome, refused, "{pair:?}");

        if link.session.protocol() == Protocol::V1 {
            let raw = r#"[{"method":"add","params":[1,2],"id":"x"}]"#;
            let answer = link.python.run(json!(["raw", raw])).await;
            assert_eq!((&answer["id"], code(&answer)), (&Value::Null, &json!(-32600)), "{pair:?}: {answer}");
        }
        assert_eq!(link.call(Side::Python, "add", json!([1, 2])).await, json!({"result": 3}), "{pair:?}");
        link.close().await;
    }
}
