//! Errors of TLS setup and handshakes, explained for the reader of a log.

use std::{fmt, io, path::PathBuf};

use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, InvalidMessage, OtherError, pki_types::UnixTime,
};

use crate::{
    jsonrpc::{clean_io, shown::escaped},
    transport::{Expected, Foreign, told},
};

/// A TLS failure: invalid configuration, or a failed handshake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read the {part} from `{}`", escaped(.path.display()))]
    Read {
        /// The expected content.
        part: TlsPart,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// The data lack the expected part.
    #[error("there is no {part} in {}{}", escaped(.origin), if *.encrypted { ": there is an encrypted one, which has to be decrypted first" } else { "" })]
    Missing {
        /// The expected content.
        part: TlsPart,
        /// The origin of the data: a file, or data passed by the application.
        origin: String,
        /// Whether there is an encrypted private key instead.
        encrypted: bool,
    },

    /// The data are malformed, or of an unsupported kind.
    #[error("the {part} in {} cannot be used", escaped(.origin))]
    Unusable {
        /// The expected content.
        part: TlsPart,
        /// The origin of the data: a file, or data passed by the application.
        origin: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The private key does not match the certificate.
    #[error("the private key in {key} does not belong to the first certificate in {certificate}")]
    Mismatch {
        /// Origin of the key.
        key: String,
        /// Origin of the certificate.
        certificate: String,
    },

    /// The platform's roots are not available.
    #[error("the certificates that this platform trusts cannot be loaded")]
    Platform(#[source] rustls::Error),

    /// The server name is neither a DNS name nor an IP address.
    #[error("`{}` is neither the name nor the IP address of a server", escaped(.0))]
    ServerName(String),

    /// No ALPN protocol of a [configuration](super::TlsServer::from_config) is one that the
    /// connection can carry.
    #[error(
        "the TLS configuration offers only {named} (ALPN), and here {spoken} is spoken: add it to its \
         `alpn_protocols`, or leave them empty"
    )]
    NoProtocol {
        /// The protocols of the configuration.
        named: String,
        /// The protocols of which one is needed.
        spoken: String,
    },

    /// The peer's certificate is not trusted.
    #[error("the certificate of {peer} is not trusted: {}", escaped(explain_certificate(.problem)))]
    Certificate {
        /// The peer.
        peer: String,
        /// The problem with the certificate.
        problem: CertificateError,
    },

    /// The peer has presented no certificate, although one is required.
    #[error("{peer} has shown no certificate, and one is required")]
    NoCertificate {
        /// The peer.
        peer: String,
    },

    /// The peer has refused the handshake.
    #[error("{peer} has refused the handshake: {} (alert {alert:?})", explain_alert(*.alert))]
    Refused {
        /// The peer.
        peer: String,
        /// The alert that it sent.
        alert: AlertDescription,
    },

    /// The peer speaks another protocol.
    #[error("{peer} does not speak TLS: {}", told(Expected::Tls, .protocol, .found))]
    NotTls {
        /// The peer.
        peer: String,
        /// The detected protocol: `"HTTP"`, `"JSON-RPC in lines"`, and so on; `"text"` or `"binary
        /// data"` if unknown.
        protocol: &'static str,
        /// The start of the received bytes, escaped: at most 40 bytes of them.
        found: String,
        /// The error of the TLS parser.
        source: Box<rustls::Error>,
    },

    /// The peer has closed the connection during the handshake.
    #[error(
        "{peer} has closed the connection within the TLS handshake; maybe it does not speak TLS: then use `tcp://`, `ws://` or `http://`"
    )]
    Closed {
        /// The peer.
        peer: String,
    },

    /// The handshake, or the connection after it, failed for another reason.
    #[error("TLS with {peer} failed")]
    Failed {
        /// The peer.
        peer: String,
        /// The cause.
        source: rustls::Error,
    },

    /// The connection failed below TLS.
    #[error("the connection to {peer} was lost within the TLS handshake")]
    Io {
        /// The peer.
        peer: String,
        /// The cause.
        source: io::Error,
    },
}

