//! Calls that wait for room among the outgoing bytes end like all others.

use std::{collections::BTreeMap, time::Duration};

use rpc::{CallError, CloseReason, Context, ErrorObject, Limits, Params, Router, Session};
use rpc_tests::{Raw, echo, settled};
use serde_json::Value;
use tokio::{io::DuplexStream, task::JoinHandle, time::Instant};

const ROOM: usize = 10_000;

/// A session whose peer does not read, with as many bytes waiting as may be.
async fn full(change: impl FnOnce(&mut Limits)) -> (Raw<DuplexStream>, Session) {
    let mut limits = Limits::client();
    limits.outgoing_bytes = ROOM;
    limits.send_timeout = None;
    change(&mut limits);
    let (peer, session) = Raw::narrow_peer_of(16, echo(), limits);
    session.notify("fill", ("x".repeat(ROOM),)).await.expect("one message is always accepted");
    settled().await;
    (peer, session)
}

fn call(session: &Session) -> JoinHandle<Result<Value, CallError>> {
    let session = session.clone();
    tokio::spawn(async move { session.call("m", ()).await })
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_room_and_is_sent_when_there_is_some() {
    let (mut peer, session) = full(|_| ()).await;
    let waiting = [call(&session), call(&session), call(&session)];
    settled().await;
    assert_eq!(session.calls_in_flight(), 0, "not sent");
    assert!(peer.line().await.is_some());
    for id in 1..=3 {
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":[]}}"#)).await;
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{id}}}"#)).await;
    }
    for waited in waiting {
        waited.await.expect("no panic").expect("a reply");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_room_times_out_and_so_does_a_notification() {
    let (_peer, session) = full(|limits| limits.call_timeout = Some(Duration::from_secs(7))).await;
    let start = Instant::now();
    let outcome = session.call::<Value>("m", ()).timeout(Duration::from_secs(3)).await;
    assert!(
        matches!(outcome, Err(CallError::Timeout(after)) if after == Duration::from_secs(3)),
        "{outcome:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 3);
    let outcome = session.notify("m", ()).await;
    assert!(matches!(outcome, Err(CallError::Timeout(_))), "{outcome:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_call_waited_for_room_counts() {
    let (mut peer, session) = full(|limits| limits.call_timeout = Some(Duration::from_secs(10))).await;
    let start = Instant::now();
    let waiting = call(&session);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(peer.line().await.is_some());
    assert!(peer.line().await.expect("the call").contains(r#""method":"m""#));
    assert!(matches!(waiting.await.expect("no panic"), Err(CallError::Timeout(_))));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_room_end_with_the_session() {
    for (end, expected) in [
        (Session::abort as fn(&Session), "aborted by this side"),
        (Session::start_close, "closed by this side"),
    ] {
        let (_peer, session) = full(|_| ()).await;
        let waiting = [call(&session), call(&session), call(&session)];
        settled().await;
        end(&session);
        for waited in waiting {
            match waited.await.expect("no panic") {
                Err(CallError::Closed(reason)) => assert_eq!(reason.to_string(), expected),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_waiting_leaves_the_room_to_the_next() {
    let (mut peer, session) = full(|limits| limits.call_timeout = None).await;
    let (first, second) = (call(&session), call(&session));
    settled().await;
    first.abort();
    assert!(peer.line().await.is_some());
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
    second.await.expect("no panic").expect("a reply");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_written_leaves_the_room_to_the_next() {
    let (mut peer, session) = full(|limits| limits.call_timeout = None).await;
    let other = session.clone();
    let unwritable =
        tokio::spawn(async move { other.call::<Value>("unwritable", BTreeMap::from([((1, 2), 3)])).await });
    settled().await;
    let next = call(&session);
    settled().await;
    assert!(peer.line().await.is_some());
    assert!(matches!(unwritable.await.expect("no panic"), Err(CallError::Encode { .. })));
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
    next.await.expect("no panic").expect("a reply");
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_sends_before_its_reply_makes_room_again_when_it_has_left() {
    let mut limits = Limits::server();
    limits.outgoing_bytes = 1_000;
    let router = Router::new().method("tell", async |_: Params, cx: Context| {
        cx.session().notify("told", ("x".repeat(2_000),)).await.ok();
        Ok::<_, ErrorObject>(())
    });
    let (mut peer, session) = Raw::peer_of(router, limits);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"tell"}"#).await;
    assert!(peer.line().await.expect("it is told").contains("told"));
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).await;
    session.notify("next", ()).await.expect("everything has left: there is room");
    peer.expect(r#"{"jsonrpc":"2.0","method":"next","params":[]}"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_ends_the_session_after_the_send_timeout() {
    let (_peer, session) = full(|limits| limits.send_timeout = Some(Duration::from_secs(20))).await;
    let start = Instant::now();
    let waiting = call(&session);
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::SendTimeout { unsent, .. } if unsent > ROOM / 2), "{reason:?}");
    assert_eq!(start.elapsed().as_secs(), 19, "it was counted from when nothing left any more");
    let outcome = waiting.await.expect("no panic");
    assert!(matches!(outcome, Err(CallError::Closed(CloseReason::SendTimeout { .. }))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_no_peer_that_does_not_read() {
    let (mut peer, session) = full(|limits| {
        limits.send_timeout = Some(Duration::from_secs(20));
        limits.call_timeout = None;
    })
    .await;
    let mut read = 0;
    while read < ROOM {
        tokio::time::sleep(Duration::from_secs(19)).await;
        let mut some = [0; 16];
        let io = &mut peer;
        read += io.read_some(&mut some).await;
        assert!(!session.is_closed());
    }
}
