//! Where peers arrive.

use std::{io, sync::Arc};

#[cfg(feature = "http")]
use super::http::{Http, HttpOptions};
use super::{Listen, episode::Episode, handle::Shared};
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
    spoken: Spoken,
}

/// What goes over the connections of a listener.
#[derive(Debug, Clone)]
pub(super) enum Spoken {
    /// The messages of a session.
    Messages,
    /// HTTP, whose requests carry messages.
    #[cfg(feature = "http")]
    Http(Arc<Http>),
}

impl Listener {
    pub(super) async fn bind(listen: Listen, shared: &Shared) -> io::Result<Self> {
        let spoken = spoken(&listen, shared)?;
        let bound = Self::bind_socket(&listen).await?;
        Ok(Self { spoken, framer: listen.framer, ..bound })
    }

    async fn bind_socket(listen: &Listen) -> io::Result<Self> {
        let endpoint = &listen.endpoint;
        #[cfg(feature = "tls")]
        if listen.tls.is_some() {
            tls::must_be_spoken(endpoint)?;
        }
        let bound = |socket, endpoint, handshakes: Vec<Box<dyn Handshake>>| Self {
            socket,
            endpoint,
            handshakes: handshakes.into(),
            framer: None,
            spoken: Spoken::Messages,
        };
        match endpoint.kind() {
            Kind::Net(net) => {
                let handshakes = handshakes(listen, net)?;
                let (socket, endpoint) = listen_on_network(endpoint, net).await?;
                Ok(bound(socket, endpoint, handshakes))
            }
            Kind::Unix(_) => Err(built_without("unix")),
            Kind::Stdio => Err(built_without("stdio")),
            Kind::Memory(Some(name)) => Ok(bound(listen_in_memory(name)?, endpoint.clone(), Vec::new())),
            Kind::Memory(None) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "a place in memory needs a name"))
            }
        }
    }

    /// With the port that was given.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What goes over the connections.
    pub(super) const fn spoken(&self) -> &Spoken {
        &self.spoken
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

#[cfg_attr(not(any(feature = "tls", feature = "ws")), expect(unused_variables, reason = "there are none"))]
fn handshakes(listen: &Listen, net: &Net) -> io::Result<Vec<Box<dyn Handshake>>> {
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
        #[cfg(not(feature = "http"))]
        Scheme::Http | Scheme::Https => Err(built_without("http")),
        #[cfg(feature = "http")]
        Scheme::Http => Ok(Vec::new()),
        #[cfg(all(feature = "http", feature = "tls"))]
        Scheme::Https => Ok(vec![tls::handshake(listen.tls.as_ref(), super::http::ALPN)?]),
        #[cfg(all(feature = "http", not(feature = "tls")))]
        Scheme::Https => Err(built_without("tls")),
    }
}

#[cfg(feature = "http")]
fn spoken(listen: &Listen, shared: &Shared) -> io::Result<Spoken> {
    let scheme = listen.endpoint.as_net().map(|net| net.scheme);
    let is_http = matches!(scheme, Some(Scheme::Http | Scheme::Https));
    let options = match &listen.http {
        Some(options) => options,
        None if is_http => &HttpOptions::new(),
        None => return Ok(Spoken::Messages),
    };
    if !shared.speaks_json_rpc() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "messages that are no JSON-RPC do not go over HTTP",
        ));
    }
    Ok(Spoken::Http(Arc::new(Http::new(shared, &listen.endpoint, options))))
}

#[cfg(not(feature = "http"))]
fn spoken(_: &Listen, _: &Shared) -> io::Result<Spoken> {
    Ok(Spoken::Messages)
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
