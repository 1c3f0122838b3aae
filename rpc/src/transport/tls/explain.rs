//! What rustls says, in words for whoever reads the log.

use std::fmt;

use super::rustls::{
    self, AlertDescription, CertificateError, InvalidMessage, OtherError, pki_types::UnixTime,
};

/// What is wrong with a certificate.
pub(super) fn certificate(error: &CertificateError) -> impl fmt::Display {
    Certificate(error)
}

struct Certificate<'a>(&'a CertificateError);

impl fmt::Display for Certificate<'_> {
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
pub(super) const fn alert(alert: AlertDescription) -> &'static str {
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
pub(super) const fn is_no_tls(error: &rustls::Error) -> bool {
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
