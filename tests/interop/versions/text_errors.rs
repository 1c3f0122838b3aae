//! Errors of 1.0 that are texts and not objects.

use rpc::{Limits, Protocol, Server};
use serde_json::json;

use crate::{
    python::{Python, Spoken},
    service::{CalcServer, MyCalc},
};

#[tokio::test]
async fn python_reads_our_errors_that_are_texts() {
    for (ours, theirs) in [
        (Protocol::V1, Spoken::V1),
        (Protocol::V1, Spoken::Loose),
        (Protocol::V1, Spoken::AutoDetect),
        (Protocol::Detect, Spoken::V1),
    ] {
        let builder = Server::builder().service(CalcServer::new(MyCalc::default())).limits(Limits::server());
        let builder = builder.protocol(ours).text_errors();
        let server = builder.bind("tcp://127.0.0.1:0").await.expect("a free port").start();
        let mut python = Python::connect(server.endpoint(), theirs).await;
        let outcome = python.run(json!(["request", "spend", [9]])).await;
        // aiorpcX gives an error without a code this one.
        assert_eq!(outcome, json!({"error": {"code": -100, "message": "5 is not enough, 9 needed"}}));
        assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
    }
}

#[tokio::test]
async fn errors_of_2_0_stay_objects() {
    let builder = Server::builder().service(CalcServer::new(MyCalc::default())).protocol(Protocol::Detect);
    let server = builder.text_errors().bind("tcp://127.0.0.1:0").await.expect("a free port").start();
    let mut python = Python::connect(server.endpoint(), Spoken::V2).await;
    let outcome = python.run(json!(["request", "spend", [0]])).await;
    assert_eq!(outcome, json!({"error": {"code": 1, "message": "nothing to spend"}}));
}
