//! Calls that are taken back: by dropping them, by their timeout, and by the peer.

mod negotiated;

use std::time::Duration;

use rpc::{
    BindError, CallError, Cancellation, ConnectError, Connector, Context, ErrorObject, Limits, MethodInfo,
    Order, OutgoingBatch, Params, Protocol, Router, Server, Session, Unsupported,
};
use rpc_tests::{Events, Gate, Raw, is_pending, settled, soon, waiting};
use serde_json::Value;
use tokio::io::DuplexStream;

const LSP: Cancellation = Cancellation::LSP;

async fn peer_with(cancellation: Cancellation, router: Router) -> (Raw<DuplexStream>, Session) {
    Raw::peer_with(|connector: Connector| {
        connector.cancellation(cancellation).limits(Limits::server()).service(router)
    })
    .await
}

/// `wait` waits at the gate, and so does `turn`, of which one is worked on at a time.
fn gated(gate: &Gate) -> Router {
    let turns = gate.clone();
    waiting(gate).method(
        MethodInfo::request("turn").with_order(Order::Ordered),
        move |_: Params, _: Context| {
            let turns = turns.clone();
            async move {
                turns.pass().await;
                Ok::<_, ErrorObject>(())
            }
        },
    )
}

const CANCELLED: &str =
    r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32800,"message":"the request was cancelled"}}"#;

/// The same of a request whose handler was not started.
const NOT_BEGUN: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32800,"message":"the request was cancelled","data":{"executed":false}}}"#;

fn request(id: &str, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#)
}

fn cancel(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{id}}}}}"#)
}

// Ours.

