//! A listener: its socket, the protocol over it, and its back-off when accepting fails.

use std::{io, sync::Arc, time::Duration};

use tokio::time::Instant;

#[cfg(feature = "http")]
use super::http::{HttpOptions, HttpProtocol, HttpService};
use super::{
    Listen,
    shared::{Policy, ServerShared},
};
#[cfg_attr(
    all(feature = "http", feature = "stdio", feature = "tcp", feature = "tls-no-provider", feature = "ws"),
    expect(unused_imports, reason = "nothing was left out")
)]
use crate::transport::built_without;
#[cfg(feature = "tls-no-provider")]
use crate::transport::tls;
#[cfg(all(unix, feature = "unix"))]
use crate::transport::unix;
#[cfg(feature = "ws")]
use crate::transport::websocket;
use crate::{
    framing::AnyFramer,
    jsonrpc::{chain, shown::brief},
    session::Membership,
    transport::{Connection, Endpoint, Handshake, Kind, Net, Scheme, Socket, listen_in_memory},
};

/// One address that is listened at.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Box<dyn Socket>,
    endpoint: Endpoint,
    /// The handshakes with each peer, in order.
    handshakes: Arc<[Box<dyn Handshake>]>,
    /// The framer, if it is not the server's.
    framer: Option<Box<dyn AnyFramer>>,
    protocol: AppProtocol,
    /// The services and limits of the peers that arrive here.
    policy: Arc<Policy>,
}

/// The protocol over the connections of a listener, behind all handshakes.
#[derive(Debug, Clone)]
pub(super) enum AppProtocol {
    /// Messages of a session, served by this policy.
    Sessions(Arc<Policy>),
    /// HTTP, whose requests carry messages.
    #[cfg(feature = "http")]
    Http(Arc<HttpProtocol>),
}

impl AppProtocol {
    /// Begins the session of a peer, or serves it over HTTP.
    pub(super) fn begin(&self, shared: &Arc<ServerShared>, connection: Connection, group: Membership) {
        match self {
            #[cfg(feature = "http")]
            Self::Http(http) => http.serve(shared, connection, group),
            Self::Sessions(policy) => shared.begin_session(connection, group, policy),
        }
    }
}

impl Listener {
    /// A host name may have several addresses: each gets a listener.
    pub(super) async fn bind(
        listen: Listen,
        shared: &Arc<ServerShared>,
        policy: &Arc<Policy>,
    ) -> io::Result<Vec<Self>> {
        let protocol = protocol(&listen, shared, policy)?;
        let handshakes: Arc<[Box<dyn Handshake>]> = handshakes(&listen)?.into();
        let listener = |(socket, endpoint)| Self {
            socket,
            endpoint,
            handshakes: Arc::clone(&handshakes),
            framer: listen.framer.as_ref().map(|framer| framer.cloned()),
            protocol: protocol.clone(),
            policy: Arc::clone(policy),
        };
        Ok(open(&listen).await?.into_iter().map(listener).collect())
    }

    /// The endpoint, with the port that the system chose.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The protocol over the connections.
    pub(super) const fn protocol(&self) -> &AppProtocol {
        &self.protocol
    }

    /// The services and limits of the peers that arrive here.
    pub(super) const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The handshakes before the first message.
    pub(super) const fn handshakes(&self) -> &Arc<[Box<dyn Handshake>]> {
        &self.handshakes
    }

    /// Accepts the next peer; `None` if the socket has no further peers. An error never ends the
    /// listener.
    ///
    /// An error caused by one peer (it has gone before it was accepted) is skipped: the next peer
    /// is accepted at once. Any other error (no file descriptors left) lasts, and retrying at once
    /// would only burn the CPU and fill the log. `backoff` sees every error and success of the
    /// listener.
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
fn protocol(listen: &Listen, shared: &Arc<ServerShared>, policy: &Arc<Policy>) -> io::Result<AppProtocol> {
    let scheme = listen.endpoint.as_net().map(|net| net.scheme);
    let is_http = matches!(scheme, Some(Scheme::Http | Scheme::Https));
    let options = match &listen.http {
        Some(options) => options,
        None if is_http => &HttpOptions::new(),
        None => return Ok(AppProtocol::Sessions(Arc::clone(policy))),
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
    if policy.settings.messages.is_some() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "messages that are no JSON-RPC do not go over HTTP",
        ));
    }
    let service = HttpService::of(shared, policy).at(&listen.endpoint);
    #[cfg(feature = "ws")]
    let service = service.websocket(listen.websocket.clone());
    Ok(AppProtocol::Http(Arc::new(HttpProtocol::new(service, policy, options))))
}

#[cfg(not(feature = "http"))]
fn protocol(_: &Listen, _: &Arc<ServerShared>, policy: &Arc<Policy>) -> io::Result<AppProtocol> {
    Ok(AppProtocol::Sessions(Arc::clone(policy)))
}

/// The errors that accept(2) reports for connections that failed before they were accepted, on
/// Linux, and for those that were reset, on BSD.
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

/// A socket, and the endpoint with the address that it was bound to.
type BoundSocket = (Box<dyn Socket>, Endpoint);

