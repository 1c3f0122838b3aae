//! Limits that are reached are in the log: with the number, and the field to change, and not as often as peers like.

use std::time::Duration;

use futures::stream;
use http::Request;
use rpc::{
    Context, Dispatcher, Endpoint, ErrorObject, GroupKey, Groups, HttpService, Limits, MethodInfo, Params,
    Router, Server, ServerHandle, SubscriptionInfo, SubscriptionStyle,
};
use rpc_tests::{Event, Events, Gate, Raw, echo, settled, soon, waiting};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tower::ServiceExt;
use tracing::Level;

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[7]}"#;
const WAIT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[1]}"#;

/// The events that name `field`, which is what to change.
fn naming(events: &Events, field: &str) -> Vec<Event> {
    let names = |event: &Event| event.level <= Level::INFO && event.message.contains(field);
    events.all().into_iter().filter(names).collect()
}

/// The only one of them, of this level.
#[track_caller]
fn one(events: &Events, level: Level, field: &str) -> Event {
    let [event] = &naming(events, field)[..] else { panic!("{:?}", naming(events, field)) };
    assert_eq!(event.level, level, "{event:?}");
    assert_ne!(event.field("network.peer.address"), "", "{event:?}");
    event.clone()
}

/// A peer that connects, and is turned away.
async fn turned_away(endpoint: &Endpoint) {
    let addr = endpoint.socket_addr().expect("an address");
    let mut peer = TcpStream::connect(addr).await.expect("it listens");
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut peer, request).await.expect("it is read");
    soon(peer.read_to_end(&mut Vec::new())).await.expect("it is closed in good order");
}

async fn listening(url: &str, connections: usize, groups: Option<Groups>) -> ServerHandle {
    let mut limits = Limits::server();
    (limits.connections, limits.cost_forgiven_per_second) = (connections, 0.0);
    let server = Server::builder().service(echo()).limits(limits);
    let server = groups.into_iter().fold(server, rpc::ServerBuilder::groups);
    let server = server.bind("tcp://127.0.0.1:0").await.expect("a port is free");
    server.and_bind(url).await.expect("a port is free").start()
}

const URLS: [&str; 3] = ["tcp://127.0.0.1:0", "http://127.0.0.1:0", "ws://127.0.0.1:0"];

