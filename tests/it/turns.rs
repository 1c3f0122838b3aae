//! Methods that are worked on one after another, or alone.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rpc::{Context, Dispatcher, ErrorObject, Limits, MethodInfo, Order, Params, Router};
use rpc_tests::{Gate, Raw, settled};

/// What handlers did, in order: `+n` when the one with the parameter `n` began, `-n` when it ended.
#[derive(Debug, Clone, Default)]
struct Diary(Arc<Mutex<Vec<i64>>>);

impl Diary {
    fn write(&self, n: i64) {
        self.0.lock().expect("no panic").push(n);
    }

    fn read(&self) -> Vec<i64> {
        self.0.lock().expect("no panic").clone()
    }
}

/// `concurrent`, `ordered` and `exclusive`: each writes into the diary, and waits at the gate in between.
fn router(gate: &Gate, diary: &Diary) -> Router {
    let handler = || {
        let (gate, diary) = (gate.clone(), diary.clone());
        move |params: Params, _: Context| {
            let (gate, diary) = (gate.clone(), diary.clone());
            async move {
                let (n,): (i64,) = params.parse()?;
                diary.write(n);
                gate.pass().await;
                diary.write(-n);
                Ok::<_, ErrorObject>(n)
            }
        }
    };
    let method = |name| MethodInfo::request(name);
    let noted = || {
        let run = handler();
        move |params: Params, cx: Context| {
            let run = run(params, cx);
            async move { drop(run.await) }
        }
    };
    Router::new()
        .method("concurrent", handler())
        .method(method("ordered").with_order(Order::Ordered), handler())
        .method(method("exclusive").with_order(Order::Exclusive), handler())
        .notification(method("changed").with_order(Order::Ordered), noted())
}

fn request(method: &str, n: i64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"{method}","params":[{n}]}}"#)
}

fn reply(n: i64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{n},"result":{n}}}"#)
}

#[tokio::test(start_paused = true)]
async fn ordered_requests_run_one_after_another_and_concurrent_ones_beside_them() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let (mut peer, _session) = Raw::peer_of(router(&gate, &diary), Limits::server());
    for (method, n) in [("ordered", 1), ("ordered", 2), ("concurrent", 3), ("ordered", 4)] {
        peer.send(&request(method, n)).await;
    }
    settled().await;
    assert_eq!(diary.read(), [1, 3]);
    for (n, begun) in [(1, &[1, 3, -1, 2][..]), (3, &[1, 3, -1, 2, -3]), (2, &[1, 3, -1, 2, -3, -2, 4])] {
        gate.let_through(1);
        peer.expect(&reply(n)).await;
        settled().await;
        assert_eq!(diary.read(), begun);
    }
    gate.open();
    peer.expect(&reply(4)).await;
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_request_waits_for_all_before_it_and_all_behind_wait_for_it() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let (mut peer, _session) = Raw::peer_of(router(&gate, &diary), Limits::server());
    for (method, n) in
        [("concurrent", 1), ("ordered", 2), ("exclusive", 3), ("concurrent", 4), ("exclusive", 5)]
    {
        peer.send(&request(method, n)).await;
    }
    settled().await;
    assert_eq!(diary.read(), [1, 2]);
    gate.let_through(2);
    settled().await;
    assert_eq!(diary.read()[4..], [3]);
    gate.let_through(1);
    settled().await;
    assert_eq!(diary.read()[5..], [-3, 4]);
    gate.let_through(1);
    settled().await;
    assert_eq!(diary.read()[7..], [-4, 5]);
    gate.open();
    let mut replies: Vec<String> = Vec::new();
    for _ in 0..5 {
        replies.push(peer.line().await.expect("a reply"));
    }
    assert_eq!(replies[2..], [reply(3), reply(4), reply(5)]);
}

#[tokio::test(start_paused = true)]
async fn notifications_take_their_turn_too() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let (mut peer, _session) = Raw::peer_of(router(&gate, &diary), Limits::server());
    for n in 1..=3 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","method":"changed","params":[{n}]}}"#)).await;
    }
    peer.send(&request("ordered", 4)).await;
    settled().await;
    assert_eq!(diary.read(), [1]);
    gate.open();
    peer.expect(&reply(4)).await;
    assert_eq!(diary.read(), [1, -1, 2, -2, 3, -3, 4, -4]);
}

