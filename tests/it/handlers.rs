//! A handler cannot hurt a session: what it does wrong becomes an error of its request, and tells the peer nothing.

use std::{collections::BTreeMap, time::Duration};

use rpc::{Context, ErrorObject, Limits, Params, Router, rpc_service};
use rpc_tests::{Events, Gate, Raw, echo, settled, waiting};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::DuplexStream;

const INTERNAL: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}"#;

type Outcome<T> = Result<T, ErrorObject>;

/// The session lives on.
async fn still_serves(peer: &mut Raw<DuplexStream>) {
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":"still","method":"echo","params":[1]}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":"still","result":[1]}"#);
}

/// A request of `bad` becomes an internal error, a notification of it becomes nothing, and the session lives on.
async fn is_harmless(router: Router) {
    let (mut peer, session) = Raw::peer_of(router, Limits::server());
    assert_eq!(peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"bad"}"#).await, INTERNAL);
    peer.send(r#"{"jsonrpc":"2.0","method":"bad"}"#).await;
    still_serves(&mut peer).await;
    settled().await;
    assert_eq!(session.requests_in_flight(), 0);
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_internal_error_before_the_first_await() {
    is_harmless(echo().method("bad", async |_: Params, _: Context| -> Outcome<()> { panic!("a secret") }))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_internal_error_after_the_first_await() {
    is_harmless(echo().method("bad", async |_: Params, _: Context| -> Outcome<()> {
        tokio::task::yield_now().await;
        panic!("a secret")
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_internal_error_before_the_future_is_made() {
    is_harmless(echo().method("bad", |_: Params, _: Context| {
        if true {
            panic!("a secret");
        }
        async { Outcome::Ok(()) }
    }))
    .await;
}

/// Panics when it is written.
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a secret")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_serialize_is_an_internal_error() {
    is_harmless(echo().method("bad", async |_: Params, _: Context| Outcome::Ok(Unwritable))).await;
    is_harmless(echo().method("bad", async |_: Params, _: Context| {
        tokio::task::yield_now().await;
        Outcome::Ok((1, "some of it is written", Unwritable))
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_panic_in_serialize_still_leaves() {
    let router = echo().method("bad", async |_: Params, cx: Context| {
        cx.session().notify("before", ()).await.expect("sent");
        Outcome::Ok(Unwritable)
    });
    let (mut peer, _session) = Raw::peer_of(router, Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"bad"}"#).await;
    peer.expect(r#"{"jsonrpc":"2.0","method":"before"}"#).await;
    peer.expect(INTERNAL).await;
    still_serves(&mut peer).await;
}

/// Panics when it is read.
#[derive(Debug, Serialize)]
struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("a secret")
    }
}

#[rpc_service]
trait Bad {
    async fn bad(&self, value: Unreadable);
    fn plain(&self) -> u8;
    fn echo(&self, value: u8) -> [u8; 1];
}

struct MyBad;

impl Bad for MyBad {
    async fn bad(&self, _: Unreadable) {}

    fn plain(&self) -> u8 {
        panic!("a secret")
    }

    fn echo(&self, value: u8) -> [u8; 1] {
        [value]
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_deserialize_is_an_internal_error() {
    let (mut peer, _session) = Raw::peer_of(BadServer::new(MyBad), Limits::server());
    assert_eq!(peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"bad","params":[1]}"#).await, INTERNAL);
    still_serves(&mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_plain_function_is_an_internal_error() {
    let (mut peer, _session) = Raw::peer_of(BadServer::new(MyBad), Limits::server());
    assert_eq!(peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"plain"}"#).await, INTERNAL);
    still_serves(&mut peer).await;
}

/// Panics when it is dropped.
struct Undroppable;

impl Drop for Undroppable {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a secret");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_what_a_handler_drops_is_harmless() {
    let router = echo().method("bad", |_: Params, _: Context| {
        let captured = Undroppable;
        async move {
            std::future::ready(()).await;
            let _captured = captured;
            Outcome::Ok(())
        }
    });
    is_harmless(router).await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_json_cannot_hold_is_an_internal_error() {
    is_harmless(
        echo().method("bad", async |_: Params, _: Context| Outcome::Ok(BTreeMap::from([((1, 2), 3)]))),
    )
    .await;
    is_harmless(echo().method("bad", async |_: Params, _: Context| {
        tokio::task::yield_now().await;
        Outcome::Ok(BTreeMap::from([((1, 2), 3)]))
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_result_over_the_limit_is_an_error_with_its_size() {
    let mut limits = Limits::server();
    limits.reply_size = 100;
    for method in ["echo", "later"] {
        let (mut peer, _session) = Raw::peer_of(echo(), limits.clone());
        let ask =
            |n| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":["{}"]}}"#, "x".repeat(n));
        let fits = "x".repeat(96);
        assert_eq!(peer.ask(&ask(96)).await, format!(r#"{{"jsonrpc":"2.0","id":1,"result":["{fits}"]}}"#));
        let message = "the result is too large: it has 101 bytes, and the limit is 100";
        let error = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32603,"message":"{message}"}}}}"#);
        assert_eq!(peer.ask(&ask(97)).await, error);
        still_serves(&mut peer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_dropped_and_its_caller_is_told() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
    let start = tokio::time::Instant::now();
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1.0,"method":"wait"}"#).await;
    let late = r#"{"code":-102,"message":"the request took longer than 30s (`Limits::request_timeout`), and its handler was dropped"}"#;
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1.0,"error":{late}}}"#));
    assert_eq!(start.elapsed(), Duration::from_secs(30), "the default");
    settled().await;
    assert_eq!((gate.dropped(), session.requests_in_flight()), (1, 0));
    // A notification's handler is dropped as well, and nobody is told.
    peer.send(r#"{"jsonrpc":"2.0","method":"wait"}"#).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!((gate.dropped(), session.requests_in_flight()), (2, 0));
    still_serves(&mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_a_hung_handler_leaves_is_taken_by_the_next() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, _session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":[2]}"#).await;
    assert!(peer.line().await.expect("an answer").contains("-102"));
    peer.expect(r#"{"jsonrpc":"2.0","id":2,"result":[2]}"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_context_says_when_its_handler_will_be_dropped() {
    let router = Router::new().method("left", async |_: Params, cx: Context| {
        let left = cx.deadline().map(|deadline| deadline.duration_since(tokio::time::Instant::now()));
        Outcome::Ok(left.map(|left| left.as_secs()))
    });
    let mut limits = Limits::server();
    limits.request_timeout = Some(Duration::from_secs(9));
    let (mut peer, _session) = Raw::peer_of(router, limits);
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"left"}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":9}"#);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_told_what_the_peer_is_not() {
    let events = Events::capture();
    is_harmless(echo().method("bad", async |_: Params, _: Context| -> Outcome<()> { panic!("a secret") }))
        .await;
    let panics = events.of("a handler panicked");
    assert_eq!(panics.len(), 2, "the request's and the notification's");
    for event in panics {
        assert_eq!((event.field("panic"), event.field("rpc.method")), ("a secret", "bad"));
        assert_eq!(event.level, tracing::Level::ERROR);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_end_its_own_session() {
    let router = Router::new()
        .method("bye", async |_: Params, cx: Context| {
            cx.session().start_close();
            Outcome::Ok("bye")
        })
        .method("gone", async |_: Params, cx: Context| {
            cx.session().abort();
            Outcome::Ok("perhaps too late")
        });
    let (mut peer, _session) = Raw::peer_of(router.clone(), Limits::server());
    assert_eq!(
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"bye"}"#).await,
        r#"{"jsonrpc":"2.0","id":1,"result":"bye"}"#
    );
    peer.expect_end().await;
    let (mut peer, session) = Raw::peer_of(router, Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"gone"}"#).await;
    peer.rest().await;
    assert!(matches!(session.closed().await, rpc::CloseReason::Aborted));
}
