//! Pages in browsers: whose may call.

use http::{StatusCode, header};
use rpc::WebAccess;
use rpc_tests::{CalcServer, MyCalc};

use super::kit::{Answer, Body, ask, mounted, posted_to};

async fn from_page(origins: WebAccess, host: &str, origin: &str) -> Answer {
    let service = mounted(CalcServer::new(MyCalc)).access(origins);
    let request = posted_to(host).header(header::ORIGIN, origin);
    let body: Body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.into();
    ask(&service, request.body(body).expect("a request")).await
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_unless_it_is_allowed() {
    let page = "https://app.example.org";
    let refused = from_page(WebAccess::new(), "127.0.0.1:8545", page).await;
    refused.expect_refusal(StatusCode::FORBIDDEN, -32600, page);
    let allowed = from_page(WebAccess::new().allow_origin(page), "127.0.0.1:8545", page).await;
    assert_eq!(allowed.json()["result"], "pong");
}

#[tokio::test]
async fn a_page_that_comes_by_a_rebound_name_is_refused_unless_that_name_is_allowed() {
    let (host, page) = ("evil.example:8545", "http://evil.example:8545");
    let refused = from_page(WebAccess::new(), host, page).await;
    refused.expect_refusal(StatusCode::FORBIDDEN, -32600, host);
    let allowed = from_page(WebAccess::new().allow_host("evil.example"), host, page).await;
    assert_eq!(allowed.json()["result"], "pong");
}

#[tokio::test]
async fn a_page_from_here_may_call() {
    let answer = from_page(WebAccess::new(), "localhost:8545", "http://localhost:8545").await;
    assert_eq!(answer.json()["result"], "pong");
}
