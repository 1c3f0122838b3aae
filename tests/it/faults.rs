//! Streams that are slow, cut in pieces, and broken at any byte: every call ends once, with the right value or with an error that the
//! fault explains, and nothing is left.
//!
//! A thousand seeds; `RPC_TESTS_SEEDS=n` runs another number. A failure names its seed, and `RPC_TESTS_SEED=n` runs that one alone.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use futures::future::join_all;
use rpc::{Cancellation, Connector, Limits, Session};
use rpc_tests::{Counts, Ending, Fault, Faulty, Random, WorkServer, Worker, act};
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep, timeout},
};

/// How much each side does.
const ACTS: u64 = 14;

/// Longer than any call may take: the timeouts of `Limits::client()` and all delays.
const ENOUGH: Duration = Duration::from_secs(120);

#[test]
fn every_call_ends_once_and_nothing_leaks_whatever_the_stream_does() {
    if let Some(seed) = number("RPC_TESTS_SEED") {
        println!("{:#?}", run(seed));
        return;
    }
    let (mut whole, mut broken) = (0, 0);
    for seed in 0..number("RPC_TESTS_SEEDS").unwrap_or(1_000) {
        match run(seed).broke {
            true => broken += 1,
            false => whole += 1,
        }
    }
    println!("{whole} streams stayed whole, {broken} broke");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

fn number(variable: &str) -> Option<u64> {
    let number = std::env::var(variable).ok()?;
    Some(number.parse().unwrap_or_else(|_| panic!("{variable} is to be a number, and is {number:?}")))
}

/// What came of a seed.
#[derive(Debug, PartialEq)]
struct Outcome {
    fault: Option<(Fault, u64)>,
    broke: bool,
    endings: Vec<Ending>,
    /// On the clock of the runtime.
    took: Duration,
}

/// Names the seed of a run that panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {0} failed: run it alone with RPC_TESTS_SEED={0}", self.0);
        }
    }
}

fn run(seed: u64) -> Outcome {
    let _named = Named(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let outcome = runtime.block_on(scenario(Random::new(seed)));
    assert_eq!(runtime.metrics().num_alive_tasks(), 0, "tasks are left");
    outcome
}

async fn scenario(mut random: Random) -> Outcome {
    let began = Instant::now();
    // About a third stays whole, and of the others those that send less than the byte at which they were to break.
    let fault = (!random.once_in(3)).then(|| (Fault::any(&mut random), random.below(4_000)));
    let counts = [Arc::new(Counts::default()), Arc::new(Counts::default())];
    let capacity = 16 << random.below(12);
    let (a, b) = rpc::transport::memory(capacity);
    let (a, b) = (Faulty::new(a, random.split(), fault), Faulty::new(b, random.split(), None));
    let has_broken = a.has_broken();
    let sessions = [serve(a, &counts[0]).await, serve(b, &counts[1]).await];

    let acts = join_all((0..2 * ACTS).map(|n| {
        // Each has items and values that no other has.
        let (session, random) = (&sessions[n as usize % 2], random.split());
        async move { act(session, random, 1_000 * n).await }
    }));
    let closing = async {
        // All calls have ended by then. Of a hanging stream the subscriptions wait for items until the session ends.
        sleep(ENOUGH).await;
        for session in &sessions {
            assert_eq!(session.calls_in_flight(), 0, "a call has not ended");
            assert_eq!(session.requests_in_flight(), 0, "a request has not ended");
        }
        let broke = has_broken.load(Relaxed);
        if !broke {
            nothing_is_left(&sessions);
        }
        join_all(sessions.iter().map(Session::close)).await;
        broke
    };
    let (endings, broke) = timeout(10 * ENOUGH, async { tokio::join!(acts, closing) })
        .await
        .expect("everything ends when the session does");
    let took = began.elapsed();

    check(&endings, broke, fault, &counts);
    nothing_is_left(&sessions);
    drop(sessions);
    // What was woken by the end has its turn.
    sleep(Duration::from_millis(1)).await;
    for counts in &counts {
        assert_eq!(counts.alive(), 0, "handlers or streams are left");
    }
    Outcome { fault, broke, endings, took }
}

async fn serve(io: Faulty<DuplexStream>, counts: &Arc<Counts>) -> Session {
    let connector = Connector::over(io).service(WorkServer::new(Worker(Arc::clone(counts)))).limits(limits());
    connector.cancellation(Cancellation::LSP).connect().await.expect("the two are connected already")
}

/// Nothing is refused for being too much at once: that is another test's subject.
fn limits() -> Limits {
    let mut limits = Limits::server();
    limits.requests_in_flight = 1_000;
    limits
}

fn check(endings: &[Ending], broke: bool, fault: Option<(Fault, u64)>, counts: &[Arc<Counts>; 2]) {
    let (mut noted, mut lost) = ([0, 0], false);
    for (n, ending) in endings.iter().enumerate() {
        match ending {
            // What one side notes is counted by the other.
            Ending::Good { noted: more } => noted[1 - n % 2] += more,
            Ending::Dropped => {}
            Ending::Closed(_) if broke => lost = true,
            Ending::Late(_) if broke && fault.is_some_and(|(fault, _)| fault.hangs()) => lost = true,
            other => panic!("act {n} with {fault:?} (broke: {broke}): {other:?}"),
        }
    }
    if !broke {
        assert!(!lost);
        assert_eq!(noted, [counts[0].noted(), counts[1].noted()], "notes were lost, or came twice");
    }
}

fn nothing_is_left(sessions: &[Session; 2]) {
    for session in sessions {
        let entries = [
            session.calls_in_flight(),
            session.requests_in_flight(),
            session.subscriptions(),
            session.subscriptions_served(),
        ];
        assert_eq!(entries, [0; 4], "calls, requests, subscriptions, subscriptions served");
    }
}