/// The kind of data that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsPart {
    /// One or more certificates.
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
    /// An error of rustls about readable roots.
    pub(super) fn of_roots(error: rustls::client::VerifierBuilderError) -> Self {
        let (part, origin) = (TlsPart::Certificate, "the roots that were given".to_owned());
        Self::Unusable { part, origin, source: Box::new(error) }
    }

    /// The error of a handshake with `peer`. `seen` identifies the protocol of its first bytes.
    pub(super) fn of_handshake(peer: &str, error: io::Error, seen: impl FnOnce() -> Foreign) -> Self {
        let peer = peer.to_owned();
        match error.downcast::<rustls::Error>() {
            Ok(error) if is_no_tls(&error) => {
                let Foreign { protocol, found } = seen();
                Self::NotTls { peer, protocol, found, source: Box::new(error) }
            }
            Ok(error) => Self::of_rustls(peer, error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed { peer },
            Err(source) => Self::Io { peer, source: clean_io(source) },
        }
    }

    /// The error of a connection to `peer`, during or after the handshake.
    pub(super) fn of_rustls(peer: String, error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(problem) => Self::Certificate { peer, problem },
            rustls::Error::NoCertificatesPresented => Self::NoCertificate { peer },
            rustls::Error::AlertReceived(alert) => Self::Refused { peer, alert },
            source => Self::Failed { peer, source },
        }
    }
}

/// For I/O traits: keeps the text and the source.
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

/// Explains a certificate error.
fn explain_certificate(error: &CertificateError) -> impl fmt::Display {
    CertificateProblem(error)
}

struct CertificateProblem<'a>(&'a CertificateError);

impl fmt::Display for CertificateProblem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CertificateError::UnknownIssuer => f.write_str("nobody who is trusted has issued it"),
            CertificateError::ExpiredContext { time, not_after } => {
                write!(f, "it has expired {} ago", between(*not_after, *time))
            }
            CertificateError::Expired => f.write_str("it has expired"),
            CertificateError::NotValidYetContext { time, not_before } => {
                write!(f, "it is valid only in {}", between(*time, *not_before))
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                write!(f, "it is not for `{}`, ", expected.to_str())?;
                match presented.as_slice() {
                    [] => f.write_str("nor for any other name"),
                    names => write!(f, "but for {}", names.join(", ")),
                }
            }
            CertificateError::BadSignature => {
                f.write_str("a signature is wrong, that of whoever has issued it or that of whoever shows it")
            }
            CertificateError::BadEncoding => f.write_str("it is damaged"),
            CertificateError::Revoked => f.write_str("it was revoked"),
            CertificateError::Other(other) if is_of_authority(other) => f.write_str(AUTHORITY),
            CertificateError::Other(other) => write!(f, "{}", other.0),
            other => write!(f, "{other}"),
        }
    }
}

/// Explanation of `CaUsedAsEndEntity`, and what to do. `openssl req -x509` makes such a certificate
/// by default.
const AUTHORITY: &str = "it is the certificate of an authority (its basic constraints say `CA:TRUE`), which is there to issue others, and \
     not to be shown as one's own. Have the authority issue one to show, and go on trusting the authority; or make one that signs itself \
     and is no authority: `openssl req -x509 -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:NAME ..`. A client may \
     also pin this one, as it is: `TlsClient::pinned`";

fn is_of_authority(error: &OtherError) -> bool {
    matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// In the largest unit of which there are at least two.
fn between(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Explains an alert that ended a handshake: RFC 8446, section 6.2.
const fn explain_alert(alert: AlertDescription) -> &'static str {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => "it requires a certificate of this side",
        Alert::UnknownCA => "it does not trust whoever has issued the certificate of this side",
        Alert::CertificateExpired => "the certificate of this side has expired",
        Alert::CertificateRevoked => "the certificate of this side was revoked",
        Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate => {
            "it does not accept the certificate of this side"
        }
        Alert::AccessDenied => "whoever the certificate of this side is for may not connect",
        Alert::ProtocolVersion => "it speaks neither TLS 1.2 nor 1.3",
        Alert::HandshakeFailure => {
            "the two sides have no way to encrypt in common, or it requires a certificate of this side"
        }
        Alert::UnrecognisedName => "it knows no server of the name that it was called by",
        Alert::NoApplicationProtocol => {
            "the two sides have no protocol in common (ALPN), as where one speaks HTTP/2 only and the other HTTP/1.1"
        }
        Alert::UnexpectedMessage | Alert::DecodeError => "it did not understand what it was sent",
        _ => "it gives no further reason",
    }
}

/// Whether the peer appears to speak another protocol than TLS.
const fn is_no_tls(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::InvalidEmptyPayload
        )
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_length_of_time_is_told_in_a_unit_that_fits() {
        let told = |seconds| between(UnixTime::since_unix_epoch(Duration::ZERO), at(seconds));
        assert_eq!(told(119), "119 seconds");
        assert_eq!(told(120), "2 minutes");
        assert_eq!(told(7_199), "119 minutes");
        assert_eq!(told(7_200), "2 hours");
        assert_eq!(told(172_800), "2 days");
        assert_eq!(between(at(5), at(3)), "0 seconds", "clocks may disagree");
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }
}
