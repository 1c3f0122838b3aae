//! Options of one place that a server listens at.

use std::convert::Infallible;

#[cfg(feature = "http")]
use super::HttpOptions;
use super::shared::{BindError, PolicyOverrides};
#[cfg(feature = "tcp")]
use crate::transport::tcp::{ListenOptions, TcpOptions};
#[cfg(feature = "tls-no-provider")]
use crate::transport::tls::TlsServer;
use crate::{
    framing::{AnyFramer, Framer},
    jsonrpc::{CancelBy, Cancellation, Protocol},
    limits::Limits,
    service::{Service, Services},
    session::Session,
    transport::{Endpoint, EndpointError},
};

/// An endpoint to listen at, with options that a URL cannot express.
/// [`ServerBuilder::bind`](super::ServerBuilder::bind) takes a URL, too.
///
/// ```
/// use rpc::{Listen, Server, framing::LengthPrefixedFramer};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().service(())
///     .bind("tcp://127.0.0.1:0").await?
///     .and_bind(Listen::at("tcp://[::1]:0")?.framer(LengthPrefixedFramer::u32_be())).await?;
/// assert_eq!(server.endpoints().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Listen {
    pub(super) endpoint: Endpoint,
    pub(super) framer: Option<Box<dyn AnyFramer>>,
    pub(super) overrides: PolicyOverrides,
    #[cfg(feature = "http")]
    pub(super) http: Option<HttpOptions>,
    #[cfg(feature = "tcp")]
    pub(super) tcp: ListenOptions,
    #[cfg(feature = "tls-no-provider")]
    pub(super) tls: Option<TlsServer>,
    #[cfg(all(unix, feature = "unix"))]
    pub(super) unix_mode: Option<u32>,
    #[cfg(feature = "ws")]
    pub(super) websocket: crate::transport::websocket::WebSocketServer,
}

impl Listen {
    /// Listens at `url`, for example `tcp://127.0.0.1:8000` (port 0 is any free port).
    ///
    /// # Errors
    ///
    /// If the URL is wrong.
    pub fn at(url: &str) -> Result<Self, EndpointError> {
        Ok(Self::from(url.parse::<Endpoint>()?))
    }

    /// Finds the messages in the streams of bytes here. Default: the
    /// [`framer`](super::ServerBuilder::framer) of the server. Transports that carry whole
    /// messages, such as WebSocket and HTTP, are not framed.
    pub fn framer(mut self, framer: impl Framer) -> Self {
        self.framer = Some(Box::new(framer));
        self
    }

    /// The version of JSON-RPC here, over HTTP too. Default: the
    /// [`protocol`](super::ServerBuilder::protocol) of the server.
    ///
    /// Two dialects and a private endpoint on one server:
    ///
    /// ```
    /// use rpc::{Cancellation, Connector, Context, ErrorObject, Listen, Params, Protocol, Router, Server};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ping = || Router::new().method("ping", async |_: Params, _: Context| Ok::<_, ErrorObject>("pong"));
    /// let stop = Router::new().method("stop", async |_: Params, _: Context| Ok::<_, ErrorObject>(()));
    /// let server = Server::builder()
    ///     .service(ping())
    ///     .bind("tcp://127.0.0.1:0").await?
    ///     .and_bind(Listen::at("tcp://127.0.0.1:0")?.protocol(Protocol::V1)).await?
    ///     .and_bind(Listen::at("memory:admin")?.service(ping()).service(stop).cancellation(Cancellation::LSP)).await?
    ///     .start();
    ///
    /// let old = Connector::new(&server.endpoints()[1].to_string())?.protocol(Protocol::V1).connect().await?;
    /// assert_eq!(old.call::<String>("ping", ()).await?, "pong");
    /// assert!(old.call::<()>("stop", ()).await.is_err());
    /// let admin = rpc::connect("memory:admin").await?;
    /// admin.call::<()>("stop", ()).await?;
    /// server.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// Binding fails if the version has no [cancellation](Self::cancellation), and one is set, here
    /// or for the whole server.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.overrides.protocol = Some(protocol);
        self
    }

    /// The protocol of cancellation here; `None` turns it off. Default: the
    /// [`cancellation`](super::ServerBuilder::cancellation) of the server. It has no effect over
    /// HTTP: a client cancels a request by closing its connection or stream.
    pub fn cancellation(mut self, cancellation: impl Into<Option<Cancellation>>) -> Self {
        self.overrides.cancellation = Some(CancelBy::from(cancellation.into()));
        self
    }

    /// Serves `service` here, in place of all services of the server: those of
    /// [`ServerBuilder::service`](super::ServerBuilder::service) are not served here. May be called
    /// several times, for several services. Binding fails if two of them claim one method.
    pub fn service(mut self, service: impl Service) -> Self {
        self.overrides.services.get_or_insert_with(Services::default).add_shared(service);
        self
    }

    /// Makes a service for each session that begins here, like
    /// [`ServerBuilder::session`](super::ServerBuilder::session), in place of all services of the
    /// server. May be called several times, and together with [`service`](Self::service).
    pub fn session<S: Service>(mut self, make: impl Fn(&Session) -> S + Send + Sync + 'static) -> Self {
        self.overrides.services.get_or_insert_with(Services::default).add_factory(make);
        self
    }

    /// The limits of each session that begins here, and of each request over HTTP, handshakes
    /// included. Default: the [`limits`](super::ServerBuilder::limits) of the server.
    ///
    /// [`Limits::connections`] is still the server's: connections of all listeners are counted
    /// together. So are the limits of its [`Groups`](crate::Groups). HTTP requests that arrive here
    /// share permits of their own: [`Limits::connections`] requests, and [`Limits::body_bytes`] for
    /// their bodies.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.overrides.limits = Some(limits);
        self
    }

    /// Options for a `ws://` or `wss://` URL: origins of pages that may connect, sub-protocols.
    /// Default: [`WebSocketServer::new()`](crate::transport::websocket::WebSocketServer::new).
    ///
    /// They also hold for WebSockets at an `http://` or `https://` URL (feature `http`); origins
    /// that they do not set are those of `HttpOptions::access`.
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, websocket: crate::transport::websocket::WebSocketServer) -> Self {
        self.websocket = websocket;
        self
    }

    /// The server's certificate and the clients that are accepted over TLS. There is no default: a
    /// `tls://` URL needs it, and a URL without TLS is refused with it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Listen, Server, transport::tls::TlsServer};
    ///
    /// let tls = TlsServer::from_pem_files("chain.pem", "key.pem")?;
    /// let server = Server::builder().service(())
    ///     .bind(Listen::at("tls://0.0.0.0:50002")?.tls(tls)).await?;
    /// # let _ = server;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(mut self, tls: TlsServer) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Options of HTTP. Default: [`HttpOptions::new()`] for an `http://` or `https://` URL. With
    /// options, HTTP is spoken at any endpoint, such as a Unix socket. Binding fails for a `ws://`
    /// or `wss://` URL: listen at `http://`, which opens WebSockets, too.
    ///
    /// ```
    /// use rpc::{HttpOptions, Listen, Server, WebAccess};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let options = HttpOptions::new().access(WebAccess::new().allow_host("node.example.org"));
    /// let server = Server::builder().service(()).bind(Listen::at("http://127.0.0.1:0/rpc")?.http(options)).await?;
    /// # let _ = server;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "http")]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = Some(options);
        self
    }

    /// The permissions of the file of a Unix socket, for example `0o660` for its user and its
    /// group. Default: by the umask of the process.
    ///
    /// They are set before a peer can connect, whatever the umask. On Linux, connecting needs the
    /// permission to write; on systems that ignore the permissions of a socket (some old BSDs),
    /// those of the directory count.
    ///
    /// ```
    /// # #[cfg(unix)] #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{Listen, Server};
    ///
    /// # let directory = std::env::temp_dir().join(format!("rpc-doc-unix-mode-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// # let url = format!("unix:{}/calc.sock", directory.display());
    /// let server = Server::builder().service(()).bind(Listen::at(&url)?.unix_mode(0o660)).await?;
    /// # drop(server);
    /// # std::fs::remove_dir(&directory)?;
    /// # Ok(()) }
    /// # #[cfg(not(unix))] fn main() {}
    /// ```
    ///
    /// Listening fails if the mode is more than `0o777`, and if the endpoint is not a file.
    #[cfg(all(unix, feature = "unix"))]
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_mode = Some(mode);
        self
    }
}