#[tokio::test]
async fn as_many_connections_as_a_server_may_have() {
    for url in URLS {
        let server = listening(url, 1, None).await;
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(ECHO).await;
        let events = Events::capture();
        for _ in 0..20 {
            turned_away(&server.endpoints()[1]).await;
        }
        let event = one(&events, Level::WARN, "raise `Limits::connections`");
        assert_eq!((event.field("open"), event.field("limit")), ("1", "1"));
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn as_many_connections_as_a_group_may_have() {
    for url in URLS {
        let server = listening(url, 100, Some(Groups::by_address().connections(1))).await;
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(ECHO).await;
        let events = Events::capture();
        turned_away(&server.endpoints()[1]).await;
        let event = one(&events, Level::WARN, "raise `Groups::connections`");
        assert_eq!((event.field("open"), event.field("limit")), ("1", "1"));
        for _ in 0..30 {
            turned_away(&server.endpoints()[1]).await;
        }
        assert_eq!(naming(&events, "`Groups::connections`").len(), 10, "{url}: so many a minute");
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn a_group_that_has_cost_too_much_and_connects_again() {
    for url in URLS {
        let server = listening(url, 100, Some(Groups::by_address())).await;
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(ECHO).await;
        let session = server.sessions().pop().expect("one");
        session.add_cost(20_000.0);
        soon(session.closed()).await;
        let events = Events::capture();
        turned_away(&server.endpoints()[1]).await;
        let event = one(&events, Level::INFO, "`Limits::cost_hard`");
        assert_eq!((event.field("cost"), event.field("limit")), ("20000.0", "10000.0"), "{event:?}");
        soon(server.shutdown()).await;
    }
}

fn posted(message: &'static str) -> Request<http_body_util::Full<bytes::Bytes>> {
    let request = Request::post("/").header("host", "localhost").header("content-type", "application/json");
    let mut request = request.body(message.into()).expect("a request");
    request.extensions_mut().insert("http://192.0.2.1:5000".parse::<Endpoint>().expect("a URL"));
    request
}

async fn status(service: &HttpService, message: &'static str) -> u16 {
    service.clone().oneshot(posted(message)).await.expect("a response").status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn a_mounted_service_that_answers_503() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.connections = 2;
    let dispatcher =
        Dispatcher::builder().service(waiting(&gate)).limits(limits).build().expect("one service");
    let service = HttpService::new(dispatcher);
    for _ in 0..2 {
        tokio::spawn(service.clone().oneshot(posted(WAIT)));
    }
    gate.until(|gate| gate.waiting() == 2).await;
    let events = Events::capture();
    assert_eq!(status(&service, WAIT).await, 503);
    let event = one(&events, Level::WARN, "raise `Limits::connections`");
    assert_eq!(event.field("limit"), "2");
    assert_eq!(event.field("network.peer.address"), "http://192.0.2.1:5000/");
    for _ in 0..30 {
        assert_eq!(status(&service, WAIT).await, 503);
    }
    assert_eq!(naming(&events, "`Limits::connections`").len(), 10, "so many a minute");
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(naming(&events, "`Limits::connections`").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_mounted_service_whose_groups_are_over_their_limits() {
    let mut limits = Limits::server();
    limits.cost_forgiven_per_second = 0.0;
    let groups = Groups::by(|_: &Endpoint| Some(GroupKey::name("all"))).connections(1);
    let server = Server::builder().service(echo()).limits(limits).groups(groups);
    let server = server.build().expect("one service").start();
    let service = server.http_service();
    let (_peer, io) = rpc::transport::memory(1024);
    let session = server.attach(io);
    let events = Events::capture();
    assert_eq!(status(&service, ECHO).await, 503);
    one(&events, Level::WARN, "raise `Groups::connections`");
    session.add_cost(20_000.0);
    session.closed().await;
    assert_eq!(status(&service, ECHO).await, 429);
    one(&events, Level::INFO, "`Limits::cost_hard`");
}

const LATE: &str = "the request took longer than 5s (`Limits::request_timeout`), and its handler was dropped";

fn impatient() -> Limits {
    Limits::server().with_request_timeout(Duration::from_secs(5))
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_and_is_dropped() {
    let notification = r#"{"jsonrpc":"2.0","method":"wait","params":[1]}"#;
    for first in [WAIT, notification] {
        let gate = Gate::closed();
        let events = Events::capture();
        let (mut peer, session) = Raw::peer_of(waiting(&gate), impatient());
        peer.send(first).await;
        peer.send(WAIT).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(peer.line().await.expect("an answer").contains(LATE));
        let event = one(&events, Level::WARN, "raise `Limits::request_timeout`");
        assert_eq!((event.field("limit"), event.field("session")), ("5s", &*session.id().to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_a_dispatcher_that_takes_too_long_and_is_dropped() {
    let gate = Gate::closed();
    let dispatcher = Dispatcher::builder().service(waiting(&gate)).limits(impatient());
    let dispatcher = dispatcher.build().expect("one service");
    let events = Events::capture();
    for _ in 0..2 {
        let answer = dispatcher.dispatch(WAIT.as_bytes()).await.expect("an answer");
        assert!(String::from_utf8_lossy(&answer).contains(LATE), "{answer:?}");
    }
    let event = one(&events, Level::WARN, "raise `Limits::request_timeout`");
    assert_eq!(event.field("limit"), "5s");
}

#[tokio::test(start_paused = true)]
async fn as_many_subscriptions_as_a_session_may_have() {
    let mut limits = Limits::server();
    limits.subscriptions = 1;
    let ticks = SubscriptionInfo::new(SubscriptionStyle::PubSub, "tick");
    let ticks = MethodInfo::request("ticks").with_subscription(ticks);
    let router = Router::new()
        .subscription(ticks, async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::pending::<u64>()));
    let (mut peer, session) = Raw::peer_of(router, limits);
    let events = Events::capture();
    for id in 1..=3 {
        let asked = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ticks"}}"#);
        assert_eq!(peer.ask(&asked).await.contains("-32006"), id > 1);
    }
    settled().await;
    let event = one(&events, Level::WARN, "raise `Limits::subscriptions`");
    assert_eq!((event.field("limit"), event.field("session")), ("1", &*session.id().to_string()));
}
