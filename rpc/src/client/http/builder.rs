//! What a client is made from.

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

/// Says how an [`HttpClient`] calls. Begun by [`HttpClient::builder`].
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
    /// The first thing that was wrong; the methods that take it give no result, so that they can follow each other.
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

/// Why there is no [`HttpClient`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// The URL names no place.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The URL is not one of HTTP.
    #[error("`{scheme}:` is not spoken by an HTTP client: http and https are")]
    Scheme {
        /// Its scheme.
        scheme: &'static str,
    },

    /// The path of the URL cannot be sent.
    #[error("the path of the URL cannot be sent")]
    Path {
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },

    /// TLS is asked for and cannot be spoken, or the other way round.
    #[error("{url} cannot be called")]
    Tls {
        /// The server: scheme, host and port.
        url: String,
        /// Why not.
        source: io::Error,
    },

    /// Connections are made by [`connect_with`](HttpClientBuilder::connect_with), and it was said,
    /// too, how they are made.
    #[error("{url} cannot be called")]
    ConnectWith {
        /// The server: scheme, host and port.
        url: String,
        /// What has no part in it.
        source: io::Error,
    },

    /// The credentials cannot be sent.
    #[error("these credentials cannot be sent: {reason}")]
    Credentials {
        /// What is wrong with them.
        reason: &'static str,
    },

    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl HttpClient {
    /// Calls the server at `url`, for example `http://127.0.0.1:8545/path`, with everything as it is by default.
    ///
    /// # Errors
    ///
    /// As [`HttpClientBuilder::build`].
    pub fn new(url: &str) -> Result<Self, HttpClientError> {
        Self::builder(url)?.build()
    }

    /// Begins one for the server at `url`, `http://` or `https://`.
    ///
    /// # Errors
    ///
    /// Where the URL is wrong, or holds credentials: URLs are logged. See [`basic_auth`](HttpClientBuilder::basic_auth).
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

    /// Tells the server a user's name and password with each request (`Authorization: Basic`,
    /// [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)), in UTF-8. The name has no colon. They are never shown.
    pub fn basic_auth(self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        self.authorization(basic(user.as_ref(), password.as_ref()))
    }

    /// Tells the server a token with each request (`Authorization: Bearer`, [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)). It is
    /// never shown.
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

    /// Sends a header with each request, instead of one of that name that was there before:
    /// `Content-Type` and `Accept` (`application/json`) and `User-Agent` are, and `Host` (over
    /// HTTP/2, `:authority`) comes from the URL. Values are never shown.
    ///
    /// `Content-Length` and `Transfer-Encoding` cannot be set: where they are wrong, one request can be taken for two.
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

    /// What the client calls itself (`User-Agent`). Default: `rpc/` and the version of this crate.
    pub fn user_agent(self, name: impl AsRef<str>) -> Self {
        self.header(USER_AGENT.as_str(), name)
    }

    /// Which version of JSON-RPC is spoken. Default: [`Protocol::V2`].
    ///
    /// Bitcoin Core, and other servers whose answers always have both a `result` and an `error`, are called with [`Protocol::V1`]; or, for
    /// batches and parameters by name, with [`Protocol::Loose`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.version = self.version.with_protocol(protocol);
        self
    }

    /// What is sent where a call or a notification has no parameters. Default: [`EmptyParams::Absent`]. A method, a service or a
    /// client that says something else goes before.
    pub fn empty_params(mut self, empty: EmptyParams) -> Self {
        self.version = self.version.with_empty_params(empty);
        self
    }

    /// What the client may use: [`frame_size`](Limits::frame_size) bounds the body of an answer, [`call_timeout`](Limits::call_timeout) holds
    /// for calls and notifications from when they are first awaited, [`handshake_timeout`](Limits::handshake_timeout) is how long
    /// making a connection may take, [`calls_in_flight`](Limits::calls_in_flight) bounds the [`exchanges`](Self::exchanges) where it is
    /// smaller, and [`outgoing_bytes`](Limits::outgoing_bytes) is how many bytes the exchanges
    /// under way may send together. The others are for sessions. Default: [`Limits::client()`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits.in_force();
        self
    }

    /// How many calls and batches may be under way at once. Further ones wait for their turn, in order, and their timeouts run. 0 is taken
    /// as 1.
    ///
    /// Over HTTP/1.1 each has a connection to itself. Answers being read have up to
    /// [`Limits::frame_size`] bytes each.
    ///
    /// Default: 64, which is how many requests Bitcoin Core keeps waiting before it refuses with 503.
    pub fn exchanges(mut self, exchanges: usize) -> Self {
        self.exchanges = exchanges;
        self
    }

    /// How many connections are kept that are not in use. Default: all.
    pub fn idle_connections(mut self, connections: usize) -> Self {
        self.idle_connections = connections;
        self
    }

    /// How long a connection is kept that is not in use; `None` keeps it until the server closes it.
    ///
    /// A server that closes one at the very moment when it is used again lets a call fail that it has not seen. It is well to close
    /// earlier than the server does. Default: 20 s; Bitcoin Core closes after 30 s.
    pub fn idle_timeout(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = after.into();
        self
    }

    /// Speaks HTTP/2 from the first byte on, and nothing else: all exchanges share one connection. Default: HTTP/1.1; over TLS, the
    /// server chooses.
    pub fn http2_only(mut self) -> Self {
        self.http2_only = true;
        self
    }

    /// Which servers are trusted over TLS, and what they are shown. Default: [`TlsClient::new`], whom the platform trusts.
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

    /// How TCP is connected. Default: [`TcpOptions::default()`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.dial.tcp = options;
        self
    }

    /// Connects by way of a SOCKS proxy. Default: without one.
    #[cfg(feature = "socks")]
    pub fn proxy(mut self, proxy: SocksProxy) -> Self {
        self.dial.proxy = Some(proxy);
        self
    }

    /// Makes connections by calling `open`, instead of connecting to the host of the URL: through a
    /// proxy of another kind, to a Unix socket, to a server within the process. It has the time
    /// that [`Limits::handshake_timeout`] says. HTTP is spoken over what it gives as it is,
    /// whatever the scheme of the URL: with `tls` or `proxy` besides, which would have no part in
    /// it, [`build`](Self::build) fails.
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

    /// Makes the client. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// Where something that it was to send with each request cannot be sent.
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

/// The URL, with what the server is to be called: the `Host` of HTTP/1.1 is the `:authority` of
/// HTTP/2.
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

/// One that is never shown, and never kept in a table of HTTP/2's.
fn header(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "not printable")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;
