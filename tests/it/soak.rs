//! Many calls leave nothing behind: no pending entry, no memory.

use futures::future::join_all;
use rpc::{Context, ErrorObject, Limits, Params, Router, Server, Session, testing};
use rpc_tests::{CalcClient, CalcServer, Child, MyCalc, echo, is_child, is_pending};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

const MANY: usize = 100_000;

fn nothing_is_left(sessions: [&Session; 2]) {
    for session in sessions {
        assert_eq!((session.calls_in_flight(), session.requests_in_flight()), (0, 0));
    }
}

/// As many at once as there are, and no limit that would refuse one.
async fn pipelined(session: &Session, method: &str, calls: usize) {
    let outcomes = join_all((0..calls).map(|n| session.call::<(usize,)>(method, (n,)).into_future())).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.expect("a reply"), (n,));
    }
}

async fn sequential(session: &Session, calls: usize) {
    let calc = CalcClient::from(session.clone());
    for n in 0..calls {
        assert_eq!(calc.add(n as i64, 1).await.expect("a reply"), n as i64 + 1);
    }
}

#[tokio::test]
async fn a_hundred_thousand_pipelined_calls_leave_no_entry() {
    let mut limits = Limits::client();
    limits.call_timeout = None;
    let (session, peer) = testing::pair_with((), limits, echo(), Limits::server());
    pipelined(&session, "echo", MANY).await;
    pipelined(&session, "later", 10_000).await;
    nothing_is_left([&session, &peer]);
}

#[tokio::test]
async fn a_hundred_thousand_sequential_calls_over_tcp_leave_no_entry() {
    let server = Server::builder().service(CalcServer::new(MyCalc)).bind("tcp://127.0.0.1:0").await;
    let server = server.expect("a port is free");
    let endpoint = server.endpoint().to_string();
    let handle = server.start();
    let session = rpc::connect(&endpoint).await.expect("it listens");
    sequential(&session, MANY).await;
    nothing_is_left([&session, &handle.sessions()[0]]);
    handle.shutdown().await;
}

#[tokio::test]
async fn abandoned_calls_leave_no_entry() {
    let (session, peer) = testing::pair_with((), Limits::client(), echo(), Limits::unlimited());
    for n in 0..10_000 {
        let mut call = Box::pin(session.call::<Value>("later", (n,)).into_future());
        assert!(is_pending(&mut call));
        drop(call);
        if n % 100 == 0 {
            session.call::<Value>("echo", (n,)).await.expect("a reply");
        }
    }
    session.call::<Value>("echo", ()).await.expect("a reply");
    while peer.requests_in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    nothing_is_left([&session, &peer]);
}

#[test]
fn memory_stays_flat() {
    Child::run("soak::memory_in_a_process_of_its_own");
}

#[test]
#[ignore = "run as a process of its own by `memory_stays_flat`"]
fn memory_in_a_process_of_its_own() {
    if !is_child() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (session, peer) = testing::pair((), CalcServer::new(MyCalc));
        let (piped, other) = testing::pair((), echo());
        let round = async |calls: usize| {
            sequential(&session, calls).await;
            for _ in 0..calls / 1_000 {
                pipelined(&piped, "echo", 500).await;
                pipelined(&piped, "later", 500).await;
            }
        };
        round(5_000).await;
        let before = memory("VmRSS:");
        round(50_000).await;
        let after = memory("VmRSS:");
        // An entry kept for each call would be 10 MB or more.
        assert!(after < before + 3_000_000, "{before} bytes became {after}");
        nothing_is_left([&session, &peer]);
        nothing_is_left([&piped, &other]);
    });
}

#[test]
fn what_has_left_is_not_kept() {
    Child::run("soak::a_reader_that_keeps_up_in_a_process_of_its_own");
}

#[test]
#[ignore = "run as a process of its own by `what_has_left_is_not_kept`"]
fn a_reader_that_keeps_up_in_a_process_of_its_own() {
    if !is_child() {
        return;
    }
    const SIZE: usize = 50_000;
    let router =
        Router::new().method("big", async |_: Params, _: Context| Ok::<_, ErrorObject>("x".repeat(SIZE)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let before = memory("VmHWM:");
        let (read, mut sent) = tokio::io::simplex(1 << 20);
        let session = testing::session(tokio::io::join(read, tokio::io::sink()), router, Limits::server());
        // All of these are read at once, and every reply leaves as soon as it is made.
        let request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\"}\n";
        sent.write_all(request.repeat(1_400).as_bytes()).await.expect("it reads");
        sent.shutdown().await.expect("it reads");
        session.closed().await;
        let most = memory("VmHWM:");
        // The limit is 4,000,000 bytes: two such buffers and what they were copied from. Besides there is what the handlers of
        // 256 requests have made that wait for room.
        assert!(
            most < before + 20_000_000 + 256 * SIZE,
            "{before} bytes became {most}: the replies have {}",
            1_400 * SIZE
        );
    });
}

/// Bytes of memory that this process holds (`VmRSS:`) or has held at most (`VmHWM:`), where the system says so.
pub(crate) fn memory(which: &str) -> usize {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix(which)).expect("the system's usual lines");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kilobytes * 1024
}
