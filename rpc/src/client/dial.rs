//! Opening a connection to an endpoint, layer by layer, and the errors of it.

use std::{io, path::Path, time::Duration};

#[cfg(feature = "stdio")]
use crate::jsonrpc::shown::escaped;
#[cfg(feature = "socks")]
use crate::transport::socks::{self, ByWayOf, SocksError, SocksProxy};
#[cfg(feature = "tls-no-provider")]
use crate::transport::tls::{self, TlsClient};
#[cfg(feature = "ws")]
use crate::transport::websocket::{self, WebSocketClient};
#[cfg(feature = "tcp")]
use crate::transport::{
    Scheme,
    tcp::{self, TcpOptions},
};
use crate::{
    jsonrpc::{Unsupported, clean_io},
    service::DuplicateMethod,
    transport::{Connection, Endpoint, EndpointError, Kind, Net, built_without, connect_in_memory},
};

/// Why connecting failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not a valid endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The peer cannot be reached.
    #[error("cannot connect to {endpoint}")]
    Io {
        /// The endpoint.
        endpoint: Endpoint,
        /// The cause.
        source: io::Error,
    },

    /// The proxy did not connect to the peer.
    #[cfg(feature = "socks")]
    #[error("cannot connect to {endpoint} by way of {proxy}")]
    Socks {
        /// The peer's endpoint.
        endpoint: Endpoint,
        /// The proxy.
        proxy: SocksProxy,
        /// The cause.
        source: SocksError,
    },

    /// Connecting took too long.
    #[error("cannot connect to {endpoint}: not within {limit:?} (`handshake_timeout`)")]
    Timeout {
        /// The endpoint.
        endpoint: Endpoint,
        /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout).
        limit: Duration,
    },

    /// The process cannot be started.
    #[cfg(feature = "stdio")]
    #[error("cannot start `{}`", escaped(.program))]
    Spawn {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },

    /// The TLS handshake failed: the server could not be authenticated, or one side rejected the
    /// other.
    #[cfg(feature = "tls-no-provider")]
    #[error("cannot connect to {endpoint}")]
    Tls {
        /// The endpoint.
        endpoint: Endpoint,
        /// The cause.
        source: tls::TlsError,
    },

    /// The peer answers, and the WebSocket handshake failed.
    #[cfg(feature = "ws")]
    #[error("cannot connect to {endpoint}")]
    WebSocket {
        /// The endpoint.
        endpoint: Endpoint,
        /// The cause.
        source: websocket::WebSocketError,
    },

    /// Two services of the connecting side have a method of the same name on the wire.
    #[error(transparent)]
    DuplicateMethod(#[from] DuplicateMethod),

    /// The chosen version of JSON-RPC does not support the configuration.
    #[error("cannot connect as configured")]
    Unsupported(#[from] Unsupported),
}

impl ConnectError {
    /// The error of connecting to `endpoint`. Layers with error types of their own pass them inside
    /// an I/O error.
    pub(super) fn of(endpoint: Endpoint, error: io::Error) -> Self {
        #[cfg(feature = "socks")]
        let error = match error.downcast() {
            Ok(ByWayOf { proxy, source }) => return Self::Socks { endpoint, proxy, source },
            Err(error) => error,
        };
        #[cfg(feature = "tls-no-provider")]
        let error = match error.downcast() {
            Ok(source) => return Self::Tls { endpoint, source },
            Err(error) => error,
        };
        #[cfg(feature = "ws")]
        let error = match error.downcast() {
            Ok(source) => return Self::WebSocket { endpoint, source },
            Err(error) => error,
        };
        Self::Io { endpoint, source: clean_io(error) }
    }
}

/// Options of connecting that a URL cannot express.
#[derive(Debug, Clone, Default)]
pub(super) struct Dial {
    #[cfg(feature = "tcp")]
    pub(super) tcp: TcpOptions,
    #[cfg(feature = "socks")]
    pub(super) proxy: Option<SocksProxy>,
    #[cfg(feature = "tls-no-provider")]
    pub(super) tls: Option<TlsClient>,
    /// The versions of HTTP that are offered over TLS (ALPN).
    #[cfg(all(feature = "http", feature = "tls-no-provider"))]
    pub(super) http_versions: &'static [&'static [u8]],
    #[cfg(feature = "ws")]
    pub(super) websocket: WebSocketClient,
}

impl Dial {
    /// Refuses options that have no effect on a connection that comes from elsewhere. Ignoring them
    /// would send messages to another place, or less protected, than the user asked for.
    ///
    /// # Errors
    ///
    /// If such an option is set.
    pub(super) fn must_not_be_needed(&self, source: &str) -> io::Result<()> {
        let said: &[(&str, bool)] = &[
            #[cfg(feature = "socks")]
            ("proxy", self.proxy.is_some()),
            #[cfg(feature = "tls-no-provider")]
            ("tls", self.tls.is_some()),
        ];
        let Some((said, _)) = said.iter().find(|(_, was_said)| *was_said) else { return Ok(()) };
        let problem = format!("{source}, and `{said}` has no part in it: leave one of the two out");
        Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
    }

