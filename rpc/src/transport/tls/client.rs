//! TLS of a client, and verification of pinned certificates.

use std::{fmt, panic::resume_unwind, sync::Arc};

use rustls_platform_verifier::Verifier;
use tokio::{sync::OnceCell, task::spawn_blocking};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, CertificateError, ClientConfig, DigitallySignedStruct, OtherError, PeerMisbehaved,
        SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
        pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    },
};

use super::{
    certificates::{Certificates, Identity, public_key},
    error::TlsError,
    provider::{BOTH_VERSIONS, offered, provider},
    stream::{RecordedIo, TlsStream},
};
use crate::transport::{ByteStream, Host};

/// Which servers a client trusts, and which identity it presents. Clones are cheap; share one among
/// many connections, so that they resume each other's TLS sessions.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, transport::tls::{Certificates, TlsClient}};
///
/// // One that has signed its own certificate, as most Electrum servers have.
/// let tls = TlsClient::pinned(Certificates::from_pem_file("electrum.example.org.pem")?)?;
/// # let _ = tls;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl TlsClient {
    /// Trusts the platform's roots, by the platform's own rules. This is the default for a `tls://`
    /// URL.
    ///
    /// On Linux and the BSDs the roots are read now from the system's files (or from those of the
    /// environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR`); other platforms are asked at each
    /// connection.
    ///
    /// # Errors
    ///
    /// When the platform has no roots.
    pub fn new() -> Result<Self, TlsError> {
        Ok(Self::verified_by(Arc::new(Verifier::new(Arc::clone(provider())).map_err(TlsError::Platform)?)))
    }

    /// Trusts only certificates issued by these roots: a company's own root, or that of a test.
    ///
    /// Names and dates are checked as usual. For a server with a self-signed certificate use
    /// [`pinned`](Self::pinned): such a certificate often may not issue any, including itself.
    ///
    /// # Errors
    ///
    /// When one of them cannot be a root, or there is none.
    pub fn with_roots(roots: Certificates) -> Result<Self, TlsError> {
        let roots = Arc::new(roots.into_roots()?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider()))
            .build()
            .map_err(TlsError::of_roots)?;
        Ok(Self::verified_by(verifier))
    }

    /// Trusts only a server that presents exactly this certificate (or one of these) as its own and
    /// has its private key, whatever the name, issuer and dates in it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn pinned(certificates: Certificates) -> Result<Self, TlsError> {
        let certificates = certificates.not_empty()?;
        Ok(Self::verified_by(Arc::new(Pinned::OneOf(certificates))))
    }

    /// Accepts any certificate. **An attacker in the middle can read and change everything.** Meant
    /// for trust on first use: keep the presented certificate
    /// ([`PeerCertificates`](super::PeerCertificates)), and [pin](Self::pinned) it from then on.
    pub fn trusting_anybody() -> Self {
        Self::verified_by(Arc::new(Pinned::Anything))
    }

    /// Uses a rustls configuration as is. Without ALPN protocols in it, those of the URL's scheme
    /// are offered. Otherwise its own are, except for HTTP versions that the scheme does not speak.
    /// Connecting fails with [`TlsError::NoProtocol`] if the scheme speaks HTTP and none of them is
    /// a version that it speaks.
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { config, server_name: None }
    }

    /// Presents `identity` to servers that request a certificate. Default: none. TLS sessions that
    /// began with another identity are not resumed (rustls ensures that); the storage of sessions
    /// is unchanged.
    pub fn identity(mut self, identity: Identity) -> Self {
        Arc::make_mut(&mut self.config).client_auth_cert_resolver = identity.into_resolver();
        self
    }

    /// Expects the certificate of `name`, a DNS name or an IP address, and sends it (SNI). Default:
    /// the host of the URL.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.server_name = Some(parse_name(name)?);
        Ok(self)
    }

    /// # Errors
    ///
    /// When no ALPN protocol of the configuration is among `spoken`.
    #[cfg(feature = "http")]
    pub(crate) fn must_offer(&self, spoken: &[&[u8]]) -> Result<(), TlsError> {
        offered(&self.config.alpn_protocols, spoken).map(drop)
    }

    /// [`new`](Self::new), made once per process, without blocking the runtime on files.
    pub(super) async fn of_platform() -> Result<Self, TlsError> {
        static MADE: OnceCell<TlsClient> = OnceCell::const_new();
        let make = async || match spawn_blocking(Self::new).await {
            Ok(made) => made,
            Err(error) => resume_unwind(error.into_panic()),
        };
        MADE.get_or_try_init(make).await.cloned()
    }

    fn verified_by(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()
            .expect(BOTH_VERSIONS)
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Self::from_config(Arc::new(config))
    }

    /// Performs the handshake with `host` over `io`. `spoken` are the usable ALPN protocols; empty
    /// for any. Cancel safe: dropping the future gives up.
    pub(super) async fn connect<IO: ByteStream>(
        &self,
        host: &str,
        io: IO,
        spoken: &[&[u8]],
    ) -> Result<TlsStream<IO>, TlsError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => parse_name(host)?,
        };
        let offered = offered(&self.config.alpn_protocols, spoken)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connecting = connector.with_alpn(offered).connect(name, RecordedIo::new(io)).into_fallible();
        match connecting.await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err((error, io)) => Err(TlsError::of_handshake(host, error, || io.protocol())),
        }
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    // The trailing dot marks an absolute name. Certificates do not have it.
    let without_dot = name.strip_suffix('.').unwrap_or(name);
    match ServerName::try_from(without_dot.to_owned()) {
        // By the rules of URLs, `127.1` and the like are not names.
        Ok(ServerName::DnsName(_)) if Host::parse(without_dot).is_err() => {
            Err(TlsError::ServerName(name.to_owned()))
        }
        Ok(known) => Ok(known),
        Err(_) => Err(TlsError::ServerName(name.to_owned())),
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Verifier that accepts certificates without a chain. The server has to prove that it has the
/// private key in either case.
#[derive(Debug)]
pub(super) enum Pinned {
    /// One of these, byte for byte.
    OneOf(Certificates),
    /// Any certificate.
    Anything,
}

/// The server has presented another certificate.
#[derive(Debug, thiserror::Error)]
#[error("it is not the one that was pinned")]
struct NotPinned;

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self {
            Self::OneOf(pinned) if !pinned.contains(end_entity) => {
                Err(CertificateError::Other(OtherError(Arc::new(NotPinned))).into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let public_key = public_key(certificate).ok_or(CertificateError::BadEncoding)?;
        let (_, candidates) = algorithms()
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.2 the scheme does not determine the curve: the key does.
        let algorithm = candidates
            .iter()
            .find(|candidate| candidate.public_key_alg_id().as_ref() == public_key.algorithm)
            .ok_or(PeerMisbehaved::SignedKxWithWrongAlgorithm)?;
        match algorithm.verify_signature(public_key.key, message, signed.signature()) {
            Ok(()) => Ok(HandshakeSignatureValid::assertion()),
            Err(_) => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let public_key = public_key(certificate).ok_or(CertificateError::BadEncoding)?;
        let info = SubjectPublicKeyInfoDer::from(public_key.whole);
        verify_tls13_signature_with_raw_key(message, &info, signed, algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn algorithms() -> &'static WebPkiSupportedAlgorithms {
    &provider().signature_verification_algorithms
}
