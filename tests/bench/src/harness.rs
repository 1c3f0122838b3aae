//! Starts the two processes of a measurement and ends them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    load::Measured,
    peers::Peer,
    placement::Placement,
    role::{Job, Part, Role},
    scenario::Work,
};

/// One measurement, in two fresh processes.
pub fn measure(peer: Peer, work: &Work, secs: f64, placement: Placement) -> Result<Measured> {
    let workers = work.workers();
    let server = Server::start(&Role { peer, placement, part: Part::Server }, workers)?;
    let (server_at, server_pid) = (server.address.clone(), server.process.id());
    let job = Job { server: server_at, server_pid, work: work.clone(), secs };
    let client = start(&Role { peer, placement, part: Part::Client(job) }, workers)?;
    let output = client.wait_with_output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The peers in another order in each round: whoever comes first in a minute that is slow is not always the same.
pub fn rotated(peers: &[Peer], round: usize) -> Vec<Peer> {
    let mut peers = peers.to_vec();
    let by = round % peers.len().max(1);
    peers.rotate_left(by);
    peers
}

/// A line for whoever waits.
pub fn progress(measured: &Result<Measured>) -> String {
    match measured {
        Ok(measured) => measured.to_string(),
        Err(error) => format!("FAILED: {error:#}"),
    }
}

fn start(role: &Role, workers: Option<usize>) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("role").arg(serde_json::to_string(role)?);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(workers) = workers {
        command.env("TOKIO_WORKER_THREADS", workers.to_string());
    }
    if matches!(role.part, Part::Server) {
        command.stderr(Stdio::inherit());
    }
    command.spawn().context("starting a process")
}

/// Ends with the measurement, however that ends.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(role: &Role, workers: Option<usize>) -> Result<Self> {
        let mut server = Self { process: start(role, workers)?, address: String::new() };
        let stdout = server.process.stdout.take().context("the server's standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        server.address = line.trim().to_owned();
        if server.address.is_empty() {
            bail!("the server has not said where it listens");
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // It had no time to tidy up.
        if let Some(socket) = self.address.strip_prefix("unix:") {
            let _ = std::fs::remove_file(socket);
        }
    }
}
