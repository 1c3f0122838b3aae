//! Where peers arrive.

use std::io;

use tokio::net::{TcpListener, TcpStream};

use super::episode::Episode;
use crate::transport::{ByteStream, Endpoint, Kind, tcp};

/// What peers arrive at. A trait, so that a test can have it fail.
pub(super) trait Socket: Send + Sync + 'static {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, Endpoint)>> + Send;
}

impl Socket for TcpListener {
    async fn accept(&self) -> io::Result<(TcpStream, Endpoint)> {
        let (stream, peer) = Self::accept(self).await?;
        Ok((stream, Endpoint::tcp(peer)))
    }
}

/// One place that is listened at.
#[derive(Debug)]
pub(super) struct Listener<S = TcpListener> {
    socket: S,
    endpoint: Endpoint,
}

impl Listener {
    pub(super) async fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint.kind() {
            Kind::Tcp { host, port } => {
                let socket =
                    tcp::listen(&host.to_string(), *port, &tcp::ListenOptions::default()).await?.remove(0);
                let endpoint = Endpoint::tcp(socket.local_addr()?);
                Ok(Self { socket, endpoint })
            }
            Kind::Memory => Err(io::Error::new(io::ErrorKind::Unsupported, "nothing can listen in memory")),
        }
    }
}

impl<S: Socket> Listener<S> {
    /// With the port that was given.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The next peer. Whatever goes wrong does not end the server.
    ///
    /// A failure that comes from one peer (it has gone before it was accepted) is its own affair: the next one is accepted at once. Any
    /// other one (no more file descriptors) lasts, and asking again at once would only burn the CPU and fill the log.
    pub(super) async fn accept(&self) -> (Box<dyn ByteStream>, Endpoint) {
        let mut trouble = Episode::new(&self.endpoint);
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => match tcp::prepare(&stream, &tcp::TcpOptions::default()) {
                    Ok(()) => {
                        trouble.end();
                        return (Box::new(stream), peer);
                    }
                    Err(error) => trouble.of_a_peer(&error),
                },
                Err(error) if comes_from_a_peer(&error) => trouble.of_a_peer(&error),
                Err(error) => trouble.of_ours(&error).await,
            }
        }
    }
}

/// What Linux's accept(2) says of connections that failed before they were accepted, and BSD's of those that were reset.
fn comes_from_a_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
    )
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
