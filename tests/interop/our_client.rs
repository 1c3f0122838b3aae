//! We call Python.

use futures::future::join_all;
use rpc::{CallError, Connector, Session};
use serde_json::{Value, json};

use crate::{
    python::{Python, Spoken, soon},
    service::{CalcClient, CalcServer, MyCalc, SpendError},
};

/// A session of ours with a Python server; we serve it, too.
pub(crate) async fn connected() -> (Session, Python) {
    let (python, url) = Python::serve(Spoken::V2).await;
    let connector = Connector::new(&url).expect("a URL").service(CalcServer::new(MyCalc::default()));
    (connector.connect().await.expect("Python listens"), python)
}

async fn calc() -> (CalcClient, Python) {
    let (session, python) = connected().await;
    (CalcClient::from(session), python)
}

#[tokio::test]
async fn we_call_by_position_and_by_name() {
    let (calc, _python) = calc().await;
    assert_eq!(calc.add(1, 2).await.expect("by position"), 3);
    assert_eq!(calc.greet("Ann \u{2028}\n", "Καλημέρα").await.expect("by name"), "Καλημέρα, Ann \u{2028}\n");
    assert_eq!(calc.notes().await.expect("without parameters"), [""; 0]);
}

#[tokio::test]
async fn we_get_errors_of_pythons_service_as_our_own_type() {
    let (calc, _python) = calc().await;
    let error = calc.spend(0).await.expect_err("nothing");
    assert!(matches!(error, CallError::Service(SpendError::Nothing)), "{error:?}");
    let error = calc.spend(9).await.expect_err("not enough");
    assert!(matches!(error, CallError::Service(SpendError::NotEnough { have: 5, need: 9 })), "{error:?}");
}

/// aiorpcX as it is sends no data: then the code says which error it is, and the fields are missing.
#[tokio::test]
async fn we_get_an_error_without_its_fields_as_an_error_object() {
    let (calc, _python) = calc().await;
    match calc.spend(1000).await {
        Err(CallError::Rpc(error)) => {
            assert_eq!((error.code().value(), error.message()), (2, "5 is not enough, 1000 needed"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn we_get_every_code() {
    let (session, _python) = connected().await;
    let call = async |method: &'static str, params: Value| match session
        .call::<Value>(method, params)
        .await
        .expect_err(method)
    {
        CallError::Rpc(error) => error.code().value(),
        other => panic!("{method}: {other}"),
    };
    assert_eq!(call("nosuch", json!([])).await, -32601);
    assert_eq!(call("add", json!([1])).await, -32602);
    assert_eq!(call("add", json!({"a": 1, "c": 2})).await, -32602);
    assert_eq!(call("crash", json!([])).await, -32603);
    for code in [-32700, -32600, -32000, -101, -100, -1, 0, 1, i64::MAX] {
        assert_eq!(call("fail", json!([code, "no"])).await, code);
    }
    session.call::<()>("patience", (0.02,)).await.expect("patience");
    assert_eq!(call("hold", json!([])).await, -102);
}

#[tokio::test]
async fn we_notify_and_get_no_answer() {
    let (calc, mut python) = calc().await;
    calc.note("one").await.expect("sent");
    calc.note("two").await.expect("sent");
    assert_eq!(calc.notes().await.expect("notes"), ["one", "two"]);
    // Nor does Python, which calls and notifies us from its side.
    python.run(json!(["notify", "note", ["three"]])).await;
    assert_eq!(python.run(json!(["request", "notes", []])).await, json!({"result": ["three"]}));
}

#[tokio::test]
async fn we_are_called_while_we_wait_for_python() {
    let (session, _python) = connected().await;
    let nested = json!(["relay", ["relay", ["add", [1, 2]]]]);
    let sum = soon(async { session.call::<i64>("relay", &nested).await }).await;
    assert_eq!(sum.expect("relayed three times"), 3);
}

#[tokio::test]
async fn we_pipeline_a_thousand_calls() {
    let (calc, _python) = calc().await;
    let sums = soon(join_all((0..1000).map(|n| calc.add(n, 1).into_future()))).await;
    for (n, sum) in (1..).zip(sums) {
        assert_eq!(sum.expect("a sum"), n);
    }
}

#[tokio::test]
async fn we_answer_rubbish_and_go_on() {
    let (session, mut python) = connected().await;
    let answer = python.run(json!(["raw", "rubbish"])).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)));
    assert_eq!(session.call::<i64>("add", (1, 2)).await.expect("add"), 3);
}
