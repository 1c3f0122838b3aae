//! A handler answers and closes; tasks of a session end with it; nothing is left of a session that has ended.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use rpc::{CallError, CloseReason, Context, ErrorObject, Limits, Params, Router, Server, testing};
use rpc_tests::{Events, Gate, Raw, is_pending, settled, soon, waiting};
use serde_json::Value;
use tokio::runtime::Handle;

/// `echo`, `later` and `wait`; and the last of a session: `last`, `last_later` (after its caller was called back), and `last_error`.
fn last(gate: &Gate) -> Router {
    waiting(gate)
        .method("last", async |_: Params, cx: Context| {
            cx.close_after_reply();
            Ok::<_, ErrorObject>("bye")
        })
        .method("last_later", async |_: Params, cx: Context| {
            cx.close_after_reply();
            let name: Result<String, CallError> = cx.session().call("name", ()).await;
            name.map(|name| format!("bye, {name}")).map_err(|error| ErrorObject::new(1, error.to_string()))
        })
        .method("last_error", async |params: Params, cx: Context| {
            cx.close_after_reply();
            if params.parse::<(bool,)>()?.0 {
                tokio::task::yield_now().await;
            }
            Err::<(), _>(ErrorObject::new(1, "go away"))
        })
}

fn request(id: u32, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

fn result(id: u32, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_handler_answers_and_the_session_closes_when_the_answer_is_out() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"go away"}}"#;
    for (method, params, answer) in [
        ("last", "[]", result(1, r#""bye""#)),
        ("last_error", "[false]", error.to_owned()),
        ("last_error", "[true]", error.to_owned()),
    ] {
        let (mut peer, session) = Raw::peer_of(last(&Gate::closed()), Limits::server());
        peer.expect_silence().await;
        assert_eq!(peer.ask(&request(1, method, params)).await, answer);
        peer.expect_end().await;
        assert!(matches!(session.closed().await, CloseReason::Local));
    }
}

#[tokio::test(start_paused = true)]
async fn until_its_answer_is_out_the_last_handler_may_call_back_and_others_are_served() {
    let (mut peer, session) = Raw::peer_of(last(&Gate::closed()), Limits::server());
    peer.send(&request(1, "last_later", "[]")).await;
    peer.expect(r#"{"jsonrpc":"2.0","id":1,"method":"name"}"#).await;
    assert_eq!(peer.ask(&request(2, "echo", "[2]")).await, result(2, "[2]"));
    assert!(!session.is_closed());
    peer.send(&result(1, r#""Ann""#)).await;
    peer.expect(&result(1, r#""bye, Ann""#)).await;
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_the_last_request_is_refused() {
    let gate = Gate::closed();
    let (mut peer, _session) = Raw::peer_of(last(&gate), Limits::server());
    let lines = [request(1, "echo", "[1]"), request(2, "last", "[]"), request(3, "wait", "[]")];
    peer.send(&lines.join("\n")).await;
    peer.expect(&result(1, "[1]")).await;
    peer.expect(&result(2, r#""bye""#)).await;
    let refused = peer.line().await.expect("an answer");
    assert!(refused.starts_with(r#"{"jsonrpc":"2.0","id":3,"error":{"code":-102,"#), "{refused}");
    assert!(refused.contains(r#""executed":false"#), "{refused}");
    peer.expect_end().await;
    assert_eq!(gate.entered(), 0);
}

#[tokio::test(start_paused = true)]
async fn other_handlers_at_work_are_finished_and_answered() {
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(last(&gate), Limits::server());
    peer.send(&request(1, "wait", "[1]")).await;
    assert_eq!(peer.ask(&request(2, "last", "[]")).await, result(2, r#""bye""#));
    settled().await;
    assert!(session.is_closed());
    gate.open();
    peer.expect(&result(1, "[1]")).await;
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn in_a_batch_the_close_waits_for_the_reply_to_all_of_it() {
    let gate = Gate::closed();
    for method in ["last", "last_error"] {
        let (mut peer, session) = Raw::peer_of(last(&gate), Limits::server());
        let members = [request(1, method, "[true]"), request(2, "wait", "[2]"), request(3, "echo", "[3]")];
        peer.send(&format!("[{}]", members.join(","))).await;
        peer.expect_silence().await;
        assert!(!session.is_closed(), "another member is at work");
        gate.let_through(1);
        let replies: Vec<Value> =
            serde_json::from_str(&peer.line().await.expect("the batch's reply")).expect("an array");
        assert_eq!(replies.len(), 3);
        assert_eq!(replies[2]["result"], serde_json::json!([3]), "those behind it are served");
        peer.expect_end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_notification_may_be_the_last_alone_and_in_a_batch() {
    let note = |method: &str| format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":[true]}}"#);
    for method in ["last", "last_error"] {
        let alone = note(method);
        for message in [alone.clone(), format!("[{alone}]")] {
            let (mut peer, session) = Raw::peer_of(last(&Gate::closed()), Limits::server());
            peer.send(&message).await;
            peer.expect_end().await;
            assert!(matches!(session.close_reason(), Some(CloseReason::Local)), "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_the_answer_closes_at_once_and_nothing_else_does() {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let router = Router::new().method("keep", move |_: Params, cx: Context| {
        *keep.lock().expect("no panic") = Some(cx);
        async { Ok::<_, ErrorObject>(()) }
    });
    let (mut peer, session) = Raw::peer_of(router, Limits::server());
    peer.ask(&request(1, "keep", "[]")).await;
    peer.expect_silence().await;
    let context = kept.lock().expect("no panic").take().expect("it was kept");
    context.close_after_reply();
    assert!(session.is_closed());
    peer.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_asks_to_be_the_last_and_hangs_is_so_when_it_is_answered_for() {
    let router = Router::new().method("hang", async |_: Params, cx: Context| {
        cx.close_after_reply();
        std::future::pending::<Result<(), ErrorObject>>().await
    });
    let (mut peer, _session) = Raw::peer_of(router, Limits::server());
    assert!(peer.ask(&request(1, "hang", "[]")).await.contains("-102"));
    peer.expect_end().await;
}

/// Says when it is dropped.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sessions_tasks_run_until_it_has_ended_and_are_dropped() {
    let (dropped, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Gate::closed();
    let (mut peer, session) = Raw::peer_of(waiting(&gate), Limits::server());
    for _ in 0..3 {
        let guard = Guard(Arc::clone(&dropped));
        session.spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
    }
    let (guard, count) = (Guard(Arc::clone(&dropped)), Arc::clone(&ran));
    session.spawn(async move {
        let _guard = guard;
        count.fetch_add(1, SeqCst);
    });
    settled().await;
    assert_eq!((ran.load(SeqCst), dropped.load(SeqCst)), (1, 1), "one has finished");
    peer.send(&request(1, "wait", "[]")).await;
    settled().await;
    session.start_close();
    settled().await;
    assert_eq!(dropped.load(SeqCst), 1, "the session has not ended: a handler is at work");
    gate.open();
    session.closed().await;
    settled().await;
    assert_eq!(dropped.load(SeqCst), 4);

    let count = Arc::clone(&ran);
    session.spawn(async move {
        count.fetch_add(1, SeqCst);
    });
    settled().await;
    assert_eq!(ran.load(SeqCst), 1, "it has ended already: nothing is begun");
}

#[tokio::test(start_paused = true)]
async fn a_task_keeps_no_session_open_and_its_panic_is_logged() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_of((), Limits::client());
    session.spawn(async { panic!("a secret") });
    session.spawn(std::future::pending());
    settled().await;
    let panics = events.of("a task of a session panicked");
    assert_eq!(panics.iter().map(|event| event.field("panic")).collect::<Vec<_>>(), ["a secret"]);
    assert!(!session.is_closed());
    drop(session);
    peer.expect_end().await;
}

/// How many tasks the runtime has.
fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn no_task_is_left_of_a_session_however_it_ends() {
    for way in ["close", "abort", "shutdown", "the peer has gone"] {
        let before = tasks();
        let gate = Gate::closed();
        let server = Server::builder().service(waiting(&gate)).build().expect("one service").start();
        let (here, there) = rpc::transport::memory(1 << 16);
        let session = server.attach(there);
        let mut peer = Raw::over(here);
        peer.send(&request(1, "wait", "[1]")).await;
        peer.send(&request(2, "wait", "[2]")).await;
        peer.send(&format!("[{},{}]", request(3, "echo", "[]"), request(4, "wait", "[]"))).await;
        session.spawn(std::future::pending());
        let mut call = Box::pin(session.call::<Value>("ours", ()).into_future());
        assert!(is_pending(&mut call));
        settled().await;
        assert_eq!(tasks(), before + 5, "the loop, three handlers, one task");
        match way {
            "close" => session.start_close(),
            "abort" => session.abort(),
            "shutdown" => server.shutdown_within(std::time::Duration::from_secs(1)).await,
            _ => drop(peer),
        }
        session.closed().await;
        assert!(call.await.is_err());
        assert_eq!(server.sessions().len(), 0);
        settled().await;
        assert_eq!((tasks(), gate.dropped()), (before, 3), "{way}");
        let left = session.statistics();
        assert_eq!((left.requests_in_flight, left.calls_in_flight), (0, 0), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_in_the_queue_and_half_done_batches_end_with_the_session() {
    let before = tasks();
    let gate = Gate::closed();
    let mut limits = Limits::client();
    limits.outgoing_bytes = 1_000;
    let (here, there) = rpc::transport::memory(64);
    let session = testing::session(there, waiting(&gate), limits);
    let mut peer = Raw::over(here);
    peer.send(&format!("[{},{}]", request(1, "echo", "[]"), request(2, "wait", "[]"))).await;
    settled().await;
    assert_eq!(gate.waiting(), 1, "half of the batch is done");
    // The first fills the queue; the others wait for room in it.
    let large = "x".repeat(1_500);
    let mut calls: Vec<_> = (0..10)
        .map(|_| {
            let (session, large) = (session.clone(), large.clone());
            tokio::spawn(async move { session.call::<Value>("ours", (large,)).without_timeout().await })
        })
        .collect();
    settled().await;
    let full = session.statistics();
    assert_eq!(
        (full.calls_in_flight, full.bytes_unsent > 1_400),
        (1, true),
        "{full:?} {:?}",
        session.close_reason()
    );
    session.abort();
    for call in calls.drain(..) {
        let outcome = soon(call).await.expect("no panic");
        assert!(
            matches!(outcome, Err(CallError::Closed { reason: CloseReason::Aborted, .. })),
            "{outcome:?}"
        );
    }
    session.closed().await;
    settled().await;
    assert_eq!((gate.dropped(), tasks()), (1, before));
    let left = session.statistics();
    assert_eq!((left.requests_in_flight, left.calls_in_flight), (0, 0));
}
