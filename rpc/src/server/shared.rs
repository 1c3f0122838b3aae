//! What a server serves, and the state that its listeners, sessions and handles share.

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
    session::{CloseReason, InstalledGroups, Membership, Session, Tally},
    transport::{Connection, Endpoint, EndpointError, LogRate},
};

/// Why a server (or a connector that serves) could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The URL names no place to listen at.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The place cannot be listened at.
    #[error("cannot listen at {endpoint}")]
    Io {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: io::Error,
    },

    /// Two services have a method of the same name on the wire.
    #[error(transparent)]
    DuplicateMethod(#[from] DuplicateMethod),

    /// What was configured cannot be said in the version that was chosen.
    #[error("cannot serve as configured")]
    Unsupported(#[from] Unsupported),
}

/// What the sessions and requests of a listener are served on.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) services: Arc<BuiltServices>,
    pub(super) settings: Settings,
    /// What requests over HTTP share.
    #[cfg(feature = "http")]
    pub(super) capacity: Arc<HttpCapacity>,
}

/// What a listener says otherwise than its server.
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

    /// Waits for `work`, which comes before the first message, for no longer than it may take.
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

    /// Says by which limits peers are served where they may come from other machines.
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
    /// Those of `server`, but for what is said here.
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
            // Connections are counted for the server.
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

/// How far a server has come. It only ever goes on to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ServerStage {
    Running,
    /// Nobody is accepted any more.
    NotListening,
    /// Sessions are ending, too.
    Stopping,
    Stopped,
}

impl ServerStage {
    /// Whether peers that arrive are accepted.
    pub(super) fn accepts(self) -> bool {
        self == Self::Running
    }

    /// Whether sessions that are attached go on.
    pub(super) fn serves(self) -> bool {
        self < Self::Stopping
    }
}

/// Why a server accepts no further connection. It is told to the peer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too many connections: {open} are open, and {limit} may be (`Limits::connections`). Try again later")]
pub(super) struct ServerFull {
    pub(super) open: usize,
    pub(super) limit: usize,
}

impl ServerFull {
    /// What the peer is told.
    pub(super) fn to_error(self) -> ErrorObject {
        ErrorObject::new(ErrorCode::SERVER_BUSY, self.to_string()).not_executed()
    }
}

/// What accepting, sessions and handles share.
pub(super) struct ServerShared {
    /// What holds wherever a listener does not say otherwise.
    pub(super) policy: Arc<Policy>,
    pub(super) groups: Option<Arc<InstalledGroups>>,
    sessions: Mutex<HashMap<u64, Session>>,
    /// How many peers were accepted whose sessions have not begun.
    pub(super) handshaking: AtomicUsize,
    #[cfg(feature = "http")]
    pub(super) http: HttpWork,
    /// How many listeners are at work.
    pub(super) listening: Tally,
    pub(super) stage: watch::Sender<ServerStage>,
    /// How often the log has it that a peer speaks another protocol.
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
            listening: Tally::default(),
            stage: watch::Sender::new(ServerStage::Running),
            strangers: LogRate::default(),
        })
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sessions there may be for one more peer to be accepted.
    pub(super) fn connections(&self) -> usize {
        self.limits().connections
    }

    /// How many connections there are.
    pub(super) fn connections_open(&self) -> usize {
        #[cfg(feature = "http")]
        let others = self.http.count();
        #[cfg(not(feature = "http"))]
        let others = 0;
        self.sessions().len() + self.handshaking.load(Ordering::Relaxed) + others
    }

    /// The server's own. A listener may have others.
    pub(super) fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    /// Starts the session of a peer that was accepted, unless the server stops.
    pub(super) fn begin_session(
        self: &Arc<Self>,
        connection: Connection,
        group: Membership,
        policy: &Policy,
    ) {
        // What makes a service for the session is code of the user's.
        match catch_unwind(AssertUnwindSafe(|| self.serve(connection, group, policy))) {
            Ok(session) if !self.stage.borrow().serves() => session.abort(),
            Ok(_) => {}
            Err(_) => {
                tracing::error!(rpc.system.name = "jsonrpc", "making a service for a session panicked");
            }
        }
    }

    /// Starts the session of a peer that has arrived.
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
            // Before its loop runs, which takes it out again.
            self.sessions().insert(session.id(), session.clone());
            services
        })
    }
}

impl Owner for ServerShared {
    fn ended(&self, session: u64) {
        // Dropped outside the lock: the last handle may end what the application keeps with the session.
        let ended = self.sessions().remove(&session);
        drop(ended);
    }

    fn strangers(&self) -> &LogRate {
        &self.strangers
    }
}

impl ServerShared {
    /// Goes on to a later stage. False where it was reached already.
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

    /// Where the last listener has ended by itself, so has what the server is for.
    pub(super) fn close_unless_listening(self: &Arc<Self>) {
        if self.listening.count() == 0 && self.stage.borrow().accepts() {
            self.start_shutdown();
        }
    }

    /// Waits until nobody is accepted any more, then closes the sessions and waits for their ends.
    async fn stop(self: Arc<Self>) {
        self.listening.until_none().await;
        let sessions: Vec<Session> = self.sessions().values().cloned().collect();
        for session in &sessions {
            session.link().start_close(CloseReason::Shutdown);
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

impl fmt::Debug for ServerShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerShared").field("services", &self.policy.services).finish_non_exhaustive()
    }
}

/// A connection that is no session yet.
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

/// `unlogged` is how many like it are not in the log.
pub(super) fn log_full(full: &ServerFull, peer: &Endpoint, unlogged: u64) {
    let &ServerFull { open, limit } = full;
    tracing::warn!(
        rpc.system.name = "jsonrpc", network.transport = peer.scheme(), network.peer.address = %peer, open, limit, unlogged,
        "as many connections are open as may be: further ones are refused. Where the system has room for more, raise \
         `Limits::connections`"
    );
}

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
