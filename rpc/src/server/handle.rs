//! The handle of a server that runs: its sessions, and its end.

use std::{
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::{Either, select};
use tokio::{sync::watch, task::JoinHandle};

use super::listener::Listener;
use crate::{
    driver::{self, Owner, Settings, Start},
    service::BuiltServices,
    session::{CloseReason, Session},
    transport::{ByteStream, Endpoint},
};

/// A server that runs. Clones are the same server. Dropping every handle leaves it running.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
    endpoints: Arc<[Endpoint]>,
}

/// What accepting, sessions and handles share.
pub(super) struct Shared {
    services: BuiltServices,
    settings: Settings,
    sessions: Mutex<HashMap<u64, Session>>,
    listeners: Mutex<Vec<JoinHandle<()>>>,
    stage: watch::Sender<Stage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// Nobody is accepted any more; sessions are ending.
    Stopping,
    Stopped,
}

impl Shared {
    pub(super) fn new(services: BuiltServices, settings: Settings) -> Arc<Self> {
        let stage = watch::Sender::new(Stage::Running);
        Arc::new(Self { services, settings, sessions: Mutex::default(), listeners: Mutex::default(), stage })
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the session of a peer that has arrived.
    fn serve(self: &Arc<Self>, io: Box<dyn ByteStream>, peer: Endpoint) -> Session {
        let start = Start {
            io,
            peer,
            settings: &self.settings,
            // The server keeps its sessions, with or without services, until they end.
            serves: true,
            owner: Some(Arc::clone(self) as Arc<dyn Owner>),
        };
        driver::start(start, |session| {
            let services = self.services.for_session(session);
            // Before its loop runs, which takes it out again.
            self.sessions().insert(session.id(), session.clone());
            services
        })
    }

    /// Waits until nobody is accepted any more, then closes the sessions and waits for their ends.
    async fn stop(self: Arc<Self>) {
        let listeners = std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        for listener in listeners {
            // Whether it had panicked makes no difference: the socket is closed.
            drop(listener.await);
        }
        let sessions: Vec<Session> = self.sessions().values().cloned().collect();
        for session in &sessions {
            session.link().start_close(CloseReason::Shutdown);
        }
        for session in sessions {
            session.closed().await;
        }
        self.stage.send_replace(Stage::Stopped);
    }
}

impl Owner for Shared {
    fn ended(&self, session: u64) {
        // Dropped outside the lock: the last handle may end what the application keeps with the session.
        let ended = self.sessions().remove(&session);
        drop(ended);
    }
}

impl ServerHandle {
    pub(super) fn new(shared: Arc<Shared>, endpoints: Vec<Endpoint>) -> Self {
        Self { shared, endpoints: endpoints.into() }
    }

    pub(super) fn accept_from(&self, listener: Listener) {
        let shared = Arc::clone(&self.shared);
        let mut stage = shared.stage.subscribe();
        let accepting = tokio::spawn(async move {
            let mut stopping = pin!(stage.wait_for(|stage| *stage != Stage::Running));
            while let Either::Right(((io, peer), _)) =
                select(stopping.as_mut(), pin!(listener.accept())).await
            {
                // What makes a service for the session is code of the user's.
                if catch_unwind(AssertUnwindSafe(|| shared.serve(io, peer))).is_err() {
                    tracing::error!(rpc.system.name = "jsonrpc", "making a service for a session panicked");
                }
            }
        });
        self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(accepting);
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
    /// of yours, a pipe. Must be called on a tokio runtime.
    pub fn attach(&self, io: impl ByteStream) -> Session {
        let session = self.shared.serve(Box::new(io), Endpoint::MEMORY);
        if *self.shared.stage.borrow() != Stage::Running {
            session.abort();
        }
        session
    }

    /// The sessions that are open.
    pub fn sessions(&self) -> Vec<Session> {
        self.shared.sessions().values().cloned().collect()
    }

    /// Stops in good order: accepts nobody any more, lets handlers finish, closes every session, and returns when all have ended.
    ///
    /// A session that takes longer than [`Limits::close_timeout`](crate::Limits::close_timeout) is ended by force; idle ones end at once. Calling it again waits for
    /// the same end. Dropping the future does not undo it.
    pub async fn shutdown(&self) {
        let first = self.shared.stage.send_if_modified(|stage| {
            let running = *stage == Stage::Running;
            if running {
                *stage = Stage::Stopping;
            }
            running
        });
        if first {
            // A task of its own: it goes on when nobody waits for it any more.
            tokio::spawn(Arc::clone(&self.shared).stop());
        }
        self.closed().await;
    }

    /// Waits until the server was shut down. Cancel safe.
    pub async fn closed(&self) {
        let mut stage = self.shared.stage.subscribe();
        // The sender lives in `self`: it cannot be gone.
        let _stopped = stage.wait_for(|stage| *stage == Stage::Stopped).await;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("services", &self.services).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
