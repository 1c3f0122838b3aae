//! A request that came by itself: the session that its handler may ask for is closed from the start, and belongs to the message.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use rpc::{
    BatchError, CallError, CloseReason, Context, Dispatcher, DispatcherBuilder, Endpoint, ErrorObject,
    Exchange, Extensions, GroupKey, Limits, Params, Protocol, Request, Router, Server, Session,
    SubscriptionError,
};
use rpc_tests::{Events, Gate, is_pending, settled, soon};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tower::ServiceExt as _;

const PEER: &str = "tcp://192.0.2.7:4711";
const LOOK: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"look"}"#;

/// A router whose method `look` hands its context to the test, and answers at once.
fn looking() -> (Router, mpsc::UnboundedReceiver<Context>) {
    let (give, given) = mpsc::unbounded_channel();
    let router = Router::new().method("look", move |_: Params, cx: Context| {
        give.send(cx).expect("the test is there");
        async { Ok::<_, ErrorObject>(()) }
    });
    (router, given)
}

/// A dispatcher of these methods, changed so.
fn dispatcher(router: Router, change: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder) -> Dispatcher {
    change(Dispatcher::builder().service(router)).build().expect("one service")
}

async fn exchange(dispatcher: &Dispatcher, message: &[u8], extensions: Extensions) -> Exchange {
    dispatcher.exchange(message, PEER.parse::<Endpoint>().expect("a URL"), extensions).await
}

/// The context of a request that a dispatcher with these limits was asked.
async fn context(limits: Limits) -> Context {
    let (router, mut given) = looking();
    let dispatcher = dispatcher(router, |builder| builder.limits(limits));
    exchange(&dispatcher, LOOK, Extensions::default()).await;
    given.recv().await.expect("a context")
}

fn is_without_session(error: &CallError) -> bool {
    matches!(error, CallError::Closed { reason: CloseReason::NoSession, sent: false })
}

#[tokio::test(start_paused = true)]
async fn its_session_is_closed_and_says_why() {
    let cx = context(Limits::server()).await;
    let session = cx.session();
    assert!(session.is_closed());
    assert_eq!(session.close_reason(), Some(CloseReason::NoSession));
    assert_eq!(soon(session.closed()).await, CloseReason::NoSession);
    // It cannot be closed once more, nor for another reason.
    cx.close_after_reply();
    session.start_close();
    session.abort();
    assert_eq!(soon(session.close()).await, CloseReason::NoSession);
    drop((session.clone(), cx.session().clone()));
    assert_eq!(cx.session().close_reason(), Some(CloseReason::NoSession));
}

