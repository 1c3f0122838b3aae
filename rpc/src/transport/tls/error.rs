//! Why TLS could not be set up, and why a handshake failed, in words for whoever reads the log.

use std::{fmt, io, path::PathBuf};

use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, InvalidMessage, OtherError, pki_types::UnixTime,
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
    #[error("the certificate of {peer} is not trusted: {}", escaped(explain_certificate(.problem)))]
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
    #[error("{peer} has refused the handshake: {} (alert {alert:?})", explain_alert(*.alert))]
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
            Ok(error) if is_no_tls(&error) => {
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

/// What is wrong with a certificate.
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

/// What `CaUsedAsEndEntity` means, and what to do. `openssl req -x509` makes such a certificate unless it is told otherwise.
const AUTHORITY: &str = "it is the certificate of an authority (its basic constraints say `CA:TRUE`), which is there to issue others, and \
     not to be shown as one's own. Have the authority issue one to show, and go on trusting the authority; or make one that signs itself \
     and is no authority: `openssl req -x509 -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:NAME ..`. A client may \
     also pin this one, as it is: `TlsClient::pinned`";

fn is_of_authority(error: &OtherError) -> bool {
    matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// In the greatest unit of which there are two.
fn between(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What a peer means that ends a handshake with `alert`: RFC 8446, section 6.2.
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

/// Whether what came looks like another protocol than TLS.
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
