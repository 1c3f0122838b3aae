//! What is not posted as it should be does not come to a handler.

use std::time::Duration;

use http::{Method, StatusCode, header};
use rpc::Limits;
use rpc_tests::{CalcServer, Gate, MyCalc, settled, waiting};

use super::kit::{Body, ask, message, mounted, mounted_with, post, posted};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn only_what_is_posted_is_taken() {
    let service = mounted(CalcServer::new(MyCalc));
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let answer = ask(&service, posted().method(&method).body(PING.into()).expect("a request")).await;
        answer.expect_refusal(StatusCode::METHOD_NOT_ALLOWED, -32600, method.as_str());
        assert_eq!(answer.headers[header::ALLOW], "POST");
    }
}

#[tokio::test]
async fn what_any_page_may_post_is_not_taken() {
    let service = mounted(CalcServer::new(MyCalc));
    for of in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html"]
    {
        let request = http::Request::post("/")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, of)
            .body(PING.into());
        ask(&service, request.expect("a request")).await.expect_refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            -32600,
            of,
        );
    }
    let untyped =
        http::Request::post("/").header(header::HOST, "localhost").body(Body::from(PING)).expect("a request");
    ask(&service, untyped).await.expect_refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, -32600, "missing");
}

#[tokio::test]
async fn a_packed_body_is_not_taken() {
    let service = mounted(CalcServer::new(MyCalc));
    let packed = posted().header(header::CONTENT_ENCODING, "gzip").body(PING.into()).expect("a request");
    ask(&service, packed).await.expect_refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, -32600, "gzip");
}

#[tokio::test(start_paused = true)]
async fn as_many_requests_are_worked_on_as_there_may_be_connections() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.connections = 2;
    let service = mounted_with(waiting(&gate), limits);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;
    let at_work = [0, 1].map(|_| {
        let service = service.clone();
        tokio::spawn(async move { post(&service, call).await })
    });
    gate.until(|gate| gate.waiting() == 2).await;
    ask(&service, message(call)).await.expect_refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        -102,
        "too many requests at once: the server works on 2, and may work on 2 (`Limits::connections`)",
    );
    gate.open();
    for answer in at_work {
        assert_eq!(answer.await.expect("no panic").json()["result"][0], 1);
    }
    post(&service, call).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_dropped_and_its_caller_told() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.request_timeout = Some(Duration::from_secs(5));
    let service = mounted_with(waiting(&gate), limits);
    let answer = post(&service, r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#).await;
    assert_eq!(answer.json()["error"]["code"], -102);
    assert_eq!(gate.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_gives_a_request_up_has_its_handler_dropped() {
    let gate = Gate::closed();
    let service = mounted(waiting(&gate));
    let call = tokio::spawn({
        let service = service.clone();
        async move { post(&service, r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#).await }
    });
    gate.until(|gate| gate.waiting() == 1).await;
    call.abort();
    settled().await;
    assert_eq!(gate.dropped(), 1);
}
