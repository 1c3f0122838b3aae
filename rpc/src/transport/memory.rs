//! In-process connections: for tests, and between two parts of a program.

use std::{
    collections::HashMap,
    io,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use tokio::{
    io::DuplexStream,
    sync::{Mutex as AsyncMutex, mpsc},
};

use super::{
    connection::{Connection, Socket},
    endpoint::Endpoint,
};

/// Buffer size per direction of a connection by URL, in bytes.
const CAPACITY: usize = 64 << 10;

/// Limit of connections waiting to be accepted: what `listen` on Linux gives most programs.
const BACKLOG: usize = 4_096;

/// Both ends of an in-memory connection. Each direction buffers up to `capacity` bytes; 0 counts as
/// 1.
///
/// Pass one end to [`Connector::over`](crate::Connector::over) and the other to
/// [`ServerHandle::attach`](crate::ServerHandle::attach), or use
/// [`testing::pair`](crate::testing::pair), which does both. Parts of a program that do not know
/// each other can connect by the URL `memory:NAME`.
pub fn memory(capacity: usize) -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(capacity.max(1))
}

type Listeners = HashMap<Box<str>, mpsc::Sender<DuplexStream>>;

/// The listeners of this process, by name.
fn listeners() -> MutexGuard<'static, Listeners> {
    static LISTENERS: LazyLock<Mutex<Listeners>> = LazyLock::new(Mutex::default);
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct MemorySocket {
    name: Box<str>,
    arrivals: AsyncMutex<mpsc::Receiver<DuplexStream>>,
}

/// Listens at a name until the socket is dropped.
pub(crate) fn listen_in_memory(name: &str) -> io::Result<Box<dyn Socket>> {
    let mut listeners = listeners();
    if listeners.contains_key(name) {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there already"));
    }
    let (arrive, arrivals) = mpsc::channel(BACKLOG);
    listeners.insert(name.into(), arrive);
    Ok(Box::new(MemorySocket { name: name.into(), arrivals: AsyncMutex::new(arrivals) }))
}

impl Socket for MemorySocket {
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>> {
        Box::pin(async {
            let arrived = self.arrivals.lock().await.recv().await;
            Ok(arrived.map(|io| Connection::new(io, Endpoint::MEMORY)))
        })
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        listeners().remove(&self.name);
    }
}

/// Connects to the listener at a name.
pub(crate) fn connect_in_memory(name: &str) -> io::Result<DuplexStream> {
    let refused = |why| io::Error::new(io::ErrorKind::ConnectionRefused, why);
    let Some(arrive) = listeners().get(name).cloned() else {
        return Err(refused("nobody in this process listens there"));
    };
    let (here, there) = memory(CAPACITY);
    arrive.try_send(there).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => refused("too many have connected and were not accepted yet"),
        mpsc::error::TrySendError::Closed(_) => refused("nobody in this process listens there any more"),
    })?;
    Ok(here)
}
