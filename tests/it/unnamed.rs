//! Errors to the id null: they end the only call in flight that they can mean, and no other.

use std::{io::Write as _, time::Duration};

use rpc::{
    CallError, ErrorCode, Limits, Protocol, ProtocolError, Session,
    jsonrpc::{Body, CallId, Connection, Event},
};
use rpc_tests::{Events, Raw, echo, is_pending, settled};
use serde_json::Value;
use tokio::{io::DuplexStream, task::JoinHandle};
use tracing::Level;

const REFUSED: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"cannot read it"}}"#;

/// The warning where it is not known what was meant.
const UNKNOWN: &str = "the peer has refused a message of ours and does not say which: a call that it was may wait for its timeout";

fn calling(session: &Session, method: &'static str) -> JoinHandle<Result<Value, CallError>> {
    let session = session.clone();
    tokio::spawn(async move { session.call(method, (1,)).without_timeout().await })
}

/// A session with one call in flight.
async fn with_a_call() -> (Raw<DuplexStream>, Session, JoinHandle<Result<Value, CallError>>) {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let call = calling(&session, "a");
    peer.line().await.expect("a call");
    (peer, session, call)
}

/// That the call has ended with the error, which says that it names no call.
#[track_caller]
fn is_ended(outcome: Result<Value, CallError>) {
    let error = outcome.expect_err("it was refused");
    let CallError::Rpc(object) = &error else { panic!("{error:?}") };
    assert_eq!((object.code(), object.message()), (ErrorCode::PARSE_ERROR, "cannot read it"));
    let told = rpc::chain(&error).to_string();
    assert!(told.contains("cannot read it (code -32700)") && told.contains("the id null"), "{told}");
}

/// That calls wait as before, and the log says why they may have to.
async fn nothing_ends(calls: &[&JoinHandle<Result<Value, CallError>>], events: &Events) {
    settled().await;
    assert!(calls.iter().all(|call| !call.is_finished()));
    let warned = events.of(UNKNOWN);
    assert!(matches!(&warned[..], [event] if event.level == Level::WARN), "{warned:?}");
    assert!(warned[0].field("error").contains("cannot read it"));
}

