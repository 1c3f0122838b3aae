//! Batches of the peer's: members run under the rules of single requests, and are answered together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use rpc::{CallError, Context, Dispatcher, ErrorCode, ErrorObject, Limits, Params, Router, testing};
use rpc_tests::{Gate, Raw, echo, is_pending, settled, waiting};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{batch, error, not_begun, request, result};

const BUSY: &str = "too many requests at once: try again later";
const NOTE: &str = r#"{"jsonrpc":"2.0","method":"wait","params":["note"]}"#;

fn limited(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::server();
    change(&mut limits);
    limits
}

#[tokio::test(start_paused = true)]
async fn the_reply_has_the_order_of_the_batch_whoever_finishes_first() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
    let members = [request(3, "wait"), request(1, "echo"), request(4, "later"), request(2, "wait")];
    peer.send(&batch(members)).await;
    peer.expect_silence().await;
    assert_eq!(session.requests_in_flight(), 2);
    // Others do not wait for it.
    assert_eq!(peer.ask(&request(9, "echo")).await, result(9));
    gate.let_through(1);
    peer.expect_silence().await;
    gate.let_through(1);
    peer.expect(&batch([result(3), result(1), result(4), result(2)])).await;
    assert_eq!(session.requests_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_id_may_stand_twice_in_a_batch() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::server());
    for method in ["echo", "later"] {
        let answer = peer.ask(&batch([request(1, method), request(1, method)])).await;
        assert_eq!(answer, batch([result(1), result(1)]));
    }
}

#[tokio::test(start_paused = true)]
async fn members_over_the_limit_wait_and_what_stands_behind_the_batch_waits_with_them() {
    let gate = Gate::closed();
    let limits = limited(|limits| limits.requests_in_flight = 20);
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(&batch((1..=100).map(|id| request(id, "wait")))).await;
    peer.send(&request(101, "echo")).await;
    peer.send(&batch([request(102, "wait"), request(103, "echo")])).await;
    peer.expect_silence().await;
    assert_eq!((gate.entered(), session.requests_in_flight()), (20, 20));
    assert_eq!(session.statistics().requests_waiting, 83);
    gate.let_through(30);
    settled().await;
    assert_eq!((gate.entered(), session.requests_in_flight()), (50, 20));
    assert_eq!(session.statistics().requests_waiting, 53);
    gate.open();
    let mut lines =
        [peer.line().await, peer.line().await, peer.line().await].map(|line| line.expect("a reply"));
    lines.sort_by_key(String::len);
    let expected = [result(101), batch([result(102), result(103)]), batch((1..=100).map(result))];
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_batch_count_member_by_member() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limited(|limits| limits.request_bytes = 1_000));
    let member = |size| json!({"jsonrpc": "2.0", "id": 1, "method": "wait", "params": ["x".repeat(size)]});
    peer.send(&batch([5_000, 300, 300, 300].map(|size| member(size).to_string()))).await;
    settled().await;
    assert_eq!(session.requests_in_flight(), 1, "one, however large");
    gate.let_through(1);
    settled().await;
    assert_eq!(session.requests_in_flight(), 2, "two of 350 bytes and not a third");
    gate.open();
    assert!(peer.line().await.expect("a reply").len() > 5_900);
}

#[tokio::test(start_paused = true)]
async fn while_a_call_of_ours_waits_members_over_the_limit_are_refused() {
    let gate = Gate::closed();
    let limits = limited(|limits| limits.requests_in_flight = 2);
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    let mut call = Box::pin(session.call::<i64>("ours", ()).into_future());
    assert!(is_pending(&mut call));
    assert!(peer.line().await.is_some());
    let members =
        [request(1, "wait"), NOTE.to_owned(), request(3, "wait"), NOTE.to_owned(), request(5, "echo")];
    peer.send(&batch(members)).await;
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("its reply, behind the batch"), 7);
    assert_eq!(gate.waiting(), 2, "the first one, and a notification");
    gate.open();
    peer.expect(&batch([result(1), not_begun(3, BUSY), not_begun(5, BUSY)])).await;
    settled().await;
    assert_eq!(gate.entered(), 3, "the second notification was kept");
}

