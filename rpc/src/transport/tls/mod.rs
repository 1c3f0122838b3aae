//! TLS by rustls: authenticated peers and encrypted connections.
//!
//! [`TlsClient`] configures which servers are trusted, [`TlsServer`] what a server presents. Both
//! take PEM files, bytes, or a rustls configuration. Versions 1.2 and 1.3 are supported, with the
//! cryptography of `ring` unless the application [chooses another provider](set_provider).
//!
//! **Closing.** A session sends `close_notify` when it ends. Many peers just close the connection,
//! which is accepted as well. (This is safe here: each message is framed, so a truncated one is
//! never taken for complete.)
//!
//! **Handshake.** The server's certificate is verified before connecting returns. The client's is
//! verified by the server, which in TLS 1.3 happens after the client considers itself connected: a
//! client whose certificate is refused gets a session that ends at once, with a
//! [`CloseReason::Io`](crate::CloseReason::Io) that explains it.

mod certificates;
mod client;
mod error;
mod provider;
mod server;
mod server_config;
mod stream;

use std::io;

use futures::{FutureExt as _, future::BoxFuture};
/// The rustls version whose types [`TlsClient::from_config`] and [`TlsServer::from_config`] take.
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

/// Performs the client's handshake with the server at `net`, offering the protocols `alpn`.
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
    Ok(Connection { io: store_certificates(stream, &connection.extensions), ..connection })
}

/// The handshake of a listener with each client, accepting the protocols `alpn`.
///
/// # Errors
///
/// When there is no certificate, or no ALPN protocol of the configuration is accepted.
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

/// Rejects TLS settings for an endpoint without TLS: the application expects encryption.
///
/// # Errors
///
/// When the scheme of `endpoint` does not use TLS.
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
            Ok(Connection { io: store_certificates(stream, &connection.extensions), ..connection })
        }
        .boxed()
    }
}

/// Boxes the stream, and stores the peer's certificates and the ALPN protocol in the extensions.
fn store_certificates<IO: Io>(stream: TlsStream<IO>, extensions: &Extensions) -> Box<dyn Io> {
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
