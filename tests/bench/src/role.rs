//! The two processes of a measurement: a server, and a client that loads it and measures both.

use std::io::Read;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{
    peers::Peer,
    placement::{Placement, Side},
    scenario::Work,
};

/// What the harness starts a process for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Role {
    pub peer: Peer,
    pub placement: Placement,
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
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("raising the number of open files")?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let side = match role.part {
        Part::Server => Side::Server,
        Part::Client(_) => Side::Client,
    };
    role.placement.hold(side, &mut runtime)?;
    let runtime = runtime.enable_all().build()?;
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

/// A harness that was killed leaves no servers behind.
fn end_with_parent() {
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(0);
}
