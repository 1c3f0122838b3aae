//! Where peers arrive.

use std::{io, sync::Arc};

#[cfg(feature = "http")]
use super::http::{Http, HttpOptions};
use super::{Listen, accept_backoff::AcceptBackoff, handle::Shared, sockets, terms::Terms};
use crate::{
    framing::AnyFramer,
    transport::{Connection, Endpoint, Handshake, Socket},
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
    /// How long a handshake may take, and what one that has failed costs.
    terms: Arc<Terms>,
}

/// What goes over the connections of a listener.
#[derive(Debug, Clone)]
pub(super) enum Spoken {
    /// The messages of a session, which is served on these terms.
    Messages(Arc<Terms>),
    /// HTTP, whose requests carry messages.
    #[cfg(feature = "http")]
    Http(Arc<Http>),
}

impl Listener {
    /// A name may have several addresses, each of which is listened at.
    pub(super) async fn bind(
        listen: Listen,
        shared: &Arc<Shared>,
        terms: &Arc<Terms>,
    ) -> io::Result<Vec<Self>> {
        let spoken = spoken(&listen, shared, terms)?;
        let handshakes: Arc<[Box<dyn Handshake>]> = sockets::handshakes(&listen)?.into();
        let listener = |(socket, endpoint)| Self {
            socket,
            endpoint,
            handshakes: Arc::clone(&handshakes),
            framer: listen.framer.as_ref().map(|framer| framer.cloned()),
            spoken: spoken.clone(),
            terms: Arc::clone(terms),
        };
        Ok(sockets::open(&listen).await?.into_iter().map(listener).collect())
    }

    /// With the port that was given.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What goes over the connections.
    pub(super) const fn spoken(&self) -> &Spoken {
        &self.spoken
    }

    /// What it serves, and how.
    pub(super) const fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// What comes between accepting a peer and the first message.
    pub(super) const fn handshakes(&self) -> &Arc<[Box<dyn Handshake>]> {
        &self.handshakes
    }

    /// The next peer; `None` where nobody will come any more. Whatever goes wrong does not end the server.
    ///
    /// A failure that comes from one peer (it has gone before it was accepted) is its own affair: the next one is accepted at once. Any
    /// other one (no more file descriptors) lasts, and asking again at once would only burn the CPU and fill the log. `backoff` is the
    /// listener's, and sees all of them.
    pub(super) async fn accept(&self, backoff: &mut AcceptBackoff) -> Option<Connection> {
        loop {
            match self.socket.accept().await {
                Ok(None) => return None,
                Ok(Some(mut connection)) => {
                    backoff.end();
                    if let Some(framer) = &self.framer {
                        connection.framer = Some(framer.cloned());
                    }
                    return Some(connection);
                }
                Err(error) if comes_from_a_peer(&error) => backoff.of_a_peer(&error).await,
                Err(error) => backoff.of_ours(&error).await,
            }
        }
    }
}

#[cfg(feature = "http")]
fn spoken(listen: &Listen, shared: &Arc<Shared>, terms: &Arc<Terms>) -> io::Result<Spoken> {
    use crate::transport::Scheme;

    let scheme = listen.endpoint.as_net().map(|net| net.scheme);
    let is_http = matches!(scheme, Some(Scheme::Http | Scheme::Https));
    let options = match &listen.http {
        Some(options) => options,
        None if is_http => &HttpOptions::new(),
        None => return Ok(Spoken::Messages(Arc::clone(terms))),
    };
    if matches!(scheme, Some(Scheme::Ws | Scheme::Wss)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "it was said how to speak HTTP, and WebSocket is spoken at `{}:`: listen at http or https, \
                 where WebSockets are opened, too",
                listen.endpoint.scheme()
            ),
        ));
    }
    if terms.settings.messages.is_some() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "messages that are no JSON-RPC do not go over HTTP",
        ));
    }
    #[cfg(feature = "ws")]
    let http = Http::with_websocket(shared, terms, &listen.endpoint, options, listen.websocket.clone());
    #[cfg(not(feature = "ws"))]
    let http = Http::new(shared, terms, &listen.endpoint, options);
    Ok(Spoken::Http(Arc::new(http)))
}

#[cfg(not(feature = "http"))]
fn spoken(_: &Listen, _: &Arc<Shared>, terms: &Arc<Terms>) -> io::Result<Spoken> {
    Ok(Spoken::Messages(Arc::clone(terms)))
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
