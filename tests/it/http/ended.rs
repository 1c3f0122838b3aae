//! A service that is mounted in another server, when its own server shuts down: in memory, with time
//! that stands still.

use std::time::Duration;

use http::{Request, StatusCode, Version, header};
use rpc::{HttpService, ServerHandle};
use rpc_tests::{Gate, echo, settled, soon, waiting};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use super::kit::{Answer, Body, ask, message, post, serving, websocket};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[7]}"#;
const WAIT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;

fn over(version: Version, mut request: Request<Body>) -> Request<Body> {
    *request.version_mut() = version;
    request
}

/// A server of which nothing is left but the service, and a call that waits there at `gate`.
async fn at_work(gate: &Gate, close_timeout: u64) -> (ServerHandle, HttpService, JoinHandle<Answer>) {
    let server = serving(waiting(gate), |limits| {
        limits.close_timeout = Some(Duration::from_secs(close_timeout));
        limits.request_timeout = None;
    });
    let service = server.http_service();
    let call = tokio::spawn({
        let service = service.clone();
        async move { ask(&service, message(WAIT)).await }
    });
    gate.until(|gate| gate.waiting() == 1).await;
    (server, service, call)
}

/// The service says that it is over, and whether the peer is to close its connection.
fn expect_shutting_down(answer: &Answer, closes: Option<&str>) {
    answer.expect_refusal(StatusCode::SERVICE_UNAVAILABLE, -102, "the server is shutting down");
    assert_eq!(answer.json()["error"]["data"], json!({"executed": false}));
    let close = answer.headers.get(header::CONNECTION).map(|value| value.to_str().expect("text"));
    assert_eq!(close, closes);
}

#[tokio::test(start_paused = true)]
async fn it_answers_503_and_has_connections_closed() {
    let server = serving(echo(), |_| ());
    let service = server.http_service();
    // Only listeners are closed by this, and it has none.
    server.stop_listening().await;
    assert_eq!(post(&service, ECHO).await.json()["result"][0], 7);
    server.shutdown().await;
    for request in [message(ECHO), websocket()] {
        expect_shutting_down(&ask(&service, request).await, Some("close"));
    }
    // One that is made afterwards is no other.
    expect_shutting_down(&ask(&server.http_service(), message(ECHO)).await, Some("close"));
    // HTTP/2 has no such header (RFC 9113, section 8.2.2).
    expect_shutting_down(&ask(&service, over(Version::HTTP_2, message(ECHO))).await, None);
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_finished_and_waited_for() {
    let gate = Gate::closed();
    let (server, service, call) = at_work(&gate, 30).await;
    let start = Instant::now();
    let ((), ()) = tokio::join!(server.shutdown(), async {
        settled().await;
        expect_shutting_down(&ask(&service, message(WAIT)).await, Some("close"));
        tokio::time::sleep(Duration::from_secs(10)).await;
        gate.open();
    });
    assert_eq!(start.elapsed().as_secs(), 10);
    let answer = call.await.expect("no panic");
    assert_eq!((answer.status, &answer.json()["result"][0]), (StatusCode::OK, &json!(1)));
}

/// That the handler of `call` was dropped, and its caller is told that it is not known what it has done.
async fn expect_given_up(gate: &Gate, call: JoinHandle<Answer>) {
    let answer = soon(call).await.expect("no panic");
    assert_eq!(gate.dropped(), 1);
    answer.expect_refusal(StatusCode::SERVICE_UNAVAILABLE, -102, "`close_timeout`");
    assert_eq!(answer.json()["error"].get("data"), None::<&Value>);
    assert_eq!(answer.headers[header::CONNECTION], "close");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_finish_is_dropped_at_the_deadline() {
    let gate = Gate::closed();
    let (server, _service, call) = at_work(&gate, 3).await;
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    expect_given_up(&gate, call).await;
}

#[tokio::test(start_paused = true)]
async fn patience_may_be_shorter_than_the_limits() {
    let gate = Gate::closed();
    let (server, _service, call) = at_work(&gate, 30).await;
    let start = Instant::now();
    server.shutdown_within(Duration::from_secs(2)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    expect_given_up(&gate, call).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_caller_gives_up_is_not_waited_for() {
    let gate = Gate::closed();
    let (server, _service, call) = at_work(&gate, 30).await;
    call.abort();
    let start = Instant::now();
    server.shutdown().await;
    assert_eq!((start.elapsed(), gate.dropped()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_no_connections() {
    let gate = Gate::closed();
    let service = serving(waiting(&gate), |limits| limits.connections = 1).http_service();
    let call = tokio::spawn({
        let service = service.clone();
        async move { post(&service, WAIT).await }
    });
    gate.until(|gate| gate.waiting() == 1).await;
    // Sessions have their places, however many requests there are.
    assert_eq!(ask(&service, websocket()).await.status, StatusCode::SWITCHING_PROTOCOLS);
    gate.open();
    call.await.expect("no panic");
}
