//! Listening at a socket.

use std::{io, path::Path};

use tokio::net::{UnixSocket, UnixStream};

use super::{
    Address,
    file::{DirectoryLock, SocketFile, answered, make_way},
};

/// What an address does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListenOptions {
    /// Who may connect. What the umask says, where it is `None`.
    pub(crate) mode: Option<u32>,
    /// How many peers may wait to be accepted.
    pub(crate) backlog: u32,
}

/// A socket that is listened at, and its file, which lasts as long as this.
#[derive(Debug)]
pub(crate) struct UnixListener {
    // Dropped first: as long as the socket is open, no other file can have the number of its own.
    _file: Option<SocketFile>,
    socket: tokio::net::UnixListener,
}

impl UnixListener {
    /// Listens, in the place of a server that has ended without removing its file, too.
    pub(crate) async fn bind(address: Address<'_>, options: ListenOptions) -> io::Result<Self> {
        let path = address.for_kernel()?;
        if let Some(mode) = options.mode
            && mode & !0o777 != 0
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the permissions of a socket are between 0o000 and 0o777, not {mode:#o}"),
            ));
        }
        match address {
            Address::Path(_) => Self::bind_file(&path, options).await,
            Address::Abstract(_) if options.mode.is_some() => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an abstract name has no permissions: everybody may connect",
            )),
            Address::Abstract(_) => {
                let socket = UnixSocket::new_stream()?;
                socket.bind(path).map_err(in_use)?;
                Ok(Self { _file: None, socket: socket.listen(options.backlog)? })
            }
        }
    }

    /// Nobody can connect to a socket that is bound and not listened at yet. That is when its permissions are set, and why it does not
    /// need a name of its own meanwhile. Nor can it be told from one whose server has ended, hence the lock.
    async fn bind_file(path: &Path, options: ListenOptions) -> io::Result<Self> {
        let lock = DirectoryLock::take(path).await?;
        make_way(path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path).map_err(in_use)?;
        let file = SocketFile::bound(path)?;
        if let Some(mode) = options.mode {
            file.set_mode(mode)?;
        }
        let socket = socket.listen(options.backlog)?;
        drop(lock);
        Ok(Self { _file: Some(file), socket })
    }

    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.socket.accept().await?.0)
    }
}

/// Somebody else was faster.
fn in_use(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => answered(),
        _ => error,
    }
}
