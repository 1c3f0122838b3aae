//! The accept loop of a listener: admission up to the limits of the server, handshakes, and
//! refusals.

use std::{
    error::Error,
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::future::{Either, select};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    listener::{AcceptBackoff, AppProtocol, Listener},
    shared::{self, PendingConnection, Policy, ServerFull, ServerShared},
};
#[cfg(feature = "ws")]
use crate::transport::ForeignHandshake;
#[cfg(feature = "tls-no-provider")]
use crate::transport::{Expected, Foreign, log_foreign, tls::TlsError};
use crate::{
    driver::Settings,
    jsonrpc::{ErrorCode, ErrorObject, Id, chain, shown::brief},
    limits::{Limits, OverLimit},
    session::Membership,
    transport::{Connection, Endpoint, Handshake, Io, LogRate, RefusedHandshake},
};

/// Accepts the peers of `listener` in a task of its own, until the server stops or the socket has
/// no further peers.
pub(super) fn accept_from(shared: &Arc<ServerShared>, listener: Listener) {
    let shared = Arc::clone(shared);
    let mut stage = shared.stage.subscribe();
    let listening = shared.listening.token();
    tokio::spawn(async move {
        let mut refusals = Refusals::default();
        let mut handshakes = Handshakes::new(&shared, &listener);
        let mut backoff = AcceptBackoff::new(listener.endpoint());
        let mut stopping = pin!(stage.wait_for(|stage| !stage.accepts()));
        let socket_ended = loop {
            let connection = match select(stopping.as_mut(), pin!(listener.accept(&mut backoff))).await {
                Either::Left(_) => break false,
                Either::Right((None, _)) => break true,
                Either::Right((Some(connection), _)) => connection,
            };
            let Some((connection, group)) = admit(&shared, &listener, connection, &mut refusals) else {
                continue;
            };
            match handshakes.are_needed() {
                true => handshakes.begin(connection, group),
                false => listener.protocol().begin(&shared, connection, group),
            }
        };
        // In this order: a caller that waits for the end of the listener can bind the same address
        // again.
        drop(listener);
        drop(listening);
        if socket_ended {
            shared.close_unless_listening();
        }
    });
}

/// Admits a peer, or refuses it if the server or its group is full.
fn admit(
    shared: &Arc<ServerShared>,
    listener: &Listener,
    connection: Connection,
    refusals: &mut Refusals,
) -> Option<(Connection, Membership)> {
    let full = ServerFull { open: shared.connections_open(), limit: shared.connections() };
    if full.open >= full.limit {
        refusals.refuse(listener, connection, &full);
        return None;
    }
    refusals.end();
    let Some(groups) = &shared.groups else { return Some((connection, Membership::default())) };
    // The group's key comes from code of the user's.
    match catch_unwind(AssertUnwindSafe(|| groups.admit(&connection.peer))) {
        Ok(Ok(group)) => Some((connection, group)),
        Ok(Err(over)) => {
            refusals.refuse_in_group(listener, connection, &over);
            None
        }
        Err(_) => {
            tracing::error!(rpc.system.name = "jsonrpc", "naming the group of a peer panicked");
            None
        }
    }
}

/// The handshakes in progress at one listener. They are aborted when the listener ends.
#[derive(Debug)]
struct Handshakes {
    steps: Arc<[Box<dyn Handshake>]>,
    /// The protocol behind the handshakes.
    protocol: AppProtocol,
    policy: Arc<Policy>,
    shared: Arc<ServerShared>,
    /// Bounds the log events about peers that do not speak TLS.
    strangers: Arc<LogRate>,
    tasks: JoinSet<()>,
}

