//! The policy that peers are served by, and the state that the listeners, sessions and handles of a
//! server share.

use std::{
    collections::HashMap,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{sync::watch, time::timeout};

#[cfg(feature = "http")]
use super::http_work::{HttpCapacity, HttpWork};
use crate::{
    driver::{self, Owner, Settings, Start},
    jsonrpc::{CancelBy, ErrorCode, ErrorObject, Protocol, Unsupported},
    limits::{Groups, Limits, OverLimit},
    service::{BuiltServices, DuplicateMethod, Services},
    session::{CloseReason, InstalledGroups, Membership, Session, WorkTracker},
    transport::{Connection, Endpoint, EndpointError, LogRate},
};

/// Why a server (or a connector that serves) cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The URL is not a valid endpoint to listen at.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The endpoint cannot be listened at.
    #[error("cannot listen at {endpoint}")]
    Io {
        /// The endpoint.
        endpoint: Endpoint,
        /// The cause.
        source: io::Error,
    },

    /// Two services have a method of the same name on the wire.
    #[error(transparent)]
    DuplicateMethod(#[from] DuplicateMethod),

    /// The chosen version of JSON-RPC does not support the configuration.
    #[error("cannot serve as configured")]
    Unsupported(#[from] Unsupported),
}

/// The services, settings and limits of a listener's sessions and requests.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) services: Arc<BuiltServices>,
    pub(super) settings: Settings,
    /// The permits that HTTP requests share.
    #[cfg(feature = "http")]
    pub(super) capacity: Arc<HttpCapacity>,
}

/// The options of a listener that differ from those of its server.
#[derive(Debug, Default)]
pub(super) struct PolicyOverrides {
    pub(super) services: Option<Services>,
    pub(super) protocol: Option<Protocol>,
    pub(super) cancellation: Option<CancelBy>,
    pub(super) limits: Option<Limits>,
}

impl Policy {
    pub(super) fn new(services: Services, settings: Settings) -> Result<Self, BindError> {
        settings.check()?;
        Ok(Self {
            services: Arc::new(services.build()?),
            #[cfg(feature = "http")]
            capacity: Arc::new(HttpCapacity::new(&settings.limits)),
            settings,
        })
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Waits for `work`, a step before the first message, up to the `handshake_timeout`.
    pub(super) async fn within_handshake_timeout<T>(
        &self,
        work: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let Some(limit) = self.limits().handshake_timeout else { return work.await };
        timeout(limit, work).await.unwrap_or_else(|_| {
            let told = format!("it was not done within {limit:?} (`handshake_timeout`)");
            Err(io::Error::new(io::ErrorKind::TimedOut, told))
        })
    }

    /// Logs the limits of an endpoint that other machines can reach.
    pub(super) fn log_reach(&self, endpoint: &Endpoint) {
        if endpoint.socket_addr().is_some_and(|address| !address.ip().to_canonical().is_loopback()) {
            tracing::info!(
                rpc.system.name = "jsonrpc", server.address = %endpoint, limits = self.limits().preset(),
                "listening where other machines can connect: for the internet there is `Limits::public()`"
            );
        }
    }
}

impl PolicyOverrides {
    /// The policy of `server` with these differences.
    pub(super) fn over(self, server: &Arc<Policy>) -> Result<Arc<Policy>, BindError> {
        let Self { services, protocol, cancellation, limits } = self;
        if services.is_none() && protocol.is_none() && cancellation.is_none() && limits.is_none() {
            return Ok(Arc::clone(server));
        }
        let mut settings = server.settings.clone();
        if let Some(protocol) = protocol {
            settings.set_protocol(protocol);
        }
        if let Some(cancellation) = cancellation {
            settings.cancellation = cancellation;
        }
        #[cfg(feature = "http")]
        let mut capacity = Arc::clone(&server.capacity);
        if let Some(limits) = limits {
            // Connections are counted for the whole server.
            settings.limits = Limits { connections: server.limits().connections, ..limits.in_force() };
            #[cfg(feature = "http")]
            {
                capacity = Arc::new(HttpCapacity::new(&settings.limits));
            }
        }
        settings.check()?;
        let services = match services {
            Some(services) => Arc::new(services.build()?),
            None => Arc::clone(&server.services),
        };
        Ok(Arc::new(Policy {
            services,
            settings,
            #[cfg(feature = "http")]
            capacity,
        }))
    }
}

/// The stage of a server's life. It only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ServerStage {
    Running,
    /// Peers are not accepted any more.
    NotListening,
    /// Sessions are closing.
    Stopping,
    Stopped,
}

impl ServerStage {
    /// Returns true if arriving peers are accepted.
    pub(super) fn accepts(self) -> bool {
        self == Self::Running
    }

    /// Returns true if attached sessions are served.
    pub(super) fn serves(self) -> bool {
        self < Self::Stopping
    }
}

/// The server has reached its limit of connections. A refused peer is sent this text.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too many connections: {open} are open, and {limit} may be (`Limits::connections`). Try again later")]
pub(super) struct ServerFull {
    pub(super) open: usize,
    pub(super) limit: usize,
}

impl ServerFull {
    /// The error for a refused peer.
    pub(super) fn to_error(self) -> ErrorObject {
        ErrorObject::new(ErrorCode::SERVER_BUSY, self.to_string()).not_executed()
    }
}

/// The state that the listeners, sessions and handles of one server share.
pub(super) struct ServerShared {
    /// The policy of every listener without its own.
    pub(super) policy: Arc<Policy>,
    pub(super) groups: Option<Arc<InstalledGroups>>,
    sessions: Mutex<HashMap<u64, Session>>,
    /// The number of accepted peers whose handshakes are in progress.
    handshaking: AtomicUsize,
    #[cfg(feature = "http")]
    pub(super) http: HttpWork,
    /// The running listeners.
    pub(super) listening: WorkTracker,
    pub(super) stage: watch::Sender<ServerStage>,
    /// Bounds the log events about peers that speak another protocol.
    strangers: LogRate,
}

impl ServerShared {
    pub(super) fn new(policy: Policy, groups: Option<Groups>) -> Arc<Self> {
        Arc::new(Self {
            groups: groups.map(|groups| InstalledGroups::new(groups, policy.limits())),
            #[cfg(feature = "http")]
            http: HttpWork::new(),
            policy: Arc::new(policy),
            sessions: Mutex::default(),
            handshaking: AtomicUsize::new(0),
            listening: WorkTracker::default(),
            stage: watch::Sender::new(ServerStage::Running),
            strangers: LogRate::default(),
        })
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of connections from which on peers are refused.
    pub(super) fn connections(&self) -> usize {
        self.limits().connections
    }

    /// The number of open connections.
    pub(super) fn connections_open(&self) -> usize {
        #[cfg(feature = "http")]
        let others = self.http.count();
        #[cfg(not(feature = "http"))]
        let others = 0;
        self.sessions().len() + self.handshaking.load(Ordering::Relaxed) + others
    }

    /// The limits of the server. A listener may have others.
    pub(super) fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    /// Begins the session of an accepted peer. It is aborted if the server is stopping.
    pub(super) fn begin_session(
        self: &Arc<Self>,
        connection: Connection,
        group: Membership,
        policy: &Policy,
    ) {
        // Making the session's service runs code of the user's.
        match catch_unwind(AssertUnwindSafe(|| self.serve(connection, group, policy))) {
            Ok(session) if !self.stage.borrow().serves() => session.abort(),
            Ok(_) => {}
            Err(_) => {
                tracing::error!(rpc.system.name = "jsonrpc", "making a service for a session panicked");
            }
        }
    }

    /// Begins the session of a peer.
    pub(super) fn serve(
        self: &Arc<Self>,
        connection: Connection,
        group: Membership,
        policy: &Policy,
    ) -> Session {
        let start = Start {
            connection,
            settings: &policy.settings,
            // The server keeps its sessions, with or without services, until they end.
            serves: true,
            owner: Some(Arc::clone(self) as Arc<dyn Owner>),
            group,
        };
        driver::start(start, |session| {
            let services = policy.services.for_session(session);
            // Before the loop of the session runs, which removes it at its end.
            self.sessions().insert(session.id(), session.clone());
            services
        })
    }

    /// Moves the stage forward to `next`. Returns false if the server was there already.
    pub(super) fn enter(&self, next: ServerStage) -> bool {
        self.stage.send_if_modified(|stage| {
            let is_later = *stage < next;
            if is_later {
                *stage = next;
            }
            is_later
        })
    }

    pub(super) fn start_shutdown(self: &Arc<Self>) {
        if self.enter(ServerStage::Stopping) {
            tokio::spawn(Arc::clone(self).stop());
        }
    }

    /// Shuts down a server whose last listener has ended by itself: no further peer can come.
    pub(super) fn close_unless_listening(self: &Arc<Self>) {
        if self.listening.count() == 0 && self.stage.borrow().accepts() {
            self.start_shutdown();
        }
    }

    /// Waits for the listeners to end, then closes the sessions and waits for them.
    async fn stop(self: Arc<Self>) {
        self.listening.wait().await;
        let sessions: Vec<Session> = self.sessions().values().cloned().collect();
        for session in &sessions {
            session.shared().start_close(CloseReason::Shutdown);
        }
        let closed = async {
            for session in sessions {
                session.closed().await;
            }
        };
        #[cfg(feature = "http")]
        futures::future::join(closed, self.http.all_ended(self.limits().close_timeout)).await;
        #[cfg(not(feature = "http"))]
        closed.await;
        self.enter(ServerStage::Stopped);
    }
}

impl Owner for ServerShared {
    fn ended(&self, session: u64) {
        // Dropped outside the lock: the drop of the last handle may run code of the application.
        let ended = self.sessions().remove(&session);
        drop(ended);
    }

    fn strangers(&self) -> &LogRate {
        &self.strangers
    }
}

impl fmt::Debug for ServerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerShared").field("services", &self.policy.services).finish_non_exhaustive()
    }
}

