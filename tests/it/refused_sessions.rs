//! A client that has cost its server too much, or for which there is no place, is told so, and finds that in its errors.

use std::error::Error;

use rpc::{CallError, CloseReason, ErrorCode, ErrorObject, Limits, Session, testing};
use rpc_tests::{Events, Gate, Raw, echo, settled, waiting, websocket::WsPeer};
use serde_json::Value;
use tokio::task::JoinHandle;
use tracing::Level;

const EXCESSIVE: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-101,"message":"excessive resource usage"}}"#;

/// That the reason is the server's word, and is said to a person too.
#[track_caller]
fn is_refused(reason: &CloseReason) {
    let CloseReason::Refused(error) = reason else { panic!("{reason:?}") };
    assert_eq!(error.code(), ErrorCode::EXCESSIVE_RESOURCE_USAGE);
    let text = rpc::chain(reason).to_string();
    assert!(text.contains("cost too much") && text.contains("excessive resource usage"), "{text}");
    let source = reason.source().and_then(|source| source.downcast_ref::<ErrorObject>());
    assert_eq!(source.map(ErrorObject::code), Some(ErrorCode::EXCESSIVE_RESOURCE_USAGE));
}

/// A call that is under way.
fn calling(session: &Session, method: &'static str) -> JoinHandle<Result<Value, CallError>> {
    let session = session.clone();
    tokio::spawn(async move { session.call(method, (1,)).await })
}

