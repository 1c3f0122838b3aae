//! Every call ends, once: with its reply, a typed error, a timeout, or the cause for which the session closed.

use std::time::Duration;

use futures::future::join_all;
use rpc::{CallError, CloseReason, Limits, Session, testing};
use rpc_tests::{
    Cable, CalcClient, CalcServer, DivError, Gate, MyCalc, Raw, echo, is_pending, settled, soon, waiting,
};
use serde_json::{Value, json};
use tokio::time::Instant;

fn client() -> (Raw<tokio::io::DuplexStream>, Session) {
    Raw::peer_of((), Limits::client())
}

/// A call of `hang` in a task, which has been sent.
async fn sent(session: &Session) -> tokio::task::JoinHandle<Result<Value, CallError>> {
    let (session, before) = (session.clone(), session.calls_in_flight());
    let called = tokio::spawn({
        let session = session.clone();
        async move { session.call("hang", ()).await }
    });
    settled().await;
    assert_eq!(session.calls_in_flight(), before + 1);
    called
}

fn cause(outcome: Result<Value, CallError>) -> CloseReason {
    match outcome {
        Err(CallError::Closed { reason, .. }) => reason,
        other => panic!("not closed: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_reply_or_its_typed_error() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    let calc = CalcClient::from(session.clone());
    assert_eq!(calc.add(1, 2).await.expect("at once"), 3);
    assert_eq!(calc.add_later(1, 2).await.expect("later"), 3);
    assert!(matches!(calc.div(1, 0).await, Err(CallError::Service(DivError::ByZero))));
    assert_eq!(session.calls_in_flight(), 0);
}

/// Awaited in a task of its own a call must be `Send`, with whatever it borrows.
#[tokio::test(start_paused = true)]
async fn a_call_may_be_awaited_in_another_task_whatever_it_borrows() {
    let (session, _peer) = testing::pair((), CalcServer::new(MyCalc));
    let typed = tokio::spawn({
        let calc = CalcClient::from(session.clone());
        async move {
            let line = String::from("borrowed from this task");
            calc.log(&line).await?;
            calc.greet(&line).await
        }
    });
    assert_eq!(typed.await.expect("no panic").expect("a reply"), "Hello, borrowed from this task");
    let untyped = tokio::spawn(async move {
        let line = String::from("borrowed from this task");
        session.notify("log", (&line,)).await?;
        session.call::<i64>("add", (1, 2)).await
    });
    assert_eq!(untyped.await.expect("no panic").expect("a reply"), 3);
}

#[tokio::test(start_paused = true)]
async fn replies_reach_their_own_calls_in_whatever_order_they_come() {
    let (mut peer, session) = client();
    let calls = join_all((0..5).map(|n| session.call::<i64>("double", (n,)).into_future()));
    let answers = async {
        let asked: Vec<String> = vec![
            peer.line().await.expect("1"),
            peer.line().await.expect("2"),
            peer.line().await.expect("3"),
            peer.line().await.expect("4"),
            peer.line().await.expect("5"),
        ];
        for line in asked.iter().rev() {
            let asked: Value = serde_json::from_str(line).expect("a request");
            let double = asked["params"][0].as_i64().expect("a number") * 2;
            peer.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": double}).to_string()).await;
        }
    };
    let (results, ()) = tokio::join!(calls, answers);
    let results: Vec<i64> = results.into_iter().map(|result| result.expect("a reply")).collect();
    assert_eq!(results, [0, 2, 4, 6, 8]);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_peers_is_none_of_the_methods_own() {
    let (mut peer, session) = client();
    let calc = CalcClient::from(session);
    let (outcome, ()) = tokio::join!(async { calc.div(1, 1).await }, async {
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"div","params":[1,1]}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"no","data":[1]}}"#).await;
    });
    match outcome {
        Err(CallError::Rpc(error)) => {
            assert_eq!((error.code().value(), error.message()), (-5, "no"));
            assert_eq!(error.raw_data().map(serde_json::value::RawValue::get), Some("[1]"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_reply_ends_its_call_with_a_protocol_error() {
    for reply in [
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":"text"}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1,"id":2}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1]}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":1}"#,
    ] {
        let (mut peer, session) = client();
        let (outcome, ()) = tokio::join!(async { session.call::<i64>("m", ()).await }, peer.send(reply));
        assert!(matches!(outcome, Err(CallError::Protocol { .. })), "{reply}: {outcome:?}");
        assert_eq!(session.calls_in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_of_another_type_is_an_error_of_the_call_alone() {
    let (session, _peer) = testing::pair((), echo());
    let outcome = session.call::<i64>("echo", ("text",)).await;
    assert!(matches!(outcome, Err(CallError::Decode { .. })), "{outcome:?}");
    assert_eq!(session.call::<(i64,)>("echo", (5,)).await.expect("the next one"), (5,));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_parameters_cannot_be_written_is_not_sent() {
    let (mut peer, session) = client();
    for outcome in [
        session.call::<Value>("m", std::collections::BTreeMap::from([((1, 2), 3)])).await,
        session.call::<Value>("m", 5).await,
    ] {
        assert!(matches!(&outcome, Err(CallError::Encode { method, .. }) if method == "m"), "{outcome:?}");
    }
    assert_eq!(session.calls_in_flight(), 0);
    session.notify("next", ()).await.expect("the session is well");
    peer.expect(r#"{"jsonrpc":"2.0","method":"next"}"#).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_times_out_when_it_says_so_and_by_default_after_thirty_seconds() {
    let (_peer, session) = client();
    let start = Instant::now();
    let outcome = session.call::<Value>("hang", ()).timeout(Duration::from_millis(50)).await;
    assert!(matches!(outcome, Err(CallError::Timeout(after)) if after == Duration::from_millis(50)));
    assert_eq!(start.elapsed().as_millis() / 2, 25, "tokio rounds up to the next millisecond");

    let start = Instant::now();
    let outcome = session.call::<Value>("hang", ()).await;
    assert!(matches!(outcome, Err(CallError::Timeout(after)) if after == Duration::from_secs(30)));
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(session.calls_in_flight(), 0);
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_timeout_waits_for_as_long_as_it_takes() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.request_timeout = None;
    let (session, _peer) = testing::pair_with((), Limits::client(), waiting(&gate), limits);
    let day = async {
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        gate.open();
    };
    let (outcome, ()) =
        tokio::join!(async { session.call::<Value>("wait", (1,)).without_timeout().await }, day);
    assert_eq!(outcome.expect("after a day"), json!([1]));
}

#[tokio::test(start_paused = true)]
async fn each_of_many_calls_times_out_in_its_own_time() {
    let (_peer, session) = client();
    let start = Instant::now();
    let ended = join_all([300, 100, 200].map(|ms| {
        let session = &session;
        async move {
            let outcome = session.call::<Value>("hang", ()).timeout(Duration::from_millis(ms)).await;
            assert!(matches!(outcome, Err(CallError::Timeout(_))), "{outcome:?}");
            start.elapsed().as_millis() / 10
        }
    }))
    .await;
    assert_eq!(ended, [30, 10, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_forgotten_and_its_late_reply_reaches_nobody() {
    let (mut peer, session) = Raw::peer_with(|connector| connector.cancellation(None)).await;
    let called = sent(&session).await;
    called.abort();
    settled().await;
    assert_eq!(session.calls_in_flight(), 0);
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"hang"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"late"}"#).await;
    let (outcome, ()) = tokio::join!(async { session.call::<String>("next", ()).await }, async {
        peer.expect(r#"{"jsonrpc":"2.0","id":2,"method":"next"}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","id":1,"result":"late again"}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","id":2,"result":"its own"}"#).await;
    });
    assert_eq!(outcome.expect("its own reply"), "its own");
    assert!(!session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_dropped_at_any_point() {
    let (mut peer, session) = client();
    // Never polled: never sent.
    drop(session.call::<Value>("unsent", ()).into_future());
    settled().await;
    assert_eq!(session.calls_in_flight(), 0);
    peer.expect_silence().await;
    // Answered, and dropped before it looked.
    let mut call = Box::pin(session.call::<Value>("answered", ()).into_future());
    assert!(is_pending(&mut call));
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"answered"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":1}"#).await;
    settled().await;
    assert_eq!(session.calls_in_flight(), 0);
    drop(call);
    let mut call = Box::pin(session.call::<Value>("waiting", ()).into_future());
    assert!(is_pending(&mut call));
    session.abort();
    settled().await;
    drop(call);
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_call_with_the_same_cause() {
    let (mut peer, session) = client();
    let calls = [sent(&session).await, sent(&session).await];
    assert!(matches!(session.close().await, CloseReason::Local));
    for call in calls {
        assert!(matches!(cause(call.await.expect("no panic")), CloseReason::Local));
    }
    assert!(
        matches!(cause(session.call("late", ()).await), CloseReason::Local),
        "a call of a closed session"
    );
    assert!(matches!(
        session.notify("late", ()).await,
        Err(CallError::Closed { reason: CloseReason::Local, .. })
    ));
    assert_eq!(peer.rest().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn aborting_ends_every_call_at_once() {
    let (_peer, session) = client();
    let call = sent(&session).await;
    session.abort();
    assert!(matches!(cause(call.await.expect("no panic")), CloseReason::Aborted));
    assert!(matches!(session.closed().await, CloseReason::Aborted));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_ends_every_call() {
    let (peer, session) = client();
    let call = sent(&session).await;
    drop(peer);
    assert!(matches!(cause(call.await.expect("no panic")), CloseReason::Peer));
    assert!(matches!(session.closed().await, CloseReason::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_within_a_message_ends_every_call() {
    let (mut peer, session) = client();
    let call = sent(&session).await;
    peer.write(r#"{"jsonrpc":"2.0","id":1,"resu"#).await;
    drop(peer);
    assert!(matches!(cause(call.await.expect("no panic")), CloseReason::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_ends_every_call_with_what_broke_it() {
    let cable = Cable::default();
    let session = testing::session(cable.clone(), (), Limits::client());
    let calls = [sent(&session).await, sent(&session).await];
    cable.pull();
    for call in calls {
        let reason = cause(call.await.expect("no panic"));
        assert!(matches!(&reason, CloseReason::Io(_)), "{reason:?}");
        assert_eq!(rpc::chain(&reason).to_string(), "the connection was lost: the cable is out");
    }
}

#[test]
fn the_runtimes_end_ends_every_call() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (session, peer) = runtime.block_on(async {
        let (peer, session) = client();
        (session, peer)
    });
    let mut call = Box::pin(async { session.call::<Value>("hang", ()).await });
    runtime.block_on(async { assert!(is_pending(&mut call)) });
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    other.block_on(async {
        assert!(matches!(cause(soon(call).await), CloseReason::RuntimeStopped));
        assert!(matches!(soon(session.closed()).await, CloseReason::RuntimeStopped));
        assert!(matches!(
            cause(soon(session.call("late", ()).into_future()).await),
            CloseReason::RuntimeStopped
        ));
    });
    drop(peer);
}
