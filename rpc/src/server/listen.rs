//! Where a server listens, and how.

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

/// A place to listen at, with what a URL cannot say. [`ServerBuilder::bind`](super::ServerBuilder::bind) takes a URL, too.
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
    /// Where the URL is wrong.
    pub fn at(url: &str) -> Result<Self, EndpointError> {
        Ok(Self::from(url.parse::<Endpoint>()?))
    }

    /// How messages are told apart here. Default: as everywhere, by
    /// [`ServerBuilder::framer`](super::ServerBuilder::framer). What carries whole messages, as
    /// WebSocket and HTTP do, is not framed.
    pub fn framer(mut self, framer: impl Framer) -> Self {
        self.framer = Some(Box::new(framer));
        self
    }

    /// Which version of JSON-RPC is spoken here, over HTTP too. Default: as everywhere, by
    /// [`ServerBuilder::protocol`](super::ServerBuilder::protocol).
    ///
    /// One process, two dialects, one server:
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
    /// Binding fails where the version cannot say how calls are [taken back](Self::cancellation), here
    /// or at the whole server.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.overrides.protocol = Some(protocol);
        self
    }

    /// How calls are taken back here; `None` is not at all. Default: as everywhere, by
    /// [`ServerBuilder::cancellation`](super::ServerBuilder::cancellation). Over HTTP it means nothing:
    /// a client takes a request back by hanging up.
    pub fn cancellation(mut self, cancellation: impl Into<Option<Cancellation>>) -> Self {
        self.overrides.cancellation = Some(CancelBy::from(cancellation.into()));
        self
    }

    /// Serves `service` here, in place of all services of the server: those of
    /// [`ServerBuilder::service`](super::ServerBuilder::service) are not served here. May be called
    /// several times, for several services. Binding fails where two of them claim one method.
    pub fn service(mut self, service: impl Service) -> Self {
        self.overrides.services.get_or_insert_with(Services::default).add_shared(service);
        self
    }

    /// Makes a service for each session that begins here, as
    /// [`ServerBuilder::session`](super::ServerBuilder::session) does, in place of all services of the
    /// server. May be called several times, and together with [`service`](Self::service).
    pub fn session<S: Service>(mut self, make: impl Fn(&Session) -> S + Send + Sync + 'static) -> Self {
        self.overrides.services.get_or_insert_with(Services::default).add_factory(make);
        self
    }

    /// What each session that begins here may use, and each request over HTTP, handshakes included.
    /// Default: as everywhere, by [`ServerBuilder::limits`](super::ServerBuilder::limits).
    ///
    /// [`Limits::connections`] is the server's all the same: connections are counted for all listeners
    /// together. So are the limits of its [`Groups`](crate::Groups). Requests over HTTP that arrive here
    /// share permits of their own: as many as [`Limits::connections`], and [`Limits::body_bytes`] for
    /// their bodies.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.overrides.limits = Some(limits);
        self
    }

    /// How a `ws://` or `wss://` URL is listened at: which pages may come in, sub-protocols. Default:
    /// [`WebSocketServer::new()`](crate::transport::websocket::WebSocketServer::new).
    ///
    /// At an `http://` or `https://` URL, where WebSockets are opened, too (feature `http`), it
    /// says the same; where it does not say which pages may come in, `HttpOptions::access` does,
    /// for all that goes over HTTP.
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, websocket: crate::transport::websocket::WebSocketServer) -> Self {
        self.websocket = websocket;
        self
    }

    /// What is shown over TLS, and who is let in. There is no default: a `tls://` URL needs it, and one without TLS is refused with it.
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

    /// How HTTP is spoken here. Default: [`HttpOptions::new()`] where the URL is `http://` or
    /// `https://`; with it, HTTP is spoken at any place, a Unix socket for one. Binding fails where
    /// that is a WebSocket: listen at `http://`, where they are opened, too.
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

    /// Who may connect to a Unix socket: the permissions of its file, for example `0o660` for its user and its group. Default: what the umask
    /// of the process says.
    ///
    /// They are set before anybody can connect, whatever the umask is. On Linux whoever connects needs the permission to write; where a
    /// system does not care (some BSDs of old), the permissions of the directory count.
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
    /// Listening fails where this is more than `0o777`, and where the place is no file.
    #[cfg(all(unix, feature = "unix"))]
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_mode = Some(mode);
        self
    }
}

/// What concerns TCP, and what goes over it. For other transports it means nothing.
#[cfg(feature = "tcp")]
impl Listen {
    /// What is chosen for the connections that are accepted. Default: [`TcpOptions::default()`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp.accepted = options;
        self
    }

    /// How many connections the system may keep until they are accepted. It may have a limit of its own (`net.core.somaxconn` on Linux).
    ///
    /// Default: 1,024 (tokio's `TcpListener::bind`).
    pub fn backlog(mut self, connections: u32) -> Self {
        self.tcp.backlog = connections;
        self
    }

    /// Whether the port may be listened at while connections of an earlier listener at it are not quite over (`SO_REUSEADDR`), so that a server
    /// can be started anew at once.
    ///
    /// Default: yes, but on Windows, where it would let other programs take the port as well.
    pub fn reuse_address(mut self, yes: bool) -> Self {
        self.tcp.reuse_address = yes;
        self
    }

    /// Whether several sockets may listen at the port, if all of them say so and belong to one user (`SO_REUSEPORT`). Linux shares the
    /// connections out among them. Binding fails on a system that knows no such thing, such as Windows.
    ///
    /// Default: no.
    pub fn reuse_port(mut self, yes: bool) -> Self {
        self.tcp.reuse_port = yes;
        self
    }

    /// Whether `[::]` is every IPv6 address only, and not every IPv4 address too (`IPV6_V6ONLY`).
    ///
    /// Default: as the system has it: on most it is both, on Windows and the BSDs IPv6 only.
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

/// For what cannot fail to be a place to listen at.
impl From<Infallible> for BindError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
