//! Messages leave in the order they were sent; requests start in the order they came.

use std::sync::{Arc, Mutex};

use rpc::{Context, Dispatcher, ErrorObject, Limits, MethodInfo, Order, Params, Router, testing};
use rpc_tests::{Gate, Raw, echo, is_pending, settled};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn what_a_handler_sends_before_it_returns_leaves_before_its_reply() {
    let tell = async |_: Params, cx: Context| {
        cx.session().notify("first", ()).await.expect("sent");
        cx.session().notify("second", ()).await.expect("sent");
        Ok::<_, ErrorObject>("third")
    };
    let tell_later = async |_: Params, cx: Context| {
        cx.session().notify("first", ()).await.expect("sent");
        tokio::task::yield_now().await;
        cx.session().notify("second", ()).await.expect("sent");
        Ok::<_, ErrorObject>("third")
    };
    let router = Router::new().method("tell", tell).method("tell_later", tell_later);
    let (mut peer, _session) = Raw::peer_of(router, Limits::server());
    for method in ["tell", "tell_later"] {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#)).await;
        peer.expect(r#"{"jsonrpc":"2.0","method":"first"}"#).await;
        peer.expect(r#"{"jsonrpc":"2.0","method":"second"}"#).await;
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":"third"}"#).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_and_notifications_of_one_task_leave_in_order() {
    let (mut peer, session) = Raw::narrow_peer_of(32, (), Limits::client());
    let mut calls = Vec::new();
    for n in 0..50 {
        let mut call = Box::pin(session.call::<Value>("call", (n,)).into_future());
        assert!(is_pending(&mut call));
        calls.push(call);
        session.notify("note", (n,)).await.expect("sent");
    }
    for n in 0..50 {
        let id = n + 1;
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"call","params":[{n}]}}"#)).await;
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","method":"note","params":[{n}]}}"#)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn replies_at_once_leave_in_the_order_of_their_requests() {
    let (mut peer, _session) = Raw::peer_of(echo(), Limits::server());
    let lines: String = (1..=200)
        .map(|n| format!("{{\"jsonrpc\":\"2.0\",\"id\":{n},\"method\":\"echo\",\"params\":[{n}]}}\n"))
        .collect();
    peer.write(lines).await;
    for n in 1..=200 {
        peer.expect(&format!(r#"{{"jsonrpc":"2.0","id":{n},"result":[{n}]}}"#)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_start_in_the_order_they_came() {
    let started = Arc::new(Mutex::new(Vec::new()));
    let router = {
        let started = Arc::clone(&started);
        Router::new().method("start", move |params: Params, _: Context| {
            let started = Arc::clone(&started);
            async move {
                let (n, waits): (u32, bool) = params.parse()?;
                started.lock().expect("no panic").push(n);
                if waits {
                    tokio::task::yield_now().await;
                }
                Ok::<_, ErrorObject>(n)
            }
        })
    };
    let (mut peer, _session) = Raw::peer_of(router, Limits::server());
    // More than may be worked on at once: some are held back.
    let lines: String = (0..100)
        .map(|n| {
            json!({"jsonrpc": "2.0", "id": n, "method": "start", "params": [n, n % 3 != 0]}).to_string()
                + "\n"
        })
        .collect();
    peer.write(lines).await;
    for _ in 0..100 {
        assert!(peer.line().await.expect("an answer").contains("result"));
    }
    let started = started.lock().expect("no panic").clone();
    assert_eq!(started, (0..100).collect::<Vec<u32>>());
}

#[tokio::test(start_paused = true)]
async fn a_reply_may_overtake_one_that_waits() {
    let (session, _peer) = testing::pair((), echo());
    let mut late = Box::pin(session.call::<Value>("later", (1,)).into_future());
    assert!(is_pending(&mut late));
    settled().await;
    assert_eq!(session.call::<Value>("echo", (2,)).await.expect("echo"), json!([2]));
    assert_eq!(late.await.expect("later"), json!([1]));
}

/// A method that waits at the gate, one with an order and one without, under one name each.
fn at_gates(ordered: &Gate, free: &Gate) -> Router {
    let waits = |gate: &Gate| {
        let gate = gate.clone();
        move |_: Params, _: Context| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok::<_, ErrorObject>(1)
            }
        }
    };
    Router::new()
        .method(MethodInfo::request("ordered").with_order(Order::Ordered), waits(ordered))
        .method("free", waits(free))
}

/// A batch that comes by itself follows the rules of a session.
#[tokio::test(start_paused = true)]
async fn without_a_session_others_go_on_beside_ordered_requests() {
    let (ordered, free) = (Gate::closed(), Gate::closed());
    let dispatcher = Dispatcher::builder().service(at_gates(&ordered, &free)).build().expect("one service");
    let request = |id, method| json!({ "jsonrpc": "2.0", "id": id, "method": method });
    let batch = json!([request(1, "ordered"), request(2, "free"), request(3, "ordered")]).to_string();
    let mut answer = Box::pin(dispatcher.dispatch(batch.as_bytes()));
    assert!(is_pending(&mut answer));
    assert_eq!((ordered.entered(), free.entered()), (1, 1), "the second of an order waits, and nothing else");
    free.open();
    ordered.let_through(1);
    assert!(is_pending(&mut answer));
    assert_eq!(ordered.entered(), 2);
    ordered.open();
    let answer: Value = serde_json::from_slice(&answer.await.expect("it is answered")).expect("JSON");
    let result = |id| json!({ "jsonrpc": "2.0", "id": id, "result": 1 });
    assert_eq!(answer, json!([result(1), result(2), result(3)]));
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_for_its_turn_when_the_session_has_ended() {
    let (ordered, free) = (Gate::closed(), Gate::closed());
    let (mut peer, session) = Raw::peer_of(at_gates(&ordered, &free), Limits::server());
    for id in 1..=3 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ordered"}}"#)).await;
    }
    settled().await;
    assert_eq!(session.statistics().requests_waiting, 2);
    session.abort();
    session.closed().await;
    let left = session.statistics();
    assert_eq!((left.requests_waiting, left.requests_in_flight), (0, 0));
}