#[tokio::test(start_paused = true)]
async fn whatever_it_is_asked_to_send_fails_with_that_cause() {
    let cx = context(Limits::server()).await;
    for session in [cx.session(), &cx.session().clone()] {
        let call = soon(session.call::<()>("name", ())).await.expect_err("there is no session");
        assert!(is_without_session(&call), "{call:?}");
        let timely = soon(rpc::Call::<_, ()>::untyped(&cx.caller(), "name", ())).await;
        assert!(is_without_session(&timely.expect_err("there is no session")));
        let note = soon(session.notify("note", ())).await.expect_err("there is no session");
        assert!(is_without_session(&note), "{note:?}");
        let batch = soon(session.batch((session.call::<()>("name", ()), session.notify("note", ())))).await;
        match batch {
            Err(BatchError::Closed(CloseReason::NoSession)) => {}
            other => panic!("{other:?}"),
        }
        let subscribed = soon(session.subscribe::<u8>("ticks", ())).await.map(drop);
        match subscribed.expect_err("there is no session") {
            CallError::Closed { reason: CloseReason::NoSession, .. } => {}
            other => panic!("{other:?}"),
        }
        let mut news = session.notifications::<(u8,)>("news");
        let ended = soon(news.next()).await;
        assert!(
            matches!(ended, Some(Err(SubscriptionError::Closed(CloseReason::NoSession))) | None),
            "{ended:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn it_knows_whom_the_message_came_from_and_what_came_with_it() {
    let (router, mut given) = looking();
    let dispatcher = dispatcher(router, |builder| builder.protocol(Protocol::Detect));
    let extensions = Extensions::default();
    extensions.insert("before");
    exchange(&dispatcher, br#"{"id":1,"method":"look","params":[]}"#, extensions).await;
    let cx = given.recv().await.expect("a context");
    let kept = cx.extensions();
    kept.insert(1_u8);
    let session = cx.session();
    assert_eq!((cx.peer().to_string(), session.peer().to_string()), (PEER.to_owned(), PEER.to_owned()));
    assert_eq!(session.protocol(), Protocol::Loose, "the message says no version");
    // They are the same values, whichever was asked for first, and wherever they are put.
    assert_eq!(session.extensions().get::<&str>().as_deref(), Some(&"before"));
    assert_eq!(session.extensions().get::<u8>().as_deref(), Some(&1));
    kept.insert(2_u16);
    session.extensions().insert(3_u32);
    assert_eq!(session.extensions().get::<u16>().as_deref(), Some(&2));
    assert_eq!(kept.get::<u32>().as_deref(), Some(&3));
    assert_eq!(cx.clone().extensions().get::<u32>().as_deref(), Some(&3));
    // They outlive the context.
    let session = session.clone();
    drop(cx);
    assert_eq!(session.extensions().remove::<u32>().as_deref(), Some(&3));
    assert_eq!(session.peer().to_string(), PEER);
}

#[tokio::test(start_paused = true)]
async fn values_put_where_there_were_none_are_the_sessions_too() {
    let cx = context(Limits::server()).await;
    let session = cx.session().clone();
    assert!(session.extensions().get::<u8>().is_none());
    cx.extensions().insert(1_u8);
    assert_eq!(session.extensions().get::<u8>().as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn all_requests_of_a_message_have_one_session_and_two_messages_have_two() {
    let (router, mut given) = looking();
    let dispatcher = dispatcher(router, |builder| builder);
    let batch = [b"[", LOOK, b",", LOOK, b"]"].concat();
    exchange(&dispatcher, &batch, Extensions::default()).await;
    exchange(&dispatcher, LOOK, Extensions::default()).await;
    let mut next = async || given.recv().await.expect("a context");
    let (first, second, other) = (next().await, next().await, next().await);
    second.extensions().insert(1_u8);
    assert!(first.extensions().get::<u8>().is_some());
    assert!(other.extensions().get::<u8>().is_none());
    assert_eq!(first.session().id(), second.session().id());
    assert_ne!(first.session().id(), other.session().id());
    let (live, _peer) = rpc::testing::pair((), ());
    assert!(![first.session().id(), other.session().id()].contains(&live.id()));
}

#[tokio::test]
async fn the_log_has_the_number_of_its_session() {
    let events = Events::capture();
    let (router, mut given) = looking();
    let dispatcher = dispatcher(router, |builder| builder);
    let batch = [b"[5,", LOOK, b"]"].concat();
    exchange(&dispatcher, &batch, Extensions::default()).await;
    let cx = given.recv().await.expect("a context");
    for event in ["request", "request refused"] {
        let [logged] = &events.of(event)[..] else { panic!("{event}: {:?}", events.all()) };
        assert_eq!(logged.field("session"), cx.session().id().to_string(), "{event}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_has_done_nothing() {
    let cx = context(Limits::server()).await;
    let session = cx.session();
    let done = session.statistics();
    assert_eq!((done.messages_received, done.messages_sent), (0, 0));
    assert_eq!((done.bytes_received, done.bytes_sent, done.bytes_unsent), (0, 0, 0));
    assert_eq!((done.last_received, done.last_sent), (None, None));
    assert_eq!((done.errors, done.cost), (0, 0.0));
    assert_eq!((done.requests_in_flight, done.requests_waiting, done.permit_waits), (0, 0, 0));
    assert_eq!((done.calls_in_flight, done.calls_waiting), (0, 0));
    assert_eq!((done.subscriptions_served, done.subscriptions), (0, 0));
    assert_eq!((session.calls_in_flight(), session.requests_in_flight()), (0, 0));
    assert_eq!((session.subscriptions(), session.subscriptions_served()), (0, 0));
    session.join_group(GroupKey::name("ann")).expect("there are no groups");
}

#[tokio::test(start_paused = true)]
async fn it_has_the_limits_of_the_dispatcher_until_they_are_changed() {
    let limits = Limits::server().with_request_timeout(Some(Duration::from_secs(7)));
    let (give, mut given) = mpsc::unbounded_channel();
    let router = Router::new().method("tighten", move |_: Params, cx: Context| {
        let session = cx.session();
        give.send((cx.deadline(), session.limits())).expect("the test is there");
        let mut tight = session.limits().with_request_timeout(Some(Duration::from_secs(3)));
        tight.reply_size = 20;
        session.set_limits(&tight);
        async { Ok::<_, ErrorObject>("x".repeat(100)) }
    });
    let dispatcher = dispatcher(router, |builder| builder.limits(limits.clone()));
    let now = tokio::time::Instant::now();
    let in_seconds = |seconds| Some(now + Duration::from_secs(seconds));
    let message =
        br#"[{"jsonrpc":"2.0","id":1,"method":"tighten"},{"jsonrpc":"2.0","id":2,"method":"tighten"}]"#;
    let answer = exchange(&dispatcher, message, Extensions::default()).await.answer.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    // A reply of 100 bytes is over the limit of the message, whose other request begins under the new limits.
    assert_eq!((&answer[0]["error"]["code"], &answer[1]["error"]["code"]), (&json!(-32603), &json!(-32603)));
    let (deadline, seen) = given.recv().await.expect("the first");
    assert_eq!((deadline, &seen), (in_seconds(7), &limits));
    let (deadline, seen) = given.recv().await.expect("the second");
    assert_eq!((deadline, seen.reply_size), (in_seconds(3), 20));
    // Another message is not affected.
    exchange(&dispatcher, br#"{"jsonrpc":"2.0","id":1,"method":"tighten"}"#, Extensions::default()).await;
    assert_eq!(given.recv().await.expect("another").1, limits);
}

#[tokio::test(start_paused = true)]
async fn its_cost_is_that_of_the_message() {
    let router = Router::new().method("charge", async |params: Params, cx: Context| {
        let (in_place, as_task): (f64, f64) = params.parse()?;
        cx.session().add_cost(in_place);
        tokio::task::yield_now().await;
        cx.session().add_cost(as_task);
        Ok::<_, ErrorObject>(cx.session().cost())
    });
    let mut limits = Limits::server();
    (limits.cost_per_byte, limits.cost_forgiven_per_second) = (0.0, 1.0);
    let dispatcher = dispatcher(router, |builder| builder.limits(limits.clone()));
    let charged = async |message: &'static [u8]| exchange(&dispatcher, message, Extensions::default()).await;
    for (message, cost) in [
        (&br#"{"jsonrpc":"2.0","id":1,"method":"charge","params":[50.0,0.5]}"#[..], 50.5),
        (br#"{"jsonrpc":"2.0","method":"charge","params":[1.0,2.0]}"#, 3.0),
        (br#"{"jsonrpc":"2.0","id":1,"method":"charge","params":[-50.0,0.0]}"#, 0.0),
        (br#"{"jsonrpc":"2.0","id":1,"method":"nothing"}"#, limits.cost_of_error),
        (br#"[1,{"jsonrpc":"2.0","method":"charge","params":[1.0,2.0]}]"#, limits.cost_of_error + 3.0),
    ] {
        let exchange = charged(message).await;
        assert_eq!(exchange.cost, cost, "{}", String::from_utf8_lossy(message));
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_costs_is_forgiven_while_the_message_is_worked_on() {
    let router = Router::new().method("charge", async |_: Params, cx: Context| {
        cx.session().add_cost(50.0);
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok::<_, ErrorObject>(cx.session().cost())
    });
    let mut limits = Limits::server();
    (limits.cost_per_byte, limits.cost_forgiven_per_second) = (0.0, 1.0);
    let dispatcher = dispatcher(router, |builder| builder.limits(limits));
    let message = br#"{"jsonrpc":"2.0","id":1,"method":"charge"}"#;
    let exchange = exchange(&dispatcher, message, Extensions::default()).await;
    assert_eq!(exchange.answer.as_deref(), Some(&br#"{"jsonrpc":"2.0","id":1,"result":30.0}"#[..]));
    assert_eq!(exchange.cost, 30.0);
}

#[tokio::test(start_paused = true)]
async fn its_task_is_dropped() {
    let cx = context(Limits::server()).await;
    let (held, dropped) = oneshot::channel::<()>();
    cx.session().spawn(async move {
        std::future::pending::<()>().await;
        drop(held);
    });
    assert!(soon(dropped).await.is_err());
}

/// A service that takes the session of a request itself, as what wraps services may.
struct Wrapped(Router, mpsc::UnboundedSender<(Session, Context)>);

impl rpc::Service for Wrapped {
    fn methods(&self) -> &[rpc::MethodInfo] {
        self.0.methods()
    }

    fn call(&self, method: usize, request: Request<'_>) -> rpc::Handled {
        self.1.send((request.session(), request.context())).expect("the test is there");
        self.0.call(method, request)
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_of_a_request_is_that_of_its_context() {
    let (router, mut given) = looking();
    let (give, mut wrapped) = mpsc::unbounded_channel();
    let dispatcher = Dispatcher::builder().service(Wrapped(router, give)).build().expect("one service");
    exchange(&dispatcher, LOOK, Extensions::default()).await;
    let (session, before) = wrapped.recv().await.expect("a request");
    let cx = given.recv().await.expect("a context");
    assert_eq!(session.id(), before.session().id());
    assert_eq!(session.id(), cx.session().id());
    assert_eq!(session.close_reason(), Some(CloseReason::NoSession));
}

/// A service that is made for each session is made for each message, and is given the session that its handlers have.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_made_for_a_session_is_given_that_of_the_message() {
    let (router, mut given) = looking();
    let (give, mut made) = mpsc::unbounded_channel();
    let builder = Server::builder().session(move |session| {
        session.extensions().insert(session.id());
        give.send(session.clone()).expect("the test is there");
        router.clone()
    });
    let server = builder.build().expect("one service").start();
    let request = http::Request::post("/")
        .header(http::header::HOST, "localhost")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(http_body_util::Full::new(bytes::Bytes::from_static(LOOK)))
        .expect("a request");
    let response = server.http_service().oneshot(request).await.unwrap_or_else(|never| match never {});
    assert_eq!(response.status(), 200);
    let (session, cx) = (made.recv().await.expect("one"), given.recv().await.expect("a context"));
    assert_eq!(session.close_reason(), Some(CloseReason::NoSession));
    assert_eq!(cx.session().id(), session.id());
    assert_eq!(cx.extensions().get::<u64>().as_deref(), Some(&session.id()));
    assert!(made.try_recv().is_err(), "one message has one");
}

#[tokio::test(start_paused = true)]
async fn all_requests_of_a_message_are_worked_on_until_it_is_answered() {
    let gate = Gate::closed();
    let (router, mut given) = looking();
    let passes = gate.clone();
    let router = router.method("wait", move |_: Params, _: Context| {
        let gate = passes.clone();
        async move {
            gate.pass().await;
            Ok::<_, ErrorObject>(())
        }
    });
    let dispatcher = Arc::new(dispatcher(router, |builder| builder));
    let answering = tokio::spawn({
        let dispatcher = Arc::clone(&dispatcher);
        async move {
            let batch = [b"[", LOOK, br#",{"jsonrpc":"2.0","id":2,"method":"wait"}]"#].concat();
            exchange(&dispatcher, &batch, Extensions::default()).await.answer
        }
    });
    let cx = soon(given.recv()).await.expect("a context");
    // Its own request is answered, and the message is not; that its session is asked for changes nothing.
    let mut cancelled = Box::pin(cx.cancelled());
    settled().await;
    assert!(!cx.is_cancelled() && is_pending(&mut cancelled));
    assert_eq!(cx.session().close_reason(), Some(CloseReason::NoSession));
    assert!(!cx.is_cancelled() && is_pending(&mut cancelled));
    gate.open();
    soon(cancelled).await;
    assert!(cx.is_cancelled());
    assert!(answering.await.expect("no panic").is_some());
    soon(cx.cancelled()).await;
}
