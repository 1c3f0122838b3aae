//! Listening at a socket.

use std::{io, path::Path};

use futures::future::BoxFuture;
use tokio::net::{UnixListener, UnixSocket};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::private;
use super::{
    Address, connection, endpoint_of,
    file::{DirectoryLock, SocketFile, answered, make_way},
};
use crate::transport::{Connection, Endpoint, Kind, Socket};

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
        make_way(path).await?;
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
        io::ErrorKind::AddrInUse => answered(),
        _ => error,
    }
}
