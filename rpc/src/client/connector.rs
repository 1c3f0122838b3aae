//! The builder of a client's session.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::dial::{ConnectError, Dial, in_time};
#[cfg(feature = "socks")]
use crate::transport::socks::SocksProxy;
#[cfg(feature = "stdio")]
use crate::transport::stdio::Spawn;
#[cfg(feature = "tcp")]
use crate::transport::tcp::TcpOptions;
use crate::{
    driver::{self, Settings, Start},
    framing::Framer,
    jsonrpc::{CancelBy, Cancellation, EmptyParams, Notices, Protocol},
    limits::{KeepAlive, Limits},
    service::{Routes, Service, Services, takes_messages},
    session::{Hooks, InstalledHooks, Membership, Message, MessageSession, Session},
    transport::{ByteStream, Connection, Endpoint, EndpointError, MessageChannel},
};

/// Connects to `url`, for example `tcp://127.0.0.1:8000`, with all defaults.
///
/// # Errors
///
/// If the URL is wrong, or no peer answers there.
pub async fn connect(url: &str) -> Result<Session, ConnectError> {
    Connector::new(url)?.connect().await
}

/// Connects with options that a URL cannot express. The connecting side may serve too.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, Limits};
///
/// let limits = Limits::client().with_frame_size(50_000_000);
/// let session = Connector::new("tcp://127.0.0.1:8000")?.limits(limits).connect().await?;
/// # Ok(()) }
/// ```
///
/// # Connecting several times
///
/// A clone connects in the same way: to reconnect after a session has ended, or to open several
/// sessions.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, Server};
///
/// let server = Server::builder().service(()).bind("tcp://127.0.0.1:0").await?.start();
/// let connector = Connector::new(&server.endpoint().to_string())?;
/// let first = connector.clone().connect().await?;
/// let second = connector.connect().await?;
/// assert_ne!(first.id(), second.id());
/// # Ok(()) }
/// ```
///
/// Clones share their services and hooks: one value serves all sessions. Each session gets:
///
/// | Made with | Each session has |
/// |---|---|
/// | [`new`](Self::new) | a connection of its own (`stdio:` exists once in a process: the first session has it) |
/// | [`spawn`](Self::spawn) | a process of its own |
/// | [`over`](Self::over), [`over_messages`](Self::over_messages), `over_websocket` | the one connection: the first session takes it, and connecting again fails with [`ConnectError::Io`] |
#[derive(Clone)]
pub struct Connector {
    target: Target,
    services: Services,
    settings: Settings,
    dial: Dial,
}

#[derive(Clone)]
enum Target {
    Endpoint(Endpoint),
    /// A connection of the user's, until the first session takes it.
    Connection {
        peer: Endpoint,
        connection: Arc<Mutex<Option<Connection>>>,
    },
    #[cfg(feature = "stdio")]
    Process(Arc<Mutex<Spawn>>),
}

