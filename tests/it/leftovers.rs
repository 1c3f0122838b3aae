//! What a handler leaves behind cannot hurt its session: values that panic when they are dropped, that fail half way, that nobody
//! waits for any more.

use std::panic::panic_any;

use futures::{StreamExt, stream};
use rpc::{
    CallError, CloseReason, Context, ErrorObject, Limits, MethodInfo, Params, Router, RpcError, Session,
    SubscriptionInfo, SubscriptionStyle, rpc_service, testing,
};
use rpc_tests::{Events, Gate, Raw, echo, settled};
use serde::{Deserialize, Serialize, Serializer, ser};
use serde_json::{Value, json};
use tokio::{io::DuplexStream, runtime::Handle};

const INTERNAL: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}"#;

/// `bad` is served, by request, by notification, and in a batch; the request is answered with `answer`, nothing else comes, and nothing
/// is left.
async fn is_harmless(router: Router, answer: &str) {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let (mut peer, session) = Raw::peer_of(router, Limits::server());
    let (request, note) =
        (r#"{"jsonrpc":"2.0","id":1,"method":"bad"}"#, r#"{"jsonrpc":"2.0","method":"bad"}"#);
    let still = r#"{"jsonrpc":"2.0","id":"still","method":"echo","params":[1]}"#;
    let served = r#"{"jsonrpc":"2.0","id":"still","result":[1]}"#;
    assert_eq!(peer.ask(request).await, answer);
    peer.send(note).await;
    settled().await;
    assert_eq!(peer.ask(still).await, served);
    peer.send(&format!("[{request},{note},{still}]")).await;
    peer.expect(&format!("[{answer},{served}]")).await;
    peer.expect_silence().await;
    assert!(!session.is_closed());
    assert_eq!(session.requests_in_flight(), 0);
    ends(peer, &session).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
}

async fn ends(peer: Raw<DuplexStream>, session: &Session) {
    drop(peer);
    assert!(matches!(session.closed().await, CloseReason::Peer));
    settled().await;
}

/// Panics when it is dropped, and not before.
#[derive(Debug, Deserialize)]
struct Undroppable;

impl Drop for Undroppable {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a secret");
        }
    }
}

impl Serialize for Undroppable {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(7)
    }
}

impl std::fmt::Display for Undroppable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an error")
    }
}

impl std::error::Error for Undroppable {}

impl RpcError for Undroppable {
    fn to_error_object(&self) -> ErrorObject {
        ErrorObject::new(5, "an error")
    }

    fn from_error_object(_: &ErrorObject) -> Option<Self> {
        None
    }
}

#[rpc_service]
trait Drops {
    fn bad(&self) -> Undroppable;
    fn echo(&self, value: u8) -> [u8; 1];
}

struct MyDrops;

impl Drops for MyDrops {
    fn bad(&self) -> Undroppable {
        Undroppable
    }

    fn echo(&self, value: u8) -> [u8; 1] {
        [value]
    }
}

const SEVEN: &str = r#"{"jsonrpc":"2.0","id":1,"result":7}"#;

