//! What a peer has shown.

use std::fmt;

use super::rustls::pki_types::CertificateDer;

/// The certificates that the peer has shown, its own first: in the [`Extensions`](crate::Extensions) of a session over TLS.
///
/// Those of a server are always there. Those of a client are where the server [asks](super::TlsServer::request_client_certificates) for
/// them and the client has some.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificates(Vec<CertificateDer<'static>>);

impl PeerCertificates {
    /// `None` where the peer has shown none.
    pub(super) fn new(shown: Option<&[CertificateDer<'static>]>) -> Option<Self> {
        shown.filter(|shown| !shown.is_empty()).map(|shown| Self(shown.to_vec()))
    }

    /// The peer's own certificate, in DER. It is the one of which the peer has proved to have the private key.
    pub fn end_entity(&self) -> &[u8] {
        // There is at least one.
        self.0.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// All of them in DER, the peer's own first, in the order in which they were sent.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for PeerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificates").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// The protocol that both sides have agreed on (ALPN): in the extensions of a connection where some were offered.
#[cfg(feature = "http")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgreedProtocol(pub(crate) Vec<u8>);
