//! Where peers arrive.

use std::{io, time::Duration};

use tokio::net::TcpListener;

use crate::transport::{ByteStream, Endpoint, Kind, tcp};

/// One place that is listened at.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    endpoint: Endpoint,
}

/// A failure that does not come from one peer (no more file descriptors) lasts: asking again at once would only burn the CPU.
const PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    pub(super) async fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint.kind() {
            Kind::Tcp { host, port } => {
                let socket = tcp::listen(&host.to_string(), *port).await?;
                let endpoint = Endpoint::tcp(socket.local_addr()?);
                Ok(Self { socket, endpoint })
            }
            Kind::Memory => Err(io::Error::new(io::ErrorKind::Unsupported, "nothing can listen in memory")),
        }
    }

    /// With the port that was given.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The next peer. Whatever goes wrong is logged, and does not end the server.
    pub(super) async fn accept(&self) -> (Box<dyn ByteStream>, Endpoint) {
        loop {
            match self.socket.accept().await.and_then(|(stream, peer)| Ok((tcp::prepared(stream)?, peer))) {
                Ok((stream, peer)) => return (Box::new(stream), Endpoint::tcp(peer)),
                Err(error) => {
                    tracing::warn!(rpc.system.name = "jsonrpc", endpoint = %self.endpoint, %error, "accepting a peer failed");
                    // A peer that was gone before it was accepted is its own affair.
                    if !matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }
}
