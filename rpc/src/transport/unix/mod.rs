//! Unix sockets: reached by processes of the same machine only, and it is known whose those are.
//!
//! The URL is `unix:PATH`, whole or relative, or on Linux `unix:@NAME` for a name that is in no file system. Feature `unix`, on by default.
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
//! let server = Server::builder().service(router).bind(Listen::at(&url)?.unix_mode(0o660)).await?.start();
//!
//! let session = rpc::connect(&url).await?;
//! assert!(session.call::<Option<u32>>("whoami", ()).await?.is_some());
//! server.shutdown().await;
//! # std::fs::remove_dir(&directory)?;
//! # Ok(()) }
//! ```
//!
//! The file stays behind when a server is killed. So what is found there is looked at when the next one listens:
//!
//! | found | what happens |
//! |---|---|
//! | a socket at which nobody listens | it is replaced |
//! | a socket at which somebody listens, or where that cannot be found out | [`BindError`](crate::BindError) of the kind `AddrInUse`; nothing is touched |
//! | a file, a directory, a link, anything else | the same, of the kind `AlreadyExists` |
//!
//! Of several servers that start at the same moment, one gets the place: they take turns by a lock (`flock`) on the directory. Where that
//! cannot be had (not within a second, not on this file system, not for want of the permission to read the directory) they go without. The
//! file is removed when nobody listens any more, if it is still the same one.
//!
//! Where permissions are to be set and there is no `/proc` (Linux), a directory stands beside the file for a moment, in
//! which the socket gets them before it gets its name. That takes up to 11 bytes of path more.
//!
//! Who may connect is said with [`Listen::unix_mode`](crate::Listen::unix_mode), and who has connected with
//! [`PeerCredentials`], on both sides. A path has at most 107 bytes on Linux, 103 elsewhere: the system's limit.

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

/// How many peers may wait to be accepted, if the system allows as many.
const BACKLOG: u32 = 1024;

/// Listens, until what is given is dropped, in the place of a server that has ended without removing its file, too. Who may connect is
/// what `mode` says, or else the umask.
pub(crate) async fn listen(path: &Path, mode: Option<u32>) -> io::Result<Box<dyn Socket>> {
    Ok(Box::new(UnixSocketListener::bind(Address::of(path), mode).await?))
}

/// # Errors
///
/// Where permissions were said and `endpoint` has none.
pub(crate) fn must_have_a_file(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint.kind() {
        Kind::Unix(path) if matches!(Address::of(path), Address::Path(_)) => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is no file whose permissions could be set, as `unix_mode` says",
        )),
    }
}

/// A socket that is listened at, and its file, which lasts as long as this.
#[derive(Debug)]
struct UnixSocketListener {
    // Dropped first: as long as the socket is open, no other file can have the number of its own.
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

    /// Nobody can connect to a socket that is bound and not listened at yet. That is when its permissions are set, and why it does not
    /// need a name of its own meanwhile. Nor can it be told from one whose server has ended, hence the lock.
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

/// Somebody else was faster.
fn in_use(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => address_in_use(),
        _ => error,
    }
}
