//! What a session has done, in numbers.

use std::time::Duration;

use rpc::{Limits, Server};
use rpc_tests::{Events, Gate, Raw, echo, is_pending, settled, waiting};
use serde_json::Value;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn messages_and_bytes_are_counted_each_way() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    let fresh = session.statistics();
    assert_eq!((fresh.messages_received, fresh.bytes_received, fresh.last_received), (0, 0, None));
    assert_eq!((fresh.messages_sent, fresh.bytes_sent, fresh.last_sent), (0, 0, None));

    let asked = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#;
    let batch = format!("[{asked},{asked}]");
    let mut answered = peer.ask(asked).await.len() + 1;
    answered += peer.ask(&batch).await.len() + 1;
    session.notify("note", ()).await.expect("open");
    answered += peer.line().await.expect("the notification").len() + 1;
    let now = session.statistics();
    assert_eq!((now.messages_received, now.bytes_received), (2, (asked.len() + batch.len() + 2) as u64));
    assert_eq!((now.messages_sent, now.bytes_sent), (3, answered as u64), "a batch is one message");
    assert_eq!(now.errors, 0);
}

#[tokio::test(start_paused = true)]
async fn the_times_are_those_of_the_last_read_and_the_last_write() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    let start = Instant::now();
    let after = |time: Option<Instant>| time.map(|time| (time - start).as_secs());
    tokio::time::sleep(Duration::from_secs(10)).await;
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    session.notify("note", ()).await.expect("open");
    settled().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let now = session.statistics();
    assert_eq!((after(now.last_received), after(now.last_sent)), (Some(10), Some(20)));
    assert_eq!(now.opened, start);
    peer.send(r#"{"jsonrpc":"2.0","method":"echo"}"#).await;
    settled().await;
    let now = session.statistics();
    assert_eq!((after(now.last_received), after(now.last_sent)), (Some(30), Some(20)), "it is not answered");
}

#[tokio::test(start_paused = true)]
async fn broken_rules_are_counted_one_by_one() {
    let mut limits = Limits::public();
    limits.frame_size = 100;
    let (mut peer, session) = Raw::peer_of(echo(), limits);
    peer.ask("rubbish").await;
    assert_eq!(session.statistics().errors, 1);
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#).await;
    assert_eq!(session.statistics().errors, 2);
    peer.send(r#"{"jsonrpc":"2.0","id":77,"result":1}"#).await;
    peer.send(&"x".repeat(200)).await;
    settled().await;
    let now = session.statistics();
    assert_eq!((now.errors, now.messages_received), (4, 3), "what is too large is no message");
    // 1,000 for what cannot be read and for what is too large, 100 for each of the others; and a few bytes.
    assert!((2_190.0..=2_201.0).contains(&now.cost), "{}", now.cost);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_counted_and_what_waits_to_be_sent() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::narrow_peer_of(64, waiting(&gate), Limits::server());
    for id in 1..=3 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait"}}"#)).await;
    }
    let mut call = Box::pin(session.call::<Value>("ours", ("x".repeat(1_000),)).into_future());
    assert!(is_pending(&mut call));
    settled().await;
    let now = session.statistics();
    assert_eq!((now.requests_in_flight, now.calls_in_flight), (3, 1));
    assert_eq!((now.subscriptions, now.subscriptions_served), (0, 0));
    assert_eq!(now.bytes_sent, 64, "as many as the connection holds");
    assert!(now.bytes_unsent > 900, "{now:?}");
    session.abort();
    session.closed().await;
    let now = session.statistics();
    assert_eq!((now.requests_in_flight, now.calls_in_flight), (0, 0));
    assert_eq!(now.bytes_sent, 64, "they can be read after the end");
}

#[tokio::test(start_paused = true)]
async fn they_are_read_from_another_task_and_found_by_the_server() {
    let server = Server::builder().service(echo()).build().expect("one service").start();
    let (here, there) = rpc::transport::memory(1 << 16);
    let id = server.attach(there).id();
    let mut peer = Raw::over(here);
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#).await;
    let elsewhere = tokio::spawn(async move {
        let sessions = server.sessions();
        assert_eq!((sessions.len(), sessions[0].id()), (1, id));
        sessions[0].statistics()
    });
    assert_eq!(elsewhere.await.expect("no panic").messages_received, 1);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_told_the_numbers_at_the_end() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_of(echo(), Limits::server());
    peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"unknown"}"#).await;
    session.close().await;
    let [closed] = &events.of("session closed")[..] else { panic!("{:?}", events.all()) };
    for field in ["messages_received", "messages_sent", "errors"] {
        assert_eq!(closed.field(field), "1", "{field}");
    }
    assert_eq!(closed.field("bytes_received"), "44");
}
