//! How much memory a session takes at most, and that it gives it back, whatever its peer does.

use std::time::Duration;

use allocation_counter::AllocationInfo;
use futures::{StreamExt, stream};
use rpc::{
    CallError, CloseReason, Context, ErrorObject, Limits, MethodInfo, Params, Router, Server,
    SubscriptionInfo, SubscriptionStyle, testing,
};
use rpc_tests::{Gate, echo, settled, waiting};
use serde::{Serialize, Serializer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Runs `test` with paused time, and says what memory it took: its own, and that of the session and its peer.
///
/// What a thread and the process keep for good is made before.
pub(crate) fn measured(test: impl AsyncFn()) -> AllocationInfo {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            // A moment first: nothing of the test is counted from before the clock goes.
            settled().await;
            test().await;
        });
    };
    run();
    allocation_counter::measure(run)
}

/// Sends `line` so many times, or as often as the session takes it.
async fn flood(io: &mut (impl AsyncWriteExt + Unpin), line: &str, times: usize) {
    for _ in 0..times {
        if io.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The connection holds 64 KiB each way, and a thread reads into 64 KiB. Twice that, and something for everything else.
pub(crate) const AROUND: u64 = 400_000;

#[test]
fn a_hundred_thousand_calls_of_a_handler_that_blocks_take_what_requests_may_have_together() {
    let taken = measured(async || {
        let gate = Gate::closed();
        let (mut peer, there) = rpc::transport::memory(64 << 10);
        let limits = Limits::server().with_request_timeout(None);
        let session = testing::session(there, waiting(&gate), limits);
        let line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"wait\",\"params\":[1]}\n";
        let all = flood(&mut peer, line, 100_000);
        assert!(tokio::time::timeout(Duration::from_secs(60), all).await.is_err(), "most are held back");
        assert_eq!((gate.entered(), session.requests_in_flight()), (256, 256));
        session.abort();
        session.closed().await;
        settled().await;
        assert_eq!(gate.dropped(), 256);
    });
    // Those that wait, and a queue that has doubled; and what 256 handlers need, of 1,500 bytes each.
    let together = Limits::server().request_bytes as u64;
    assert!((together..2 * together + 256 * 1_500 + AROUND).contains(&taken.bytes_max), "{taken:?}");
    assert_eq!(taken.bytes_current, 0, "all is given back: {taken:?}");
}

#[test]
fn a_reply_behind_a_hundred_thousand_calls_arrives_in_as_little_memory() {
    let taken = measured(async || {
        let gate = Gate::closed();
        let (peer, there) = rpc::transport::memory(64 << 10);
        let mut limits = Limits::server();
        limits.request_timeout = None;
        let session = testing::session(there, waiting(&gate), limits);
        let (mut read, mut write) = tokio::io::split(peer);
        let reading = tokio::spawn(async move { tokio::io::copy(&mut read, &mut tokio::io::sink()).await });
        let writing = tokio::spawn(async move {
            let line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"wait\",\"params\":[1]}\n";
            settled().await;
            flood(&mut write, line, 100_000).await;
            flood(&mut write, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":7}\n", 1).await;
            write
        });
        assert_eq!(session.call::<i64>("ours", ()).await.expect("behind them all"), 7);
        assert_eq!((gate.entered(), session.calls_in_flight()), (256, 0));
        session.abort();
        session.closed().await;
        drop(writing.await.expect("no panic"));
        drop(reading.await.expect("no panic"));
        settled().await;
    });
    assert!(taken.bytes_max < 256 * 1_500 + AROUND, "{taken:?}");
    assert_eq!(taken.bytes_current, 0, "all is given back: {taken:?}");
}

const OUTGOING: usize = 1_000_000;

/// A session whose peer does not read, with little room for what waits to be sent.
fn unread() -> (DuplexStream, rpc::Session) {
    let (peer, there) = rpc::transport::memory(64 << 10);
    let mut limits = Limits::server();
    limits.outgoing_bytes = OUTGOING;
    (peer, testing::session(there, echo(), limits))
}

/// What waits is in one buffer, which doubles as it grows; while it moves to a larger one, there are both.
const WAITING: u64 = 3 * OUTGOING as u64;

#[test]
fn a_peer_that_asks_and_does_not_read_is_bounded_and_then_disconnected() {
    let taken = measured(async || {
        let (mut peer, session) = unread();
        let params = "x".repeat(10_000);
        let line =
            format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"{params}\"]}}\n");
        let all = flood(&mut peer, &line, 10_000);
        assert!(tokio::time::timeout(Duration::from_secs(10), all).await.is_err(), "it is not read");
        let waits = session.statistics().bytes_unsent;
        assert!((OUTGOING..OUTGOING + 20_000).contains(&waits), "{waits} bytes wait");
        let reason = session.closed().await;
        assert!(matches!(reason, CloseReason::SendTimeout { unsent, .. } if unsent == waits), "{reason:?}");
        // What was sent before is still there for whoever reads it now.
        let mut rest = 0;
        let mut buffer = [0; 1_000];
        while let Ok(read @ 1..) = peer.read(&mut buffer).await {
            rest += read;
        }
        assert_eq!(rest as u64, session.statistics().bytes_sent);
    });
    assert!(taken.bytes_max < AROUND + WAITING, "{taken:?}");
    assert_eq!(taken.bytes_current, 0, "all is given back: {taken:?}");
}

/// What is small in memory and large on the wire.
struct Large;

const LARGE: usize = 1_000_000;

impl Serialize for Large {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::repeat_n(1, LARGE / 2))
    }
}

