//! Opening what peers arrive at, by the scheme of its URL.

use std::io;

use super::Listen;
#[cfg_attr(
    all(feature = "http", feature = "stdio", feature = "tcp", feature = "tls-no-provider", feature = "ws"),
    expect(unused_imports, reason = "nothing was left out")
)]
use crate::transport::built_without;
#[cfg(feature = "tls-no-provider")]
use crate::transport::tls;
#[cfg(all(unix, feature = "unix"))]
use crate::transport::unix;
#[cfg(feature = "ws")]
use crate::transport::websocket;
use crate::transport::{Endpoint, Handshake, Kind, Net, Scheme, Socket, listen_in_memory};

/// A socket, and the endpoint with the address that it has become.
type Place = (Box<dyn Socket>, Endpoint);

/// Opens it; of a name that has several addresses, each.
pub(super) async fn open(listen: &Listen) -> io::Result<Vec<Place>> {
    let endpoint = &listen.endpoint;
    #[cfg(all(unix, feature = "unix"))]
    if listen.unix_mode.is_some() {
        unix::must_have_a_file(endpoint)?;
    }
    let socket = match endpoint.kind() {
        Kind::Net(net) => return listen_on_network(listen, net).await,
        #[cfg(all(unix, feature = "unix"))]
        Kind::Unix(path) => unix::listen(path, listen.unix_mode).await?,
        #[cfg(not(all(unix, feature = "unix")))]
        Kind::Unix(_) => return Err(crate::transport::without_unix()),
        #[cfg(feature = "stdio")]
        Kind::Stdio => crate::transport::stdio::listen()?,
        #[cfg(not(feature = "stdio"))]
        Kind::Stdio => return Err(built_without("stdio")),
        Kind::Memory(Some(name)) => listen_in_memory(name)?,
        Kind::Memory(None) => {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a place in memory needs a name"));
        }
    };
    Ok(vec![(socket, endpoint.clone())])
}

/// What a peer that has arrived has to agree on, one after another.
pub(super) fn handshakes(listen: &Listen) -> io::Result<Vec<Box<dyn Handshake>>> {
    #[cfg(feature = "tls-no-provider")]
    if listen.tls.is_some() {
        tls::must_be_spoken(&listen.endpoint)?;
    }
    let Some(net) = listen.endpoint.as_net() else { return Ok(Vec::new()) };
    match net.scheme {
        Scheme::Tcp => Ok(Vec::new()),
        #[cfg(feature = "tls-no-provider")]
        Scheme::Tls => Ok(vec![tls::handshake(listen.tls.as_ref(), &[])?]),
        #[cfg(feature = "ws")]
        Scheme::Ws => Ok(vec![websocket::handshake(&listen.websocket, net)]),
        #[cfg(all(feature = "tls-no-provider", feature = "ws"))]
        Scheme::Wss => {
            let tls = tls::handshake(listen.tls.as_ref(), &[b"http/1.1"])?;
            Ok(vec![tls, websocket::handshake(&listen.websocket, net)])
        }
        #[cfg(feature = "http")]
        Scheme::Http => Ok(Vec::new()),
        #[cfg(all(feature = "http", feature = "tls-no-provider"))]
        Scheme::Https => Ok(vec![tls::handshake(listen.tls.as_ref(), super::http::ALPN)?]),
        #[cfg(not(feature = "tls-no-provider"))]
        Scheme::Tls | Scheme::Wss => Err(built_without("tls")),
        #[cfg(not(feature = "ws"))]
        Scheme::Ws => Err(built_without("ws")),
        #[cfg(all(feature = "tls-no-provider", not(feature = "ws")))]
        Scheme::Wss => Err(built_without("ws")),
        #[cfg(not(feature = "http"))]
        Scheme::Http | Scheme::Https => Err(built_without("http")),
        #[cfg(all(feature = "http", not(feature = "tls-no-provider")))]
        Scheme::Https => Err(built_without("tls")),
    }
}

#[cfg(feature = "tcp")]
async fn listen_on_network(listen: &Listen, net: &Net) -> io::Result<Vec<Place>> {
    crate::transport::tcp::listen(&listen.endpoint, net, &listen.tcp).await
}

#[cfg(not(feature = "tcp"))]
async fn listen_on_network(_: &Listen, _: &Net) -> io::Result<Vec<Place>> {
    Err(built_without("tcp"))
}
