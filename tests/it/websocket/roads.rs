//! Every road by which a session and a peer by hand come to a WebSocket, on either side.

use std::{sync::Arc, time::Duration};

use rpc::{
    CloseReason, Connector, Endpoint, HttpOptions, Limits, Listen, Server, ServerHandle, Service, Session,
    transport::{
        ByteStream,
        tls::rustls::{
            ClientConfig, RootCertStore, ServerConfig,
            crypto::ring,
            pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
        },
        websocket::{WebSocket, WebSocketClient, WebSocketServer},
    },
};
use rpc_tests::{
    Issued, settled, soon,
    websocket::{WsPeer, request},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(super) type Peer = WsPeer<Box<dyn ByteStream>>;

/// A road, for tests whose time is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    /// The session is a server's, by `WebSocket::accept`, in memory.
    Accepted,
    /// By a request to a server of HTTP, in memory.
    Upgraded,
    /// By a listener at `ws://`.
    Ws,
    /// By a listener at `wss://`.
    Wss,
    /// The session is a client's, by `WebSocket::connect`, in memory.
    Connected,
    /// At a server by hand at `ws://`.
    ToWs,
    /// At a server by hand at `wss://`.
    ToWss,
}

/// The two ends of a road.
pub(super) struct Ends {
    pub(super) peer: Peer,
    pub(super) session: Session,
    /// What the session belongs to, where it is a server's.
    pub(super) server: Option<ServerHandle>,
    pub(super) road: Road,
    /// How many bytes the peer has sent behind the handshake.
    sent: u64,
    _clock: Option<RunningClock>,
}

impl Road {
    pub(super) const ALL: [Self; 7] =
        [Self::Accepted, Self::Upgraded, Self::Ws, Self::Wss, Self::Connected, Self::ToWs, Self::ToWss];

    /// The roads in memory: one a side, and the one by way of HTTP.
    pub(super) const IN_MEMORY: [Self; 3] = [Self::Accepted, Self::Upgraded, Self::Connected];

    pub(super) fn is_in_memory(self) -> bool {
        Self::IN_MEMORY.contains(&self)
    }

    /// Whether the session is a server's: its peer masks what it sends.
    pub(super) fn is_server(self) -> bool {
        !matches!(self, Self::Connected | Self::ToWs | Self::ToWss)
    }

    /// A session that serves `service`, and its peer.
    pub(super) async fn open(self, service: impl Service, limits: Limits) -> Ends {
        let clock = (!self.is_in_memory()).then(RunningClock::new);
        let (peer, session, server) = match self {
            Self::Accepted | Self::Upgraded | Self::Ws | Self::Wss => {
                let (peer, session, server) = self.open_server(service, limits).await;
                (peer, session, Some(server))
            }
            Self::Connected | Self::ToWs | Self::ToWss => {
                let (peer, session) = self.open_client(service, limits).await;
                (peer, session, None)
            }
        };
        Ends { peer, session, server, road: self, sent: 0, _clock: clock }
    }

    async fn open_server(self, service: impl Service, limits: Limits) -> (Peer, Session, ServerHandle) {
        let (server, issued) = (Server::builder().service(service).limits(limits), own());
        let server = match self {
            Self::Ws => server.bind("ws://127.0.0.1:0").await.expect("a port is free"),
            Self::Wss => {
                let at = Listen::at("wss://127.0.0.1:0").expect("a URL").tls(issued.server());
                server.bind(at).await.expect("a port is free")
            }
            _ => server.build().expect("one service"),
        }
        .start();
        let (peer, accepting) = self.peer_of(&server, &issued).await;
        let session = match accepting {
            Some(accepting) => accepting,
            // It begins when the answer is out.
            None => soon(first_session(&server)).await,
        };
        (peer, session, server)
    }

    /// A client by hand that is let in; and its session, where it is attached.
    async fn peer_of(self, server: &ServerHandle, issued: &Issued) -> (Peer, Option<Session>) {
        let handshake = async |mut peer: Peer| {
            peer.write(request("localhost", "/", "")).await;
            let head = peer.head().await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            peer
        };
        let (here, there) = rpc::transport::memory(64 << 10);
        let dial = async || {
            let addr = server.endpoint().socket_addr().expect("an address");
            at_once(TcpStream::connect(addr).await.expect("it listens"))
        };
        match self {
            Self::Accepted => {
                let options = WebSocketServer::new();
                let (peer, accepted) = tokio::join!(
                    handshake(Peer::over(Box::new(here), true)),
                    WebSocket::accept(there, &options)
                );
                (peer, Some(server.attach_websocket(accepted.expect("a handshake"))))
            }
            Self::Upgraded => {
                server.attach_http(there, &HttpOptions::new());
                (handshake(Peer::over(Box::new(here), true)).await, None)
            }
            Self::Ws => (handshake(Peer::on(Box::new(dial().await), true)).await, None),
            _ => {
                let name = ServerName::try_from("localhost").expect("a name");
                let io = TlsConnector::from(trusting(issued)).connect(name, dial().await).await;
                (handshake(Peer::on(Box::new(io.expect("they agree")), true)).await, None)
            }
        }
    }

