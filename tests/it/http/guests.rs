//! What requests cost that a mounted service gets, and how many a group may have: in memory, with time
//! that stands still.

use std::time::Duration;

use http::{Request, StatusCode, Version, header};
use rpc::{Endpoint, Groups, HttpService, Limits, Server};
use rpc_tests::{Events, Gate, echo, waiting};
use tokio::time::Instant;
use tracing::Level;

use super::kit::{Body, ask, message, post, serving, websocket};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[7]}"#;
const WAIT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;

/// As it comes from behind a layer that has told where the peer is.
fn from(ip: [u8; 4], mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(Endpoint::tcp((ip, 50_001).into()));
    request
}

const ANN: [u8; 4] = [192, 0, 2, 1];
const BOB: [u8; 4] = [192, 0, 2, 2];

/// `Limits::public()`, and nothing is forgiven: what cannot be read costs 1,000, an error 100. Bytes cost
/// nothing.
fn limits() -> Limits {
    let mut limits = Limits::public();
    (limits.cost_forgiven_per_second, limits.cost_per_byte) = (0.0, 0.0);
    limits
}

fn by_address(limits: Limits) -> HttpService {
    let server = Server::builder().service(echo()).limits(limits).groups(Groups::by_address());
    server.build().expect("one service").start().http_service()
}

#[tokio::test(start_paused = true)]
async fn who_has_cost_much_is_slowed_down_and_who_has_cost_too_much_refused() {
    let service = by_address(limits());
    let events = Events::capture();
    let unreadable = || from(ANN, message("what?"));
    for cost in 1_u16..=10 {
        let start = Instant::now();
        assert_eq!(ask(&service, unreadable()).await.status, StatusCode::OK);
        // Between 2,000 and 10,000 in proportion, up to 2 s.
        let over = u64::from((cost - 1).saturating_sub(2));
        let late = start.elapsed().abs_diff(Duration::from_millis(over * 2_000 / 8));
        assert!(late <= Duration::from_millis(1), "{cost}: {:?}", start.elapsed());
    }
    let warned: Vec<_> = events.all().into_iter().filter(|event| event.level == Level::WARN).collect();
    let [event] = &warned[..] else { panic!("it is said once of a group: {warned:?}") };
    assert!(event.message.contains("`Limits::cost_soft`"), "{event:?}");

    let refused = ask(&service, unreadable()).await;
    let told = "have cost 10000, and may cost 10000 (`cost_hard`)";
    refused.expect_refusal(StatusCode::TOO_MANY_REQUESTS, -101, told);
    assert_eq!(refused.headers[header::CONNECTION], "close");
    let mut over_http_2 = unreadable();
    *over_http_2.version_mut() = Version::HTTP_2;
    let refused = ask(&service, over_http_2).await;
    refused.expect_refusal(StatusCode::TOO_MANY_REQUESTS, -101, told);
    assert_eq!(refused.headers.get(header::CONNECTION), None);
    let refused = ask(&service, from(ANN, websocket())).await;
    refused.expect_refusal(StatusCode::TOO_MANY_REQUESTS, -101, told);
    // Nobody else is.
    let start = Instant::now();
    for other in [from(BOB, message(ECHO)), message(ECHO)] {
        assert_eq!(ask(&service, other).await.json()["result"][0], 7);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_refused_cost_too() {
    let service = by_address(limits());
    for _ in 0..100 {
        let get = Request::get("/").header(header::HOST, "localhost").body(Body::default());
        let answer = ask(&service, from(ANN, get.expect("a request"))).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let refused = ask(&service, from(ANN, message(ECHO))).await;
    refused.expect_refusal(StatusCode::TOO_MANY_REQUESTS, -101, "have cost 10000");
    assert_eq!(ask(&service, from(BOB, message(ECHO))).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_knows_the_peer_or_there_are_no_groups_nothing_is_charged() {
    let ungrouped = serving(echo(), |changed| *changed = limits()).http_service();
    for (service, request) in [
        (by_address(limits()), (|| message("what?")) as fn() -> Request<Body>),
        (ungrouped, || from(ANN, message("what?"))),
    ] {
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(ask(&service, request()).await.status, StatusCode::OK);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_one_of_the_connections_of_its_group() {
    let gate = Gate::closed();
    let server = Server::builder().service(waiting(&gate)).groups(Groups::by_address().connections(2));
    let service = server.build().expect("one service").start().http_service();
    let calls = [ANN, ANN, BOB].map(|ip| {
        let service = service.clone();
        tokio::spawn(async move { ask(&service, from(ip, message(WAIT))).await })
    });
    gate.until(|gate| gate.waiting() == 3).await;
    let told = "too many connections from where you are: 2 are open, and 2 may be (`Groups::connections`)";
    for request in [message(ECHO), websocket()] {
        let refused = ask(&service, from(ANN, request)).await;
        refused.expect_refusal(StatusCode::SERVICE_UNAVAILABLE, -102, told);
        // It may come again when the others are done.
        assert_eq!(refused.headers.get(header::CONNECTION), None);
    }
    for other in [from(BOB, message(ECHO)), message(ECHO)] {
        assert_eq!(ask(&service, other).await.json()["result"][0], 7);
    }
    gate.open();
    for call in calls {
        assert_eq!(call.await.expect("no panic").json()["result"][0], 1);
    }
    assert_eq!(ask(&service, from(ANN, message(ECHO))).await.json()["result"][0], 7);
    post(&service, ECHO).await;
}