/// As many handlers as there are permits have finished, and the peer does not read: no more is written than may wait to be sent,
/// and one reply besides.
#[test]
fn the_replies_of_all_permits_take_what_may_wait_to_be_sent() {
    let taken = measured(async || {
        let gate = Gate::closed();
        let (mut peer, there) = rpc::transport::memory(64 << 10);
        let passes = gate.clone();
        let router = Router::new().method("large", move |_: Params, _: Context| {
            let gate = passes.clone();
            async move {
                gate.pass().await;
                Ok::<_, ErrorObject>(Large)
            }
        });
        let session = testing::session(there, router, Limits::server());
        flood(&mut peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\"}\n", 256).await;
        settled().await;
        assert_eq!(session.requests_in_flight(), 256);
        gate.open();
        settled().await;
        let unsent = session.statistics().bytes_unsent;
        assert!((4_000_000..5_100_000).contains(&unsent), "{unsent}");
        session.abort();
        session.closed().await;
        settled().await;
    });
    // Buffers double, and a reply is written before it is appended.
    assert!(taken.bytes_max < 16_000_000, "{taken:?}");
    assert_eq!(taken.bytes_current, 0, "all is given back: {taken:?}");
}

#[test]
fn callers_of_a_peer_that_does_not_read_wait_and_get_the_cause() {
    const CALLS: usize = 1_000;
    const SIZE: usize = 10_000;
    let taken = measured(async || {
        let (_peer, session) = unread();
        let params = std::sync::Arc::<str>::from("x".repeat(SIZE));
        let calls: Vec<_> = (0..CALLS)
            .map(|_| {
                let (session, params) = (session.clone(), std::sync::Arc::clone(&params));
                tokio::spawn(async move { session.call::<()>("ours", (&*params,)).without_timeout().await })
            })
            .collect();
        settled().await;
        let waits = session.statistics();
        assert!((OUTGOING..OUTGOING + 20_000).contains(&waits.bytes_unsent), "{waits:?}");
        assert!(waits.calls_in_flight < OUTGOING / SIZE + 20, "the others wait for room: {waits:?}");
        for call in calls {
            let outcome = call.await.expect("no panic");
            assert!(
                matches!(outcome, Err(CallError::Closed { reason: CloseReason::SendTimeout { .. }, .. })),
                "{outcome:?}"
            );
        }
        assert_eq!(session.calls_in_flight(), 0);
        session.closed().await;
    });
    // A caller keeps its own parameters while it waits, in a buffer that has doubled as it grew.
    let callers = (CALLS * (2 * SIZE + 2_000)) as u64;
    assert!(taken.bytes_max < AROUND + WAITING + callers, "{taken:?}");
    assert_eq!(taken.bytes_current, 0, "all is given back: {taken:?}");
}