impl Connector {
    /// Connects to `url`.
    ///
    /// # Errors
    ///
    /// If the URL is wrong.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        // From here on the endpoint is shown in errors and logs.
        Ok(Self::to(Target::Endpoint(url.parse::<Endpoint>()?.redacted())))
    }

    /// Uses an existing byte stream: one end of [`memory`](crate::transport::memory), a socket, a
    /// pipe.
    ///
    /// A program that serves its parent process connects to `stdio:` instead.
    pub fn over(io: impl ByteStream) -> Self {
        Self::to(Target::of(Connection::new(io, Endpoint::MEMORY)))
    }

    /// Starts a process, and connects to its standard input and output: a language server, a tool
    /// that speaks MCP. Its standard error goes where the command directs it, by default to this
    /// process's own.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::Connector;
    /// use tokio::process::Command;
    ///
    /// let session = Connector::spawn(Command::new("my-tool")).connect().await?;
    /// let tools: Vec<String> = session.call("tools/list", ()).await?;
    /// session.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// The session ends when the process exits, and calls in flight learn the exit status from
    /// [`ChildExit`]. When the session ends, the process is ended: see [`ChildProcess`] for how,
    /// and for how to wait for it, and [`Spawn`] for the time that it is given.
    ///
    /// [`ChildExit`]: crate::transport::stdio::ChildExit
    /// [`ChildProcess`]: crate::transport::stdio::ChildProcess
    #[cfg(feature = "stdio")]
    pub fn spawn(process: impl Into<Spawn>) -> Self {
        Self::to(Target::Process(Arc::new(Mutex::new(process.into()))))
    }

    /// Uses a connection that carries whole messages: any stream and sink of messages, such as a
    /// pair of channels. See [`MessageChannel`].
    pub fn over_messages(messages: impl MessageChannel) -> Self {
        Self::to(Target::of(Connection::of_messages(messages, Endpoint::MEMORY)))
    }

    /// Uses a WebSocket over your own stream. For TCP there are `ws://` and `wss://` URLs.
    #[cfg(feature = "ws")]
    pub fn over_websocket(websocket: crate::transport::websocket::WebSocket) -> Self {
        Self::to(Target::of(websocket.0))
    }

    fn to(target: Target) -> Self {
        let settings = Settings::new(Limits::client());
        Self { target, services: Services::default(), settings, dial: Dial::default() }
    }

    /// Serves `service` to the peer. May be called several times, for several services.
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.add_shared(service);
        self
    }

    /// The limits of the session. Default: [`Limits::client()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits.in_force();
        self
    }

    /// Calls `hooks` when the session begins and ends, and as the cost of its peer grows. Default:
    /// no hooks.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.settings.hooks = InstalledHooks::new(hooks);
        self
    }

    /// Pings the peer when it has been silent for a while: see [`KeepAlive`]. Default: off.
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.settings.keep_alive = Some(keep_alive);
        self
    }

    /// The version of JSON-RPC. Default: [`Protocol::V2`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings.set_protocol(protocol);
        self
    }

    /// Sends errors as a string, the message, when the version is 1.0. Default: an object, as in
    /// 2.0.
    pub fn text_errors(mut self) -> Self {
        self.settings.set_text_errors();
        self
    }

    /// How a call, a notification or a ping of this side without parameters is sent. Default:
    /// [`EmptyParams::Absent`]. A setting of a method, a service or a generated client takes
    /// precedence.
    pub fn empty_params(mut self, empty: EmptyParams) -> Self {
        self.settings.set_empty_params(empty);
        self
    }

    /// Finds the messages in the stream of bytes. Default:
    /// [`NewlineFramer`](crate::framing::NewlineFramer). Transports that carry whole messages, such
    /// as WebSocket, are not framed.
    pub fn framer(mut self, framer: impl Framer) -> Self {
        self.settings.framer = Box::new(framer);
        self
    }

    /// Options for `ws://` and `wss://` URLs: headers, sub-protocols. Default:
    /// [`WebSocketClient::new()`](crate::transport::websocket::WebSocketClient::new).
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, websocket: crate::transport::websocket::WebSocketClient) -> Self {
        self.dial.websocket = websocket;
        self
    }

    /// Which servers are trusted over TLS, and the client's own certificate. Default:
    /// [`TlsClient::new`](crate::transport::tls::TlsClient::new), the roots of the platform.
    /// Connecting fails if the scheme of the URL is not one of TLS, or if the connector uses an
    /// [existing connection](Self::over), which is used as it is.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Connector, transport::tls::{Certificates, TlsClient}};
    ///
    /// let tls = TlsClient::pinned(Certificates::from_pem_file("electrum.example.org.pem")?)?;
    /// let session = Connector::new("tls://electrum.example.org:50002")?.tls(tls).connect().await?;
    /// # let _ = session;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(mut self, tls: crate::transport::tls::TlsClient) -> Self {
        self.dial.tls = Some(tls);
        self
    }

    /// The protocol of cancellation: a call that is given up (dropped, or timed out) is cancelled
    /// at the peer, and the handlers of requests that the peer cancels are dropped. `None` turns it
    /// off. Default: [`Cancellation::RPC`], with peers that know it.
    ///
    /// [`Protocol::V1`] has no cancellation: with it, connecting fails if one is set here.
    ///
    /// ```
    /// use rpc::{Cancellation, Connector};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let editor = Connector::new("tcp://127.0.0.1:8000")?.cancellation(Cancellation::LSP);
    /// # let _ = editor;
    /// # Ok(()) }
    /// ```
    pub fn cancellation(mut self, cancellation: impl Into<Option<Cancellation>>) -> Self {
        self.settings.cancellation = CancelBy::from(cancellation.into());
        self
    }

    /// When the peer is notified of the end of its subscriptions on this side, and of items that it
    /// has lost. Default: [`Notices::Negotiated`], if the peer is known to accept it.
    pub fn notices(mut self, notices: Notices) -> Self {
        self.settings.notices = notices;
        self
    }

    /// Options of the TCP connection, for every transport over TCP. Default:
    /// [`TcpOptions::default()`].
    #[cfg(feature = "tcp")]
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.dial.tcp = options;
        self
    }

    /// Connects through a SOCKS proxy. The session's [`peer`](Session::peer) is still the host of
    /// the URL, and its extensions have [`Proxied`](crate::transport::socks::Proxied). An [existing
    /// connection](Self::over), a process, or a place on this machine, such as a Unix socket,
    /// cannot be reached through a proxy: connecting fails. Default: no proxy.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Connector, transport::socks::SocksProxy};
    ///
    /// let session = Connector::new("tcp://example.onion:50001")?.proxy(SocksProxy::tor()).connect().await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "socks")]
    pub fn proxy(mut self, proxy: SocksProxy) -> Self {
        self.dial.proxy = Some(proxy);
        self
    }

    /// Connects, and starts the session on the current tokio runtime. Cancel safe: dropping the
    /// future stops connecting.
    ///
    /// # Errors
    ///
    /// If no peer answers, or not within [`Limits::handshake_timeout`], if a process cannot be
    /// started, if two services claim one method, if the [`protocol`](Self::protocol) does not
    /// support the configuration, or if a [clone](Self#connecting-several-times) has taken the
    /// connection.
    pub async fn connect(mut self) -> Result<Session, ConnectError> {
        let services = std::mem::take(&mut self.services).build()?;
        let serves = services.serve();
        self.start(serves, |session| services.for_session(session)).await
    }

    /// Connects a session that carries the application's own messages instead of JSON-RPC.
    /// `handler` is called with each message that arrives: see [`MessageSession`]. No service is
    /// served on it. As on a server, handlers run concurrently, up to
    /// [`Limits::requests_in_flight`].
    ///
    /// The session stays open until either side closes it. Cancel safe, like
    /// [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// If no peer answers, or not within [`Limits::handshake_timeout`].
    pub async fn connect_messages<M: Message, F: Future<Output = ()> + Send + 'static>(
        mut self,
        handler: impl Fn(MessageSession<M>, M) -> F + Send + Sync + 'static,
    ) -> Result<MessageSession<M>, ConnectError> {
        self.settings.messages = Some(takes_messages(handler));
        let none = Services::default().build()?;
        self.start(true, |session| none.for_session(session)).await.map(MessageSession::new)
    }

    async fn start(
        self,
        serves: bool,
        services: impl FnOnce(&Session) -> Routes,
    ) -> Result<Session, ConnectError> {
        self.settings.check()?;
        let connection = match self.target {
            Target::Connection { peer, connection } => {
                let needless = self.dial.must_not_be_needed("the connection is there already");
                needless.map_err(|error| ConnectError::of(peer.clone(), error))?;
                let taken = lock(&connection).take();
                taken.ok_or_else(|| ConnectError::of(peer, io::Error::other(TAKEN)))?
            }
            #[cfg(feature = "stdio")]
            Target::Process(spawn) => {
                let needless =
                    self.dial.must_not_be_needed("a process is talked to over its input and output");
                needless.map_err(|error| ConnectError::of(Endpoint::STDIO, error))?;
                let mut spawn = lock(&spawn);
                spawn.start().map_err(|source| ConnectError::Spawn { program: spawn.program(), source })?
            }
            Target::Endpoint(endpoint) => {
                let opening = self.dial.open(endpoint.clone());
                match in_time(self.settings.limits.handshake_timeout, opening).await {
                    Ok(opened) => opened?,
                    Err(limit) => return Err(ConnectError::Timeout { endpoint, limit }),
                }
            }
        };
        let start =
            Start { connection, settings: &self.settings, serves, owner: None, group: Membership::default() };
        Ok(driver::start(start, services))
    }
}

/// The error for the second of two clones.
const TAKEN: &str = "the connection that this connector was made over was used already, by a clone of it: there is only one session \
     over a stream. Make another connector, over another stream";

impl Target {
    fn of(connection: Connection) -> Self {
        let peer = connection.peer.clone();
        Self::Connection { peer, connection: Arc::new(Mutex::new(Some(connection))) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("services", &self.services).finish_non_exhaustive()
    }
}
