//! Replies are always read: a handler that calls back cannot deadlock, however loaded the session is.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use rpc::{CallError, Cancellation, Context, ErrorCode, ErrorObject, Limits, Params, Router, testing};
use rpc_tests::{Gate, Raw, echo, settled, waiting};
use serde_json::{Value, json};
use tokio::{io::DuplexStream, task::JoinHandle};

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
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"ours"}"#).await;
    for id in 1..=4 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait"}}"#)).await;
    }
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("no panic").expect("its reply"), 7);
    for id in 3..=4 {
        let busy = "too many requests at once: try again later";
        let error = format!(r#"{{"code":-102,"message":"{busy}","data":{{"executed":false}}}}"#);
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)).await;
    }
    assert_eq!(gate.waiting(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_calls_of_ours_requests_wait_for_a_permit() {
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
    let statistics = session.statistics();
    assert_eq!((statistics.requests_waiting, statistics.permit_waits), (3, 3));
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
    let request = r#"{"jsonrpc":"2.0","id":"a","method":"wait"}"#;
    // There is no room for one that waits, either.
    let limits = Limits::server().with_requests_in_flight(1).with_request_bytes(request.len());
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(request).await;
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

/// A session with so many places, which are taken by the requests 101 and further, and a call of its own that waits. `note` keeps what it is told.
async fn full(
    gate: &Gate,
    places: usize,
    request_bytes: usize,
) -> (Raw<DuplexStream>, JoinHandle<i64>, Arc<Mutex<Vec<u64>>>) {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&noted);
    let service = waiting(gate).notification("note", move |params: Params, _: Context| {
        let (n,) = params.parse().expect("a number");
        notes.lock().expect("no panic").push(n);
        async {}
    });
    let mut limits = Limits::server();
    limits.requests_in_flight = places;
    limits.request_bytes = request_bytes;
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.service(service).limits(limits).cancellation(Cancellation::LSP))
            .await;
    let call = tokio::spawn(async move { session.call::<i64>("ours", ()).await.expect("its reply") });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"ours"}"#).await;
    for id in 101..101 + places {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"wait"}}"#)).await;
    }
    (peer, call, noted)
}

#[tokio::test(start_paused = true)]
async fn notifications_without_a_place_are_kept_and_not_overtaken() {
    let gate = Gate::closed();
    let (mut peer, call, noted) = full(&gate, 1, 4_000_000).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"note","params":[1]}"#).await;
    peer.send(
        r#"[{"jsonrpc":"2.0","method":"note","params":[2]},{"jsonrpc":"2.0","method":"note","params":[3]}]"#,
    )
    .await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("no panic"), 7, "the reply behind them is read");
    // No call of ours waits any more: these stay where they are.
    peer.send(r#"{"jsonrpc":"2.0","id":"b","method":"wait","params":["b"]}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","method":"note","params":[4]}"#).await;
    peer.expect_silence().await;
    assert_eq!((gate.entered(), &*noted.lock().unwrap()), (1, &vec![]));
    gate.let_through(1);
    peer.expect(r#"{"jsonrpc":"2.0","id":101,"result":[]}"#).await;
    settled().await;
    assert_eq!(
        (gate.entered(), &*noted.lock().unwrap()),
        (2, &vec![1, 2, 3]),
        "before what came behind them"
    );
    gate.open();
    peer.expect(r#"{"jsonrpc":"2.0","id":"b","result":["b"]}"#).await;
    settled().await;
    assert_eq!(*noted.lock().unwrap(), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn notifications_without_a_place_take_up_no_more_than_requests_may() {
    let gate = Gate::closed();
    let (mut peer, call, noted) = full(&gate, 1, 100_000).await;
    for n in 0..10_000 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"note","params":[{n}]}}"#)).await;
    }
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("no panic"), 7);
    gate.open();
    peer.expect(r#"{"jsonrpc":"2.0","id":101,"result":[]}"#).await;
    settled().await;
    // Each takes up 45 bytes and what keeping it takes, which is less than twice a hundred.
    let noted = noted.lock().unwrap();
    assert!((400..2_000).contains(&noted.len()), "{} were kept", noted.len());
    assert!(noted.iter().copied().eq(0..noted.len() as u64), "the first ones");
}

#[tokio::test(start_paused = true)]
async fn what_comes_when_a_place_is_free_again_does_not_overtake_what_was_kept() {
    let gate = Gate::closed();
    let (mut peer, _call, noted) = full(&gate, 2, 4_000_000).await;
    let note = |n| format!("{{\"jsonrpc\":\"2.0\",\"method\":\"note\",\"params\":[{n}]}}\n");
    let cancel =
        |id| format!("{{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{{\"id\":{id}}}}}\n");
    // All in one piece: the places are free before the second one is looked at.
    peer.write([note(1), cancel(101), cancel(102), note(2)].concat()).await;
    settled().await;
    assert_eq!(*noted.lock().unwrap(), [1, 2]);
}
