//! Socket addresses for the kernel, connecting, and the credentials of the peer process.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::UnixStream;

use crate::transport::{Connection, Endpoint};

/// Connects to a socket. Cancel safe.
pub(crate) async fn connect(path: &Path, endpoint: Endpoint) -> io::Result<Connection> {
    Ok(connection(connect_with_retry(Address::of(path)).await?, endpoint))
}

pub(super) fn connection(stream: UnixStream, peer: Endpoint) -> Connection {
    let credentials = PeerCredentials::of(&stream);
    let connection = Connection::over_socket(stream, peer);
    if let Some(credentials) = credentials {
        connection.extensions.insert(credentials);
    }
    connection
}

/// Initial and maximum delay between attempts while the listener's queue is full. The delay doubles
/// each time.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Connects as soon as the listener's queue has capacity. Cancel safe.
async fn connect_with_retry(address: Address<'_>) -> io::Result<UnixStream> {
    let path = address.for_kernel()?;
    let mut pause = FIRST_PAUSE;
    loop {
        match UnixStream::connect(&path).await {
            // The listener's queue is full. Unlike TCP, the kernel does not wait: connect(2),
            // `EAGAIN`.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Size of a path for the kernel, including its final zero: `sun_path` in `unix(7)` of Linux and in
/// `unix(4)` of the BSDs.
const SUN_PATH: usize =
    if cfg!(any(target_os = "linux", target_os = "android", target_os = "solaris", target_os = "illumos")) {
        108
    } else {
        104
    };

/// The address of a socket.
#[derive(Debug, Clone, Copy)]
pub(super) enum Address<'a> {
    Path(&'a Path),
    /// A name outside the file system. Linux only.
    Abstract(&'a [u8]),
}

impl<'a> Address<'a> {
    /// From the path in an [`Endpoint`].
    pub(super) fn of(path: &'a Path) -> Self {
        match path.as_os_str().as_bytes().strip_prefix(b"@") {
            Some(name) => Self::Abstract(name),
            None => Self::Path(path),
        }
    }

    /// Encodes for the kernel: an abstract name begins with a zero.
    pub(super) fn for_kernel(&self) -> io::Result<PathBuf> {
        let (bytes, what) = match self {
            Self::Path(path) => (path.as_os_str().as_bytes(), "path"),
            Self::Abstract(name) => (*name, "abstract name"),
        };
        // For the final zero of a path, or the zero before a name.
        if bytes.len() >= SUN_PATH {
            return Err(invalid(format!(
                "the {what} of a socket has at most {} bytes, and this one has {}",
                SUN_PATH - 1,
                bytes.len()
            )));
        }
        match self {
            Self::Path(_) if bytes.is_empty() => Err(invalid("the path is empty".to_owned())),
            Self::Path(_) if bytes.contains(&0) => {
                Err(invalid("there is a zero byte in the path".to_owned()))
            }
            Self::Path(path) => Ok(path.to_path_buf()),
            Self::Abstract(_) if !abstract_names::EXIST => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names of sockets"))
            }
            Self::Abstract(name) => Ok(OsString::from_vec([&[0], *name].concat()).into()),
        }
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// Socket names outside the file system: unix(7). The standard library has them on the same
/// systems, as `std::os::linux::net::SocketAddrExt` and `std::os::android::net::SocketAddrExt`.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod abstract_names {
    pub(super) const EXIST: bool = true;

    pub(super) fn name_of(peer: &tokio::net::unix::SocketAddr) -> Option<&[u8]> {
        peer.as_abstract_name()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod abstract_names {
    pub(super) const EXIST: bool = false;

    pub(super) fn name_of(_: &tokio::net::unix::SocketAddr) -> Option<&[u8]> {
        None
    }
}

/// The address of a peer. Most are unnamed.
pub(super) fn endpoint_of(peer: &tokio::net::unix::SocketAddr) -> Endpoint {
    match (peer.as_pathname(), abstract_names::name_of(peer)) {
        (Some(path), _) => Endpoint::unix(path),
        (None, Some(name)) => Endpoint::unix(OsStr::from_bytes(&[b"@".as_slice(), name].concat())),
        (None, None) => Endpoint::unix(""),
    }
}

/// Credentials of the process at the other end of a Unix socket. They come from the kernel, and
/// cannot be forged by the peer.
///
/// In the [`extensions`](crate::Context::extensions) of a session over a Unix socket, on both
/// sides:
///
/// ```
/// use rpc::{Context, ErrorObject, Params, Router, transport::unix::PeerCredentials};
///
/// let router = Router::new().method("stop", async |_: Params, cx: Context| {
///     match cx.extensions().get::<PeerCredentials>() {
///         Some(peer) if peer.uid == 0 => Ok("stopping"),
///         _ => Err(ErrorObject::new(403, "only root may do that")),
///     }
/// });
/// # let _ = router;
/// ```
///
/// They describe the process at the moment when it connected (or listened): it may have passed the
/// socket to another one since. They are missing if the system does not provide them (macOS, for a
/// peer that is already gone).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The effective user id.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// The process id, on systems that provide it: some BSDs do not. Another process may have it by
    /// now, so do not base decisions on it.
    pub pid: Option<i32>,
}

impl PeerCredentials {
    /// `None` if the system does not provide them.
    pub(crate) fn of(stream: &UnixStream) -> Option<Self> {
        match stream.peer_cred() {
            Ok(peer) => Some(Self { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() }),
            Err(error) => {
                tracing::debug!(rpc.system.name = "jsonrpc", %error, "the system does not say who the peer is");
                None
            }
        }
    }
}