/// Binds the endpoint; a host name on each of its addresses.
async fn open(listen: &Listen) -> io::Result<Vec<BoundSocket>> {
    let endpoint = &listen.endpoint;
    #[cfg(all(unix, feature = "unix"))]
    if listen.unix_mode.is_some() {
        unix::must_have_a_file(endpoint)?;
    }
    let socket = match endpoint.kind() {
        Kind::Net(net) => return listen_on_network(listen, net).await,
        #[cfg(all(unix, feature = "unix"))]
        Kind::Unix(path) => unix::listen(path, listen.unix_mode).await?,
        #[cfg(not(all(unix, feature = "unix")))]
        Kind::Unix(_) => return Err(crate::transport::without_unix()),
        #[cfg(feature = "stdio")]
        Kind::Stdio => crate::transport::stdio::listen()?,
        #[cfg(not(feature = "stdio"))]
        Kind::Stdio => return Err(built_without("stdio")),
        Kind::Memory(Some(name)) => listen_in_memory(name)?,
        Kind::Memory(None) => {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a place in memory needs a name"));
        }
    };
    Ok(vec![(socket, endpoint.clone())])
}

/// The handshakes with each peer, in order.
fn handshakes(listen: &Listen) -> io::Result<Vec<Box<dyn Handshake>>> {
    #[cfg(feature = "tls-no-provider")]
    if listen.tls.is_some() {
        tls::must_be_spoken(&listen.endpoint)?;
    }
    let Some(net) = listen.endpoint.as_net() else { return Ok(Vec::new()) };
    match net.scheme {
        Scheme::Tcp => Ok(Vec::new()),
        #[cfg(feature = "tls-no-provider")]
        Scheme::Tls => Ok(vec![tls::handshake(listen.tls.as_ref(), &[])?]),
        #[cfg(feature = "ws")]
        Scheme::Ws => Ok(vec![websocket::handshake(&listen.websocket, net)]),
        #[cfg(all(feature = "tls-no-provider", feature = "ws"))]
        Scheme::Wss => {
            let tls = tls::handshake(listen.tls.as_ref(), &[b"http/1.1"])?;
            Ok(vec![tls, websocket::handshake(&listen.websocket, net)])
        }
        #[cfg(feature = "http")]
        Scheme::Http => Ok(Vec::new()),
        #[cfg(all(feature = "http", feature = "tls-no-provider"))]
        Scheme::Https => Ok(vec![tls::handshake(listen.tls.as_ref(), super::http::ALPN)?]),
        #[cfg(not(feature = "tls-no-provider"))]
        Scheme::Tls | Scheme::Wss => Err(built_without("tls")),
        #[cfg(not(feature = "ws"))]
        Scheme::Ws => Err(built_without("ws")),
        #[cfg(all(feature = "tls-no-provider", not(feature = "ws")))]
        Scheme::Wss => Err(built_without("ws")),
        #[cfg(not(feature = "http"))]
        Scheme::Http | Scheme::Https => Err(built_without("http")),
        #[cfg(all(feature = "http", not(feature = "tls-no-provider")))]
        Scheme::Https => Err(built_without("tls")),
    }
}

#[cfg(feature = "tcp")]
async fn listen_on_network(listen: &Listen, net: &Net) -> io::Result<Vec<BoundSocket>> {
    crate::transport::tcp::listen(&listen.endpoint, net, &listen.tcp).await
}

#[cfg(not(feature = "tcp"))]
async fn listen_on_network(_: &Listen, _: &Net) -> io::Result<Vec<BoundSocket>> {
    Err(built_without("tcp"))
}

/// The pause after a failure: the first one, and the longest, after doubling each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The most failures in a row that are blamed on single peers. Beyond it the cause is here: for
/// example a rule of the system that refuses every peer.
const MOST_OF_PEERS: u32 = 16;

/// The shortest time between two log events about failures.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// The back-off of one listener whose socket fails.
#[derive(Debug)]
pub(super) struct AcceptBackoff {
    /// The endpoint, without secrets.
    listener: Endpoint,
    /// Failures since a peer was last accepted.
    failures: u64,
    of_peers: u32,
    pause: Duration,
    /// True once the log has an event about these failures.
    is_said: bool,
    said_at: Option<Instant>,
}

impl AcceptBackoff {
    pub(super) fn new(listener: &Endpoint) -> Self {
        let listener = listener.clone().redacted();
        Self { listener, failures: 0, of_peers: 0, pause: FIRST_PAUSE, is_said: false, said_at: None }
    }

    /// A peer was lost before it was accepted. Does not wait.
    async fn of_a_peer(&mut self, error: &io::Error) {
        self.of_peers += 1;
        if self.of_peers > MOST_OF_PEERS {
            return self.of_ours(error).await;
        }
        tracing::debug!(rpc.system.name = "jsonrpc", endpoint = %self.listener, error = %brief(chain(error)), "a peer has gone before it was accepted");
    }

    /// The socket fails. Waits before the next attempt. Cancel safe.
    async fn of_ours(&mut self, error: &io::Error) {
        self.failures += 1;
        let now = Instant::now();
        if self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= SAID_EVERY) {
            tracing::warn!(
                rpc.system.name = "jsonrpc", endpoint = %self.listener, error = %brief(chain(error)), failures = self.failures,
                "peers cannot be accepted: it is tried again until it goes well"
            );
            (self.said_at, self.is_said) = (Some(now), true);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
    }

    /// A peer was accepted.
    pub(super) fn end(&mut self) {
        if self.is_said {
            tracing::info!(
                rpc.system.name = "jsonrpc", endpoint = %self.listener, failures = self.failures,
                "peers are accepted again"
            );
        }
        (self.failures, self.of_peers, self.pause, self.is_said) = (0, 0, FIRST_PAUSE, false);
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
