//! What is posted as it should be is answered with the status 200, whatever the answer is.

use http::{HeaderValue, StatusCode, header};
use rpc::{
    Context, Dispatcher, ErrorObject, HttpService, Params, Protocol, Router, SubscriptionInfo,
    SubscriptionStyle,
};
use rpc_tests::{CalcServer, MyCalc, echo};
use serde_json::json;

use super::kit::{ask, message, mounted, post, posted};

#[tokio::test]
async fn a_call_is_answered_as_on_any_road() {
    let service = mounted(CalcServer::new(MyCalc));
    let answer = post(&service, r#"{"jsonrpc":"2.0","id":7,"method":"add","params":[1,2]}"#).await;
    assert_eq!(answer.text(), r#"{"jsonrpc":"2.0","id":7,"result":3}"#);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn errors_have_the_status_200() {
    let service = mounted(CalcServer::new(MyCalc));
    for (message, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"div","params":[1,0]}"#, -32001),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nothing"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"add","params":["x",0]}"#, -32602),
        ("[]", -32600),
        ("", -32700),
        ("what?", -32700),
    ] {
        assert_eq!(post(&service, message).await.json()["error"]["code"], code, "{message}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_request_an_internal_error() {
    let router =
        echo().method("fall", async |_: Params, _: Context| -> Result<(), ErrorObject> { panic!("ouch") });
    let service = mounted(router);
    let fell = post(&service, r#"{"jsonrpc":"2.0","id":1,"method":"fall"}"#).await;
    assert_eq!(fell.json()["error"], json!({"code": -32603, "message": "internal error"}));
    post(&service, r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#).await;
}

#[tokio::test]
async fn what_needs_no_answer_is_answered_with_nothing() {
    let service = mounted(CalcServer::new(MyCalc));
    for message in [
        r#"{"jsonrpc":"2.0","method":"log","params":["x"]}"#,
        r#"{"jsonrpc":"2.0","method":"nothing"}"#,
        r#"[{"jsonrpc":"2.0","method":"log","params":["x"]}]"#,
        r#"{"jsonrpc":"2.0","id":1,"result":5}"#,
    ] {
        let answer = post(&service, message).await;
        assert_eq!((answer.text(), answer.headers.get(header::CONTENT_TYPE)), ("", None), "{message}");
    }
}

#[tokio::test]
async fn nothing_may_be_said_by_the_status_204() {
    let service = mounted(CalcServer::new(MyCalc)).no_content();
    let answer = ask(&service, message(r#"{"jsonrpc":"2.0","method":"log","params":["x"]}"#)).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::NO_CONTENT, ""));
    post(&service, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
}

#[tokio::test]
async fn a_batch_is_answered_as_a_whole() {
    let service = mounted(CalcServer::new(MyCalc));
    let answer = post(
        &service,
        r#"[{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]},
            {"jsonrpc":"2.0","method":"log","params":["x"]},
            {"jsonrpc":"2.0","id":2,"method":"add_later","params":[3,4]}]"#,
    )
    .await;
    assert_eq!(
        answer.json(),
        json!([{"jsonrpc": "2.0", "id": 1, "result": 3}, {"jsonrpc": "2.0", "id": 2, "result": 7}])
    );
}

#[tokio::test]
async fn version_1_is_spoken_where_it_is_asked_for() {
    let build = |protocol| {
        let dispatcher = Dispatcher::builder().service(CalcServer::new(MyCalc)).protocol(protocol).build();
        HttpService::new(dispatcher.expect("one service"))
    };
    let call = r#"{"id":1,"method":"add","params":[1,2]}"#;
    let answer = r#"{"result":3,"error":null,"id":1}"#;
    for protocol in [Protocol::V1, Protocol::Detect] {
        assert_eq!(post(&build(protocol), call).await.text(), answer, "{protocol:?}");
    }
    // Refusals, too, look as those who speak it expect them.
    let refused = ask(&build(Protocol::V1), posted().method("PUT").body("".into()).expect("a request")).await;
    assert_eq!(refused.json()["result"], json!(null));
    assert!(refused.json().get("jsonrpc").is_none());
}

#[tokio::test]
async fn every_name_of_json_is_taken_and_nothing_need_be_accepted() {
    let service = mounted(CalcServer::new(MyCalc));
    for of in ["application/json-rpc", "application/jsonrequest", "application/json;charset=UTF-8"] {
        let mut request = message(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(of));
        assert_eq!(ask(&service, request).await.json()["result"], "pong");
    }
}

#[tokio::test]
async fn a_subscription_is_refused_because_it_needs_a_session() {
    let ticks = rpc::MethodInfo::request("ticks").with_subscription(
        SubscriptionInfo::new(SubscriptionStyle::PubSub, "tick").with_unsubscribe("untick"),
    );
    let router = Router::new().subscription(ticks, async |_: Params, _: Context| {
        Ok::<_, ErrorObject>(futures::stream::iter([1, 2, 3]))
    });
    let refused = post(&mounted(router), r#"{"jsonrpc":"2.0","id":1,"method":"ticks"}"#).await.json();
    assert_eq!(refused["error"]["code"], -32600);
    assert!(refused["error"]["message"].as_str().expect("a text").contains("needs a session"), "{refused}");
}
