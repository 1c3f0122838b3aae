//! The builder of an HTTP client.

use std::{
    fmt, io,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING, USER_AGENT},
    uri::Authority,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    caller::HttpClient,
    connections::{ConnectBy, HyperConnector, OpenFn, dial_for_http},
    exchange::{ExchangeLimiter, Exchanges},
};
#[cfg(feature = "socks")]
use crate::transport::socks::SocksProxy;
#[cfg(feature = "tls-no-provider")]
use crate::transport::tls::TlsClient;
use crate::{
    client::dial::Dial,
    jsonrpc::{EmptyParams, Protocol, version::Version},
    limits::{Limits, deadline},
    transport::{ByteStream, Endpoint, EndpointError, Net, Scheme, tcp::TcpOptions},
};

/// Options of an [`HttpClient`], made by [`HttpClient::builder`].
///
/// ```
/// use std::time::Duration;
/// use rpc::HttpClient;
///
/// # fn main() -> Result<(), rpc::HttpClientError> {
/// let client = HttpClient::builder("http://127.0.0.1:8545/rpc")?
///     .bearer_auth("mF_9.B5f-4.1JqM")
///     .header("x-request-source", "wallet")
///     .exchanges(8)
///     .idle_timeout(Duration::from_secs(5))
///     .build()?;
/// # let _ = client;
/// # Ok(()) }
/// ```
pub struct HttpClientBuilder {
    endpoint: Endpoint,
    net: Net,
    uri: Uri,
    headers: HeaderMap,
    /// The first error. Setters do not return it, so that they chain; `build` does.
    error: Option<HttpClientError>,
    open: Option<Arc<OpenFn>>,
    limits: Limits,
    version: Version,
    exchanges: usize,
    idle_connections: usize,
    idle_timeout: Option<Duration>,
    http2_only: bool,
    dial: Dial,
}

/// Why an [`HttpClient`] cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// The URL is not a valid endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The scheme of the URL is not `http` or `https`.
    #[error("`{scheme}:` is not spoken by an HTTP client: http and https are")]
    Scheme {
        /// The scheme.
        scheme: &'static str,
    },

    /// The path of the URL cannot be sent.
    #[error("the path of the URL cannot be sent")]
    Path {
        /// The cause.
        source: http::uri::InvalidUri,
    },

    /// TLS is configured and the scheme does not use it, or the other way round.
    #[error("{url} cannot be called")]
    Tls {
        /// The server: scheme, host and port.
        url: String,
        /// The cause.
        source: io::Error,
    },

    /// [`connect_with`](HttpClientBuilder::connect_with) makes the connections, and an option that
    /// only applies to connecting by URL is set, too.
    #[error("{url} cannot be called")]
    ConnectWith {
        /// The server: scheme, host and port.
        url: String,
        /// The option without effect.
        source: io::Error,
    },

    /// The credentials cannot be sent.
    #[error("these credentials cannot be sent: {reason}")]
    Credentials {
        /// The reason.
        reason: &'static str,
    },

    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: {reason}")]
    Header {
        /// The name of the header.
        name: String,
        /// The reason.
        reason: &'static str,
    },
}

impl HttpClient {
    /// A client for the server at `url`, for example `http://127.0.0.1:8545/path`, with all
    /// defaults.
    ///
    /// # Errors
    ///
    /// As [`HttpClientBuilder::build`].
    pub fn new(url: &str) -> Result<Self, HttpClientError> {
        Self::builder(url)?.build()
    }

    /// Starts a client for the server at `url`, `http://` or `https://`.
    ///
    /// # Errors
    ///
    /// If the URL is wrong, or holds credentials: URLs are logged. See
    /// [`basic_auth`](HttpClientBuilder::basic_auth).
    pub fn builder(url: &str) -> Result<HttpClientBuilder, HttpClientError> {
        HttpClientBuilder::new(url)
    }
}

impl HttpClientBuilder {
    fn new(url: &str) -> Result<Self, HttpClientError> {
        let endpoint: Endpoint = url.parse()?;
        let net = match endpoint.as_net() {
            Some(net) if matches!(net.scheme, Scheme::Http | Scheme::Https) => net.clone(),
            _ => return Err(HttpClientError::Scheme { scheme: endpoint.scheme() }),
        };
        let uri = net.told_url().parse().map_err(|source| HttpClientError::Path { source })?;
        let json = HeaderValue::from_static("application/json");
        let user_agent = HeaderValue::from_static(concat!("rpc/", env!("CARGO_PKG_VERSION")));
        let headers = [(CONTENT_TYPE, json.clone()), (ACCEPT, json), (USER_AGENT, user_agent)];
        Ok(Self {
            endpoint,
            net,
            uri,
            headers: headers.into_iter().collect(),
            error: None,
            open: None,
            limits: Limits::client(),
            version: Version::V2,
            exchanges: 64,
            idle_connections: usize::MAX,
            idle_timeout: Some(Duration::from_secs(20)),
            http2_only: false,
            dial: Dial::default(),
        })
    }