#[tokio::test(start_paused = true)]
async fn the_only_call_in_flight_ends_with_it() {
    for refused in [REFUSED.to_owned(), format!("[{REFUSED}]"), REFUSED.replacen(r#""id":null,"#, "", 1)] {
        let events = Events::capture();
        let (mut peer, session, call) = with_a_call().await;
        peer.send(&refused).await;
        is_ended(call.await.expect("no panic"));
        assert!(events.of(UNKNOWN).is_empty());
        assert_eq!(session.calls_in_flight(), 0);
        // The session goes on, and its next call has its own reply.
        let next = calling(&session, "b");
        peer.line().await.expect("a call");
        peer.send(r#"{"jsonrpc":"2.0","id":2,"result":7}"#).await;
        assert_eq!(next.await.expect("no panic").expect("a reply"), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn in_every_version_and_where_the_peer_speaks_another_one() {
    for protocol in [Protocol::V1, Protocol::V2, Protocol::Loose, Protocol::Detect] {
        for refused in [REFUSED, r#"{"result":null,"error":"cannot read it","id":null}"#] {
            let (mut peer, session) = Raw::peer_with(|connector| connector.protocol(protocol)).await;
            let call = calling(&session, "a");
            peer.line().await.expect("a call");
            peer.send(refused).await;
            let error = call.await.expect("no panic").expect_err("it was refused");
            let malformed = ProtocolError::MalformedReply { reason: String::new() };
            match &error {
                CallError::Rpc(_) => {}
                // 2.0 has no errors of text.
                CallError::Protocol { source, .. } => {
                    assert_eq!(std::mem::discriminant(source), std::mem::discriminant(&malformed));
                }
                other => panic!("{protocol:?}, {refused}: {other:?}"),
            }
            assert!(rpc::chain(&error).to_string().contains("the id null"), "{protocol:?}: {error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_calls_none_ends() {
    let events = Events::capture();
    let (mut peer, session, call) = with_a_call().await;
    let other = calling(&session, "b");
    peer.line().await.expect("a call");
    peer.send(REFUSED).await;
    nothing_ends(&[&call, &other], &events).await;
    // Replies that come in one read with it go first: then one is left.
    peer.write(format!("{}\n{REFUSED}\n", r#"{"jsonrpc":"2.0","id":1,"result":7}"#)).await;
    assert_eq!(call.await.expect("no panic").expect("a reply"), 7);
    is_ended(other.await.expect("no panic"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_where_nothing_of_ours_can_be_meant() {
    let events = Events::capture();
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::client());
    peer.send(REFUSED).await;
    settled().await;
    assert!(events.of(UNKNOWN).is_empty());
}

/// It may be the call that was given up: its reply has not come.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_given_up_may_be_meant_until_its_reply_comes() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_with(|connector| connector.cancellation(None)).await;
    let given_up = calling(&session, "a");
    peer.line().await.expect("a call");
    given_up.abort();
    settled().await;
    let call = calling(&session, "b");
    peer.line().await.expect("a call");
    peer.send(REFUSED).await;
    nothing_ends(&[&call], &events).await;
    // Now it is answered.
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    peer.send(REFUSED).await;
    is_ended(call.await.expect("no panic"));
}

/// So may the question whether calls can be taken back.
#[tokio::test(start_paused = true)]
async fn the_question_behind_a_call_that_was_given_up_may_be_meant_too() {
    let events = Events::capture();
    let (mut peer, session, given_up) = with_a_call().await;
    given_up.abort();
    assert!(peer.line().await.expect("a question").contains("rpc.cancel"));
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    let call = calling(&session, "b");
    peer.line().await.expect("a call");
    peer.send(REFUSED).await;
    nothing_ends(&[&call], &events).await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"no such method"}}"#).await;
    peer.send(REFUSED).await;
    is_ended(call.await.expect("no panic"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_timed_out_may_be_meant_too() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let late = session.call::<Value>("a", ()).timeout(Duration::from_secs(1)).await;
    assert!(matches!(late, Err(CallError::Timeout(_))), "{late:?}");
    let call = calling(&session, "b");
    for _ in 0..2 {
        peer.line().await.expect("a call");
    }
    peer.send(REFUSED).await;
    nothing_ends(&[&call], &events).await;
}

/// Some peers answer a notification that they cannot take.
#[tokio::test(start_paused = true)]
async fn a_notification_may_be_meant_until_a_later_call_is_answered() {
    let events = Events::capture();
    let (mut peer, session, call) = with_a_call().await;
    session.notify("log", ("x",)).await.expect("sent");
    peer.send(REFUSED).await;
    nothing_ends(&[&call], &events).await;
    let later = calling(&session, "b");
    for _ in 0..2 {
        peer.line().await.expect("a message");
    }
    peer.send(r#"{"jsonrpc":"2.0","id":2,"result":7}"#).await;
    assert_eq!(later.await.expect("no panic").expect("a reply"), 7);
    peer.send(REFUSED).await;
    is_ended(call.await.expect("no panic"));
}

/// A batch is refused so: the call beside it may wait for its own reply.
#[tokio::test(start_paused = true)]
async fn a_batch_goes_before_a_call() {
    let (mut peer, session, call) = with_a_call().await;
    let batch = tokio::spawn({
        let session = session.clone();
        async move { session.batch((session.call::<Value>("b", ()), session.call::<Value>("c", ()))).await }
    });
    peer.line().await.expect("a batch");
    peer.send(REFUSED).await;
    let (one, other) = batch.await.expect("no panic").expect("it was sent");
    assert!(matches!((&one, &other), (Err(CallError::Rpc(_)), Err(CallError::Rpc(_)))), "{one:?}, {other:?}");
    assert!(!call.is_finished());
    // It is the only one now.
    peer.send(REFUSED).await;
    is_ended(call.await.expect("no panic"));
}

/// Within the answer to a batch, it is about that batch.
#[tokio::test(start_paused = true)]
async fn an_error_beside_the_replies_to_a_batch_means_no_call() {
    let (mut peer, session, call) = with_a_call().await;
    let batch = tokio::spawn({
        let session = session.clone();
        async move { session.batch((session.call::<Value>("b", ()), session.call::<Value>("c", ()))).await }
    });
    peer.line().await.expect("a batch");
    peer.send(&format!(r#"[{{"jsonrpc":"2.0","id":2,"result":7}},{REFUSED}]"#)).await;
    let (one, other) = batch.await.expect("no panic").expect("it was sent");
    assert!(one.is_ok() && other.is_err(), "{one:?}, {other:?}");
    settled().await;
    assert!(!call.is_finished());
}

#[tokio::test(start_paused = true)]
async fn the_call_that_begins_a_subscription_is_a_call() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let subscribing = tokio::spawn({
        let session = session.clone();
        async move { session.subscribe::<Value>("ticks", ()).await.map(drop) }
    });
    peer.line().await.expect("a call");
    peer.send(REFUSED).await;
    let error = subscribing.await.expect("no panic").expect_err("it was refused");
    is_ended(Err(error));
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_not_ended_and_may_be_meant() {
    let events = Events::capture();
    let keep_alive = rpc::KeepAlive::call("ping").interval(Duration::from_secs(10));
    let (mut peer, session) = Raw::peer_with(|connector| connector.keep_alive(keep_alive)).await;
    assert!(peer.line().await.expect("a ping").contains("ping"));
    peer.send(REFUSED).await;
    settled().await;
    assert_eq!(session.calls_in_flight(), 1, "the ping waits for its own reply");
    let call = calling(&session, "a");
    peer.line().await.expect("a call");
    peer.send(REFUSED).await;
    nothing_ends(&[&call], &events).await;
}

/// The language without a session.
mod by_hand {
    use super::*;

    fn sent(connection: &mut Connection<&'static str>, name: &'static str) -> CallId {
        let (mut text, mut out) = (Vec::new(), Vec::new());
        let body = Body::write(&mut text, "m", |out| out.write_all(b"[]")).expect("memory takes it");
        connection.request(&mut out, body, name).expect("every version has calls")
    }

    /// The call that it ends.
    fn ended(connection: &mut Connection<&'static str>, message: &str) -> Option<&'static str> {
        let mut answer = Vec::new();
        let mut read = connection.events(message.as_bytes());
        let events: Vec<_> = std::iter::from_fn(|| read.next(connection, &mut answer)).collect();
        assert!(answer.is_empty(), "replies are not answered");
        events.into_iter().find_map(|event| match event {
            Event::Reply { call, .. } => Some(call),
            _ => None,
        })
    }

    #[test]
    fn the_only_call_ends_and_none_of_several() {
        let mut connection = Connection::new(Protocol::V2);
        sent(&mut connection, "a");
        sent(&mut connection, "b");
        assert_eq!(ended(&mut connection, REFUSED), None);
        assert_eq!(ended(&mut connection, r#"{"jsonrpc":"2.0","id":2,"result":1}"#), Some("b"));
        assert_eq!(ended(&mut connection, REFUSED), Some("a"));
        assert_eq!(ended(&mut connection, REFUSED), None);
    }

    #[test]
    fn one_that_was_forgotten_may_be_meant_until_it_is_answered() {
        let mut connection = Connection::new(Protocol::V2);
        let forgotten = sent(&mut connection, "a");
        assert_eq!(connection.remove(forgotten), Some("a"));
        sent(&mut connection, "b");
        assert_eq!(ended(&mut connection, REFUSED), None);
        assert_eq!(ended(&mut connection, r#"{"jsonrpc":"2.0","id":1,"result":1}"#), None);
        assert_eq!(ended(&mut connection, REFUSED), Some("b"));
    }

    #[test]
    fn that_this_side_costs_too_much_is_said_of_no_call() {
        let mut connection = Connection::new(Protocol::V2);
        sent(&mut connection, "a");
        assert_eq!(ended(&mut connection, &REFUSED.replace("-32700", "-101")), None);
    }
}

/// A call is not waited for that is not polled any more.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_after_the_error_came_is_no_trouble() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
    peer.line().await.expect("a call");
    peer.send(REFUSED).await;
    settled().await;
    drop(call);
    assert_eq!(session.calls_in_flight(), 0);
}