#[track_caller]
fn call_is_refused(outcome: Result<Value, CallError>) {
    match outcome {
        Err(CallError::Closed { reason, .. }) => is_refused(&reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_and_later_ones_end_with_what_the_server_has_said() {
    let events = Events::capture();
    let gate = Gate::closed();
    // The server gives the handler 30 s to finish.
    let patient = Limits::client().with_call_timeout(None);
    let (session, peer) = testing::pair_with((), patient, waiting(&gate), Limits::public());
    let in_flight = calling(&session, "wait");
    gate.until(|gate| gate.waiting() == 1).await;
    peer.add_cost(10_000.0);
    settled().await;
    let too_late = calling(&session, "wait");
    call_is_refused(in_flight.await.expect("no panic"));
    call_is_refused(too_late.await.expect("no panic"));
    call_is_refused(session.call("wait", (2,)).await);
    is_refused(&session.closed().await);
    assert!(matches!(peer.closed().await, CloseReason::Cost { .. }));
    let told = events.of("this side has cost the peer too much: the peer closes the session");
    let [event] = &told[..] else { panic!("{told:?}") };
    assert_eq!((event.level, event.field("session")), (Level::WARN, session.id().to_string().as_str()));
    assert!(event.field("error").contains("excessive resource usage"), "{event:?}");
    let refused = "the peer has refused a message of ours and does not say which: a call that it was may wait for its timeout";
    assert!(events.of(refused).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_still_answered_has_its_reply() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let calls = ["a", "b"].map(|method| calling(&session, method));
    for _ in 0..2 {
        peer.line().await.expect("a call");
    }
    peer.send(EXCESSIVE).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    drop(peer);
    let [answered, refused] = calls;
    assert_eq!(answered.await.expect("no panic").expect("a reply"), 7);
    call_is_refused(refused.await.expect("no panic"));
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_so_too() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let batch = tokio::spawn({
        let session = session.clone();
        async move { session.batch((session.call::<Value>("a", ()), session.call::<Value>("b", ()))).await }
    });
    peer.line().await.expect("a batch");
    peer.send(EXCESSIVE).await;
    drop(peer);
    let (one, other) = batch.await.expect("no panic").expect("a batch that was sent");
    call_is_refused(one);
    call_is_refused(other);
    is_refused(&session.closed().await);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_that_code_to_a_call_is_its_own() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let call = calling(&session, "a");
    peer.line().await.expect("a call");
    peer.send(&EXCESSIVE.replace("null", "1")).await;
    let outcome = call.await.expect("no panic");
    assert!(
        matches!(&outcome, Err(CallError::Rpc(error)) if error.code() == ErrorCode::EXCESSIVE_RESOURCE_USAGE),
        "{outcome:?}"
    );
    drop(peer);
    assert!(matches!(session.closed().await, CloseReason::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_this_side_closes_all_the_same_is_closed_by_this_side() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    peer.send(EXCESSIVE).await;
    settled().await;
    assert!(!session.is_closed(), "the peer closes it, or goes on");
    session.close().await;
    assert!(matches!(session.closed().await, CloseReason::Local));
}

#[tokio::test(start_paused = true)]
async fn over_websocket_the_error_goes_before_the_code() {
    for says_why in [true, false] {
        let (mut peer, session) = WsPeer::server_of(|connector| connector).await;
        let call = calling(&session, "a");
        peer.next().await.expect("a call");
        if says_why {
            peer.text(EXCESSIVE).await;
        }
        // 1008, without a reason.
        peer.frame(0x88, 1008_u16.to_be_bytes()).await;
        assert_eq!(peer.closed().await.0, 1008, "the close is answered");
        let outcome = call.await.expect("no panic");
        match says_why {
            true => call_is_refused(outcome),
            false => {
                let error = outcome.expect_err("it was closed");
                assert!(
                    matches!(
                        error,
                        CallError::Closed { reason: CloseReason::PeerClosed { code: 1008, .. }, .. }
                    ),
                    "{error:?}"
                );
                assert!(rpc::chain(&error).to_string().contains("policy"), "{error:?}");
            }
        }
    }
}

/// What a server says first that has no place.
const BUSY: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-102,"message":"too many connections","data":{"executed":false}}}"#;

#[track_caller]
fn is_busy(reason: &CloseReason) {
    let CloseReason::Refused(error) = reason else { panic!("{reason:?}") };
    assert_eq!(error.code(), ErrorCode::SERVER_BUSY);
    let text = rpc::chain(reason).to_string();
    assert!(text.contains("refused this connection") && text.contains("too many connections"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_before_the_first_call_says_why_to_later_ones() {
    for first in [BUSY.to_owned(), BUSY.replace("-102", "-7")] {
        let events = Events::capture();
        let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
        peer.send(&first).await;
        drop(peer);
        let error = calling(&session, "a").await.expect("no panic").expect_err("there is no session");
        assert_eq!(error.executed(), rpc::Executed::No);
        let CallError::Closed { reason, .. } = error else { panic!("{error:?}") };
        let CloseReason::Refused(told) = &reason else { panic!("{reason:?}") };
        assert_eq!(told.message(), "too many connections");
        assert_eq!(session.closed().await, reason);
        let told = events.of(
            "the first word of the peer is a refusal: where it closes the session next, calls end with this",
        );
        let [event] = &told[..] else { panic!("{told:?}") };
        assert_eq!(event.level, Level::WARN);
        assert!(event.field("error").contains("too many connections"), "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_crossed_with_the_refusal_of_their_connection_were_not_carried_out() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let calls = ["a", "b"].map(|method| calling(&session, method));
    for _ in 0..2 {
        peer.line().await.expect("a call");
    }
    peer.send(BUSY).await;
    drop(peer);
    for call in calls {
        let error = call.await.expect("no panic").expect_err("there is no session");
        assert_eq!(error.executed(), rpc::Executed::No);
        let CallError::Closed { reason, .. } = error else { panic!("{error:?}") };
        is_busy(&reason);
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_call_has_the_refusal_for_its_answer_and_later_ones_for_their_cause() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    let call = calling(&session, "a");
    peer.line().await.expect("a call");
    peer.send(BUSY).await;
    drop(peer);
    let outcome = call.await.expect("no panic");
    assert!(
        matches!(&outcome, Err(CallError::Rpc(error)) if error.code() == ErrorCode::SERVER_BUSY),
        "{outcome:?}"
    );
    is_busy(&session.closed().await);
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_after_it_was_no_refusal_of_the_connection() {
    let (mut peer, session) = Raw::peer_of(echo(), Limits::client());
    peer.send(BUSY).await;
    peer.expect_silence().await;
    let call = calling(&session, "a");
    peer.line().await.expect("a call");
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("no panic").expect("a reply"), 7);
    drop(peer);
    assert!(matches!(session.closed().await, CloseReason::Peer));
}
