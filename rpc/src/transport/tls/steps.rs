//! TLS as one of the steps on the way to a session.

use std::io;

use futures::{FutureExt as _, future::BoxFuture};

use super::{TlsClient, TlsServer, TlsStream};
use crate::transport::{Connection, Endpoint, Extensions, Handshake, Io, Net, Scheme};

/// Shakes hands with the server at `net`, on the side that connects, where the protocols `alpn` are
/// spoken.
pub(crate) async fn connect(
    tls: Option<TlsClient>,
    connection: Connection,
    net: &Net,
    alpn: &[&[u8]],
) -> io::Result<Connection> {
    let tls = match tls {
        Some(tls) => tls,
        None => TlsClient::of_platform().await?,
    };
    let stream = tls.connect(&net.host.without_zone().to_string(), connection.io, alpn).await?;
    Ok(Connection { io: with_certificates(stream, &connection.extensions), ..connection })
}

/// What a listener does with each client, where the protocols `alpn` are spoken.
///
/// # Errors
///
/// Where there is nothing to show, or a configuration that has none of the protocols.
pub(crate) fn handshake(
    tls: Option<&TlsServer>,
    alpn: &'static [&'static [u8]],
) -> io::Result<Box<dyn Handshake>> {
    match tls {
        Some(server) => {
            server.must_offer(alpn)?;
            Ok(Box::new(TlsHandshake { server: server.clone(), alpn }))
        }
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a server needs a certificate to speak TLS: set one with `Listen::tls`",
        )),
    }
}

/// Who has said how to speak TLS does not want to go without it.
///
/// # Errors
///
/// Where it is not spoken at `endpoint`.
pub(crate) fn must_be_spoken(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint.as_net().map(|net| net.scheme) {
        Some(Scheme::Tls | Scheme::Wss | Scheme::Https) => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}:` is not spoken over TLS, and it was said how to speak TLS", endpoint.scheme()),
        )),
    }
}

#[derive(Debug)]
struct TlsHandshake {
    server: TlsServer,
    alpn: &'static [&'static [u8]],
}

impl Handshake for TlsHandshake {
    fn shake(&self, connection: Connection) -> BoxFuture<'static, io::Result<Connection>> {
        let (server, alpn) = (self.server.clone(), self.alpn);
        async move {
            let stream = server.accept(&connection.peer.to_string(), connection.io, alpn).await?;
            Ok(Connection { io: with_certificates(stream, &connection.extensions), ..connection })
        }
        .boxed()
    }
}

/// The stream; what the peer has shown, and what was agreed on, goes where it is found.
fn with_certificates<IO: Io>(stream: TlsStream<IO>, extensions: &Extensions) -> Box<dyn Io> {
    if let Some(shown) = stream.peer_certificates() {
        extensions.insert(shown);
    }
    #[cfg(feature = "http")]
    if let Some(agreed) = stream.agreed_protocol() {
        extensions.insert(agreed);
    }
    Box::new(stream)
}