/// Counts an accepted peer whose session has not begun, until dropped.
pub(super) struct PendingConnection(Arc<ServerShared>);

impl PendingConnection {
    pub(super) fn new(shared: &Arc<ServerShared>) -> Self {
        shared.handshaking.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        self.0.handshaking.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Logs that a peer was refused because the server is full. `unlogged` is the number of like events
/// since the last logged one.
pub(super) fn log_full(full: &ServerFull, peer: &Endpoint, unlogged: u64) {
    let &ServerFull { open, limit } = full;
    tracing::warn!(
        rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, open, limit, unlogged,
        "as many connections are open as may be: further ones are refused. Where the system has room for more, raise \
         `Limits::connections`"
    );
}

/// Logs that a peer was refused because its group is over a limit.
pub(super) fn log_over(over: &OverLimit, peer: &Endpoint, unlogged: u64) {
    match *over {
        OverLimit::Connections { open, limit } => tracing::warn!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, open, limit, unlogged,
            "a group of peers has as many connections as it may have: a further one is refused. Where many peers come from one place, \
             raise `Groups::connections`, or leave the place out with `Groups::exempt`"
        ),
        OverLimit::Cost { cost, limit } => tracing::info!(
            rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, cost, limit, unlogged,
            "a group of peers has cost too much: one that connects again is refused. Where they do what they should, raise \
             `Limits::cost_hard` or `Groups::allowance`"
        ),
    }
}
