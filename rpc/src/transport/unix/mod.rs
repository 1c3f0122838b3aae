//! Sockets that have a place in the file system, or (on Linux) a name of their own: reached by processes of the same machine only.

mod address;
mod connect;
mod credentials;
mod file;
mod listen;

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::Path};

use tokio::net::UnixStream;

pub use credentials::PeerCredentials;
pub(crate) use listen::listen;

use super::{Connection, Endpoint};
use address::Address;

/// Connects to a socket. Cancel safe.
pub(crate) async fn connect(path: &Path, endpoint: Endpoint) -> io::Result<Connection> {
    Ok(connection(connect::connect(Address::of(path)).await?, endpoint))
}

fn connection(stream: UnixStream, peer: Endpoint) -> Connection {
    let credentials = PeerCredentials::of(&stream);
    let connection = Connection::new(stream, peer);
    if let Some(credentials) = credentials {
        connection.extensions.insert(credentials);
    }
    connection
}

impl<'a> Address<'a> {
    /// As an [`Endpoint`] has it.
    fn of(path: &'a Path) -> Self {
        match path.as_os_str().as_bytes().strip_prefix(b"@") {
            Some(name) => Self::Abstract(name),
            None => Self::Path(path),
        }
    }
}

/// Where a peer came from: most have no place of their own.
fn endpoint_of(peer: &tokio::net::unix::SocketAddr) -> Endpoint {
    match (peer.as_pathname(), peer.as_abstract_name()) {
        (Some(path), _) => Endpoint::unix(path),
        (None, Some(name)) => Endpoint::unix(OsStr::from_bytes(&[b"@", name].concat())),
        (None, None) => Endpoint::unix(""),
    }
}