    /// Sends a user's name and password with each request (`Authorization: Basic`, [RFC
    /// 7617](https://www.rfc-editor.org/rfc/rfc7617)), in UTF-8. The name must not have a colon.
    /// They are never logged.
    pub fn basic_auth(self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.authorization(basic(user.as_ref(), password.as_ref()))
    }

    /// Sends a token with each request (`Authorization: Bearer`, [RFC
    /// 6750](https://www.rfc-editor.org/rfc/rfc6750)). It is never logged.
    pub fn bearer_auth(self, token: impl AsRef<str>) -> Self {
        self.authorization(bearer(token.as_ref()))
    }

    fn authorization(mut self, value: Result<HeaderValue, &'static str>) -> Self {
        match value {
            Ok(value) => drop(self.headers.insert(AUTHORIZATION, value)),
            Err(reason) => drop(self.error.get_or_insert(HttpClientError::Credentials { reason })),
        }
        self
    }

    /// Sends a header with each request, and replaces one of that name: `Content-Type` and `Accept`
    /// (`application/json`) and `User-Agent` have defaults, and `Host` (over HTTP/2, `:authority`)
    /// comes from the URL. Values are never logged.
    ///
    /// `Content-Length` and `Transfer-Encoding` cannot be set: wrong values would allow request
    /// smuggling.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(reason) = self.insert(name.as_ref(), value.as_ref()) {
            let name = name.as_ref().escape_debug().to_string();
            self.error.get_or_insert(HttpClientError::Header { name, reason });
        }
        self
    }

    fn insert(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let name = HeaderName::try_from(name).map_err(|_| "that is no name of a header")?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            return Err("it follows from the message");
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_| "its value is not printable, or not on one line")?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(())
    }

    /// The `User-Agent` of the client. Default: `rpc/` and the version of this crate.
    pub fn user_agent(self, name: impl AsRef<str>) -> Self {
        self.header(USER_AGENT.as_str(), name)
    }

    /// The version of JSON-RPC. Default: [`Protocol::V2`].
    ///
    /// Use [`Protocol::V1`] for Bitcoin Core, and for other servers whose replies always have both
    /// a `result` and an `error`; or [`Protocol::Loose`], which supports batches and named
    /// parameters.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.version = self.version.with_protocol(protocol);
        self
    }

    /// How a call or a notification without parameters is sent. Default: [`EmptyParams::Absent`]. A
    /// setting of a method, a service or a generated client takes precedence.
    pub fn empty_params(mut self, empty: EmptyParams) -> Self {
        self.version = self.version.with_empty_params(empty);
        self
    }

    /// The limits of the client: [`frame_size`](Limits::frame_size) bounds the body of a response,
    /// [`call_timeout`](Limits::call_timeout) bounds calls and notifications from when they are
    /// first polled, [`handshake_timeout`](Limits::handshake_timeout) bounds connecting,
    /// [`calls_in_flight`](Limits::calls_in_flight) bounds the [`exchanges`](Self::exchanges) if it
    /// is smaller, and [`outgoing_bytes`](Limits::outgoing_bytes) bounds the bytes of all exchanges
    /// in flight. The other limits are for sessions. Default: [`Limits::client()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits.in_force();
        self
    }

    /// The most calls and batches in flight at once. Further ones wait for a permit, in order,
    /// while their timeouts run. 0 counts as 1.
    ///
    /// Over HTTP/1.1 each has a connection of its own. Each response being read has up to
    /// [`Limits::frame_size`] bytes.
    ///
    /// Default: 64, the number of requests that Bitcoin Core queues before it refuses with 503.
    pub fn exchanges(mut self, exchanges: usize) -> Self {
        self.exchanges = exchanges;
        self
    }

    /// The most idle connections that are kept open. Default: no limit.
    pub fn idle_connections(mut self, connections: usize) -> Self {
        self.idle_connections = connections;
        self
    }

    /// How long an idle connection is kept open; `None` keeps it until the server closes it.
    ///
    /// If the server closes a connection just when it is used again, the call fails without having
    /// reached the server. So close earlier than the server does. Default: 20 s; Bitcoin Core
    /// closes after 30 s.
    pub fn idle_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = after.into();
        self
    }

    /// Speaks HTTP/2 only, without an upgrade (prior knowledge): all exchanges share one
    /// connection. Default: HTTP/1.1; over TLS, the server chooses.
    pub fn http2_only(mut self) -> Self {
        self.http2_only = true;
        self
    }

    /// Which servers are trusted over TLS, and the client's own certificate. Default:
    /// [`TlsClient::new`], the roots of the platform.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::{HttpClient, transport::tls::{Certificates, TlsClient}};
    ///
    /// let tls = TlsClient::with_roots(Certificates::from_pem_file("company.pem")?)?;
    /// let client = HttpClient::builder("https://node.example.org/")?.tls(tls).build()?;
    /// # let _ = client;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls-no-provider")]
    pub fn tls(mut self, tls: TlsClient) -> Self {
        self.dial.tls = Some(tls);
        self
    }

    /// Options of TCP connections. Default: [`TcpOptions::default()`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.dial.tcp = options;
        self
    }

    /// Connects through a SOCKS proxy. Default: no proxy.
    #[cfg(feature = "socks")]
    pub fn proxy(mut self, proxy: SocksProxy) -> Self {
        self.dial.proxy = Some(proxy);
        self
    }

    /// Makes connections by calling `open` instead of connecting to the host of the URL: through
    /// another kind of proxy, to a Unix socket, to a server in the same process.
    /// [`Limits::handshake_timeout`] bounds it. HTTP is spoken over its stream as it is, whatever
    /// the scheme of the URL: with `tls` or `proxy` set as well, which would have no effect,
    /// [`build`](Self::build) fails.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc::HttpClient;
    /// use tokio::net::TcpStream;
    ///
    /// let client = HttpClient::builder("http://node.example/")?
    ///     .connect_with(|| TcpStream::connect("127.0.0.1:8080"))
    ///     .build()?;
    /// # let _ = client;
    /// # Ok(()) }
    /// ```
    pub fn connect_with<F, T>(mut self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<T>> + Send + 'static,
        T: ByteStream,
    {
        self.open = Some(Arc::new(move || {
            let opened = open();
            Box::pin(async move { Ok(Box::new(opened.await?) as Box<dyn ByteStream>) })
        }));
        self
    }

    /// Makes the client. It connects with the first call.
    ///
    /// # Errors
    ///
    /// If the URL, a header or the credentials cannot be sent, or if options contradict each other.
    pub fn build(self) -> Result<HttpClient, HttpClientError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let server = self.net.server();
        let by = match self.open {
            Some(open) => {
                let needless = self.dial.must_not_be_needed("`connect_with` makes the connections");
                needless.map_err(|source| HttpClientError::ConnectWith { url: server.clone(), source })?;
                ConnectBy::Custom(open)
            }
            None => ConnectBy::Dialing(
                Arc::new(self.endpoint),
                self.net.clone(),
                dial_for_http(self.dial, &self.net, self.http2_only)
                    .map(Box::new)
                    .map_err(|source| HttpClientError::Tls { url: server.clone(), source })?,
            ),
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.idle_timeout.and_then(deadline::finite))
            .pool_max_idle_per_host(self.idle_connections)
            .http2_only(self.http2_only)
            .build(HyperConnector { by, limit: self.limits.handshake_timeout });
        let uri = called(self.uri, &self.headers)?;
        let limiter =
            ExchangeLimiter::new(self.exchanges.min(self.limits.calls_in_flight), self.limits.outgoing_bytes);
        let exchanges = Exchanges {
            client,
            uri,
            net: self.net,
            server,
            headers: self.headers,
            http2_only: self.http2_only,
            limits: self.limits,
            limiter,
            version: Mutex::new(self.version),
            last_id: AtomicU64::new(0),
        };
        Ok(HttpClient { exchanges: Arc::new(exchanges) })
    }
}