#[test]
fn a_thousand_subscriptions_that_nobody_reads_have_as_much_together_as_may_wait_to_be_sent() {
    const SUBSCRIPTIONS: usize = 1_000;
    let taken = measured(async || {
        let (mut peer, there) = rpc::transport::memory(64 << 10);
        let router = Router::new().subscription(
            MethodInfo::request("numbers")
                .with_subscription(SubscriptionInfo::new(SubscriptionStyle::PubSub, "number")),
            // Ten thousand items at once.
            async |_: Params, _: Context| {
                Ok::<_, ErrorObject>(stream::iter(0..10_000).chain(stream::pending()))
            },
        );
        let mut limits = Limits::server();
        limits.outgoing_bytes = OUTGOING;
        let session = testing::session(there, router, limits);
        let line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"numbers\"}\n";
        flood(&mut peer, line, SUBSCRIPTIONS).await;
        settled().await;
        assert_eq!(session.subscriptions_served(), SUBSCRIPTIONS);
        session.abort();
        session.closed().await;
        settled().await;
        assert_eq!(session.subscriptions_served(), 0);
    });
    // A task for each, its stream, its queue, and one item at least.
    let each = SUBSCRIPTIONS as u64 * 3_000;
    assert!(taken.bytes_max < AROUND + WAITING + each, "{taken:?}");
    assert_eq!(taken.bytes_current, 0, "all is given back: {taken:?}");
}

/// Shuts a server down that has a hundred sessions, each of which a peer has asked something, and says what is left.
fn shut_down(line: &'static str, twice: bool) -> AllocationInfo {
    measured(async || {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let gate = Gate::closed();
        let server = Server::builder().service(waiting(&gate)).build().expect("one service").start();
        let mut peers = Vec::new();
        for _ in 0..100 {
            let (mut peer, there) = rpc::transport::memory(4 << 10);
            drop(server.attach(there));
            flood(&mut peer, line, 1).await;
            peers.push(peer);
        }
        settled().await;
        let sessions = server.sessions();
        assert_eq!((sessions.len(), tasks()), (100, before + 100 + gate.waiting()));
        let patience = Duration::from_secs(5);
        if twice {
            tokio::join!(server.shutdown(), server.shutdown_within(patience), server.shutdown());
        } else {
            server.shutdown_within(patience).await;
        }
        assert_eq!(server.sessions().len(), 0);
        for session in sessions {
            let left = session.statistics();
            assert_eq!((left.requests_in_flight, left.calls_in_flight), (0, 0));
        }
        drop(server);
        // The task that waits for the deadline has seen the end, too.
        settled().await;
        assert_eq!((tasks(), gate.waiting()), (before, 0));
    })
}

#[test]
fn a_shutdown_leaves_nothing_whether_idle_busy_unread_or_asked_twice() {
    let idle = "";
    let busy = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"wait\"}\n";
    let unread = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"{}\"]}}\n",
        "x".repeat(4_000)
    );
    let unread: &'static str = unread.repeat(3).leak();
    for line in [idle, busy, unread] {
        for twice in [false, true] {
            let taken = shut_down(line, twice);
            assert_eq!((taken.bytes_current, taken.count_current), (0, 0), "{line:.60} {twice}: {taken:?}");
        }
    }
}
