//! What a session is made from, on the side that connects.

use std::{fmt, time::Duration};

use tokio::time::timeout;

use super::{ConnectError, open::Dial};
use crate::{
    driver::{self, Settings, Start},
    framing::Framer,
    jsonrpc::{Cancellation, Protocol},
    limits::{KeepAlive, Limits},
    service::{Routes, Service, Services, takes_messages},
    session::{Hooks, InstalledHooks, Membership, Message, MessageSession, Session},
    transport::{ByteStream, Connection, Endpoint, EndpointError, MessageChannel},
};

/// Connects with everything that a URL cannot say. The connecting side may serve too.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, Limits};
///
/// let mut limits = Limits::client();
/// limits.frame_size = 50_000_000;
/// let session = Connector::new("tcp://127.0.0.1:8000")?.limits(limits).connect().await?;
/// # Ok(()) }
/// ```
pub struct Connector {
    target: Target,
    services: Services,
    settings: Settings,
    dial: Dial,
}

enum Target {
    Endpoint(Endpoint),
    Connection(Connection),
}

impl Connector {
    /// Connects to `url`.
    ///
    /// # Errors
    ///
    /// Where the URL is wrong.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        Ok(Self::to(Target::Endpoint(url.parse()?)))
    }

    /// Uses a connection that exists already: one end of [`memory`](crate::transport::memory), a socket of yours, a pipe.
    ///
    /// This is also how a program serves the one that has started it: with a [`service`](Self::service), over
    /// `tokio::io::join(stdin(), stdout())`.
    pub fn over(io: impl ByteStream) -> Self {
        Self::to(Target::Connection(Connection::new(io, Endpoint::MEMORY)))
    }

    /// Uses a connection that carries whole messages: any stream and sink of them, such as a pair of channels. See [`MessageChannel`].
    pub fn over_messages(messages: impl MessageChannel) -> Self {
        Self::to(Target::Connection(Connection::of_messages(messages, Endpoint::MEMORY)))
    }

    /// Uses a WebSocket over a stream of yours. For TCP there are `ws://` and `wss://` URLs.
    #[cfg(feature = "ws")]
    pub fn over_websocket(websocket: crate::transport::websocket::WebSocket) -> Self {
        Self::to(Target::Connection(websocket.0))
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

    /// Tells `hooks` when the session begins and ends, and what its peer costs. Default: nobody.
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

    /// Which servers are trusted over TLS, and what they are shown. Default: [`TlsClient::new`](crate::transport::tls::TlsClient::new), whom
    /// the platform trusts. Connecting fails where the URL is not one of TLS.
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
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::transport::tls::TlsClient) -> Self {
        self.dial.tls = Some(tls);
        self
    }

    /// How calls are taken back: dropping one tells the peer, and requests that the peer takes back are dropped. Default: not at all.
    ///
    /// ```
    /// use rpc::{Cancellation, Connector};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let editor = Connector::new("tcp://127.0.0.1:8000")?.cancellation(Cancellation::LSP);
    /// # let _ = editor;
    /// # Ok(()) }
    /// ```
    pub fn cancellation(mut self, cancellation: Cancellation) -> Self {
        self.settings.cancellation = Some(cancellation);
        self
    }

    /// Connects, and starts the session on the runtime that this is called on. Cancel safe: dropping the future gives up.
    ///
    /// # Errors
    ///
    /// Where nobody answers, not within [`Limits::handshake_timeout`], or two services claim one method.
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
    /// Where nobody answers, not within [`Limits::handshake_timeout`].
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
        let connection = match self.target {
            Target::Connection(connection) => connection,
            Target::Endpoint(endpoint) => {
                within(self.settings.limits.handshake_timeout, endpoint, self.dial).await?
            }
        };
        let start =
            Start { connection, settings: &self.settings, serves, owner: None, group: Membership::default() };
        Ok(driver::start(start, services))
    }
}

async fn within(limit: Option<Duration>, endpoint: Endpoint, dial: Dial) -> Result<Connection, ConnectError> {
    let Some(limit) = limit else { return dial.open(endpoint).await };
    match timeout(limit, dial.open(endpoint.clone())).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError::Timeout { endpoint, limit }),
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("services", &self.services).finish_non_exhaustive()
    }
}