    async fn open_client(self, service: impl Service, limits: Limits) -> (Peer, Session) {
        if self == Self::Connected {
            let (here, there) = rpc::transport::memory(64 << 10);
            let mut peer = Peer::over(Box::new(here), false);
            let url: Endpoint = "ws://localhost/".parse().expect("a URL");
            let options = WebSocketClient::new();
            let connecting = WebSocket::connect(there, &url, &options);
            let (connected, ()) = tokio::join!(connecting, peer.answer_request());
            let connector = Connector::over_websocket(connected.expect("a handshake"));
            let session = connector.service(service).limits(limits).connect().await;
            return (peer, session.expect("it is connected already"));
        }
        let issued = own();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has one").port();
        let scheme = if self == Self::ToWs { "ws" } else { "wss" };
        let connector = Connector::new(&format!("{scheme}://127.0.0.1:{port}/")).expect("a URL");
        let connector = match self {
            Self::ToWs => connector,
            _ => connector.tls(issued.pinned()),
        };
        let accepting = async {
            let io = at_once(listener.accept().await.expect("it comes").0);
            let io: Box<dyn ByteStream> = match self {
                Self::ToWs => Box::new(io),
                _ => Box::new(TlsAcceptor::from(showing(&issued)).accept(io).await.expect("they agree")),
            };
            let mut peer = Peer::on(io, false);
            peer.answer_request().await;
            peer
        };
        let connecting = connector.service(service).limits(limits).connect().into_future();
        let (peer, session) = soon(async { tokio::join!(accepting, connecting) }).await;
        (peer, session.expect("it is let in"))
    }
}

impl Ends {
    /// Sends bytes, and waits until the session has read them. `bytes` must not end it.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.peer.write(bytes).await;
        self.sent += bytes.len() as u64;
        match self.road.is_in_memory() {
            true => settled().await,
            false => {
                let read = async {
                    while self.session.statistics().bytes_received < self.sent {
                        tokio::task::yield_now().await;
                    }
                };
                soon(read).await;
            }
        }
    }

    /// The peer ends both directions.
    pub(super) fn hang_up(&mut self) {
        self.peer = Peer::over(Box::new(tokio::io::empty()), true);
    }

    /// So many bytes more were sent, and will be read.
    pub(super) const fn sent_all(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// How exact a time can be measured: in memory, to the tick of a timer.
    pub(super) fn slack(&self) -> Duration {
        Duration::from_millis(if self.road.is_in_memory() { 1 } else { 900 })
    }

    /// So much time passes, in which nothing is on its way.
    pub(super) async fn passes(&self, span: Duration) {
        let _clock = (!self.road.is_in_memory()).then(PausedClock::new);
        time::sleep(span).await;
    }

    /// How the session ends, by time alone.
    pub(super) async fn ends_by_time(&self) -> CloseReason {
        let _clock = (!self.road.is_in_memory()).then(PausedClock::new);
        let ended = time::timeout(Duration::from_secs(3600), self.session.closed()).await;
        ended.expect("it ends by itself")
    }
}

/// Pieces leave as they are written.
fn at_once(io: TcpStream) -> TcpStream {
    io.set_nodelay(true).expect("it is open");
    io
}

async fn first_session(server: &ServerHandle) -> Session {
    loop {
        match server.sessions().pop() {
            Some(session) => return session,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Time runs while sockets do. In a test whose time is paused.
#[derive(Debug)]
struct RunningClock;

impl RunningClock {
    fn new() -> Self {
        time::resume();
        Self
    }
}

impl Drop for RunningClock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            time::pause();
        }
    }
}

/// The other way round.
struct PausedClock;

impl PausedClock {
    fn new() -> Self {
        time::pause();
        Self
    }
}

impl Drop for PausedClock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            time::resume();
        }
    }
}

fn own() -> Issued {
    Issued::by_itself(&["localhost", "127.0.0.1"])
}

fn trusting(issued: &Issued) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(issued.certificate.der().clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn showing(issued: &Issued) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![issued.certificate.der().clone()], key)
        .expect("they belong together");
    Arc::new(config)
}
