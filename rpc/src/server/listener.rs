//! Where peers arrive.

use std::{io, sync::Arc};

use super::{Listen, episode::Episode};
#[cfg(feature = "tls")]
use crate::transport::tls;
#[cfg(feature = "ws")]
use crate::transport::websocket;
use crate::{
    framing::AnyFramer,
    transport::{
        Connection, Endpoint, Handshake, Kind, Net, Scheme, Socket, built_without, listen_in_memory,
    },
};

/// One place that is listened at.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Box<dyn Socket>,
    endpoint: Endpoint,
    /// What a peer has to agree on, one after another.
    handshakes: Arc<[Box<dyn Handshake>]>,
    /// How messages are told apart, where it is another way than elsewhere.
    framer: Option<Box<dyn AnyFramer>>,
}

impl Listener {
    pub(super) async fn bind(listen: Listen) -> io::Result<Self> {
        let handshakes = handshakes(&listen)?;
        let Listen { endpoint, framer, .. } = listen;
        match endpoint.kind() {
            Kind::Net(net) => {
                let (socket, endpoint) = listen_on_network(&endpoint, net).await?;
                Ok(Self { socket, endpoint, handshakes: handshakes.into(), framer })
            }
            Kind::Unix(_) => Err(built_without("unix")),
            Kind::Stdio => Err(built_without("stdio")),
            Kind::Memory(Some(name)) => {
                let socket = listen_in_memory(name)?;
                Ok(Self { socket, endpoint, handshakes: Arc::new([]), framer })
            }
            Kind::Memory(None) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "a place in memory needs a name"))
            }
        }
    }

    /// With the port that was given.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What comes between accepting a peer and the first message.
    pub(super) const fn handshakes(&self) -> &Arc<[Box<dyn Handshake>]> {
        &self.handshakes
    }

    /// The next peer; `None` where nobody will come any more. Whatever goes wrong does not end the server.
    ///
    /// A failure that comes from one peer (it has gone before it was accepted) is its own affair: the next one is accepted at once. Any
    /// other one (no more file descriptors) lasts, and asking again at once would only burn the CPU and fill the log.
    pub(super) async fn accept(&self) -> Option<Connection> {
        let mut trouble = Episode::new(&self.endpoint);
        loop {
            match self.socket.accept().await {
                Ok(None) => return None,
                Ok(Some(mut connection)) => {
                    trouble.end();
                    if let Some(framer) = &self.framer {
                        connection.framer = Some(framer.cloned());
                    }
                    return Some(connection);
                }
                Err(error) if comes_from_a_peer(&error) => trouble.of_a_peer(&error),
                Err(error) => trouble.of_ours(&error).await,
            }
        }
    }
}

#[cfg(feature = "tcp")]
async fn listen_on_network(endpoint: &Endpoint, net: &Net) -> io::Result<(Box<dyn Socket>, Endpoint)> {
    crate::transport::tcp::listen(endpoint, net).await
}

#[cfg(not(feature = "tcp"))]
async fn listen_on_network(_: &Endpoint, _: &Net) -> io::Result<(Box<dyn Socket>, Endpoint)> {
    Err(built_without("tcp"))
}

fn handshakes(listen: &Listen) -> io::Result<Vec<Box<dyn Handshake>>> {
    #[cfg(feature = "tls")]
    if listen.tls.is_some() {
        tls::must_be_spoken(&listen.endpoint)?;
    }
    let Some(net) = listen.endpoint.as_net() else { return Ok(Vec::new()) };
    match net.scheme {
        Scheme::Tcp => Ok(Vec::new()),
        #[cfg(feature = "tls")]
        Scheme::Tls => Ok(vec![tls::handshake(listen.tls.as_ref(), &[])?]),
        #[cfg(feature = "ws")]
        Scheme::Ws => Ok(vec![websocket::handshake(&listen.websocket, net)]),
        #[cfg(all(feature = "tls", feature = "ws"))]
        Scheme::Wss => {
            let tls = tls::handshake(listen.tls.as_ref(), &[b"http/1.1"])?;
            Ok(vec![tls, websocket::handshake(&listen.websocket, net)])
        }
        #[cfg(not(feature = "tls"))]
        Scheme::Tls | Scheme::Wss => Err(built_without("tls")),
        #[cfg(not(feature = "ws"))]
        Scheme::Ws => Err(built_without("ws")),
        #[cfg(all(feature = "tls", not(feature = "ws")))]
        Scheme::Wss => Err(built_without("ws")),
        Scheme::Http | Scheme::Https => Err(built_without("http")),
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
