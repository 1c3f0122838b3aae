//! Why TLS could not be set up, and why a handshake failed.

use std::{fmt, io, path::PathBuf};

use super::{
    explain,
    rustls::{self, AlertDescription, CertificateError},
};
use crate::{
    jsonrpc::{clean_io, shown::escaped},
    transport::{Expected, Foreign, told},
};

/// Why there is no TLS: what was given cannot be used, or a handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read the {part} from `{}`", escaped(.path.display()))]
    Read {
        /// What it was to hold.
        part: TlsPart,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// Something was read, and does not hold what it should.
    #[error("there is no {part} in {}{}", escaped(.origin), if *.encrypted { ": there is an encrypted one, which has to be decrypted first" } else { "" })]
    Missing {
        /// What it was to hold.
        part: TlsPart,
        /// What was read: a file, or what was given in place of one.
        origin: String,
        /// Whether it holds a private key that needs a password.
        encrypted: bool,
    },

    /// What was read is damaged, or of a kind that is not known.
    #[error("the {part} in {} cannot be used", escaped(.origin))]
    Unusable {
        /// What it was to be.
        part: TlsPart,
        /// What was read: a file, or what was given in place of one.
        origin: String,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A private key and a certificate that do not belong together.
    #[error("the private key in {key} does not belong to the first certificate in {certificate}")]
    Mismatch {
        /// Where the key was read.
        key: String,
        /// Where the certificate was read.
        certificate: String,
    },

    /// The platform's roots cannot be had.
    #[error("the certificates that this platform trusts cannot be loaded")]
    Platform(#[source] rustls::Error),

    /// A server is called by something that is neither a name nor an IP address.
    #[error("`{}` is neither the name nor the IP address of a server", escaped(.0))]
    ServerName(String),

    /// A [configuration](super::TlsServer::from_config) names protocols, and none of them is what
    /// goes over the connection.
    #[error(
        "the TLS configuration offers only {named} (ALPN), and here {spoken} is spoken: add it to its \
         `alpn_protocols`, or leave them empty"
    )]
    NoProtocol {
        /// The protocols of the configuration.
        named: String,
        /// Those of which there would have to be one.
        spoken: String,
    },

    /// The peer's certificate is not accepted.
    #[error("the certificate of {peer} is not trusted: {}", escaped(explain::certificate(.problem)))]
    Certificate {
        /// Whose it is.
        peer: String,
        /// What is wrong with it.
        problem: CertificateError,
    },

    /// The peer has shown no certificate, and has to.
    #[error("{peer} has shown no certificate, and one is required")]
    NoCertificate {
        /// Who has shown none.
        peer: String,
    },

    /// The peer has refused the handshake.
    #[error("{peer} has refused the handshake: {} (alert {alert:?})", explain::alert(*.alert))]
    Refused {
        /// Who has refused it.
        peer: String,
        /// What it said.
        alert: AlertDescription,
    },

    /// The peer speaks something else.
    #[error("{peer} does not speak TLS: {}", told(Expected::Tls, .protocol, .found))]
    NotTls {
        /// Who does not.
        peer: String,
        /// What it looks like: `"HTTP"`, `"JSON-RPC in lines"`, and so on; `"text"` or `"binary data"`
        /// where that is all that is known.
        protocol: &'static str,
        /// The start of what came, escaped: at most 40 bytes of it.
        found: String,
        /// What was taken for TLS.
        source: Box<rustls::Error>,
    },

    /// The peer has closed the connection instead of going on.
    #[error(
        "{peer} has closed the connection within the TLS handshake; maybe it does not speak TLS: then use `tcp://`, `ws://` or `http://`"
    )]
    Closed {
        /// Who has closed it.
        peer: String,
    },

    /// The handshake, or the connection after it, failed in another way.
    #[error("TLS with {peer} failed")]
    Failed {
        /// With whom.
        peer: String,
        /// How.
        source: rustls::Error,
    },

    /// The connection failed below TLS.
    #[error("the connection to {peer} was lost within the TLS handshake")]
    Io {
        /// With whom.
        peer: String,
        /// How.
        source: io::Error,
    },
}

/// What something read was to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsPart {
    /// One certificate or several.
    Certificate,
    /// A private key.
    PrivateKey,
}

impl fmt::Display for TlsPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::PrivateKey => "private key",
        })
    }
}

impl TlsError {
    /// What rustls has against roots that can be read.
    pub(super) fn of_roots(error: rustls::client::VerifierBuilderError) -> Self {
        let (part, origin) = (TlsPart::Certificate, "the roots that were given".to_owned());
        Self::Unusable { part, origin, source: Box::new(error) }
    }

    /// What ended a handshake with `peer`, of which the first bytes are `seen` as what they look like.
    pub(super) fn of_handshake(peer: &str, error: io::Error, seen: impl FnOnce() -> Foreign) -> Self {
        let peer = peer.to_owned();
        match error.downcast::<rustls::Error>() {
            Ok(error) if explain::is_no_tls(&error) => {
                let Foreign { protocol, found } = seen();
                Self::NotTls { peer, protocol, found, source: Box::new(error) }
            }
            Ok(error) => Self::of_rustls(peer, error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed { peer },
            Err(source) => Self::Io { peer, source: clean_io(source) },
        }
    }

    /// What ended a connection to `peer`, at any time.
    pub(super) fn of_rustls(peer: String, error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(problem) => Self::Certificate { peer, problem },
            rustls::Error::NoCertificatesPresented => Self::NoCertificate { peer },
            rustls::Error::AlertReceived(alert) => Self::Refused { peer, alert },
            source => Self::Failed { peer, source },
        }
    }
}

/// What waits for an `io::Result` is given the text and the cause.
impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match &error {
            TlsError::Io { source, .. } | TlsError::Read { source, .. } => source.kind(),
            TlsError::Closed { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
