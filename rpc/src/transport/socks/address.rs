//! What is known of a connection by way of a proxy.

use std::{fmt, net::SocketAddr};

use crate::jsonrpc::shown::escaped;

/// What a session knows about the proxy that it goes through: see [`Session::extensions`](crate::Session::extensions).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, transport::socks::{Proxied, SocksProxy}};
///
/// let session = Connector::new("tcp://example.org:50001")?.proxy(SocksProxy::tor()).connect().await?;
/// let proxied = session.extensions().get::<Proxied>().expect("it goes through a proxy");
/// println!("{} by way of {}, which connects from {}", session.peer(), proxied.proxy, proxied.bound);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxied {
    /// The address of the proxy that answered, of those that its name has.
    pub proxy: SocketAddr,

    /// Where the proxy says that it connects from. Many do not say, and answer `0.0.0.0:0`.
    pub bound: SocksAddress,
}

/// A host, by address or by name, and a port, as a proxy wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocksAddress {
    /// An address.
    Ip(SocketAddr),
    /// A name, with bytes that are no UTF-8 replaced, and a port.
    Name(String, u16),
}

impl fmt::Display for SocksAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{}:{port}", escaped(name)),
        }
    }
}
