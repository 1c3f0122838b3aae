//! Calls that end at a point in time, and handlers that pass theirs on.

use std::time::Duration;

use rpc::{
    Batch, BatchError, Call, CallError, Caller, Context, DeadlineCaller, Dispatcher, ErrorObject, Limits,
    Notify, Params, Router, Session, Subscribe, testing,
};
use rpc_tests::{Gate, Raw, is_pending, settled, waiting};
use serde_json::Value;
use tokio::{io::DuplexStream, time::Instant};

const SECOND: Duration = Duration::from_secs(1);

fn peer() -> (Raw<DuplexStream>, Session) {
    Raw::peer_of((), Limits::client())
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_or_its_timeout_whichever_is_first() {
    for (timeout, deadline, ends) in [(5, 2, 2), (2, 5, 2), (60, 40, 40)] {
        let (_peer, session) = peer();
        let start = Instant::now();
        let call =
            session.call::<Value>("a", ()).timeout(SECOND * timeout).deadline(start + SECOND * deadline);
        assert!(matches!(call.await, Err(CallError::Timeout(after)) if after == SECOND * ends));
        assert!(start.elapsed() - SECOND * ends < SECOND / 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_ever_ends_at_its_deadline_and_the_earlier_of_two_holds() {
    let (_peer, session) = peer();
    let start = Instant::now();
    let call = session.call::<Value>("a", ()).without_timeout();
    let call = call.deadline(start + SECOND * 100).deadline(start + SECOND * 200);
    assert!(matches!(call.await, Err(CallError::Timeout(_))));
    assert!(start.elapsed() - SECOND * 100 < SECOND / 100);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_the_deadline_has_passed() {
    let (mut peer, session) = peer();
    let late = DeadlineCaller::new(session, Some(Instant::now()));
    let call = Call::<_, Value>::untyped(&late, "a", ());
    assert!(matches!(call.await, Err(CallError::Timeout(_))));
    assert!(matches!(Notify::untyped(&late, "n", ()).await, Err(CallError::Timeout(_))));
    let batch = Batch::over(&late, [Call::<_, Value>::untyped(&late, "a", ())]);
    assert!(matches!(batch.await, Err(BatchError::Timeout(_))));
    let subscription = Subscribe::<_, rpc::Items<Value>>::untyped(&late, "s", ());
    assert!(matches!(subscription.await, Err(CallError::Timeout(_))));
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_runs_no_handler_when_the_deadline_has_passed() {
    let gate = Gate::closed();
    gate.open();
    let dispatcher = Dispatcher::builder().service(waiting(&gate)).build().expect("a dispatcher");
    let late = DeadlineCaller::new(dispatcher, Some(Instant::now()));
    assert!(matches!(Call::<_, Value>::untyped(&late, "wait", ()).await, Err(CallError::Timeout(_))));
    let batch = Batch::over(&late, [Call::<_, Value>::untyped(&late, "wait", ())]);
    assert!(matches!(batch.await, Err(BatchError::Timeout(_))));
    assert!(Notify::untyped(&late, "wait", ()).await.is_err());
    assert_eq!(gate.entered(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_batch_and_the_asking_for_a_subscription_end_at_the_deadline() {
    let (_peer, session) = peer();
    let start = Instant::now();
    let soon = DeadlineCaller::new(session, Some(start + SECOND));
    let replies = Batch::over(&soon, [Call::<_, Value>::untyped(&soon, "a", ()).timeout(SECOND * 20)]).await;
    assert!(matches!(replies.expect("sent")[..], [Err(CallError::Timeout(_))]));
    assert!(start.elapsed() - SECOND < SECOND / 100);
    let (_peer, session) = peer();
    let soon = DeadlineCaller::new(session, Some(Instant::now() + SECOND));
    let start = Instant::now();
    assert!(Subscribe::<_, rpc::Items<Value>>::untyped(&soon, "s", ()).await.is_err());
    assert!(start.elapsed() - SECOND < SECOND / 100);
}

/// The wait for room counts, and is not counted twice.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_room_ends_at_its_deadline() {
    let mut limits = Limits::client();
    limits.outgoing_bytes = 60;
    limits.send_timeout = None;
    let (mut peer, session) = Raw::narrow_peer_of(16, (), limits);
    session.notify(&"long".repeat(25), ()).await.expect("sent");
    settled().await;
    for reads in [false, true] {
        let start = Instant::now();
        let mut call = Box::pin(
            session.call::<Value>("a", ()).without_timeout().deadline(start + SECOND * 10).into_future(),
        );
        assert!(is_pending(&mut call));
        if reads {
            tokio::time::sleep(SECOND * 4).await;
            peer.line().await.expect("the notification");
        }
        let outcome = call.await;
        assert!(matches!(outcome, Err(CallError::Timeout(_))), "{reads}: {outcome:?}");
        assert!(start.elapsed() - SECOND * 10 < SECOND / 100, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_asks_of_others_ends_when_the_handler_has_to() {
    let mut limits = Limits::server();
    limits.request_timeout = Some(SECOND * 3);
    let (asked, asks) = tokio::sync::mpsc::unbounded_channel();
    let router = Router::new().method("ask", move |_: Params, cx: Context| {
        let asked = asked.clone();
        async move {
            let caller = cx.caller();
            let deadline = cx.deadline();
            tokio::spawn(async move {
                let started = Instant::now();
                let call = Call::<_, Value>::untyped(&caller, "back", ()).timeout(SECOND * 20);
                let outcome = call.await;
                let _ = asked.send((outcome.is_err(), started.elapsed(), caller.deadline() == deadline));
            });
            std::future::pending::<Result<(), ErrorObject>>().await
        }
    });
    let (mut peer, _session) = Raw::peer_of(router, limits);
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"ask"}"#).await;
    let mut asks = asks;
    let (failed, after, same) = asks.recv().await.expect("it has asked");
    assert!(failed && same);
    assert!(after <= SECOND * 3 + SECOND / 100, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_nothing_changes() {
    let (session, _peer) = testing::pair((), waiting(&Gate::closed()));
    let same = DeadlineCaller::new(session, None);
    let echoed: Value = Call::untyped(&same, "echo", (1,)).await.expect("echo");
    assert_eq!(echoed, serde_json::json!([1]));
    let call = rpc::Outgoing::new("wait", &()).expect("written");
    assert_eq!(call.deadline(), None);
    let mut waits = Caller::call(&same, call);
    assert!(is_pending(&mut waits));
}
