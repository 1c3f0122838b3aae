//! Replies are always read: a handler that calls back cannot deadlock, however loaded the session is.

use futures::future::join_all;
use rpc::{CallError, Context, ErrorCode, ErrorObject, Limits, Params, Router, testing};
use rpc_tests::{Gate, Raw, echo, settled, waiting};
use serde_json::{Value, json};

/// `ask` calls the caller's `echo` and gives back what that gave.
fn asking() -> Router {
    Router::new().method("ask", async |params: Params, cx: Context| {
        let value: Value = params.parse()?;
        cx.session()
            .call::<Value>("echo", value)
            .await
            .map_err(|error| ErrorObject::new(1, error.to_string()))
    })
}

#[tokio::test(start_paused = true)]
async fn every_slot_calls_back_with_400_more_requests_behind() {
    let (session, peer) = testing::pair(echo(), asking());
    let outcomes = join_all((0..420).map(|n| session.call::<Value>("ask", (n,)).into_future())).await;
    let mut busy = 0;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value, json!([n])),
            Err(CallError::Rpc(error)) if error.code() == ErrorCode::SERVER_BUSY => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(busy <= 400, "those with a place are served: {busy} were not");
    for session in [session, peer] {
        assert_eq!((session.calls_in_flight(), session.requests_in_flight()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_call_back_at_once_and_both_are_served() {
    let serve = || asking().method("echo", async |params: Params, _: Context| params.parse::<Value>());
    let (a, b) = testing::pair(serve(), serve());
    let calls = |session| {
        join_all((0..10).map(move |n| {
            let session: &rpc::Session = session;
            async move { session.call::<Value>("ask", (n,)).await }
        }))
    };
    let (from_a, from_b) = tokio::join!(calls(&a), calls(&b));
    for (n, outcome) in from_a.into_iter().chain(from_b).enumerate() {
        assert_eq!(outcome.expect("twenty places for twenty requests"), json!([n % 10]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_behind_requests_without_a_place_is_read() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 2;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    let call = tokio::spawn({
        let session = session.clone();
        async move { session.call::<i64>("ours", ()).await }
    });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"ours","params":[]}"#).await;
    for id in 1..=4 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait"}}"#)).await;
    }
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("no panic").expect("its reply"), 7);
    for id in 3..=4 {
        let busy = "too many requests at once: try again later";
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-102,"message":"{busy}"}}}}"#))
            .await;
    }
    assert_eq!(gate.waiting(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_calls_of_ours_requests_wait_for_a_place_unread() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 2;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    for id in 1..=4 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait","params":[{id}]}}"#)).await;
    }
    peer.send(r#"{"jsonrpc":"2.0","id":5,"method":"echo","params":[5]}"#).await;
    peer.expect_silence().await;
    assert_eq!((gate.entered(), session.requests_in_flight()), (2, 2));
    gate.let_through(1);
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#).await;
    settled().await;
    assert_eq!(gate.entered(), 3);
    gate.open();
    let mut rest = Vec::new();
    for _ in 0..4 {
        rest.push(peer.line().await.expect("an answer"));
    }
    rest.sort();
    let answers = [2, 3, 4, 5].map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{id}]}}"#));
    assert_eq!(rest, answers);
}

#[tokio::test(start_paused = true)]
async fn a_call_made_while_requests_wait_gets_them_out_of_the_way_of_its_reply() {
    let gate = Gate::closed();
    let mut limits = Limits::server();
    limits.requests_in_flight = 1;
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(r#"{"jsonrpc":"2.0","id":"a","method":"wait"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":"b","method":"wait"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    peer.expect_silence().await;
    // The reply has arrived already, behind a request that waits.
    assert_eq!(session.call::<i64>("ours", ()).await.expect("its reply"), 7);
}

#[tokio::test(start_paused = true)]
async fn a_session_with_too_much_to_send_still_reads_the_replies_to_its_calls() {
    let mut limits = Limits::server();
    limits.outgoing_bytes = 1_000;
    let (mut peer, session) = Raw::narrow_peer_of(64, echo(), limits);
    let (outcome, ()) =
        tokio::join!(async { session.call::<i64>("ours", ("x".repeat(1_500),)).await }, async {
            settled().await;
            peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
        });
    assert_eq!(outcome.expect("read while nothing could be written"), 7);
}
