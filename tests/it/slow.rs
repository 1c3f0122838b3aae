//! A slow handler does not hold up the others of its session.

use std::{sync::mpsc, time::Duration};

use rpc::{Context, ErrorObject, Limits, Params, testing};
use rpc_tests::{Gate, Raw, echo, is_pending, soon, waiting};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_holds_nobody_up() {
    let gate = Gate::closed();
    let (session, _peer) = testing::pair((), waiting(&gate));
    let mut waits = Box::pin(session.call::<Value>("wait", (1,)).into_future());
    assert!(is_pending(&mut waits));
    for n in 0..100 {
        assert_eq!(session.call::<Value>("echo", (n,)).await.expect("echo"), json!([n]));
    }
    gate.open();
    assert_eq!(waits.await.expect("wait"), json!([1]));
}

/// A handler that computes keeps its thread. Once that was noticed it has a task of its own, and the session goes on beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_computes_holds_the_others_up_only_until_it_is_noticed() {
    // Computes for a moment, or (with `true`) for as long as the test takes.
    let (done, wait_until_done) = mpsc::channel::<()>();
    let wait_until_done = std::sync::Arc::new(std::sync::Mutex::new(wait_until_done));
    let router = echo().method("compute", move |params: Params, _: Context| {
        let wait_until_done = std::sync::Arc::clone(&wait_until_done);
        async move {
            let (long,): (bool,) = params.parse()?;
            if long {
                let done = wait_until_done.lock().expect("no panic").recv_timeout(Duration::from_secs(20));
                done.map_err(|_| ErrorObject::new(1, "nobody was served meanwhile"))?;
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok::<_, ErrorObject>(())
        }
    });
    let (session, _peer) = testing::pair_with((), Limits::unlimited(), router, Limits::unlimited());
    for _ in 0..3 {
        session.call::<()>("compute", (false,)).await.expect("computed");
    }
    let long = tokio::spawn({
        let session = session.clone();
        async move { session.call::<()>("compute", (true,)).await }
    });
    for n in 0..10 {
        assert_eq!(soon(session.call::<Value>("echo", (n,)).into_future()).await.expect("echo"), json!([n]));
    }
    done.send(()).expect("it waits");
    soon(long).await.expect("no panic").expect("computed");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_small_lines_leaves_others_their_turns() {
    const LINES: usize = 128 << 10;
    let (mut peer, session) = Raw::deaf_peer_of(64 << 20, (), Limits::unlimited());
    for piece in ["{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n", &"y\n".repeat(LINES)] {
        peer.write(piece).await;
    }
    // This task is one of the others: how much is done at once is seen at each turn that it has.
    let (mut received, mut most) = (0, 0);
    while received < 1 + LINES as u64 {
        tokio::task::yield_now().await;
        let now = session.statistics().messages_received;
        most = most.max(now - received);
        received = now;
        assert!(!session.is_closed(), "{:?}", session.statistics());
    }
    assert!(most <= 2 * 2048, "{most} messages in one turn");
}