#[tokio::test(start_paused = true)]
async fn dropping_a_call_in_flight_tells_the_peer_once() {
    let (mut peer, session) = peer_with(LSP, Router::new()).await;
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
    drop(call);
    peer.expect(&request("1", "a")).await;
    peer.expect(&cancel("1")).await;
    peer.expect_silence().await;
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_sent_or_was_answered_is_not_taken_back() {
    let (mut peer, session) = peer_with(LSP, Router::new()).await;
    drop(session.call::<Value>("never", ()).into_future());
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
    peer.expect(&request("1", "a")).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":2}"#).await;
    // The reply is there, and nobody has taken it.
    settled().await;
    drop(call);
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_taken_back_once() {
    let (mut peer, session) = peer_with(LSP, Router::new()).await;
    let call = session.call::<Value>("a", ()).timeout(Duration::from_secs(1));
    assert!(matches!(call.await, Err(CallError::Timeout(_))));
    peer.expect(&request("1", "a")).await;
    peer.expect(&cancel("1")).await;
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_batch_takes_back_those_of_its_calls_that_were_not_answered() {
    let (mut peer, session) = peer_with(LSP, Router::new()).await;
    let members =
        OutgoingBatch::new().call("a", &()).and_then(|b| b.notify("n", &())).and_then(|b| b.call("b", &()));
    let mut batch = Box::pin(session.batch(members.expect("written")).into_future());
    assert!(is_pending(&mut batch));
    peer.line().await.expect("the batch");
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":0}"#).await;
    settled().await;
    drop(batch);
    peer.expect(&cancel("2")).await;
    peer.expect_silence().await;
    assert_eq!(session.calls_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_it_is_switched_off_nothing_is_sent_and_nothing_is_taken_for_it() {
    let gate = Gate::closed();
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.service(gated(&gate)).cancellation(None)).await;
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
    drop(call);
    peer.expect(&request("1", "a")).await;
    peer.send(&request("1", "wait")).await;
    peer.send(&cancel("1")).await;
    peer.expect_silence().await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"rpc.cancel","params":{"id":1}}"#).await;
    let answer = peer.line().await.expect("an answer");
    assert!(answer.contains(r#""id":2,"error":{"code":-32601,"#), "{answer}");
    assert_eq!((gate.entered(), gate.dropped()), (1, 0));
}

/// 1.0 has no named parameters to put the id in.
#[tokio::test]
async fn where_the_version_cannot_say_it_that_is_an_error_on_both_sides() {
    let (_here, there) = rpc::transport::memory(64);
    let connected = Connector::over(there).protocol(Protocol::V1).cancellation(LSP).connect().await;
    let error = connected.expect_err("it cannot be said");
    assert!(matches!(error, ConnectError::Unsupported(Unsupported::Cancellation)), "{error:?}");
    assert_eq!(
        rpc::chain(&error).to_string(),
        "cannot connect as configured: JSON-RPC 1.0 has no named parameters, which a cancellation needs: \
         speak 2.0, or configure no cancellation"
    );
    let server = Server::builder().cancellation(Cancellation::MCP).protocol(Protocol::V1).build();
    let error = server.expect_err("it cannot be said");
    assert!(matches!(error, BindError::Unsupported(Unsupported::Cancellation)), "{error:?}");
}

/// A server that detects the version cannot know before.
#[tokio::test(start_paused = true)]
async fn where_the_version_turns_out_not_to_say_it_the_log_does() {
    let (mut peer, session) =
        Raw::peer_with(|connector| connector.cancellation(LSP).protocol(Protocol::Detect)).await;
    let events = Events::capture();
    peer.send(r#"{"method":"news","params":[],"id":null}"#).await;
    settled().await;
    let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
    assert!(is_pending(&mut call));
    drop(call);
    peer.expect(r#"{"method":"a","params":[],"id":1}"#).await;
    peer.expect_silence().await;
    assert_eq!(session.calls_in_flight(), 0);
    let told = "the peer speaks JSON-RPC 1.0, which has no named parameters: calls that are dropped are not taken back";
    assert_eq!(events.of(told).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn taking_back_waits_for_no_room_and_has_a_bound() {
    let (here, there) = rpc::transport::memory(16);
    let mut limits = Limits::client();
    limits.outgoing_bytes = 600;
    let session = Connector::over(there).cancellation(LSP).limits(limits).connect().await.expect("connected");
    let mut peer = Raw::over(here);
    let mut calls: Vec<_> = Vec::new();
    loop {
        let mut call = Box::pin(session.call::<Value>("a", ()).into_future());
        let before = session.calls_in_flight();
        assert!(is_pending(&mut call));
        if session.calls_in_flight() == before {
            break;
        }
        calls.push(call);
    }
    let sent = calls.len();
    assert!(sent > 8, "{sent}");
    drop(calls);
    assert_eq!(session.calls_in_flight(), 0);
    let mut taken_back = 0;
    for _ in 0..sent {
        peer.line().await.expect("a call");
    }
    while let Ok(Some(line)) = tokio::time::timeout(Duration::from_millis(500), peer.line()).await {
        assert!(line.contains("cancelRequest"), "{line}");
        taken_back += 1;
    }
    assert!((1..sent).contains(&taken_back), "{taken_back} of {sent}");
}

// The peer's.

#[tokio::test(start_paused = true)]
async fn a_request_that_is_taken_back_drops_its_handler_and_is_answered_once() {
    let gate = Gate::closed();
    let (mut peer, session) = peer_with(LSP, gated(&gate)).await;
    peer.send(&request("1", "wait")).await;
    settled().await;
    peer.send(&cancel("1")).await;
    peer.expect(CANCELLED).await;
    settled().await;
    assert_eq!((gate.dropped(), session.requests_in_flight()), (1, 0));
    peer.send(&cancel("1")).await;
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn where_that_is_the_custom_a_request_that_is_taken_back_is_not_answered() {
    let gate = Gate::closed();
    let (mut peer, session) = peer_with(Cancellation::MCP, gated(&gate)).await;
    peer.send(&request("1", "wait")).await;
    settled().await;
    peer.send(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"bored"}}"#,
    )
    .await;
    peer.expect_silence().await;
    assert_eq!((gate.dropped(), session.requests_in_flight()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn other_ids_take_nothing_back_and_unknown_ones_cost_nothing() {
    let gate = Gate::closed();
    let (mut peer, session) = peer_with(LSP, gated(&gate)).await;
    peer.send(&request("1", "wait")).await;
    for _ in 0..200 {
        for other in ["1.0", "\"1\"", "true", "2", "null", "{}"] {
            peer.send(&cancel(other)).await;
        }
        peer.send(r#"{"jsonrpc":"2.0","method":"$/cancelRequest"}"#).await;
        peer.send(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"what":1}}"#).await;
    }
    peer.expect_silence().await;
    assert_eq!((gate.dropped(), session.is_closed()), (0, false));
    peer.send(&cancel("1")).await;
    peer.expect(CANCELLED).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_turn_can_be_taken_back() {
    let gate = Gate::closed();
    let (mut peer, _session) = peer_with(LSP, gated(&gate)).await;
    peer.send(&request("0", "turn")).await;
    peer.send(&request("1", "turn")).await;
    settled().await;
    peer.send(&cancel("1")).await;
    peer.expect(NOT_BEGUN).await;
    gate.open();
    peer.expect(r#"{"jsonrpc":"2.0","id":0,"result":null}"#).await;
    peer.expect_silence().await;
    assert_eq!(gate.entered(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_taken_back_is_answered_in_its_batch_or_left_out_of_it() {
    let batch = format!("[{},{}]", request("1", "wait"), request("2", "echo"));
    let echoed = r#"{"jsonrpc":"2.0","id":2,"result":[]}"#;
    for (cancellation, message, answer) in [
        (LSP, cancel("1"), format!("[{CANCELLED},{echoed}]")),
        (
            Cancellation::MCP,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#.to_owned(),
            format!("[{echoed}]"),
        ),
    ] {
        let gate = Gate::closed();
        let (mut peer, _session) = peer_with(cancellation, gated(&gate)).await;
        peer.send(&batch).await;
        peer.expect_silence().await;
        peer.send(&message).await;
        peer.expect(&answer).await;
        peer.expect_silence().await;
        assert_eq!(gate.dropped(), 1);
    }
}

/// The handler finishes in the same moment, before, or after; each way there is one answer.
#[tokio::test(start_paused = true)]
async fn a_cancel_that_races_the_reply_leaves_exactly_one_answer() {
    for order in 0..4 {
        let gate = Gate::closed();
        let (mut peer, session) = peer_with(LSP, gated(&gate)).await;
        peer.send(&request("1", "wait")).await;
        settled().await;
        match order {
            0 => {
                gate.open();
                peer.send(&cancel("1")).await;
            }
            1 => {
                peer.send(&cancel("1")).await;
                gate.open();
            }
            2 => {
                gate.open();
                tokio::task::yield_now().await;
                peer.send(&cancel("1")).await;
            }
            _ => {
                peer.send(&cancel("1")).await;
                tokio::task::yield_now().await;
                gate.open();
            }
        }
        let answer = peer.line().await.expect("an answer");
        assert!(answer == CANCELLED || answer == r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, "{answer}");
        peer.expect_silence().await;
        assert_eq!(session.requests_in_flight(), 0);
    }
}

/// A call, and the cancel right behind it, in one piece.
#[tokio::test(start_paused = true)]
async fn a_cancel_in_the_same_packet_leaves_exactly_one_answer() {
    for method in ["wait", "echo", "later", "nowhere"] {
        let gate = Gate::closed();
        let (mut peer, session) = peer_with(LSP, gated(&gate)).await;
        peer.write(format!("{}\n{}\n", request("1", method), cancel("1"))).await;
        let answer = peer.line().await.expect("an answer");
        assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":1,"#), "{answer}");
        peer.expect_silence().await;
        assert_eq!(session.requests_in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_has_handed_on_hears_that_the_request_was_taken_back() {
    let (heard, hears) = tokio::sync::oneshot::channel();
    let heard = std::sync::Mutex::new(Some(heard));
    let router = Router::new().method("wait", move |_: Params, cx: Context| {
        let heard = heard.lock().expect("no panic").take();
        tokio::spawn(async move {
            cx.cancelled().await;
            heard.map(|heard| heard.send(cx.is_cancelled()))
        });
        std::future::pending::<Result<(), ErrorObject>>()
    });
    let (mut peer, _session) = peer_with(LSP, router).await;
    peer.send(&request("1", "wait")).await;
    settled().await;
    peer.send(&cancel("1")).await;
    peer.expect(CANCELLED).await;
    assert!(soon(hears).await.expect("it is told"));
}

/// However often it was polled when it was dropped.
#[tokio::test(start_paused = true)]
async fn futures_dropped_at_every_await_point_leave_nothing_behind() {
    for polls in 0..6 {
        let gate = Gate::closed();
        let (here, there) = rpc::transport::memory(64 << 10);
        let serves = Connector::over(there)
            .cancellation(LSP)
            .service(gated(&gate))
            .connect()
            .await
            .expect("connected");
        let calls = Connector::over(here).cancellation(LSP).connect().await.expect("connected");
        let mut call = Box::pin(calls.call::<Value>("wait", ()).into_future());
        let members = OutgoingBatch::new().call("wait", &()).and_then(|b| b.call("wait", &()));
        let mut batch = Box::pin(calls.batch(members.expect("written")).into_future());
        let mut notify = Box::pin(calls.notify("wait", ()).into_future());
        for poll in 0..polls {
            assert!(is_pending(&mut call) && is_pending(&mut batch));
            if poll == 0 {
                assert!(!is_pending(&mut notify));
            }
            tokio::task::yield_now().await;
        }
        drop((call, batch, notify));
        settled().await;
        // The notification cannot be taken back.
        let notified = usize::from(polls > 0);
        assert_eq!(calls.calls_in_flight(), 0, "after {polls} polls");
        assert_eq!(serves.requests_in_flight(), notified, "after {polls} polls");
        assert_eq!(gate.waiting(), notified, "after {polls} polls");
    }
}
