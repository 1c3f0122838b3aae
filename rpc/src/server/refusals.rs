//! Peers for whom there is no place: they are told so, and nobody waits for them.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::timeout,
};

use super::{
    handle::Full,
    listener::{Listener, Spoken},
    reached,
};
use crate::{
    driver::Settings,
    jsonrpc::{ErrorCode, ErrorObject, Id},
    limits::OverLimit,
    transport::{Connection, Io, LogRate},
};

/// How many peers are being told at a time. Each keeps a descriptor meanwhile; those beyond are cut off without a word.
const AT_ONCE: usize = 64;

/// How long a peer may take to ask, where it is told in answer to what it asks, and where handshakes have no limit of their own.
const ASKING: Duration = Duration::from_secs(10);

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
    /// Whether the log has it that there are some.
    is_logged: bool,
    rate: LogRate,
}

impl Refusals {
    /// Tells a peer `error`, one of many as long as there is no place, and closes the connection.
    pub(super) fn refuse(&mut self, listener: &Listener, connection: Connection, full: &Full) {
        if self.refused == 0
            && let Some(unlogged) = self.rate.admit()
        {
            reached::full(full, &connection.peer, unlogged);
            self.is_logged = true;
        }
        self.refused += 1;
        self.tell_one(listener, connection, full.to_error());
    }

    /// The same for one whose group has no place for it.
    pub(super) fn refuse_in_group(&mut self, listener: &Listener, connection: Connection, over: &OverLimit) {
        if let Some(unlogged) = self.rate.admit() {
            reached::over(over, &connection.peer, unlogged);
        }
        self.tell_one(listener, connection, error_of(over));
    }

    fn tell_one(&mut self, listener: &Listener, connection: Connection, error: ErrorObject) {
        while self.tasks.try_join_next().is_some() {}
        tracing::debug!(rpc.system.name = "jsonrpc", network.peer.address = %connection.peer, "a connection was refused");
        if self.tasks.len() < AT_ONCE {
            let (steps, spoken) = (Arc::clone(listener.handshakes()), listener.spoken().clone());
            let asking = listener.terms().limits().handshake_timeout.unwrap_or(ASKING);
            self.tasks.spawn(async move {
                let told = async {
                    let mut connection = connection;
                    for step in &*steps {
                        match step.refuse(connection, &error).await? {
                            Some(shaken) => connection = shaken,
                            None => return Ok(()),
                        }
                    }
                    tell(&spoken, connection, &error).await
                };
                // Whether the peer has heard it makes no difference.
                drop(timeout(asking.saturating_add(PATIENCE), told).await);
            });
        }
    }

    /// There is a place again.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.is_logged) {
            tracing::info!(
                rpc.system.name = "jsonrpc",
                refused = self.refused,
                "connections are accepted again"
            );
        }
        self.refused = 0;
    }
}

/// What a peer is told whose group is over its limits.
fn error_of(over: &OverLimit) -> ErrorObject {
    let code = match over {
        OverLimit::Cost { .. } => ErrorCode::EXCESSIVE_RESOURCE_USAGE,
        OverLimit::Connections { .. } => ErrorCode::SERVER_BUSY,
    };
    ErrorObject::new(code, over.to_string()).not_executed()
}

/// Tells a peer in the language that is spoken behind all handshakes.
async fn tell(spoken: &Spoken, connection: Connection, error: &ErrorObject) -> io::Result<()> {
    match spoken {
        #[cfg(feature = "http")]
        Spoken::Http(http) => {
            http.refuse(connection.io, error).await;
            Ok(())
        }
        Spoken::Messages(terms) => {
            let message = framed(&terms.settings, &connection, error);
            let told = send(connection.io, &message);
            timeout(PATIENCE, told).await.unwrap_or_else(|late| Err(late.into()))
        }
    }
}

/// A message, framed. Nothing, where it does not fit into a frame.
fn framed(settings: &Settings, connection: &Connection, error: &ErrorObject) -> Vec<u8> {
    let Settings { framer, version, messages, .. } = settings;
    if messages.is_some() {
        // The peer would not understand it.
        return Vec::new();
    }
    let framer = connection.framer.as_ref().unwrap_or(framer);
    let mut message = Vec::new();
    framer.begin(&mut message);
    version.put_error(&mut message, Id::NULL, error);
    match framer.finish(&mut message, 0) {
        Ok(()) => message,
        Err(_) => Vec::new(),
    }
}

async fn send(mut io: Box<dyn Io>, message: &[u8]) -> io::Result<()> {
    io.write_all(message).await?;
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(DISCARDED), &mut tokio::io::sink()).await?;
    Ok(())
}
