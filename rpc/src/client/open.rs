//! From an endpoint to a connection: each step takes what the one before has given.

use std::io;

use super::ConnectError;
#[cfg(feature = "ws")]
use crate::transport::WebSocketClient;
use crate::transport::{Connection, Endpoint, Kind, Net, built_without, connect_in_memory};

/// What a URL cannot say of how to connect.
#[derive(Debug, Default)]
pub(super) struct Dial {
    #[cfg(feature = "ws")]
    pub(super) websocket: WebSocketClient,
}

impl Dial {
    pub(super) async fn open(self, endpoint: Endpoint) -> Result<Connection, ConnectError> {
        let opened = match endpoint.kind() {
            Kind::Net(net) => return self.over_network(&endpoint, net).await,
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
        opened.map_err(|source| ConnectError::Io { endpoint, source })
    }

    #[cfg(feature = "tcp")]
    async fn over_network(self, endpoint: &Endpoint, net: &Net) -> Result<Connection, ConnectError> {
        use crate::transport::Scheme;

        let failed = |source| ConnectError::Io { endpoint: endpoint.clone(), source };
        let stream = crate::transport::tcp::connect(net).await.map_err(failed)?;
        let connection = Connection::new(stream, endpoint.clone());
        match net.scheme {
            Scheme::Tcp => Ok(connection),
            Scheme::Tls | Scheme::Wss => Err(failed(built_without("tls"))),
            Scheme::Ws => self.websocket(connection, endpoint, net).await,
            Scheme::Http | Scheme::Https => Err(failed(built_without("http"))),
        }
    }

    #[cfg(feature = "ws")]
    async fn websocket(
        self,
        connection: Connection,
        endpoint: &Endpoint,
        net: &Net,
    ) -> Result<Connection, ConnectError> {
        let host = net.authority();
        let opened = crate::transport::websocket::connect(connection, &host, &net.path, &self.websocket);
        opened.await.map_err(|source| ConnectError::WebSocket { endpoint: endpoint.clone(), source })
    }

    #[cfg(all(feature = "tcp", not(feature = "ws")))]
    async fn websocket(
        self,
        _: Connection,
        endpoint: &Endpoint,
        _: &Net,
    ) -> Result<Connection, ConnectError> {
        Err(ConnectError::Io { endpoint: endpoint.clone(), source: built_without("ws") })
    }

    #[cfg(not(feature = "tcp"))]
    async fn over_network(self, endpoint: &Endpoint, _: &Net) -> Result<Connection, ConnectError> {
        Err(ConnectError::Io { endpoint: endpoint.clone(), source: built_without("tcp") })
    }
}
