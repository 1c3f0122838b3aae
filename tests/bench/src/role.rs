//! The two processes of a measurement: a server, and a client that loads it and measures both.

use std::io::Read;

use anyhow::{Context, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::{peers::Peer, scenario::Work};

/// What the harness starts a process for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Role {
    pub peer: Peer,
    /// Whether the process keeps to the first CPU that it may use.
    pub on_one_cpu: bool,
    pub part: Part,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Part {
    /// Prints the address that it listens at, and serves for as long as its standard input is open.
    Server,
    /// Prints what it measured, as JSON.
    Client(Job),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Where it listens, as it says itself: an address, or a URL.
    pub server: String,
    pub server_pid: u32,
    pub work: Work,
    pub secs: f64,
}

pub fn play(role: Role) -> Result<()> {
    if role.on_one_cpu {
        keep_to_one_cpu().context("keeping to one CPU")?;
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raising the number of open files")?;
    // After that, so that the runtime has as many workers as there are CPUs left to it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match role.part {
        Part::Server => {
            std::thread::spawn(end_with_parent);
            runtime.block_on(role.peer.serve())
        }
        Part::Client(job) => {
            let measured = runtime.block_on(role.peer.load(&job))?;
            println!("{}", serde_json::to_string(&measured)?);
            // Some peers have tasks that never end.
            runtime.shutdown_background();
            Ok(())
        }
    }
}

fn keep_to_one_cpu() -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let first = (0..CpuSet::count()).find(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(first.context("no CPU is allowed")?)?;
    Ok(sched_setaffinity(this, &one)?)
}

/// A harness that was killed leaves no servers behind.
fn end_with_parent() {
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(0);
}
