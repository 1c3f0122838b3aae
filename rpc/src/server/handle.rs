//! The handle of a server that runs: its sessions, and its end.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

use super::{ending::Stage, terms::Terms};
use crate::{
    driver::{self, Owner, Start},
    jsonrpc::{ErrorCode, ErrorObject},
    limits::{Groups, Limits},
    session::{InstalledGroups, Membership, Session, Tally},
    transport::{ByteStream, Connection, Endpoint, LogRate, MessageChannel},
};

/// A server that runs. Clones are the same server. Dropping every handle leaves it running.
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) shared: Arc<Shared>,
    endpoints: Arc<[Endpoint]>,
}

/// Why a server accepts no further connection. It is told to the peer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("too many connections: {open} are open, and {limit} may be (`Limits::connections`). Try again later")]
pub(super) struct Full {
    pub(super) open: usize,
    pub(super) limit: usize,
}

impl Full {
    /// What the peer is told.
    pub(super) fn to_error(self) -> ErrorObject {
        ErrorObject::new(ErrorCode::SERVER_BUSY, self.to_string()).not_executed()
    }
}

/// What accepting, sessions and handles share.
pub(super) struct Shared {
    /// What holds wherever a listener does not say otherwise.
    pub(super) terms: Arc<Terms>,
    pub(super) groups: Option<Arc<InstalledGroups>>,
    sessions: Mutex<HashMap<u64, Session>>,
    /// How many peers were accepted whose sessions have not begun.
    pub(super) shaking: AtomicUsize,
    #[cfg(feature = "http")]
    pub(super) http: super::http::Connections,
    /// How many listeners are at work.
    pub(super) listening: Tally,
    pub(super) stage: watch::Sender<Stage>,
    /// How often the log has it that a peer speaks another protocol.
    strangers: LogRate,
}

impl Shared {
    pub(super) fn new(terms: Terms, groups: Option<Groups>) -> Arc<Self> {
        Arc::new(Self {
            groups: groups.map(|groups| InstalledGroups::new(groups, terms.limits())),
            #[cfg(feature = "http")]
            http: super::http::Connections::new(),
            terms: Arc::new(terms),
            sessions: Mutex::default(),
            shaking: AtomicUsize::new(0),
            listening: Tally::default(),
            stage: watch::Sender::new(Stage::Running),
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
        self.sessions().len() + self.shaking.load(Ordering::Relaxed) + others
    }

    /// The server's own. A listener may have others.
    pub(super) fn limits(&self) -> &Limits {
        self.terms.limits()
    }

    /// Starts the session of a peer that has arrived.
    pub(super) fn serve(
        self: &Arc<Self>,
        connection: Connection,
        group: Membership,
        terms: &Terms,
    ) -> Session {
        let start = Start {
            connection,
            settings: &terms.settings,
            // The server keeps its sessions, with or without services, until they end.
            serves: true,
            owner: Some(Arc::clone(self) as Arc<dyn Owner>),
            group,
        };
        driver::start(start, |session| {
            let services = terms.services.for_session(session);
            // Before its loop runs, which takes it out again.
            self.sessions().insert(session.id(), session.clone());
            services
        })
    }
}

impl Owner for Shared {
    fn ended(&self, session: u64) {
        // Dropped outside the lock: the last handle may end what the application keeps with the session.
        let ended = self.sessions().remove(&session);
        drop(ended);
    }

    fn strangers(&self) -> &LogRate {
        &self.strangers
    }
}

impl ServerHandle {
    pub(super) fn new(shared: Arc<Shared>, endpoints: Vec<Endpoint>) -> Self {
        Self { shared, endpoints: endpoints.into() }
    }

    /// Where it listens: see [`Server::endpoint`](super::Server::endpoint).
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoints.first().unwrap_or(&Endpoint::MEMORY)
    }

    /// Everywhere it listens.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Serves a peer that is connected already, over any stream of bytes: one end of [`memory`](crate::transport::memory), a socket
    /// of yours, a pipe. Must be called on a tokio runtime. It counts as a [connection](crate::Limits::connections), and is
    /// never one too many.
    pub fn attach(&self, io: impl ByteStream) -> Session {
        self.attach_connection(Connection::new(io, Endpoint::MEMORY))
    }

    /// The same over what carries whole messages: any stream and sink of them, such as a pair of channels. See [`MessageChannel`].
    pub fn attach_messages(&self, messages: impl MessageChannel) -> Session {
        self.attach_connection(Connection::of_messages(messages, Endpoint::MEMORY))
    }

    /// The same over a WebSocket, whose handshake was made over a stream of yours.
    #[cfg(feature = "ws")]
    pub fn attach_websocket(&self, websocket: crate::transport::websocket::WebSocket) -> Session {
        self.attach_connection(websocket.0)
    }

    fn attach_connection(&self, connection: Connection) -> Session {
        let groups = self.shared.groups.as_ref();
        let group = groups.map(|groups| groups.attach(&connection.peer)).unwrap_or_default();
        let session = self.shared.serve(connection, group, &self.shared.terms);
        if !self.shared.stage.borrow().serves() {
            session.abort();
        }
        session
    }

    /// The sessions that are open, in the order in which they began. Each tells what it [has done](Session::statistics), and can be
    /// [closed](Session::close).
    pub fn sessions(&self) -> Vec<Session> {
        let mut sessions: Vec<_> = self.shared.sessions().values().cloned().collect();
        sessions.sort_unstable_by_key(Session::id);
        sessions
    }

    /// The session that has this [`id`](Session::id), if it is open.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let handle = rpc::Server::builder().service(()).build()?.start();
    /// # let (_peer, io) = rpc::transport::memory(64);
    /// let id = handle.attach(io).id();
    /// if let Some(session) = handle.session(id) {
    ///     session.close().await;
    /// }
    /// assert!(handle.session(id).is_none());
    /// # Ok(()) }
    /// ```
    pub fn session(&self, id: u64) -> Option<Session> {
        self.shared.sessions().get(&id).cloned()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("services", &self.terms.services).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