#[tokio::test(start_paused = true)]
async fn a_call_made_while_members_wait_gets_them_out_of_the_way_of_its_reply() {
    let gate = Gate::closed();
    // There is no room for members that wait, either.
    let limits = limited(|limits| {
        (limits.requests_in_flight, limits.request_bytes) = (1, request(1, "wait").len());
    });
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    peer.send(&batch([request(1, "wait"), request(2, "wait"), request(3, "echo")])).await;
    // Within the batch, even.
    peer.send(&batch([r#"{"jsonrpc":"2.0","id":1,"result":7}"#.to_owned(), request(4, "echo")])).await;
    peer.expect_silence().await;
    assert_eq!(session.call::<i64>("ours", ()).await.expect("its reply"), 7);
    assert!(peer.line().await.expect("the call").contains("ours"));
    settled().await;
    gate.open();
    let mut lines = [peer.line().await, peer.line().await].map(|line| line.expect("a reply"));
    lines.sort_by_key(String::len);
    assert_eq!(lines[1], batch([result(1), not_begun(2, BUSY), not_begun(3, BUSY)]));
    assert!(lines[0] == batch([result(4)]) || lines[0] == batch([not_begun(4, BUSY)]), "{}", lines[0]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_members_all_call_back_completes() {
    let asking = Router::new().method("ask", async |params: Params, cx: Context| {
        let value: Value = params.parse()?;
        let called = cx.session().call::<Value>("echo", value).await;
        called.map_err(|error| ErrorObject::new(1, error.to_string()))
    });
    let (session, peer) = testing::pair(echo(), asking);
    let calls: Vec<_> = (0..100).map(|n| session.call::<Value>("ask", (n,))).collect();
    let mut busy = 0;
    for (n, outcome) in session.batch(calls).await.expect("sent").into_iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value, json!([n])),
            Err(CallError::Rpc(error)) if error.code() == ErrorCode::SERVER_BUSY => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(busy <= 80, "20 are admitted: {busy} were refused");
    assert_eq!((session.calls_in_flight(), peer.calls_in_flight(), peer.requests_in_flight()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_takes_too_long_is_answered_in_its_place() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
    let start = Instant::now();
    let sent = batch([request(1, "echo"), request(2, "wait"), request(3, "later")]);
    let expected = batch([
        result(1),
        error(
            2,
            -102,
            "the request took longer than 30s (`Limits::request_timeout`), and its handler was dropped",
        ),
        result(3),
    ]);
    assert_eq!(peer.ask(&sent).await, expected);
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!((gate.dropped(), session.requests_in_flight()), (1, 0));

    let dispatcher = Dispatcher::builder().service(waiting(&gate)).build().expect("one service");
    let got = dispatcher.dispatch(sent.as_bytes()).await.expect("a reply");
    assert_eq!(got, expected.as_bytes());
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_panics_is_answered_in_its_place() {
    let router = || {
        echo()
            .method("at_once", async |_: Params, _: Context| -> Result<(), ErrorObject> {
                panic!("a secret")
            })
            .method("panic", async |_: Params, _: Context| -> Result<(), ErrorObject> {
                tokio::task::yield_now().await;
                panic!("a secret")
            })
    };
    let sent = batch([request(1, "echo"), request(2, "at_once"), request(3, "panic"), request(4, "later")]);
    let internal = |id| error(id, -32603, "internal error");
    let expected = batch([result(1), internal(2), internal(3), result(4)]);
    let (mut peer, _session) = Raw::peer_of(router(), Limits::server());
    assert_eq!(peer.ask(&sent).await, expected);
    assert_eq!(peer.ask(&request(5, "echo")).await, result(5));

    let dispatcher = Dispatcher::builder().service(router()).build().expect("one service");
    assert_eq!(dispatcher.dispatch(sent.as_bytes()).await.expect("a reply"), expected.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn notifications_alone_are_not_answered_even_when_they_are_done() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
    let unknown = r#"{"jsonrpc":"2.0","method":"unknown"}"#;
    peer.send(&batch([NOTE, unknown, NOTE])).await;
    settled().await;
    assert_eq!(session.requests_in_flight(), 2);
    gate.open();
    peer.expect_silence().await;
    assert_eq!(gate.passed(), 2);

    // Beside a request they are neither answered nor waited for.
    let gate = Gate::closed();
    let (mut peer, _session) = Raw::peer_of(waiting(&gate), Limits::server());
    peer.send(&batch([NOTE, &request(1, "echo"), unknown])).await;
    peer.expect(&batch([result(1)])).await;
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_runs_as_many_members_at_once_as_may_be() {
    let gate = Gate::closed();
    let limits = limited(|limits| limits.requests_in_flight = 3);
    let dispatcher =
        Dispatcher::builder().service(waiting(&gate)).limits(limits).build().expect("one service");
    let sent = batch((1..=8).map(|id| request(id, "wait")));
    let mut reply = Box::pin(dispatcher.dispatch(sent.as_bytes()));
    assert!(is_pending(&mut reply));
    assert_eq!(gate.entered(), 3);
    gate.let_through(2);
    assert!(is_pending(&mut reply));
    assert_eq!(gate.entered(), 5);
    gate.open();
    assert_eq!(reply.await.expect("a reply"), batch((1..=8).map(result)).as_bytes());
}

/// The replies to one batch are collected, and those that come after it wait until they have left.
#[tokio::test(start_paused = true)]
async fn members_are_not_started_for_a_peer_that_does_not_read() {
    for later in [false, true] {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let router = Router::new().method("big", move |_: Params, _: Context| {
            counter.fetch_add(1, SeqCst);
            async move {
                if later {
                    tokio::task::yield_now().await;
                }
                Ok::<_, ErrorObject>("x".repeat(10_000))
            }
        });
        let limits = limited(|limits| limits.outgoing_bytes = 100_000);
        let (mut peer, session) = Raw::deaf_peer_of(16, router, limits);
        for _ in 0..50 {
            peer.write(batch((1..=100).map(|id| request(id, "big"))) + "\n").await;
        }
        settled().await;
        let made = made.load(SeqCst);
        assert!(made <= 100 + 256, "one batch, and those that were being worked on: {made}");
        let unsent = session.statistics().bytes_unsent;
        assert!((1_000_000..1_010_000).contains(&unsent), "one batch: {unsent}");
    }
}

/// A slow member keeps the replies to the others waiting: they count, too.
#[tokio::test(start_paused = true)]
async fn replies_that_wait_for_the_end_of_their_batch_are_bounded() {
    let gate = Gate::closed();
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let router = waiting(&gate).method("big", move |_: Params, _: Context| {
        counter.fetch_add(1, SeqCst);
        async move { Ok::<_, ErrorObject>("x".repeat(10_000)) }
    });
    let (mut peer, session) = Raw::peer_of(router, limited(|limits| limits.outgoing_bytes = 100_000));
    let members = |n| batch((1..=n).map(|id| request(id, if id == 1 { "wait" } else { "big" })));
    // By itself a batch may be as large as it likes.
    for n in [5, 5, 50, 6] {
        peer.send(&members(n)).await;
    }
    peer.send(&request(9, "echo")).await;
    peer.expect_silence().await;
    assert_eq!(made.load(SeqCst), 4 + 4 + 49, "the fourth one waits");
    assert_eq!(session.requests_in_flight(), 3);
    gate.open();
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push(peer.line().await.expect("a reply").len());
    }
    assert_eq!(made.load(SeqCst), 4 + 4 + 49 + 5);
    lines.sort_unstable();
    assert!(lines[0] < 100 && lines[4] > 490_000, "{lines:?}");

    // While a call of ours waits, they are refused.
    let gate = Gate::closed();
    let limits = limited(|limits| limits.outgoing_bytes = 10);
    let (mut peer, session) = Raw::peer_of(waiting(&gate), limits);
    let mut call = Box::pin(session.call::<i64>("ours", ()).into_future());
    assert!(is_pending(&mut call));
    assert!(peer.line().await.is_some());
    peer.send(&batch([request(1, "wait"), request(2, "echo"), request(3, "echo")])).await;
    assert_eq!(peer.ask(&batch([request(4, "echo")])).await, batch([not_begun(4, BUSY)]));
    peer.send(r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await;
    assert_eq!(call.await.expect("its reply"), 7);
    gate.open();
    peer.expect(&batch([1, 2, 3].map(result))).await;
}
