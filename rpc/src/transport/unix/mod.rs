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

mod address;
mod connect;
mod credentials;
mod file;
mod listen;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod private;

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt as _, path::Path};

use tokio::net::UnixStream;

pub use credentials::PeerCredentials;
pub(crate) use listen::{listen, must_have_a_file};

use super::{Connection, Endpoint};
use address::Address;

/// Connects to a socket. Cancel safe.
pub(crate) async fn connect(path: &Path, endpoint: Endpoint) -> io::Result<Connection> {
    Ok(connection(connect::connect(Address::of(path)).await?, endpoint))
}

fn connection(stream: UnixStream, peer: Endpoint) -> Connection {
    let credentials = PeerCredentials::of(&stream);
    let connection = Connection::over_socket(stream, peer);
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
    match (peer.as_pathname(), address::name_of(peer)) {
        (Some(path), _) => Endpoint::unix(path),
        (None, Some(name)) => Endpoint::unix(OsStr::from_bytes(&[b"@".as_slice(), name].concat())),
        (None, None) => Endpoint::unix(""),
    }
}
