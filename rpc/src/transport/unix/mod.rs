//! Unix sockets: local to the machine, with known credentials of the peer.
//!
//! The URL is `unix:PATH`, absolute or relative, or on Linux `unix:@NAME` for a name outside the
//! file system. Feature `unix`, enabled by default.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc::{Context, ErrorObject, Listen, Params, Router, Server, transport::unix::PeerCredentials};
//!
//! let router = Router::new().method("whoami", async |_: Params, cx: Context| {
//!     let peer = cx.extensions().get::<PeerCredentials>();
//!     Ok::<_, ErrorObject>(peer.map(|peer| peer.uid))
//! });
//! # let directory = std::env::temp_dir().join(format!("rpc-doc-local-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory)?;
//! # let url = format!("unix:{}/calc.sock", directory.display());
//! // let url = "unix:/run/calc/calc.sock";
//! let listen = Listen::at(&url)?.unix_mode(0o660);
//! let server = Server::builder().service(router).bind(listen).await?.start();
//!
//! let session = rpc::connect(&url).await?;
//! assert!(session.call::<Option<u32>>("whoami", ()).await?.is_some());
//! server.shutdown().await;
//! # std::fs::remove_dir(&directory)?;
//! # Ok(()) }
//! ```
//!
//! The file remains when a server is killed. The next server examines it when it listens:
//!
//! | found | what happens |
//! |---|---|
//! | a socket where nobody listens | it is replaced |
//! | a socket where somebody listens, or may | [`BindError`](crate::BindError), kind `AddrInUse` |
//! | a file, a directory, a link, anything else | the same, kind `AlreadyExists` |
//!
//! Of several servers that start at the same moment, one succeeds: they serialize by a lock
//! (`flock`) on the directory. If it is not available (not within a second, not on this file
//! system, not without permission to read the directory) they proceed without. The file is removed
//! when its server stops listening, unless it was replaced.
//!
//! Setting permissions without `/proc` (Linux) needs a temporary directory beside the file, in
//! which the socket gets its permissions before its name. This takes up to 11 bytes more of the
//! path.
//!
//! [`Listen::unix_mode`](crate::Listen::unix_mode) sets who may connect, and [`PeerCredentials`]
//! tells who has, on both sides. A path has at most 107 bytes on Linux, 103 elsewhere, by the
//! system's limit.

mod connect;
mod file;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod private;

use std::{io, path::Path};

use futures::future::BoxFuture;
use tokio::net::{UnixListener, UnixSocket};

use super::{Connection, Endpoint, Kind, Socket};
pub use connect::PeerCredentials;
pub(crate) use connect::connect;
use connect::{Address, connection, endpoint_of};
use file::{DirectoryLock, SocketFile, address_in_use, remove_stale};

/// Limit of connections waiting to be accepted, if the system allows as many.
const BACKLOG: u32 = 1024;

/// Listens until the socket is dropped, and replaces a stale file. `mode` sets the permissions; the
/// default is the umask.
pub(crate) async fn listen(path: &Path, mode: Option<u32>) -> io::Result<Box<dyn Socket>> {
    Ok(Box::new(UnixSocketListener::bind(Address::of(path), mode).await?))
}

/// # Errors
///
/// When permissions are set and `endpoint` has no file.
pub(crate) fn must_have_a_file(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint.kind() {
        Kind::Unix(path) if matches!(Address::of(path), Address::Path(_)) => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is no file whose permissions could be set, as `unix_mode` says",
        )),
    }
}

/// A listening socket, and its file, which is removed with it.
#[derive(Debug)]
struct UnixSocketListener {
    // Dropped first: while the socket is open, no other file can have its inode number.
    _file: Option<SocketFile>,
    socket: UnixListener,
}

impl UnixSocketListener {
    async fn bind(address: Address<'_>, mode: Option<u32>) -> io::Result<Self> {
        let path = address.for_kernel()?;
        if let Some(mode) = mode
            && mode & !0o777 != 0
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the permissions of a socket are between 0o000 and 0o777, not {mode:#o}"),
            ));
        }
        match address {
            Address::Path(_) => Self::bind_file(&path, mode).await,
            Address::Abstract(_) => {
                let socket = UnixSocket::new_stream()?;
                socket.bind(path).map_err(in_use)?;
                Ok(Self { _file: None, socket: socket.listen(BACKLOG)? })
            }
        }
    }

    /// Nobody can connect to a bound socket that does not listen yet. Its permissions are set at
    /// that point, so no temporary name is needed. It looks like a stale socket meanwhile, hence
    /// the lock.
    async fn bind_file(path: &Path, mode: Option<u32>) -> io::Result<Self> {
        let lock = DirectoryLock::take(path).await?;
        remove_stale(path).await?;
        let socket = UnixSocket::new_stream()?;
        let file = match mode {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Some(mode) if !SocketFile::can_set_mode() => {
                private::bind(&socket, path, mode)?;
                SocketFile::bound(path)?
            }
            mode => {
                socket.bind(path).map_err(in_use)?;
                let file = SocketFile::bound(path)?;
                mode.map_or(Ok(()), |mode| file.set_mode(mode))?;
                file
            }
        };
        let socket = socket.listen(BACKLOG)?;
        drop(lock);
        Ok(Self { _file: Some(file), socket })
    }
}

impl Socket for UnixSocketListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>> {
        Box::pin(async {
            let (stream, peer) = self.socket.accept().await?;
            Ok(Some(connection(stream, endpoint_of(&peer))))
        })
    }
}

/// Another server was faster.
fn in_use(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => address_in_use(),
        _ => error,
    }
}
