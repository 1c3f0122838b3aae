//! The client's work: calls, checks what comes back, and measures itself and the server.

mod fanout;
mod histogram;
mod idle;
mod phases;
mod process;
mod users;

use std::{fmt, time::Duration};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    peers::{Client, Peer},
    role::Job,
    scenario::{Call, Work},
    service,
};
use histogram::Histogram;
use phases::Phases;
use users::Users;

/// What one measurement found.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Measured {
    pub calls_per_second: f64,
    pub megabytes_per_second: f64,
    /// CPU time of both processes for a call.
    pub cpu_micros: f64,
    pub p50_micros: f64,
    pub p99_micros: f64,
    /// The median of the connections that make the load, where another one is measured.
    pub others_p50_micros: f64,
    pub server_kib_per_connection: f64,
}

pub async fn run<C: Client>(peer: Peer, job: &Job) -> Result<Measured> {
    check(&C::connect(peer, &job.server).await?).await?;
    match job.work {
        Work::Calls { connections, in_flight, call } => {
            calls::<C>(peer, job, connections, in_flight, call).await
        }
        Work::Idle { connections } => idle::measure::<C>(peer, job, connections).await,
        Work::Fanout { subscribers } => fanout::measure::<C>(peer, job, subscribers).await,
        Work::Latency { connections, in_flight } => latency::<C>(peer, job, connections, in_flight).await,
        Work::Slow { millis } => slow::<C>(peer, job, millis).await,
    }
}

/// Every method gives what it should, before anything is measured.
async fn check(client: &impl Client) -> Result<()> {
    ensure!(client.add(40, -2).await? == 38, "add");
    ensure!(client.get_user(9).await? == service::user(9), "get_user");
    for text in ["", "a \"quote\", a \\, a\ttab, a\nline, é, 語, \u{1F408}"] {
        ensure!(client.echo(text.to_owned()).await? == text, "echo");
    }
    ensure!(client.wait(1).await? == 1, "wait");
    ensure!(client.compute(1).await? == 1, "compute");
    Ok(())
}

async fn calls<C: Client>(
    peer: Peer,
    job: &Job,
    connections: usize,
    in_flight: usize,
    call: Call,
) -> Result<Measured> {
    let phases = Phases::default();
    let mut users = Users::new(&phases);
    for _ in 0..connections {
        users.add(&C::connect(peer, &job.server).await?, in_flight, call);
    }
    let used = phases.measure(job).await;
    let latencies = users.stop().await?;
    let mut measured = used.per_call(latencies.count());
    if let Call::Echo { bytes } = call {
        measured.megabytes_per_second = measured.calls_per_second * bytes as f64 / 1e6;
    }
    Ok(measured.with_latencies(&latencies))
}

/// Many saturated connections, and one more with one call at a time: how long does that one wait?
async fn latency<C: Client>(peer: Peer, job: &Job, connections: usize, in_flight: usize) -> Result<Measured> {
    let phases = Phases::default();
    let (mut others, mut one) = (Users::new(&phases), Users::new(&phases));
    for _ in 0..connections {
        others.add(&C::connect(peer, &job.server).await?, in_flight, Call::Add);
    }
    one.add(&C::connect(peer, &job.server).await?, 1, Call::Add);
    let used = phases.measure(job).await;
    let (one, others) = (one.stop().await?, others.stop().await?);
    let measured = used.per_call(one.count() + others.count());
    Ok(Measured { others_p50_micros: others.micros(0.5), ..measured }.with_latencies(&one))
}

/// On one connection a handler that waits and a handler that computes, each one call at a time: how long does `add` take?
async fn slow<C: Client>(peer: Peer, job: &Job, millis: u64) -> Result<Measured> {
    let client = C::connect(peer, &job.server).await?;
    let phases = Phases::default();
    let (mut slow, mut quick) = (Users::new(&phases), Users::new(&phases));
    slow.add(&client, 1, Call::Wait { millis });
    slow.add(&client, 1, Call::Compute { millis });
    quick.add_paced(&client, Duration::from_millis(1), Call::Add);
    let used = phases.measure(job).await;
    let quick = quick.stop().await?;
    slow.stop().await?;
    // What the CPU did was mostly to compute for the slow calls.
    Ok(Measured { cpu_micros: 0.0, ..used.per_call(quick.count()) }.with_latencies(&quick))
}

impl Measured {
    fn with_latencies(self, latencies: &Histogram) -> Self {
        Self { p50_micros: latencies.micros(0.5), p99_micros: latencies.micros(0.99), ..self }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.server_kib_per_connection > 0.0 {
            return write!(f, "{:.1} KiB a connection", self.server_kib_per_connection);
        }
        let Self { calls_per_second, cpu_micros, p50_micros, p99_micros, others_p50_micros, .. } = self;
        write!(f, "{calls_per_second:.0} calls/s, p50 {p50_micros:.0} µs, p99 {p99_micros:.0} µs")?;
        if *cpu_micros > 0.0 {
            write!(f, ", {cpu_micros:.2} µs of CPU")?;
        }
        if *others_p50_micros > 0.0 {
            write!(f, ", the others' p50 {others_p50_micros:.0} µs")?;
        }
        Ok(())
    }
}
