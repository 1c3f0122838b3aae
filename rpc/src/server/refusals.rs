//! Peers for whom there is no place: they are told so, and nobody waits for them.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::timeout,
};

use crate::transport::{Connection, Io};

/// How many peers are being told at a time. Each keeps a descriptor meanwhile; those beyond are cut off without a word.
const AT_ONCE: usize = 64;

/// How long a peer may take to read it and to close its side.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of what the peer sends meanwhile is read. Closing a socket with unread bytes would have TCP throw away what the peer was
/// told.
const DISCARDED: u64 = 64 << 10;

/// The refused peers of one listener. They are forgotten with it.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    tasks: JoinSet<()>,
    /// How many there were since somebody was accepted.
    refused: u64,
}

impl Refusals {
    /// Sends `message` to a peer, one of many as long as there is no place, and closes the connection.
    pub(super) fn refuse(&mut self, connection: Connection, message: Vec<u8>) {
        if self.refused == 0 {
            tracing::warn!(
                rpc.system.name = "jsonrpc",
                "as many connections are open as may be: further ones are refused"
            );
        }
        self.refused += 1;
        self.refuse_one(connection, message);
    }

    /// The same for one for whom alone there is no place.
    pub(super) fn refuse_one(&mut self, connection: Connection, message: Vec<u8>) {
        while self.tasks.try_join_next().is_some() {}
        let Connection { io, peer, .. } = connection;
        tracing::debug!(rpc.system.name = "jsonrpc", network.peer.address = %peer, "a connection was refused");
        if self.tasks.len() < AT_ONCE {
            self.tasks.spawn(async move {
                // Whether the peer has heard it makes no difference.
                drop(timeout(PATIENCE, tell(io, message)).await);
            });
        }
    }

    /// There is a place again.
    pub(super) fn end(&mut self) {
        if self.refused > 0 {
            tracing::info!(
                rpc.system.name = "jsonrpc",
                refused = self.refused,
                "connections are accepted again"
            );
            self.refused = 0;
        }
    }
}

async fn tell(mut io: Box<dyn Io>, message: Vec<u8>) -> std::io::Result<()> {
    io.write_all(&message).await?;
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(DISCARDED), &mut tokio::io::sink()).await?;
    Ok(())
}
