//! From an endpoint to a connection: each step takes what the one before has given.

use std::{io, path::Path};

use super::ConnectError;
#[cfg(feature = "socks")]
use crate::transport::socks::{self, SocksProxy};
#[cfg(feature = "tls-no-provider")]
use crate::transport::tls::{self, TlsClient};
#[cfg(feature = "ws")]
use crate::transport::websocket::{self, WebSocketClient};
use crate::transport::{Connection, Endpoint, Kind, Net, built_without, connect_in_memory};
#[cfg(feature = "tcp")]
use crate::transport::{
    Scheme,
    tcp::{self, TcpOptions},
};

/// What a URL cannot say of how to connect.
#[derive(Debug, Clone, Default)]
pub(super) struct Dial {
    #[cfg(feature = "tcp")]
    pub(super) tcp: TcpOptions,
    #[cfg(feature = "socks")]
    pub(super) proxy: Option<SocksProxy>,
    #[cfg(feature = "tls-no-provider")]
    pub(super) tls: Option<TlsClient>,
    /// Which versions of HTTP are offered over TLS.
    #[cfg(all(feature = "http", feature = "tls-no-provider"))]
    pub(super) http_versions: &'static [&'static [u8]],
    #[cfg(feature = "ws")]
    pub(super) websocket: WebSocketClient,
}

impl Dial {
    /// What was said of how to reach the peer, and has no part in a connection that comes from
    /// elsewhere: the message would not go where, or as, the user wants it to.
    ///
    /// # Errors
    ///
    /// Where something was.
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

    /// Opens what the messages of the scheme go over: of HTTP, the stream of bytes.
    #[cfg(feature = "tcp")]
    pub(super) async fn over_network(self, endpoint: &Endpoint, net: &Net) -> io::Result<Connection> {
        // Before anybody is connected to for nothing.
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

    /// TCP to the host, or to a proxy that has connected to it.
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
/// Where a feature that the scheme takes is missing.
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
