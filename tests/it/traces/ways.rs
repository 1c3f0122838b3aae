//! What ends only where there is no session.

use std::pin::pin;

use rpc::{Dispatcher, HttpClient, Limits, Router, Server};
use rpc_tests::{Events, Gate, is_pending, waiting};
use serde_json::Value;
use tracing::Level;

use super::endings::{End, Ends};

fn end(method: &str, is_request: bool, outcome: &str) -> End {
    (method.to_owned(), is_request, outcome.to_owned(), None)
}

fn dispatcher(gate: &Gate, limits: Limits) -> Dispatcher {
    Dispatcher::builder().service(waiting(gate)).limits(limits).build().expect("one service")
}

const BATCH: &[u8] = br#"[{"jsonrpc":"2.0","id":1,"method":"wait"},
    {"jsonrpc":"2.0","id":2,"method":"echo"},
    {"jsonrpc":"2.0","method":"echo"},
    {"jsonrpc":"2.0","id":3}]"#;

#[tokio::test]
async fn members_that_were_not_begun_are_abandoned_with_the_others() {
    let (events, gate) = (Events::capture(), Gate::closed());
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let dispatcher = dispatcher(&gate, limits);
    {
        let mut answer = pin!(dispatcher.dispatch(BATCH));
        assert!(is_pending(&mut answer));
        assert_eq!(gate.entered(), 1);
    }
    let ends = Ends::new(&events, "memory:").next(3).await;
    let abandoned = |method, is_request| end(method, is_request, "abandoned");
    assert_eq!(ends, [abandoned("echo", false), abandoned("echo", true), abandoned("wait", true)]);
}

#[tokio::test]
async fn a_message_that_is_no_request_is_refused_with_its_id() {
    let events = Events::capture();
    let dispatcher = dispatcher(&Gate::closed(), Limits::server());
    let large = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"{}"}}"#, "x".repeat(2 << 20));
    for (message, id, code) in [
        ("rubbish", "null", "-32700"),
        (r#"{"jsonrpc":"2.0","id":5}"#, "5", "-32600"),
        (r#"[{"jsonrpc":"2.0","id":"a","method":7}]"#, r#""a""#, "-32600"),
        ("[]", "null", "-32600"),
        (&large, "9", "-32600"),
    ] {
        let before = events.of("request refused").len();
        assert!(dispatcher.dispatch(message.as_bytes()).await.is_some());
        let [refused] = &events.of("request refused")[before..] else { panic!("{id}: {:?}", events.all()) };
        assert_eq!((refused.level, refused.target), (Level::DEBUG, "rpc::request"));
        assert_eq!(refused.field("jsonrpc.request.id"), id);
        assert_eq!(refused.field("rpc.response.status_code"), code);
        assert_eq!(refused.field("network.peer.address"), "memory:");
        assert_eq!(refused.field("rpc.system.name"), "jsonrpc");
        assert!(!refused.field("error").is_empty());
    }
    assert!(events.of("request").is_empty());
}

/// There is a service for each message, and making it is code of the user's.
#[tokio::test]
async fn where_there_is_no_service_its_making_has_panicked() {
    let events = Events::capture();
    let server = Server::builder().session(|_| -> Router { panic!("no service") });
    let server = server.bind("http://127.0.0.1:0").await.expect("a port is free").start();
    let client = HttpClient::new(&server.endpoint().to_string()).expect("an endpoint");
    assert!(client.call::<Value>("echo", ()).await.is_err());
    assert_eq!(Ends::new(&events, "http://127.0.0.1:").next(1).await, [end("echo", true, "panicked")]);
}
