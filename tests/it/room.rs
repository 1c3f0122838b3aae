//! Calls that wait for room among the outgoing bytes end like all others.

use std::{collections::BTreeMap, time::Duration};

use rpc::{
    Batch, BatchError, Call, CallError, CloseReason, Context, DeadlineCaller, ErrorObject, Items, Limits,
    Notify, Params, Router, Session, Subscribe,
};
use rpc_tests::{Raw, echo, is_pending, settled};
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
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#)).await;
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
                Err(CallError::Closed { reason, .. }) => assert_eq!(reason.to_string(), expected),
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
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).await;
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
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).await;
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
    peer.expect(r#"{"jsonrpc":"2.0","method":"next"}"#).await;
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
    assert!(
        matches!(outcome, Err(CallError::Closed { reason: CloseReason::SendTimeout { .. }, .. })),
        "{outcome:?}"
    );
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

#[tokio::test(start_paused = true)]
async fn a_sender_that_gave_up_passes_its_wake_up_on_also_while_its_future_is_held() {
    let (mut peer, session) = full(|limits| limits.call_timeout = None).await;
    let mut first =
        Box::pin(session.call::<Value>("first", ()).timeout(Duration::from_secs(3)).into_future());
    assert!(is_pending(&mut first));
    let second = call(&session);
    settled().await;
    // There is room, and the first in the queue is woken for it: too late.
    assert!(peer.line().await.is_some());
    tokio::time::advance(Duration::from_secs(4)).await;
    let late = (&mut first).await;
    assert!(matches!(late, Err(CallError::Timeout(after)) if after == Duration::from_secs(3)), "{late:?}");
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
    second.await.expect("no panic").expect("a reply");
    drop(first);
}

/// What is sent to a peer that takes nothing ends at its deadline, and says how long it has waited.
#[tokio::test(start_paused = true)]
async fn what_waits_for_room_until_its_deadline_says_how_long_that_was() {
    const WAITED: Duration = Duration::from_secs(3);
    let (_peer, session) = full(|_| ()).await;
    let until = || DeadlineCaller::new(session.clone(), Some(Instant::now() + WAITED));
    let is_it = |after: Duration| after == WAITED;

    let caller = until();
    let ended = Call::<_, Value>::untyped(&caller, "m", ()).await;
    assert!(matches!(ended, Err(CallError::Timeout(after)) if is_it(after)), "{ended:?}");
    let caller = until();
    let ended = Notify::untyped(&caller, "m", ()).await;
    assert!(matches!(ended, Err(CallError::Timeout(after)) if is_it(after)), "{ended:?}");
    let caller = until();
    let ended = Batch::over(&caller, (Call::<_, Value>::untyped(&caller, "m", ()),)).await.map(drop);
    assert!(matches!(ended, Err(BatchError::Timeout(after)) if is_it(after)), "{ended:?}");
    let caller = until();
    let ended = Subscribe::<_, Items<Value>>::untyped(&caller, "m", ()).await.map(drop);
    assert!(matches!(ended, Err(CallError::Timeout(after)) if is_it(after)), "{ended:?}");
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn in_a_batch_that_waits_for_room_each_call_has_its_own_time() {
    let (mut peer, session) = full(|_| ()).await;
    let call = |name, seconds| session.call::<Value>(name, ()).timeout(Duration::from_secs(seconds));
    let batch = session.batch((call("a", 1), call("b", 20), session.notify("n", ()), call("c", 5)));
    let ((a, b, (), c), ()) = tokio::join!(async { batch.await.expect("it is sent") }, async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(peer.line().await.is_some());
        peer.expect(concat!(
            r#"[{"jsonrpc":"2.0","id":1,"method":"b"},{"jsonrpc":"2.0","method":"n"},"#,
            r#"{"jsonrpc":"2.0","id":2,"method":"c"}]"#
        ))
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        peer.send(r#"[{"jsonrpc":"2.0","id":1,"result":7},{"jsonrpc":"2.0","id":2,"result":8}]"#).await;
    });
    assert!(
        matches!(a, Err(CallError::Timeout(after)) if after == Duration::from_secs(1)),
        "not sent: {a:?}"
    );
    assert_eq!(b.expect("a reply"), 7);
    assert!(matches!(c, Err(CallError::Timeout(after)) if after == Duration::from_secs(5)), "late: {c:?}");
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_room_as_long_as_the_most_patient_of_its_calls() {
    let (mut peer, session) = full(|_| ()).await;
    let start = Instant::now();
    let call = |seconds| session.call::<Value>("m", ()).timeout(Duration::from_secs(seconds));
    let ended = session.batch((call(1), call(2), session.notify("n", ()))).await.map(drop);
    assert!(matches!(ended, Err(BatchError::Timeout(after)) if after == Duration::from_secs(2)), "{ended:?}");
    assert_eq!(start.elapsed().as_secs(), 2);
    assert!(peer.line().await.is_some());
    peer.expect_silence().await;
}
