//! A peer that is slowed down for its cost is in the log once, with what the cost is made of.

use std::time::Duration;

use rpc::{GroupKey, Groups, Hooks, Limits, Server, Session};
use rpc_tests::{Event, Events, Raw, echo, settled};
use serde_json::json;
use tokio::io::DuplexStream;
use tracing::Level;

const SLOWED_DOWN: &str = "the cost of a peer is over `Limits::cost_soft`: its requests are slowed down. Where it does what it should, raise \
                           that, or change what `change` names, which most of the cost comes from";

/// What each part is charged at, and no time forgives.
fn prices() -> Limits {
    Limits::public().with_cost_per_byte(0.01).with_cost_forgiven_per_second(0.0)
}

/// The one event, at the level that an operator sees.
fn slowed_down(events: &Events) -> Event {
    let [event] = &events.of(SLOWED_DOWN)[..] else { panic!("{:?}", events.all()) };
    assert_eq!(event.level, Level::WARN);
    event.clone()
}

fn number(event: &Event, field: &str) -> f64 {
    event.field(field).parse().unwrap_or_else(|_| panic!("{field} in {event:?}"))
}

/// Has the peer ask `line` until its session is over the soft limit.
async fn ask_until_over(peer: &mut Raw<DuplexStream>, session: &Session, line: &str) {
    while session.cost() <= 2_000.0 {
        peer.ask(line).await;
    }
    settled().await;
}

#[tokio::test(start_paused = true)]
async fn the_log_says_what_the_cost_is_made_of_and_what_to_change() {
    let large =
        json!({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x".repeat(10_000)]}).to_string();
    for (line, part, change) in [
        (&*large, "for_bytes", "Limits::cost_per_byte"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#, "for_errors", "Limits::cost_of_error"),
        ("rubbish", "for_unreadable", "Limits::cost_of_unreadable"),
    ] {
        let events = Events::capture();
        let (mut peer, session) = Raw::peer_of(echo(), prices());
        session.add_cost(300.0);
        ask_until_over(&mut peer, &session, line).await;
        let event = slowed_down(&events);
        assert_eq!(event.field("change"), change);
        assert_eq!((number(&event, "limit"), number(&event, "limit.hard")), (2_000.0, 10_000.0));
        assert_eq!(event.field("session"), session.id().to_string());
        assert_eq!(number(&event, "for_application"), 300.0);
        let parts = ["for_bytes", "for_errors", "for_unreadable", "for_application", "for_group"];
        let sum: f64 = parts.iter().map(|part| number(&event, part)).sum();
        let cost = number(&event, "cost");
        assert!(cost > 2_000.0 && (sum - cost).abs() < 1.0, "{sum} of {cost}: {event:?}");
        assert!(number(&event, part) > 1_500.0, "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_said_once_in_a_session() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_of(echo(), Limits::public());
    for amount in [1_900.0, 1_000.0, 500.0, -3_400.0, 3_000.0] {
        session.add_cost(amount);
        settled().await;
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#).await;
    }
    let event = slowed_down(&events);
    assert_eq!(event.field("change"), "Session::add_cost or Hooks::extra_cost");
    assert!((2_899.0..=2_900.0).contains(&number(&event, "for_application")), "{event:?}");
    let ended = "the cost of a peer has come to the hard limit: its session ends";
    assert!(events.of(ended).is_empty());
    session.add_cost(10_000.0);
    session.closed().await;
    let [ended] = &events.of(ended)[..] else { panic!("{:?}", events.all()) };
    assert_eq!((ended.level, number(ended, "limit")), (Level::INFO, 10_000.0));
}

/// Where nothing follows from the soft limit, nothing is said.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_slowed_down_is_not_in_the_log() {
    let events = Events::capture_down_to(Level::INFO);
    for limits in [Limits::client(), Limits::public().with_cost_hard(f64::INFINITY)] {
        let (mut peer, session) = Raw::peer_of(echo(), limits);
        session.add_cost(1e6);
        settled().await;
        peer.ask("rubbish").await;
    }
    assert!(events.all().is_empty(), "{:?}", events.all());
}

#[tokio::test(start_paused = true)]
async fn the_share_of_a_group_is_told_apart() {
    let events = Events::capture();
    let groups = Groups::by(|_| Some(GroupKey::name("everybody")));
    let server = Server::builder().service(echo()).limits(prices()).groups(groups).build();
    let server = server.expect("one service").start();
    let attached = || {
        let (here, there) = rpc::transport::memory(64 << 10);
        (Raw::over(here), server.attach(there))
    };
    let ((mut peer, session), (_dear, dear)) = (attached(), attached());
    dear.add_cost(5_000.0);
    settled().await;
    slowed_down(&events);
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#).await;
    let own = |event: &Event| event.field("session") == session.id().to_string();
    let event = events.of(SLOWED_DOWN).into_iter().find(own).expect("an event of the other session");
    assert_eq!(event.field("change"), "Groups::allowance");
    assert_eq!((number(&event, "for_errors"), number(&event, "for_group").round()), (100.0, 5_000.0));
    server.shutdown().await;
}

struct Stored;

impl Hooks for Stored {
    fn extra_cost(&self, _: &Session) -> f64 {
        3_000.0
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_hook_adds_is_the_applications() {
    let events = Events::capture();
    let server = Server::builder().service(echo()).limits(prices()).hooks(Stored).build();
    let server = server.expect("one service").start();
    let (here, there) = rpc::transport::memory(64 << 10);
    let (mut peer, _session) = (Raw::over(here), server.attach(there));
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#).await;
    let event = slowed_down(&events);
    // And the request itself, less than 100 bytes of 0.01.
    assert!((3_100.0..3_101.0).contains(&number(&event, "cost")), "{event:?}");
    assert_eq!(number(&event, "for_application"), 3_000.0);
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn bytes_have_the_price_of_when_they_came() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    let line =
        json!({"jsonrpc": "2.0", "id": 1, "method": "echo", "params": ["x".repeat(100_000)]}).to_string();
    for _ in 0..10 {
        peer.ask(&line).await;
    }
    session.set_limits(&Limits::public().with_cost_per_byte(0.001));
    settled().await;
    assert_eq!(session.cost(), 0.0);
    peer.ask(&line).await;
    settled().await;
    assert!((199.0..202.0).contains(&session.cost()), "{}", session.cost());
    session.set_limits(&Limits::server().with_cost_forgiven_per_second(0.0));
    peer.ask(&line).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!((199.0..202.0).contains(&session.cost()), "{}", session.cost());
}
