//! A server under mixed load for as long as one likes, watched for growth.
//!
//! ```text
//! cargo run --release -p rpc-tests --bin soak -- --seconds 3600
//! ```
//!
//! Friends call, batch, subscribe, take calls back, are called back, and come again; others do so over streams that are slow and break; and
//! hostile peers send rubbish, too much, half of something, or read nothing. The load comes in phases. Between two of them everybody leaves,
//! and then nothing may be left: no session, no task, no descriptor, no handler, and no more memory than after the first phases. A call
//! that does not end as it has to ends the run at once. A line says every ten seconds what there is.
//!
//! | Option | Default |
//! |---|---|
//! | `--seconds` | 60 |
//! | `--phase`, the seconds of a phase | 10 |
//! | `--friends`, how many at once | 6 |
//! | `--broken`, how many over bad streams at once | 3 |
//! | `--hostile`, how many at once | 4 |
//! | `--seed` | 1 |

mod friend;
mod hostile;
mod measure;
mod options;
mod tally;

use std::{process::ExitCode, sync::Arc, time::Duration};

use peak_alloc::PeakAlloc;
use rpc::{Cancellation, Limits, Server, ServerHandle};
use rpc_tests::{Counts, Random, WorkServer, Worker};
use tokio::{
    task::JoinSet,
    time::{Instant, interval_at, sleep, timeout},
};

use measure::{Levels, Quiet};
use options::Options;
use tally::Tally;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// How often a line is printed.
const REPORT: Duration = Duration::from_secs(10);

/// How long everybody may take to leave.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|options| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run(&options))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the peers of all phases share.
struct Soak {
    server: ServerHandle,
    /// What the server's handlers and streams are counted by.
    counts: Arc<Counts>,
    tally: Arc<Tally>,
    began: Instant,
}

async fn run(options: &Options) -> Result<(), String> {
    let counts = Arc::new(Counts::default());
    let server = Server::builder()
        .service(WorkServer::new(Worker(Arc::clone(&counts))))
        .limits(Limits::server())
        .cancellation(Cancellation::LSP)
        .bind("tcp://127.0.0.1:0")
        .await
        .map_err(|error| error.to_string())?
        .start();
    let soak = Soak { server, counts, tally: Arc::default(), began: Instant::now() };
    let end = soak.began + options.duration;
    let mut random = Random::new(options.seed);
    let mut levels = Levels::default();
    println!("{}", Quiet::HEADER);
    while Instant::now() < end {
        soak.phase(options, &mut random, end).await?;
        let quiet = soak.quiet().await?;
        println!("{:>6.0} s, quiet: {quiet}", soak.began.elapsed().as_secs_f64());
        levels.check(quiet)?;
    }
    println!("{}", soak.tally);
    soak.server.shutdown().await;
    soak.tally.unless_idle()
}

impl Soak {
    /// Everybody comes, does what they do, and leaves.
    async fn phase(&self, options: &Options, random: &mut Random, end: Instant) -> Result<(), String> {
        let until = (Instant::now() + options.phase).min(end);
        let url = self.server.endpoint().to_string();
        let mut peers = JoinSet::new();
        for _ in 0..options.friends {
            peers.spawn(friend::whole(url.clone(), random.split(), until, Arc::clone(&self.tally)));
        }
        for _ in 0..options.broken {
            peers.spawn(friend::broken(url.clone(), random.split(), until, Arc::clone(&self.tally)));
        }
        for _ in 0..options.hostile {
            peers.spawn(hostile::come(url.clone(), random.split(), until, Arc::clone(&self.tally)));
        }
        let mut report = interval_at(Instant::now() + REPORT, REPORT);
        let late = sleep(until + PATIENCE - Instant::now());
        tokio::pin!(late);
        loop {
            tokio::select! {
                left = peers.join_next() => match left {
                    None => return Ok(()),
                    Some(Ok(outcome)) => outcome?,
                    Some(Err(panic)) => return Err(format!("a peer panicked: {panic}")),
                },
                _ = report.tick() => println!("{}", self.line()),
                () = &mut late => return Err(format!("{} peers do not leave: {}", peers.len(), self.line())),
            }
        }
    }

    /// What there is, after everybody has left.
    async fn quiet(&self) -> Result<Quiet, String> {
        let left = async {
            while !self.server.sessions().is_empty() || self.counts.alive() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
            // Long enough for large buffers to be given back.
            sleep(Duration::from_secs(2)).await;
        };
        match timeout(PATIENCE, left).await {
            Ok(()) => Ok(Quiet::now(&HEAP)),
            Err(_) => Err(format!("something is left when everybody has gone: {}", self.line())),
        }
    }

    fn line(&self) -> String {
        let sessions = self.server.sessions();
        let (mut calls, mut requests, mut subscriptions) = (0, 0, 0);
        for session in &sessions {
            let statistics = session.statistics();
            calls += statistics.calls_in_flight;
            requests += statistics.requests_in_flight;
            subscriptions += statistics.subscriptions_served;
        }
        format!(
            "{:>6.0} s, {} sessions, {calls} calls, {requests} requests, {subscriptions} subscriptions, {} handlers; {}; {}",
            self.began.elapsed().as_secs_f64(),
            sessions.len(),
            self.counts.alive(),
            Quiet::now(&HEAP),
            self.tally
        )
    }
}
