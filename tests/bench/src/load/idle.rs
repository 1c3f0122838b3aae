//! What a connection that is not used costs the server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Measured, process};
use crate::{
    peers::{Client, Peer},
    role::Job,
};

/// The growth of the server's resident memory over `connections`, each of which has answered one call.
pub async fn measure<C: Client>(peer: Peer, job: &Job, connections: usize) -> Result<Measured> {
    let mut clients = Vec::with_capacity(connections + FIRST);
    open::<C>(peer, job, FIRST, &mut clients).await?;
    let before = settled(job.server_pid).await;
    open::<C>(peer, job, connections, &mut clients).await?;
    let after = settled(job.server_pid).await;
    // They are all still there.
    for client in &clients {
        ensure!(client.add(1, 2).await? == 3, "a wrong sum");
    }
    let server_kib_per_connection = after.saturating_sub(before) as f64 / connections as f64;
    Ok(Measured { server_kib_per_connection, ..Measured::default() })
}

/// Connections that make the server allocate what it needs only once.
const FIRST: usize = 50;

async fn open<C: Client>(peer: Peer, job: &Job, count: usize, clients: &mut Vec<C>) -> Result<()> {
    for n in 0..count as i64 {
        let client = C::connect(peer, &job.server).await.with_context(|| format!("connection {n}"))?;
        ensure!(client.add(n, 1).await? == n + 1, "a wrong sum");
        clients.push(client);
    }
    Ok(())
}

/// The memory of a process, once it has stopped changing.
async fn settled(pid: u32) -> u64 {
    let mut last = process::resident_kib(pid);
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = process::resident_kib(pid);
        if now == last {
            return now;
        }
        last = now;
    }
}
