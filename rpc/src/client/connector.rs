//! What a session is made from, on the side that connects.

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

/// Connects to `url`, for example `tcp://127.0.0.1:8000`, with everything as it is by default.
///
/// # Errors
///
/// Where the URL is wrong, or no peer answers there.
pub async fn connect(url: &str) -> Result<Session, ConnectError> {
    Connector::new(url)?.connect().await
}

/// Connects with everything that a URL cannot say. The connecting side may serve too.
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
/// A clone connects in the same way, to connect again after a session has ended, or to make several sessions:
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
/// Clones share their services and hooks: one value serves all sessions. What each session gets:
///
/// | Made with | Each session has |
/// |---|---|
/// | [`new`](Self::new) | a connection of its own (of `stdio:`, which a process has only once, the first) |
/// | [`spawn`](Self::spawn) | a process of its own |
/// | [`over`](Self::over), [`over_messages`](Self::over_messages), `over_websocket` | the one connection: the first session takes it, and connecting again is [`ConnectError::Io`] that says so |
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
    /// The user's, until a session has it.
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
    /// Where the URL is wrong.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        // From here on it is shown.
        Ok(Self::to(Target::Endpoint(url.parse::<Endpoint>()?.redacted())))
    }

    /// Uses a connection that exists already: one end of [`memory`](crate::transport::memory), a socket of yours, a pipe.
    ///
    /// A program that serves the one that has started it connects to `stdio:` instead.
    pub fn over(io: impl ByteStream) -> Self {
        Self::to(Target::of(Connection::new(io, Endpoint::MEMORY)))
    }

    /// Starts a process, and talks to it over its standard input and output: a language server, a tool that speaks MCP. What it writes to
    /// standard error goes where the command says, by default where this process's own does.
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
    /// The session ends when the process does; calls in flight learn how that was from [`ChildExit`]. The process ends
    /// when the session does: how, and how one waits for it, is said at [`ChildProcess`]; how much time it is given, is said with [`Spawn`].
    ///
    /// [`ChildExit`]: crate::transport::stdio::ChildExit
    /// [`ChildProcess`]: crate::transport::stdio::ChildProcess
    #[cfg(feature = "stdio")]
    pub fn spawn(process: impl Into<Spawn>) -> Self {
        Self::to(Target::Process(Arc::new(Mutex::new(process.into()))))
    }

    /// Uses a connection that carries whole messages: any stream and sink of them, such as a pair of channels. See [`MessageChannel`].
    pub fn over_messages(messages: impl MessageChannel) -> Self {
        Self::to(Target::of(Connection::of_messages(messages, Endpoint::MEMORY)))
    }

    /// Uses a WebSocket over a stream of yours. For TCP there are `ws://` and `wss://` URLs.
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

    /// What the session may use. Default: [`Limits::client()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits.in_force();
        self
    }

    /// Tells `hooks` when the session begins and ends, and what its peer costs. Default: no hooks.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.settings.hooks = InstalledHooks::new(hooks);
        self
    }

    /// Asks the peer whether it is still there when it has said nothing for a while: see [`KeepAlive`]. Default: not at all.
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.settings.keep_alive = Some(keep_alive);
        self
    }

    /// Which version of JSON-RPC is spoken. Default: [`Protocol::V2`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings.set_protocol(protocol);
        self
    }

    /// Sends errors as a text, the message, wherever 1.0 is spoken. Default: an object, as in 2.0.
    pub fn text_errors(mut self) -> Self {
        self.settings.set_text_errors();
        self
    }

    /// What a session sends where a call, a notification or a ping of its own has no parameters. Default: [`EmptyParams::Absent`]. A
    /// method, a service or a client that says something else goes before.
    pub fn empty_params(mut self, empty: EmptyParams) -> Self {
        self.settings.set_empty_params(empty);
        self
    }

    /// How messages are told apart in the stream. Default: [`NewlineFramer`](crate::framing::NewlineFramer). What carries whole messages, as
    /// WebSocket does, is not framed.
    pub fn framer(mut self, framer: impl Framer) -> Self {
        self.settings.framer = Box::new(framer);
        self
    }

    /// How to connect to a `ws://` or `wss://` URL: headers, sub-protocols. Default:
    /// [`WebSocketClient::new()`](crate::transport::websocket::WebSocketClient::new).
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, websocket: crate::transport::websocket::WebSocketClient) -> Self {
        self.dial.websocket = websocket;
        self
    }

    /// Which servers are trusted over TLS, and what they are shown. Default:
    /// [`TlsClient::new`](crate::transport::tls::TlsClient::new), whom the platform trusts.
    /// Connecting fails where the URL is not one of TLS, and where the connection is [there
    /// already](Self::over): it is used as it is.
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

    /// How calls are taken back: a call that is given up tells the peer, and the handlers of requests that
    /// the peer takes back are dropped. `None` is not at all. Default: by [`Cancellation::RPC`], with
    /// a peer that knows it.
    ///
    /// With [`Protocol::V1`], which cannot say it, connecting fails where a way is chosen.
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

    /// Whether the peer is told of the end of its subscriptions here, and of items that it has lost. Default:
    /// [`Notices::Negotiated`], where it is known to take that.
    pub fn notices(mut self, notices: Notices) -> Self {
        self.settings.notices = notices;
        self
    }

    /// How TCP is connected, for everything that goes over it. Default: [`TcpOptions::default()`].
    #[cfg(feature = "tcp")]
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.dial.tcp = options;
        self
    }

    /// Connects by way of a SOCKS proxy. The session's [`peer`](Session::peer) is who is connected
    /// to, all the same, and its extensions have [`Proxied`](crate::transport::socks::Proxied). A
    /// connection that is [there already](Self::over), a process, and a place on this machine, such
    /// as a Unix socket, cannot be connected to in this way: connecting fails. Default: without
    /// one.
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

    /// Connects, and starts the session on the runtime that this is called on. Cancel safe: dropping the future gives up.
    ///
    /// # Errors
    ///
    /// Where no peer answers, not within [`Limits::handshake_timeout`], a process cannot be started, two services claim one method,
    /// the [`protocol`](Self::protocol) cannot say what is configured, or a [clone](Self#connecting-several-times) has taken the
    /// connection.
    pub async fn connect(mut self) -> Result<Session, ConnectError> {
        let services = std::mem::take(&mut self.services).build()?;
        let serves = services.serve();
        self.start(serves, |session| services.for_session(session)).await
    }

    /// Connects a session that carries messages of the application's own instead of JSON-RPC, and has `handler` take those that arrive: see
    /// [`MessageSession`]. No service is served on it. As on a server, handlers run beside each other, up to
    /// [`Limits::requests_in_flight`].
    ///
    /// The session lives until either side closes it. Cancel safe, like [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// Where no peer answers, not within [`Limits::handshake_timeout`].
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

/// What is said where a clone comes second.
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
