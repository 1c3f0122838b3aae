//! From an endpoint to a connection: each step takes what the one before has given.

use std::io;

use super::ConnectError;
use crate::transport::{Connection, Endpoint, Kind, Net, built_without, connect_in_memory};
#[cfg(feature = "tcp")]
use crate::transport::{Scheme, TcpOptions, tcp};
#[cfg(feature = "socks")]
use crate::transport::{SocksProxy, socks};

/// What a URL cannot say of how to connect.
#[derive(Debug, Default)]
pub(super) struct Dial {
    #[cfg(feature = "tcp")]
    pub(super) tcp: TcpOptions,
    #[cfg(feature = "socks")]
    pub(super) proxy: Option<SocksProxy>,
}

impl Dial {
    pub(super) async fn open(self, endpoint: Endpoint) -> Result<Connection, ConnectError> {
        let opened = match endpoint.kind() {
            Kind::Net(net) => return self.over_network(&endpoint, net).await,
            #[cfg(feature = "socks")]
            _ if self.proxy.is_some() => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a proxy leads to the network, and this is a place on this machine",
            )),
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
        let connection = self.to_host(endpoint, net).await?;
        let opened = match net.scheme {
            Scheme::Tcp => Ok(connection),
            Scheme::Tls => Err(built_without("tls")),
            Scheme::Ws | Scheme::Wss => Err(built_without("ws")),
            Scheme::Http | Scheme::Https => Err(built_without("http")),
        };
        opened.map_err(|source| ConnectError::Io { endpoint: endpoint.clone(), source })
    }

    #[cfg(not(feature = "tcp"))]
    async fn over_network(self, endpoint: &Endpoint, _: &Net) -> Result<Connection, ConnectError> {
        Err(ConnectError::Io { endpoint: endpoint.clone(), source: built_without("tcp") })
    }

    /// TCP to the host, or to a proxy that has connected to it.
    #[cfg(feature = "tcp")]
    async fn to_host(&self, endpoint: &Endpoint, net: &Net) -> Result<Connection, ConnectError> {
        #[cfg(feature = "socks")]
        if let Some(proxy) = &self.proxy {
            let connected = socks::connect(proxy, &self.tcp, &net.host, net.port).await;
            let (stream, proxied) = connected.map_err(|source| ConnectError::Socks {
                endpoint: endpoint.clone(),
                proxy: proxy.clone(),
                source,
            })?;
            let connection = Connection::new(stream, endpoint.clone());
            connection.extensions.insert(proxied);
            return Ok(connection);
        }
        let connected = tcp::connect(&net.host, net.port, &self.tcp).await;
        let stream = connected.map_err(|source| ConnectError::Io { endpoint: endpoint.clone(), source })?;
        Ok(Connection::new(stream, endpoint.clone()))
    }
}