/// Options of TCP, for every transport over TCP. They have no effect on others.
#[cfg(feature = "tcp")]
impl Listen {
    /// Options of the accepted connections. Default: [`TcpOptions::default()`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp.accepted = options;
        self
    }

    /// The most connections that the system queues until they are accepted. The system may have a
    /// lower limit of its own (`net.core.somaxconn` on Linux).
    ///
    /// Default: 1,024 (tokio's `TcpListener::bind`).
    pub fn backlog(mut self, connections: u32) -> Self {
        self.tcp.backlog = connections;
        self
    }

    /// Allows to bind a port while connections of an earlier listener at it are still closing
    /// (`SO_REUSEADDR`), so that a server can restart at once.
    ///
    /// Default: yes, except on Windows, where it would let other programs take over the port.
    pub fn reuse_address(mut self, yes: bool) -> Self {
        self.tcp.reuse_address = yes;
        self
    }

    /// Allows several sockets of one user to listen at the port, if all of them set this
    /// (`SO_REUSEPORT`). Linux distributes the connections among them. Binding fails on systems
    /// without it, such as Windows.
    ///
    /// Default: no.
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.tcp.reuse_port = yes;
        self
    }

    /// Limits `[::]` to IPv6 (`IPV6_V6ONLY`); otherwise it includes every IPv4 address.
    ///
    /// Default: that of the system: most have both, Windows and the BSDs IPv6 only.
    pub fn ipv6_only(mut self, yes: bool) -> Self {
        self.tcp.ipv6_only = Some(yes);
        self
    }
}

impl From<Endpoint> for Listen {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            framer: None,
            overrides: PolicyOverrides::default(),
            #[cfg(feature = "http")]
            http: None,
            #[cfg(feature = "tcp")]
            tcp: ListenOptions::default(),
            #[cfg(feature = "ws")]
            websocket: Default::default(),
            #[cfg(feature = "tls-no-provider")]
            tls: None,
            #[cfg(all(unix, feature = "unix"))]
            unix_mode: None,
        }
    }
}

impl From<&Endpoint> for Listen {
    fn from(endpoint: &Endpoint) -> Self {
        Self::from(endpoint.clone())
    }
}

impl TryFrom<&str> for Listen {
    type Error = EndpointError;

    fn try_from(url: &str) -> Result<Self, EndpointError> {
        Self::at(url)
    }
}

impl TryFrom<&String> for Listen {
    type Error = EndpointError;

    fn try_from(url: &String) -> Result<Self, EndpointError> {
        Self::at(url)
    }
}

impl TryFrom<String> for Listen {
    type Error = EndpointError;

    fn try_from(url: String) -> Result<Self, EndpointError> {
        Self::at(&url)
    }
}

/// For a conversion into a `Listen` that cannot fail.
impl From<Infallible> for BindError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
