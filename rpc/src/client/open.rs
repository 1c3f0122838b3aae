//! From an endpoint to a connection: each step takes what the one before has given.

use std::io;

use super::ConnectError;
#[cfg(feature = "tcp")]
use crate::transport::Scheme;
#[cfg(feature = "tls")]
use crate::transport::tls::{self, TlsClient};
#[cfg(feature = "ws")]
use crate::transport::websocket::{self, WebSocketClient};
use crate::transport::{Connection, Endpoint, Kind, Net, built_without, connect_in_memory};

/// What a URL cannot say of how to connect.
#[derive(Debug, Clone, Default)]
pub(super) struct Dial {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsClient>,
    /// Which versions of HTTP are offered over TLS.
    #[cfg(all(feature = "http", feature = "tls"))]
    pub(super) http_versions: &'static [&'static [u8]],
    #[cfg(feature = "ws")]
    pub(super) websocket: WebSocketClient,
}

impl Dial {
    pub(super) async fn open(self, endpoint: Endpoint) -> Result<Connection, ConnectError> {
        #[cfg(feature = "tls")]
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
            Kind::Unix(_) => Err(built_without("unix")),
            Kind::Stdio => Err(built_without("stdio")),
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
        let stream = crate::transport::tcp::connect(net).await?;
        let connection = Connection::new(stream, endpoint.clone());
        #[cfg(feature = "tls")]
        let connection = match net.scheme {
            Scheme::Tls => tls::connect(self.tls, connection, net, &[]).await?,
            Scheme::Wss => tls::connect(self.tls, connection, net, &[b"http/1.1"]).await?,
            #[cfg(feature = "http")]
            Scheme::Https => tls::connect(self.tls, connection, net, self.http_versions).await?,
            _ => connection,
        };
        match net.scheme {
            Scheme::Tls | Scheme::Wss | Scheme::Https if !cfg!(feature = "tls") => Err(built_without("tls")),
            Scheme::Tcp | Scheme::Tls => Ok(connection),
            #[cfg(feature = "ws")]
            Scheme::Ws | Scheme::Wss => websocket::connect(connection, net, &self.websocket).await,
            #[cfg(not(feature = "ws"))]
            Scheme::Ws | Scheme::Wss => Err(built_without("ws")),
            #[cfg(feature = "http")]
            Scheme::Http | Scheme::Https => Ok(connection),
            #[cfg(not(feature = "http"))]
            Scheme::Http | Scheme::Https => Err(built_without("http")),
        }
    }

    #[cfg(not(feature = "tcp"))]
    async fn over_network(self, _: &Endpoint, _: &Net) -> io::Result<Connection> {
        Err(built_without("tcp"))
    }
}