    pub(super) async fn open(self, endpoint: Endpoint) -> Result<Connection, ConnectError> {
        #[cfg(feature = "tls-no-provider")]
        if self.tls.is_some()
            && let Err(error) = tls::must_be_spoken(&endpoint)
        {
            return Err(ConnectError::of(endpoint, error));
        }
        let opened = match endpoint.kind() {
            #[cfg(feature = "http")]
            Kind::Net(Net { scheme: Scheme::Http | Scheme::Https, .. }) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "HTTP carries no session: use an `HttpClient`",
            )),
            Kind::Net(net) => self.over_network(&endpoint, net).await,
            #[cfg(feature = "socks")]
            _ if self.proxy.is_some() => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a proxy leads to the network, and this is a place on this machine",
            )),
            Kind::Unix(path) => over_unix(&endpoint, path).await,
            Kind::Stdio => over_stdio(&endpoint),
            Kind::Memory(Some(name)) => {
                connect_in_memory(name).map(|io| Connection::new(io, endpoint.clone()))
            }
            Kind::Memory(None) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a connection in memory that has no name cannot be found",
            )),
        };
        opened.map_err(|error| ConnectError::of(endpoint, error))
    }

    /// Opens the connection that carries the messages of the scheme; for HTTP, the byte stream.
    #[cfg(feature = "tcp")]
    pub(super) async fn over_network(self, endpoint: &Endpoint, net: &Net) -> io::Result<Connection> {
        // Before a connection is made in vain.
        can_speak(net.scheme)?;
        let connection = self.to_host(endpoint, net).await?;
        #[cfg(feature = "tls-no-provider")]
        let connection = match net.scheme {
            Scheme::Tls => tls::connect(self.tls, connection, net, &[]).await?,
            Scheme::Wss => tls::connect(self.tls, connection, net, &[b"http/1.1"]).await?,
            #[cfg(feature = "http")]
            Scheme::Https => tls::connect(self.tls, connection, net, self.http_versions).await?,
            _ => connection,
        };
        match net.scheme {
            #[cfg(feature = "ws")]
            Scheme::Ws | Scheme::Wss => websocket::connect(connection, net, &self.websocket).await,
            _ => Ok(connection),
        }
    }

    /// Connects over TCP, to the host or through a proxy.
    #[cfg(feature = "tcp")]
    async fn to_host(&self, endpoint: &Endpoint, net: &Net) -> io::Result<Connection> {
        #[cfg(feature = "socks")]
        if let Some(proxy) = &self.proxy {
            let (stream, proxied) = socks::connect(proxy, &self.tcp, &net.host, net.port).await?;
            let connection = Connection::over_socket(stream, endpoint.clone());
            connection.extensions.insert(proxied);
            return Ok(connection);
        }
        let stream = tcp::connect(&net.host, net.port, &self.tcp).await?;
        Ok(Connection::over_socket(stream, endpoint.clone()))
    }

    #[cfg(not(feature = "tcp"))]
    async fn over_network(self, _: &Endpoint, _: &Net) -> io::Result<Connection> {
        Err(built_without("tcp"))
    }
}

/// # Errors
///
/// If a feature that the scheme needs is not enabled.
#[cfg(feature = "tcp")]
fn can_speak(scheme: Scheme) -> io::Result<()> {
    match scheme {
        Scheme::Tls | Scheme::Wss | Scheme::Https if !cfg!(feature = "tls-no-provider") => {
            Err(built_without("tls"))
        }
        Scheme::Ws | Scheme::Wss if !cfg!(feature = "ws") => Err(built_without("ws")),
        Scheme::Http | Scheme::Https if !cfg!(feature = "http") => Err(built_without("http")),
        _ => Ok(()),
    }
}

#[cfg(all(unix, feature = "unix"))]
async fn over_unix(endpoint: &Endpoint, path: &Path) -> io::Result<Connection> {
    crate::transport::unix::connect(path, endpoint.clone()).await
}

#[cfg(not(all(unix, feature = "unix")))]
async fn over_unix(_: &Endpoint, _: &Path) -> io::Result<Connection> {
    Err(crate::transport::without_unix())
}

#[cfg(feature = "stdio")]
fn over_stdio(endpoint: &Endpoint) -> io::Result<Connection> {
    Ok(Connection::new(crate::transport::stdio::Stdio::take()?, endpoint.clone()))
}

#[cfg(not(feature = "stdio"))]
fn over_stdio(_: &Endpoint) -> io::Result<Connection> {
    Err(built_without("stdio"))
}

/// Waits for `work` up to `limit`. `Err` is the limit that was exceeded.
pub(super) async fn in_time<T>(
    limit: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, Duration> {
    match limit {
        None => Ok(work.await),
        // A time of zero does not even start the work.
        Some(Duration::ZERO) => Err(Duration::ZERO),
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| limit),
    }
}

#[cfg(all(test, feature = "tcp"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_feature_that_is_missing_is_named_before_anybody_is_connected_to() {
        // No server listens there: an attempt to connect is refused.
        for (url, feature) in [
            ("tls://127.0.0.1:1", ("tls", cfg!(feature = "tls-no-provider"))),
            ("wss://127.0.0.1:1", ("tls", cfg!(feature = "tls-no-provider"))),
            ("ws://127.0.0.1:1", ("ws", cfg!(feature = "ws"))),
        ] {
            let error = Dial::default().open(url.parse().unwrap()).await.map(drop).unwrap_err();
            let text = crate::jsonrpc::chain(&error).to_string();
            let (name, is_there) = feature;
            assert_eq!(text.contains(&format!("feature `{name}`")), !is_there, "{text}");
        }
    }
}