#[tokio::test(start_paused = true)]
async fn members_of_a_batch_take_their_turn_and_are_answered_together() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let (mut peer, session) = Raw::peer_of(router(&gate, &diary), Limits::server());
    let batch = format!(
        r#"[{},{},{{"jsonrpc":"2.0","method":"changed","params":[3]}},{}]"#,
        request("ordered", 1),
        request("exclusive", 2),
        request("concurrent", 4)
    );
    peer.send(&batch).await;
    settled().await;
    assert_eq!(diary.read(), [1]);
    gate.open();
    peer.expect(&format!("[{},{},{}]", reply(1), reply(2), reply(4))).await;
    assert_eq!(diary.read()[..5], [1, -1, 2, -2, 3]);
    assert_eq!(session.requests_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_for_their_turn_count_toward_the_limit() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let mut limits = Limits::server();
    limits.requests_in_flight = 3;
    let (mut peer, session) = Raw::peer_of(router(&gate, &diary), limits);
    // The last one waits for a permit.
    for n in 1..=4 {
        peer.send(&request("exclusive", n)).await;
    }
    settled().await;
    assert_eq!(diary.read(), [1]);
    let statistics = session.statistics();
    assert_eq!((statistics.requests_in_flight, statistics.permit_waits), (4, 1));
    // While a call of ours waits for its reply, what comes is got out of its way.
    let call = tokio::spawn({
        let session = session.clone();
        async move { session.call::<i64>("ask", ()).await }
    });
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"ask"}"#).await;
    peer.send(&request("exclusive", 5)).await;
    let busy = peer.line().await.expect("an answer");
    assert!(busy.starts_with(r#"{"jsonrpc":"2.0","id":5,"error":{"code":-102,"#), "{busy}");
    peer.send(&reply(1)).await;
    assert_eq!(call.await.expect("no panic").expect("a reply"), 1);
    gate.open();
    for n in 1..=4 {
        peer.expect(&reply(n)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_gives_its_turn_to_the_next_when_its_time_is_over() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let mut limits = Limits::server();
    limits.request_timeout = Some(Duration::from_secs(5));
    let (mut peer, _session) = Raw::peer_of(router(&gate, &diary), limits);
    peer.send(&request("exclusive", 1)).await;
    peer.send(&request("exclusive", 2)).await;
    let late = peer.line().await.expect("an answer");
    assert!(late.starts_with(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-102,"#), "{late}");
    gate.open();
    peer.expect(&reply(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_closes_in_good_order_finishes_those_that_wait() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let (mut peer, session) = Raw::peer_of(router(&gate, &diary), Limits::server());
    for n in 1..=3 {
        peer.send(&request("ordered", n)).await;
    }
    settled().await;
    session.start_close();
    gate.open();
    assert_eq!(peer.rest().await, [reply(1), reply(2), reply(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_that_waited_is_answered_in_its_turn() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let (mut peer, _session) = Raw::peer_of(router(&gate, &diary), Limits::server());
    peer.send(&request("exclusive", 1)).await;
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"nothing"}"#).await;
    peer.send(r#"{"jsonrpc":"2.0","id":3,"method":"ordered","params":["x"]}"#).await;
    settled().await;
    gate.open();
    peer.expect(&reply(1)).await;
    for (id, code) in [(2, -32601), (3, -32602)] {
        let line = peer.line().await.expect("an answer");
        assert!(
            line.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"#)),
            "{line}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_keeps_the_order_within_a_batch() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let dispatcher = Dispatcher::builder().service(router(&gate, &diary)).build().expect("one service");
    let batch =
        format!("[{},{},{}]", request("concurrent", 1), request("exclusive", 2), request("concurrent", 3));
    let dispatched = tokio::spawn(async move { dispatcher.dispatch(batch.as_bytes()).await });
    settled().await;
    assert_eq!(diary.read(), [1]);
    gate.open();
    let expected = format!("[{},{},{}]", reply(1), reply(2), reply(3));
    assert_eq!(dispatched.await.expect("no panic").expect("a reply"), expected.as_bytes());
    assert_eq!(diary.read(), [1, -1, 2, -2, 3, -3]);
}

#[tokio::test(start_paused = true)]
async fn what_waited_and_turns_out_to_be_no_request_is_answered_as_what_it_is() {
    let (gate, diary) = (Gate::closed(), Diary::default());
    let (mut peer, _session) = Raw::peer_of(router(&gate, &diary), Limits::server());
    peer.send(&request("ordered", 1)).await;
    // Not JSON, which only one who looks into the parameters can know.
    peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"ordered","params":[01]}"#).await;
    peer.send(&request("ordered", 3)).await;
    settled().await;
    gate.open();
    peer.expect(&reply(1)).await;
    let refused = peer.line().await.expect("an answer");
    assert!(refused.contains(r#""id":null"#) && refused.contains("-32700"), "{refused}");
    peer.expect(&reply(3)).await;
    assert_eq!(diary.read(), [1, -1, 3, -3]);
}
