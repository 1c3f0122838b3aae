//! TLS, by rustls: who is on the other side, and bytes that nobody else reads.
//!
//! [`TlsClient`] says which servers are trusted, [`TlsServer`] what a server shows. Both take what people have: PEM files, bytes, or a
//! configuration of rustls made elsewhere. Versions 1.2 and 1.3 are spoken, with the cryptography of `ring`, unless the application
//! [chooses another](set_provider).
//!
//! **The end of a connection.** A session that ends says so (`close_notify`). Many peers do not, they just close; that is taken for the same.
//! (It is safe here, where each message tells its own end: one that was cut off is never taken for a whole one.)
//!
//! **The handshake.** A server's certificate is judged before connecting returns. A client's is judged by the server, and in TLS 1.3 that
//! happens after the client believes to be connected: a client whose certificate is refused has a session that ends at once, with a
//! [`CloseReason::Io`](crate::CloseReason::Io) that says so.

mod certificates;
mod client;
mod error;
mod provider;
mod server;
mod server_config;
mod stream;

use std::io;

use futures::{FutureExt as _, future::BoxFuture};
/// The rustls whose types [`TlsClient::from_config`] and [`TlsServer::from_config`] take.
pub use tokio_rustls::rustls;

use super::{Connection, Endpoint, Extensions, Handshake, Io, Net, Scheme};
pub use certificates::{Certificates, Identity, PeerCertificates};
pub use client::TlsClient;
pub use error::{TlsError, TlsPart};
pub use provider::{SetProviderError, set_provider};
pub use server::TlsServer;
#[cfg(feature = "http")]
pub(crate) use stream::AgreedProtocol;
use stream::TlsStream;

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

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;