impl Handshakes {
    fn new(shared: &Arc<ServerShared>, listener: &Listener) -> Self {
        let (steps, protocol) = (Arc::clone(listener.handshakes()), listener.protocol().clone());
        let policy = Arc::clone(listener.policy());
        Self {
            steps,
            protocol,
            policy,
            shared: Arc::clone(shared),
            strangers: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    fn are_needed(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Runs all handshakes with a peer, which counts as a connection meanwhile, and then begins its
    /// session.
    fn begin(&mut self, connection: Connection, group: Membership) {
        while self.tasks.try_join_next().is_some() {}
        let (steps, protocol, shared) =
            (Arc::clone(&self.steps), self.protocol.clone(), Arc::clone(&self.shared));
        let (policy, strangers) = (Arc::clone(&self.policy), Arc::clone(&self.strangers));
        let pending = PendingConnection::new(&shared);
        self.tasks.spawn(async move {
            let peer = connection.peer.clone();
            let mut has_begun = false;
            let shaken = policy.within_handshake_timeout(async {
                let mut connection = connection;
                has_begun = poll_fn(|cx| connection.io.poll_begun(cx)).await;
                for step in &*steps {
                    connection = step.shake(connection).await?;
                }
                Ok(connection)
            });
            match shaken.await {
                Ok(connection) => {
                    protocol.begin(&shared, connection, group);
                    // Only once the session is counted.
                    drop(pending);
                }
                Err(error) => {
                    if has_begun {
                        group.charge(cost_of(&error, policy.limits()), Instant::now());
                    }
                    log_failure(&peer, &error, &strangers);
                }
            }
        });
    }
}

/// The charge for a failed handshake, to the group of the peer. (A peer that sends nothing at all
/// is not charged: port checks do that, and browsers that open connections in advance.)
fn cost_of(error: &io::Error, limits: &Limits) -> f64 {
    match error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<RefusedHandshake>) {
        true => limits.cost_of_error,
        false => limits.cost_of_unreadable,
    }
}

fn log_failure(peer: &Endpoint, error: &io::Error, strangers: &LogRate) {
    if log_foreign_peer(peer, error, strangers) {
        return;
    }
    tracing::debug!(
        rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, error = %brief(chain(error)),
        "a handshake has failed"
    );
}

/// Logs that the peer speaks another protocol, or returns false.
fn log_foreign_peer(peer: &Endpoint, error: &io::Error, strangers: &LogRate) -> bool {
    let Some(inner) = error.get_ref() else { return false };
    #[cfg(feature = "tls-no-provider")]
    if let Some(TlsError::NotTls { protocol, found, .. }) = inner.downcast_ref() {
        let foreign = Foreign { protocol, found: found.clone() };
        let outcome = "its handshake of TLS has failed";
        log_foreign((Expected::Tls, &foreign), (peer, None), Some(strangers), outcome);
        return true;
    }
    #[cfg(feature = "ws")]
    if inner.is::<ForeignHandshake>() {
        return true;
    }
    let _ = (peer, strangers, inner);
    false
}

/// The most refusals in progress. Each keeps a file descriptor meanwhile; further peers are
/// disconnected at once.
const MAX_REFUSALS: usize = 64;

/// How long a peer may take to send the request that the refusal answers, if there is no
/// `handshake_timeout`.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a peer may take to read the refusal and to close its side.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The most bytes of the peer that are read meanwhile. Closing a socket with unread bytes would
/// make TCP discard the refusal.
const MAX_DISCARDED: u64 = 64 << 10;

/// The refusals in progress at one listener. They are aborted when the listener ends.
#[derive(Debug, Default)]
struct Refusals {
    tasks: JoinSet<()>,
    /// The peers refused since one was last accepted.
    refused: u64,
    /// True once the log has an event about these refusals.
    is_logged: bool,
    rate: LogRate,
}

impl Refusals {
    /// Refuses a peer because the server is full: sends it the error, and closes the connection.
    fn refuse(&mut self, listener: &Listener, connection: Connection, full: &ServerFull) {
        if self.refused == 0
            && let Some(unlogged) = self.rate.admit()
        {
            shared::log_full(full, &connection.peer, unlogged);
            self.is_logged = true;
        }
        self.refused += 1;
        self.spawn_refusal(listener, connection, full.to_error());
    }

    /// Refuses a peer because its group is over a limit.
    fn refuse_in_group(&mut self, listener: &Listener, connection: Connection, over: &OverLimit) {
        if let Some(unlogged) = self.rate.admit() {
            shared::log_over(over, &connection.peer, unlogged);
        }
        self.spawn_refusal(listener, connection, error_of(over));
    }

    fn spawn_refusal(&mut self, listener: &Listener, connection: Connection, error: ErrorObject) {
        while self.tasks.try_join_next().is_some() {}
        tracing::debug!(rpc.system.name = "jsonrpc", network.peer.address = %connection.peer, "a connection was refused");
        if self.tasks.len() < MAX_REFUSALS {
            let (steps, protocol) = (Arc::clone(listener.handshakes()), listener.protocol().clone());
            let request_timeout = listener.policy().limits().handshake_timeout.unwrap_or(REQUEST_TIMEOUT);
            self.tasks.spawn(async move {
                let refused = async {
                    let mut connection = connection;
                    for step in &*steps {
                        match step.refuse(connection, &error).await? {
                            Some(shaken) => connection = shaken,
                            None => return Ok(()),
                        }
                    }
                    refuse(&protocol, connection, &error).await
                };
                // A peer that does not read the refusal changes nothing.
                drop(timeout(request_timeout.saturating_add(READ_TIMEOUT), refused).await);
            });
        }
    }

    /// A peer was accepted: the server is not full any more.
    fn end(&mut self) {
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

/// The error for a peer whose group is over a limit.
fn error_of(over: &OverLimit) -> ErrorObject {
    let code = match over {
        OverLimit::Cost { .. } => ErrorCode::EXCESSIVE_RESOURCE_USAGE,
        OverLimit::Connections { .. } => ErrorCode::SERVER_BUSY,
    };
    ErrorObject::new(code, over.to_string()).not_executed()
}

/// Refuses a peer in the protocol that comes behind all handshakes.
async fn refuse(protocol: &AppProtocol, connection: Connection, error: &ErrorObject) -> io::Result<()> {
    match protocol {
        #[cfg(feature = "http")]
        AppProtocol::Http(http) => {
            http.refuse(connection.io, error).await;
            Ok(())
        }
        AppProtocol::Sessions(policy) => {
            let message = framed(&policy.settings, &connection, error);
            let sent = send(connection.io, &message);
            timeout(READ_TIMEOUT, sent).await.unwrap_or_else(|late| Err(late.into()))
        }
    }
}

/// The framed error message. Empty if it does not fit into a frame.
fn framed(settings: &Settings, connection: &Connection, error: &ErrorObject) -> Vec<u8> {
    let Settings { framer, version, messages, .. } = settings;
    if messages.is_some() {
        // The peer does not speak JSON-RPC.
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
    tokio::io::copy(&mut io.take(MAX_DISCARDED), &mut tokio::io::sink()).await?;
    Ok(())
}
