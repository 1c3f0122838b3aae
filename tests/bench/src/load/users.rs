//! Load: a user is a task that calls, checks the answer, and calls again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::task::{JoinHandle, JoinSet};

use super::{Histogram, Phases, phases::Phase};
use crate::{peers::Client, scenario::Call, service};

/// Users who do the same.
pub struct Users {
    phases: Phases,
    tasks: Vec<JoinHandle<Result<Histogram>>>,
}

impl Users {
    pub fn new(phases: &Phases) -> Self {
        Self { phases: phases.clone(), tasks: Vec::new() }
    }

    /// Adds `count` users of one connection, each with one call in flight.
    pub fn add<C: Client>(&mut self, client: &C, count: usize, call: Call) {
        let text: Arc<str> = match call {
            Call::Echo { bytes } => service::text(bytes).into(),
            _ => "".into(),
        };
        for _ in 0..count {
            let user = User { client: client.clone(), call, text: Arc::clone(&text) };
            // Far apart, so that no two users ever expect the same sum.
            let first = (self.tasks.len() as u64 + 1) << 32;
            self.tasks.push(tokio::spawn(user.work(self.phases.clone(), first)));
        }
    }

    /// Adds a user who calls at fixed times, whether or not earlier calls were answered: one who waits for each answer would hardly
    /// notice that the server stands still now and then.
    pub fn add_paced<C: Client>(&mut self, client: &C, every: Duration, call: Call) {
        let (client, phases) = (client.clone(), self.phases.clone());
        self.tasks.push(tokio::spawn(async move {
            let mut latencies = Histogram::new();
            let (mut calls, mut times) = (JoinSet::new(), tokio::time::interval(every));
            for n in 0.. {
                times.tick().await;
                let phase = phases.now();
                if phase == Phase::Over {
                    break;
                }
                let user = User { client: client.clone(), call, text: "".into() };
                calls.spawn(async move {
                    let started = Instant::now();
                    user.call(n).await.map(|()| (phase, started.elapsed()))
                });
                while let Some(ended) = calls.try_join_next() {
                    latencies.record_measured(ended??);
                }
            }
            while let Some(ended) = calls.join_next().await {
                latencies.record_measured(ended??);
            }
            Ok(latencies)
        }));
    }

    /// Waits for the calls in flight, and gives the time that each measured call took.
    pub async fn stop(self) -> Result<Histogram> {
        let mut all = Histogram::new();
        for task in self.tasks {
            let ended = tokio::time::timeout(Duration::from_secs(10), task).await;
            all.add(&ended.context("a call has not ended")???);
        }
        Ok(all)
    }
}

impl Histogram {
    fn record_measured(&mut self, (phase, took): (Phase, Duration)) {
        if phase == Phase::Measuring {
            self.record(took);
        }
    }
}

struct User<C> {
    client: C,
    call: Call,
    text: Arc<str>,
}

impl<C: Client> User<C> {
    async fn work(self, phases: Phases, first: u64) -> Result<Histogram> {
        let mut latencies = Histogram::new();
        for n in first.. {
            let started = Instant::now();
            self.call(n).await?;
            let phase = phases.now();
            if phase == Phase::Over {
                break;
            }
            latencies.record_measured((phase, started.elapsed()));
        }
        Ok(latencies)
    }

    async fn call(&self, n: u64) -> Result<()> {
        let Self { client, call, text } = self;
        match *call {
            Call::Add => ensure!(client.add(n as i64, -3).await? == n as i64 - 3, "a wrong sum"),
            Call::GetUser => {
                let user = client.get_user(n).await?;
                ensure!(user.id == n && user.groups.len() == 4 && user.verified, "a wrong user");
            }
            Call::Echo { .. } => ensure!(client.echo(text.to_string()).await? == **text, "a wrong echo"),
            Call::Wait { millis } => ensure!(client.wait(millis).await? == millis, "a wrong wait"),
            Call::Compute { millis } => {
                ensure!(client.compute(millis).await? == millis, "a wrong computation")
            }
        }
        Ok(())
    }
}
