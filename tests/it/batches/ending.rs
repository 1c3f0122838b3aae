//! Batches that do not come to their end: given up, or overtaken by the end of the session.

use std::time::Duration;

use rpc::{BatchError, CallError, CloseReason, Limits, Session, testing};
use rpc_tests::{Gate, Raw, echo, is_pending, settled, waiting};
use serde_json::Value;
use tokio::{io::DuplexStream, time::Instant};

use super::{batch, caller, error, not_begun, request, result};

const CLOSING: &str = "the session is closing";

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_dropped_leaves_nothing_behind() {
    let (mut peer, session) = Raw::peer_of((), Limits::server());
    let members = || [session.call::<i64>("a", ()), session.call::<i64>("b", ())];
    // Before it was awaited.
    drop(session.batch(members()));
    drop(session.batch(members()).into_future());
    peer.expect_silence().await;
    for answered in 0..2u64 {
        let first = answered * 2 + 1;
        let mut sent = Box::pin(session.batch(members()).into_future());
        assert!(is_pending(&mut sent));
        assert!(peer.line().await.is_some());
        assert_eq!(session.calls_in_flight(), 2);
        for id in first..first + answered {
            peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#)).await;
            settled().await;
            assert!(is_pending(&mut sent));
        }
        drop(sent);
        assert_eq!(session.calls_in_flight(), 0);
        // What still comes does no harm, and is no fault of the peer's.
        for _ in 0..200 {
            let late = [first, first + 1].map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#));
            peer.send(&batch(late)).await;
        }
        settled().await;
        assert!(!session.is_closed());
    }
    // A batch that was given up is not the oldest one any more.
    let mut sent = Box::pin(session.batch(members()).into_future());
    assert!(is_pending(&mut sent));
    peer.send(&error("null", -7, "no")).await;
    let outcomes = sent.await.expect("sent");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(CallError::Rpc(_)))), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_with_the_session_and_keeps_what_it_has() {
    for (end, expected) in [
        (Session::abort as fn(&Session), "aborted by this side"),
        (Session::start_close, "closed by this side"),
    ] {
        let (mut peer, session) = caller();
        let members = [session.call::<i64>("a", ()), session.call::<i64>("b", ()), session.call("c", ())];
        let mut sent = Box::pin(session.batch(members).into_future());
        assert!(is_pending(&mut sent));
        assert!(peer.line().await.is_some());
        peer.send(r#"{"jsonrpc":"2.0","id":2,"result":2}"#).await;
        settled().await;
        end(&session);
        let [a, b, c] = sent.await.expect("it was sent");
        for lost in [a, c] {
            let Err(CallError::Closed { reason, .. }) = lost else { panic!("{lost:?}") };
            assert_eq!(reason.to_string(), expected);
        }
        assert_eq!(b.expect("it came before"), 2);
        // And the next one is not sent.
        let outcome = session.batch([session.call::<i64>("a", ())]).await;
        assert!(matches!(&outcome, Err(BatchError::Closed(reason)) if reason.to_string() == expected));
        assert_eq!(session.calls_in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_when_the_peer_is_gone() {
    let gate = Gate::closed();
    let (session, peer) = testing::pair((), waiting(&gate));
    let calls = vec![session.call::<Value>("wait", ()), session.call::<Value>("echo", ())];
    let mut sent = Box::pin(session.batch(calls).into_future());
    assert!(is_pending(&mut sent));
    gate.until(|gate| gate.waiting() == 1).await;
    peer.abort();
    let outcomes = sent.await.expect("it was sent");
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Err(CallError::Closed { reason: CloseReason::Peer, .. }))),
        "{outcomes:?}"
    );
    settled().await;
    assert_eq!(gate.dropped(), 1);
}

/// A session with as many bytes waiting as may be, whose peer does not read.
async fn full() -> (Raw<DuplexStream>, Session) {
    let mut limits = Limits::client();
    limits.outgoing_bytes = 10_000;
    limits.send_timeout = None;
    limits.call_timeout = Some(Duration::from_secs(7));
    let (peer, session) = Raw::narrow_peer_of(16, echo(), limits);
    session.notify("fill", ("x".repeat(10_000),)).await.expect("one message is always accepted");
    settled().await;
    (peer, session)
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_room_like_a_call() {
    let (mut peer, session) = full().await;
    let mut sent = Box::pin(session.batch([session.call::<i64>("a", ())]).into_future());
    assert!(is_pending(&mut sent));
    settled().await;
    assert_eq!(session.calls_in_flight(), 0, "not sent");
    assert!(peer.line().await.is_some());
    let ((), outcome) = tokio::join!(
        async {
            peer.expect(r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#).await;
            peer.send(r#"[{"jsonrpc":"2.0","id":1,"result":5}]"#).await;
        },
        sent
    );
    let [outcome] = outcome.expect("sent");
    assert_eq!(outcome.expect("a reply"), 5);

    // For as long as a call would.
    let (_peer, session) = full().await;
    let start = Instant::now();
    let outcome = session.batch([session.call::<i64>("a", ())]).await;
    assert!(matches!(outcome, Err(BatchError::Timeout(after)) if after.as_secs() == 7), "{outcome:?}");
    assert_eq!(start.elapsed().as_secs(), 7);

    // Until the session ends.
    let (_peer, session) = full().await;
    let mut sent = Box::pin(session.batch([session.call::<i64>("a", ())]).into_future());
    assert!(is_pending(&mut sent));
    session.abort();
    let outcome = sent.await;
    assert!(matches!(outcome, Err(BatchError::Closed(CloseReason::Aborted))), "{outcome:?}");

    // Or until it is given up: then the room is the next one's.
    let (mut peer, session) = full().await;
    let mut given_up = Box::pin(session.batch([session.call::<i64>("a", ())]).into_future());
    assert!(is_pending(&mut given_up));
    let mut next = Box::pin(session.batch([session.call::<i64>("b", ())]).into_future());
    assert!(is_pending(&mut next));
    drop(given_up);
    assert!(peer.line().await.is_some());
    let ((), _) = tokio::join!(
        async {
            peer.expect(r#"[{"jsonrpc":"2.0","id":1,"method":"b"}]"#).await;
            peer.send("[]").await;
        },
        next
    );
}

/// A session with two places that has begun a batch of the peer's, whose other members wait.
async fn half_started(gate: &Gate, change: impl FnOnce(&mut Limits)) -> (Raw<DuplexStream>, Session) {
    let mut limits = Limits::server();
    limits.requests_in_flight = 2;
    change(&mut limits);
    let (mut peer, session) = Raw::peer_of(waiting(gate), limits);
    let note = r#"{"jsonrpc":"2.0","method":"wait","params":["note"]}"#;
    let members = [
        request(1, "wait"),
        request(2, "wait"),
        request(3, "wait"),
        note.to_owned(),
        r#"{"jsonrpc":"2.0","id":5}"#.to_owned(),
        request(6, "echo"),
    ];
    peer.send(&batch(members)).await;
    gate.until(|gate| gate.waiting() == 2).await;
    settled().await;
    (peer, session)
}

#[tokio::test(start_paused = true)]
async fn members_that_were_not_started_are_refused_when_the_session_closes_and_the_others_finish() {
    let gate = Gate::closed();
    let (mut peer, session) = half_started(&gate, |_| ()).await;
    session.start_close();
    peer.expect_silence().await;
    assert_eq!(gate.waiting(), 2);
    gate.open();
    let malformed = error(5, -32600, "invalid request: `method` is missing");
    let refused = |id| not_begun(id, CLOSING);
    peer.expect(&batch([result(1), result(2), refused(3), malformed, refused(6)])).await;
    peer.expect_end().await;
    assert_eq!(gate.entered(), 2);
    assert!(matches!(session.closed().await, CloseReason::Local));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_does_not_finish_is_lost_with_the_session_at_the_deadline() {
    let gate = Gate::closed();
    let (mut peer, session) =
        half_started(&gate, |limits| limits.close_timeout = Some(Duration::from_secs(3))).await;
    let start = Instant::now();
    session.close().await;
    assert_eq!(start.elapsed().as_secs(), 3);
    peer.expect_end().await;
    settled().await;
    assert_eq!((gate.entered(), gate.dropped()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn an_abort_stops_the_members_of_a_batch() {
    let gate = Gate::closed();
    let (mut peer, session) = half_started(&gate, |_| ()).await;
    session.abort();
    peer.expect_end().await;
    settled().await;
    assert_eq!((gate.entered(), gate.dropped()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ends_its_side_after_a_batch_still_gets_the_whole_reply() {
    let gate = Gate::closed();
    let (mut peer, session) = half_started(&gate, |_| ()).await;
    peer.finish().await;
    settled().await;
    gate.open();
    let malformed = error(5, -32600, "invalid request: `method` is missing");
    peer.expect(&batch([result(1), result(2), result(3), malformed, result(6)])).await;
    peer.expect_end().await;
    assert_eq!(gate.passed(), 4);
    assert!(matches!(session.closed().await, CloseReason::Peer));
}
