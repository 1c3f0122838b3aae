//! Python over WebSocket: aiorpcX on the library `websockets`.

use futures::future::join_all;
use rpc::{CallError, CloseReason, Connector, Limits, Server, ServerHandle, Session};
use serde_json::{Value, json};

use crate::{
    python::{Python, Spoken, soon},
    service::{CalcClient, CalcServer, MyCalc, SpendError},
};

async fn connected() -> (Session, Python) {
    let (python, url) = Python::serve_with("ws://127.0.0.1:0", Spoken::V2, &[]).await;
    let connector = Connector::new(&url).expect("a URL").service(CalcServer::new(MyCalc::default()));
    (connector.connect().await.expect("Python listens"), python)
}

async fn served() -> (ServerHandle, Python) {
    let builder = Server::builder().service(CalcServer::new(MyCalc::default())).limits(Limits::server());
    let server = builder.bind("ws://127.0.0.1:0").await.expect("a free port").start();
    let python = Python::connect(server.endpoint(), Spoken::V2).await;
    (server, python)
}

#[tokio::test]
async fn we_call_a_python_server_and_it_calls_back() {
    let (session, mut python) = connected().await;
    let calc = CalcClient::from(session.clone());
    assert_eq!(calc.add(1, 2).await.expect("by position"), 3);
    assert_eq!(calc.greet("Ann \u{2028}\n", "Καλημέρα").await.expect("by name"), "Καλημέρα, Ann \u{2028}\n");
    let error = calc.spend(9).await.expect_err("not enough");
    assert!(matches!(error, CallError::Service(SpendError::NotEnough { have: 5, need: 9 })), "{error:?}");
    let sums = join_all((0..200).map(|n| calc.add(n, 1).into_future())).await;
    assert!(sums.into_iter().zip(1..).all(|(sum, expected)| sum.expect("a sum") == expected));
    // Longer than one fragment.
    let long = "ü".repeat(100_000);
    assert_eq!(calc.greet(&long, "Hello").await.expect("a greeting").len(), "Hello, ".len() + long.len());
    let relayed: Value = session.call("relay", ("add", [3, 4])).await.expect("called back");
    assert_eq!(relayed, json!(7));
    assert_eq!(python.run(json!(["request", "add", [5, 6]])).await, json!({"result": 11}));

    python.begin(json!(["close"])).await;
    let cause = soon(session.closed()).await;
    assert!(matches!(cause, CloseReason::PeerClosed { code: 1000, .. }), "{cause}");
}

#[tokio::test]
async fn a_python_client_calls_us_and_we_call_back() {
    let (server, mut python) = served().await;
    assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
    assert_eq!(
        python.run(json!(["request", "spend", [9]])).await,
        json!({"error": {"code": 2, "message": "5 is not enough, 9 needed", "data": {"have": 5, "need": 9}}})
    );
    let batch = json!(["batch", [["add", [1, 2], true], ["note", ["x"], false], ["notes", [], true]]]);
    assert_eq!(python.run(batch).await, json!([{"result": 3}, {"result": ["x"]}]));
    let long = "ü".repeat(100_000);
    let greet = python.run(json!(["request", "greet", [long, "Hello"]])).await;
    assert_eq!(greet, json!({"result": format!("Hello, {long}")}));
    let many: Vec<_> = (0..200).map(|n| json!([n, 1])).collect();
    let sums = python.run(json!(["pipeline", "add", many])).await;
    assert_eq!(sums, json!((1..=200).collect::<Vec<_>>()));

    let session = server.sessions().pop().expect("Python is connected");
    assert_eq!(CalcClient::from(session.clone()).add(3, 4).await.expect("Python serves it, too"), 7);
    // Our close is answered: Python sees a connection that was ended properly.
    python.begin(json!(["ended"])).await;
    assert!(matches!(soon(session.close()).await, CloseReason::Local));
    assert_eq!(python.outcome().await, Value::Null);
}
