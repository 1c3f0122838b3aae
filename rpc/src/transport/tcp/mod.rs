//! TCP: connecting to the first address of a host that answers, and listening on all of them. Needs
//! the feature `tcp`.
//!
//! Pass [`TcpOptions`] to [`Connector::tcp`](crate::Connector::tcp) and
//! [`Listen::tcp`](crate::Listen::tcp).

mod connect;
mod options;

use std::{io, net::SocketAddr};

use futures::future::BoxFuture;
use socket2::SockRef;
#[cfg(any(feature = "http", feature = "ws"))]
use tokio::net::TcpStream;
use tokio::net::{TcpListener, TcpSocket};

use super::{Connection, Endpoint, Net, Socket};
#[cfg(any(feature = "http", feature = "ws"))]
use super::{FromItself, PageScheme};
pub use connect::ConnectAttempts;
pub(crate) use connect::connect;
use connect::resolve;
use options::prepare;
pub use options::{TcpKeepAlive, TcpOptions};

/// Attempts to find a port that is free on all addresses of a name.
const PORTS_TO_TRY: usize = 16;

/// Options of a listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenOptions {
    /// Limit of connections waiting to be accepted.
    pub(crate) backlog: u32,
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    /// `None`: the system's default.
    pub(crate) ipv6_only: Option<bool>,
    /// Options of accepted connections.
    pub(crate) accepted: TcpOptions,
}

impl Default for ListenOptions {
    /// Like tokio's `TcpListener::bind`.
    fn default() -> Self {
        Self {
            backlog: 1024,
            reuse_address: cfg!(not(windows)),
            reuse_port: false,
            ipv6_only: None,
            accepted: TcpOptions::default(),
        }
    }
}

/// Listens on every address of the host, at the same port, since a peer may use any of them.
/// Returns at least one socket, each with its actual endpoint.
///
/// An address that this machine does not have is skipped if another one remains: many hosts files
/// map `localhost` to `::1` even without IPv6. Any other failure is an error: listening on some of
/// the addresses only would let another program take the others, and some of the peers.
pub(crate) async fn listen(
    endpoint: &Endpoint,
    net: &Net,
    options: &ListenOptions,
) -> io::Result<Vec<(Box<dyn Socket>, Endpoint)>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in resolve(&net.host, net.port).await? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    listen_at_all(&addresses, |address| {
        let listener = listen_at(address, options)?;
        let address = listener.local_addr()?;
        let endpoint = endpoint.at(address);
        let accepted = options.accepted.clone();
        let socket: Box<dyn Socket> = Box::new(Listening { listener, endpoint: endpoint.clone(), accepted });
        Ok(((socket, endpoint), address.port()))
    })
}

#[derive(Debug)]
struct Listening {
    listener: TcpListener,
    /// Provides the scheme of the peers' endpoints.
    endpoint: Endpoint,
    accepted: TcpOptions,
}

#[cfg(any(feature = "http", feature = "ws"))]
impl Listening {
    /// Whether a peer, possibly a browser, has the address that it has connected to. (Loopback
    /// addresses are recognised without that.)
    fn is_from_itself(&self, stream: &TcpStream, peer: SocketAddr) -> bool {
        let peer = peer.ip().to_canonical();
        PageScheme::of(&self.endpoint).is_some()
            && !peer.is_loopback()
            && stream.local_addr().is_ok_and(|ours| ours.ip().to_canonical() == peer)
    }
}

impl Socket for Listening {
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>> {
        Box::pin(async {
            let (stream, peer) = self.listener.accept().await?;
            // The failure concerns this connection only.
            prepare(&stream, &self.accepted)
                .map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error))?;
            #[cfg(any(feature = "http", feature = "ws"))]
            let is_from_itself = self.is_from_itself(&stream, peer);
            let connection = Connection::over_socket(stream, self.endpoint.of_peer(peer));
            #[cfg(any(feature = "http", feature = "ws"))]
            if is_from_itself {
                connection.extensions.insert(FromItself);
            }
            Ok(Some(connection))
        })
    }
}

/// `listen_at` also returns the port, which the system assigns if 0 was requested.
fn listen_at_all<L>(
    addresses: &[SocketAddr],
    mut listen_at: impl FnMut(SocketAddr) -> io::Result<(L, u16)>,
) -> io::Result<Vec<L>> {
    let any_port = addresses.first().is_some_and(|address| address.port() == 0);
    let mut tries = if any_port && addresses.len() > 1 { PORTS_TO_TRY } else { 1 };
    loop {
        tries -= 1;
        match listen_at_one_port(addresses, &mut listen_at) {
            // Free on the first address, in use on another.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            outcome => return outcome,
        }
    }
}

fn listen_at_one_port<L>(
    addresses: &[SocketAddr],
    listen_at: &mut impl FnMut(SocketAddr) -> io::Result<(L, u16)>,
) -> io::Result<Vec<L>> {
    let (mut listeners, mut given_port, mut left_out) = (Vec::new(), None, None);
    for &(mut address) in addresses {
        address.set_port(given_port.unwrap_or(address.port()));
        match listen_at(address) {
            Ok((listener, port)) => {
                listeners.push(listener);
                given_port = Some(port);
            }
            Err(error) if is_unavailable_here(&error) => left_out = Some(error),
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() {
        let none = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
        return Err(left_out.unwrap_or_else(none));
    }
    Ok(listeners)
}

fn listen_at(address: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
    let socket = socket_for(address, options)?;
    socket.bind(address)?;
    socket.listen(options.backlog)
}

fn socket_for(address: SocketAddr, options: &ListenOptions) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.set_reuseaddr(options.reuse_address)?;
    if options.reuse_port {
        set_reuse_port(&socket)?;
    }
    if let (true, Some(only)) = (address.is_ipv6(), options.ipv6_only) {
        SockRef::from(&socket).set_only_v6(only)?;
    }
    Ok(socket)
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
fn set_reuse_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
fn set_reuse_port(_: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system lets no two sockets share a port (`reuse_port`)",
    ))
}

/// Whether this machine lacks the address, or its family (`EAFNOSUPPORT`, which has no
/// `ErrorKind`).
fn is_unavailable_here(error: &io::Error) -> bool {
    const NO_SUCH_FAMILY: [i32; 4] = [97, 47, 106, 10047]; // Linux, BSD and macOS, Cygwin, Windows
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|code| NO_SUCH_FAMILY.contains(&code))
}

#[cfg(test)]
mod tests;
