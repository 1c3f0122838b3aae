//! From an endpoint to a connection: each step takes what the one before has given.

use std::io;

use super::ConnectError;
use crate::transport::{Connection, Endpoint, Kind, Net, built_without, connect_in_memory};

/// What a URL cannot say of how to connect.
#[derive(Debug, Default)]
pub(super) struct Dial {}

impl Dial {
    pub(super) async fn open(self, endpoint: Endpoint) -> Result<Connection, ConnectError> {
        let opened = match endpoint.kind() {
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
        opened.map_err(|source| ConnectError::Io { endpoint, source })
    }

    #[cfg(feature = "tcp")]
    async fn over_network(self, endpoint: &Endpoint, net: &Net) -> io::Result<Connection> {
        let stream = crate::transport::tcp::connect(net).await?;
        let connection = Connection::new(stream, endpoint.clone());
        use crate::transport::Scheme;

        match net.scheme {
            Scheme::Tcp => Ok(connection),
            Scheme::Tls => Err(built_without("tls")),
            Scheme::Ws | Scheme::Wss => Err(built_without("ws")),
            Scheme::Http | Scheme::Https => Err(built_without("http")),
        }
    }

    #[cfg(not(feature = "tcp"))]
    async fn over_network(self, _: &Endpoint, _: &Net) -> io::Result<Connection> {
        Err(built_without("tcp"))
    }
}
