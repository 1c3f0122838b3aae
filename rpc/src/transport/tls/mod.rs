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

mod alpn;
mod asking;
mod certificates;
mod client;
mod der;
mod error;
mod explain;
mod first_bytes;
mod identity;
mod peer;
mod pem;
mod pinned;
mod provider;
mod sealed;
mod server;
mod steps;
mod stream;

pub use certificates::Certificates;
pub use client::TlsClient;
pub use error::{TlsError, TlsPart};
use first_bytes::FirstBytes;
pub use identity::Identity;
#[cfg(feature = "http")]
pub(crate) use peer::AgreedProtocol;
pub use peer::PeerCertificates;
use provider::provider;
pub use provider::{SetProviderError, set_provider};
pub use server::TlsServer;
pub(crate) use steps::{connect, handshake, must_be_spoken};
use stream::TlsStream;
/// The rustls whose types [`TlsClient::from_config`] and [`TlsServer::from_config`] take.
pub use tokio_rustls::rustls;

/// `provider()` has suites of both versions: choosing among them cannot fail.
const BOTH_VERSIONS: &str = "suites of TLS 1.2 and 1.3";

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;
