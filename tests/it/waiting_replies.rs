//! The reply of a handler that has finished is written when there is room to send it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use rpc::{CloseReason, Context, ErrorObject, Limits, Params, Router};
use rpc_tests::{Gate, Raw, settled, waiting};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// A text of `SIZE` bytes that counts how often it is written.
struct Counted(Arc<AtomicUsize>);

const SIZE: usize = 2_000;

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, SeqCst);
        serializer.serialize_str(&"x".repeat(SIZE))
    }
}

/// `big` gives a large result when it was let through `gate`; and how many of them were written.
fn big(gate: &Gate) -> (Router, Arc<AtomicUsize>) {
    let written = Arc::new(AtomicUsize::new(0));
    let (gate_of, counter) = (gate.clone(), Arc::clone(&written));
    let router = waiting(gate).method("big", move |_: Params, _: Context| {
        let (gate, counter) = (gate_of.clone(), Arc::clone(&counter));
        async move {
            gate.pass().await;
            Ok::<_, ErrorObject>(Counted(counter))
        }
    });
    (router, written)
}

fn request(id: usize, method: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string()
}

fn limits() -> Limits {
    Limits::server().with_outgoing_bytes(3 * SIZE).with_request_timeout(Duration::from_secs(1))
}

/// As many as fit, and one more; and they are late no more.
#[tokio::test(start_paused = true)]
async fn replies_wait_for_room_unwritten_and_none_is_late() {
    let gate = Gate::closed();
    let (router, written) = big(&gate);
    let (mut peer, session) = Raw::narrow_peer_of(16, router, limits().with_send_timeout(None));
    for id in 0..50 {
        peer.send(&request(id, "big")).await;
    }
    settled().await;
    gate.open();
    settled().await;
    assert_eq!((gate.passed(), written.load(SeqCst)), (50, 3));
    assert!(session.statistics().bytes_unsent < 4 * SIZE, "{:?}", session.statistics());
    assert_eq!(session.requests_in_flight(), 47, "they keep their permits");
    tokio::time::sleep(Duration::from_secs(100)).await;
    for read in 1..=50 {
        let reply: Value = serde_json::from_str(&peer.line().await.expect("a reply")).expect("JSON");
        assert_eq!(reply["result"].as_str().expect("a result").len(), SIZE);
        settled().await;
        let ahead = written.load(SeqCst) - read;
        assert!(ahead <= 4, "{ahead} were written ahead of the peer");
    }
    assert_eq!(session.requests_in_flight(), 0);
}

/// What is sent by others waits in turn with them.
#[tokio::test(start_paused = true)]
async fn calls_and_replies_that_wait_for_room_all_get_some() {
    let gate = Gate::closed();
    let (router, _) = big(&gate);
    let (mut peer, session) = Raw::narrow_peer_of(16, router, limits());
    for id in 0..20 {
        peer.send(&request(id, "big")).await;
    }
    settled().await;
    gate.open();
    settled().await;
    let told: Vec<_> = (0..20)
        .map(|n| {
            let session = session.clone();
            tokio::spawn(async move { session.notify("n", (n, "x".repeat(SIZE))).await })
        })
        .collect();
    let mut lines = [0, 0];
    for _ in 0..40 {
        let line = peer.line().await.expect("a message");
        lines[usize::from(line.contains(r#""method":"n""#))] += 1;
    }
    assert_eq!(lines, [20, 20]);
    for notification in told {
        notification.await.expect("no panic").expect("sent");
    }
}

/// Each has as much collected as may be, and neither is done.
#[tokio::test(start_paused = true)]
async fn batches_that_wait_for_each_other_s_room_both_end() {
    let gate = Gate::closed();
    let (router, written) = big(&gate);
    let (mut peer, _session) = Raw::peer_of(router, limits().with_request_timeout(None));
    for batch in 0..3 {
        let members: Vec<_> = (0..6).map(|n| request(batch * 10 + n, "big")).collect();
        peer.send(&format!("[{}]", members.join(","))).await;
    }
    settled().await;
    assert_eq!(gate.waiting(), 18);
    // Of each some.
    gate.let_through(17);
    settled().await;
    assert!(written.load(SeqCst) < 18, "{}", written.load(SeqCst));
    gate.open();
    for _ in 0..3 {
        let replies: Vec<Value> = serde_json::from_str(&peer.line().await.expect("a batch")).expect("JSON");
        assert_eq!(replies.len(), 6);
        assert!(replies.iter().all(|reply| reply["result"].is_string()), "{replies:?}");
    }
}

/// A peer that never reads is given up, and what its handlers have made goes with it.
#[tokio::test(start_paused = true)]
async fn what_waits_ends_with_the_session() {
    let gate = Gate::closed();
    let (router, written) = big(&gate);
    let (mut peer, session) =
        Raw::narrow_peer_of(16, router, limits().with_send_timeout(Duration::from_secs(5)));
    for id in 0..20 {
        peer.send(&request(id, "big")).await;
    }
    settled().await;
    gate.open();
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::SendTimeout { .. }), "{reason:?}");
    settled().await;
    let counted = Arc::strong_count(&written);
    // This test's, and the router's where it is still there.
    assert!(counted <= 2, "{counted}");
}