impl fmt::Debug for HttpClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientBuilder").field("server", &self.net.server()).finish_non_exhaustive()
    }
}

/// Puts the `Host` header, if one is set, into the URL: over HTTP/2 it is sent as the `:authority`.
fn called(uri: Uri, headers: &HeaderMap) -> Result<Uri, HttpClientError> {
    let Some(host) = headers.get(HOST) else { return Ok(uri) };
    let authority = Authority::try_from(host.as_bytes());
    let wrong = |reason| HttpClientError::Header { name: HOST.to_string(), reason };
    let mut parts = uri.into_parts();
    parts.authority = Some(authority.map_err(|_| wrong("that is no host, nor a host and a port"))?);
    Uri::from_parts(parts).map_err(|_| wrong("it does not go with the URL"))
}

/// `Basic`, as in [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617).
fn basic(user: &str, password: &str) -> Result<HeaderValue, &'static str> {
    if user.contains(':') {
        return Err("a user's name has no colon");
    }
    if [user, password].iter().any(|text| text.chars().any(char::is_control)) {
        return Err("names and passwords have no control characters");
    }
    header(&format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

/// `Bearer`, as in [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750).
fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a token has at least one character, and printable ones of ASCII only");
    }
    header(&format!("Bearer {token}"))
}

/// A header that is never logged, and never enters a table of HTTP/2's header compression.
fn header(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "not printable")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;