#[tokio::test(start_paused = true)]
async fn a_value_that_panics_when_it_is_dropped_is_answered() {
    is_harmless(echo().method("bad", async |_: Params, _: Context| Ok::<_, ErrorObject>(Undroppable)), SEVEN)
        .await;
    is_harmless(
        echo().method("bad", async |_: Params, _: Context| {
            tokio::task::yield_now().await;
            Ok::<_, ErrorObject>(Undroppable)
        }),
        SEVEN,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_of_a_plain_function_that_panics_when_it_is_dropped_is_answered() {
    let (mut peer, session) = Raw::peer_of(DropsServer::new(MyDrops), Limits::server());
    assert_eq!(peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"bad"}"#).await, SEVEN);
    peer.send(r#"{"jsonrpc":"2.0","method":"bad"}"#).await;
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#);
    ends(peer, &session).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_when_it_is_dropped_is_answered() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":5,"message":"an error"}}"#;
    is_harmless(echo().method("bad", async |_: Params, _: Context| Err::<(), _>(Undroppable)), error).await;
    is_harmless(
        echo().method("bad", async |_: Params, _: Context| {
            tokio::task::yield_now().await;
            Err::<(), _>(Undroppable)
        }),
        error,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_panics_when_it_is_dropped_is_an_internal_error() {
    let events = Events::capture();
    let bad = async |_: Params, _: Context| -> Result<(), ErrorObject> { panic_any(Undroppable) };
    is_harmless(echo().method("bad", bad), INTERNAL).await;
    assert_eq!(events.of("dropping what a handler left panicked").len(), 4);
}

/// Fails after some of it was written.
struct HalfWay;

impl Serialize for HalfWay {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use ser::SerializeSeq;
        let mut list = to.serialize_seq(None)?;
        list.serialize_element("half of a secret")?;
        Err(ser::Error::custom("the other half of a secret"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_fails_half_way_is_an_internal_error_and_nothing_of_it_is_sent() {
    is_harmless(echo().method("bad", async |_: Params, _: Context| Ok::<_, ErrorObject>(HalfWay)), INTERNAL)
        .await;
    is_harmless(
        echo().method("bad", async |_: Params, _: Context| {
            tokio::task::yield_now().await;
            Ok::<_, ErrorObject>((1, HalfWay))
        }),
        INTERNAL,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_written_ends_its_subscription_and_nothing_else() {
    enum Item {
        Good,
        HalfWay,
        Panics,
    }
    impl Serialize for Item {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Good => to.serialize_u8(1),
                Self::HalfWay => HalfWay.serialize(to),
                Self::Panics => panic!("a secret"),
            }
        }
    }
    for method in ["half_way", "panics"] {
        let style = SubscriptionInfo::new(SubscriptionStyle::PubSub, "item").with_unsubscribe("stop");
        let info = MethodInfo::request(method).with_subscription(style);
        let router = echo().subscription(info, move |_: Params, _: Context| async move {
            let bad = if method == "panics" { Item::Panics } else { Item::HalfWay };
            Ok::<_, ErrorObject>(stream::iter([Item::Good, bad, Item::Good]))
        });
        let (session, peer) = testing::pair((), router);
        let items: Vec<_> = session
            .subscribe::<u8>(method, ())
            .unsubscribe_with("stop")
            .await
            .expect("begun")
            .collect()
            .await;
        assert_eq!(items.len(), 2, "{items:?}");
        assert!(matches!(items[0], Ok(1)));
        let told = rpc::chain(items[1].as_ref().expect_err("its end")).to_string();
        assert!(told.contains("internal error") && !told.contains("secret"), "{told}");
        assert_eq!(session.call::<Value>("echo", (1,)).await.expect("it lives on"), json!([1]));
        assert_eq!((peer.subscriptions_served(), session.subscriptions()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_writes_for_a_peer_that_has_left_is_told_so() {
    let tasks = Handle::current().metrics().num_alive_tasks();
    let gate = Gate::closed();
    let (at_gate, (told, mut heard)) = (gate.clone(), tokio::sync::mpsc::unbounded_channel());
    let router = echo().method("tell", move |_: Params, cx: Context| {
        let (gate, told) = (at_gate.clone(), told.clone());
        async move {
            gate.pass().await;
            let note = cx.session().notify("note", ("x".repeat(10_000),)).await;
            let call = cx.session().call::<()>("call", ()).await;
            told.send((note, call)).expect("the test listens");
            Ok::<_, ErrorObject>("x".repeat(10_000))
        }
    });
    let (mut peer, session) = Raw::peer_of(router, Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"tell"}"#).await;
    settled().await;
    drop(peer);
    settled().await;
    gate.open();
    assert!(matches!(
        heard.recv().await.expect("the handler lives"),
        (
            Err(CallError::Closed { reason: CloseReason::Peer, .. }),
            Err(CallError::Closed { reason: CloseReason::Peer, .. })
        )
    ));
    assert!(matches!(session.closed().await, CloseReason::Peer));
    settled().await;
    let left = session.statistics();
    assert_eq!((left.requests_in_flight, left.calls_in_flight, session.requests_in_flight()), (0, 0, 0));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
}
