//! Trusting a certificate for itself, and not for who has issued it.

use std::sync::Arc;

use super::{
    Certificates, der, provider,
    rustls::{
        CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
        pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    },
};

/// Which certificates are accepted. Whichever it is, the server has to prove that it has the private key.
#[derive(Debug)]
pub(super) enum Pinned {
    /// One of these, byte for byte.
    To(Certificates),
    /// Whatever is shown.
    ToNothing,
}

/// The server has shown another certificate.
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
    ) -> Result<ServerCertVerified, Error> {
        match self {
            Self::To(pinned) if !pinned.contains(end_entity) => {
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
    ) -> Result<HandshakeSignatureValid, Error> {
        let public_key = der::public_key(certificate).ok_or(CertificateError::BadEncoding)?;
        let (_, candidates) = algorithms()
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In this version a scheme does not say which curve it is: the key does.
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
    ) -> Result<HandshakeSignatureValid, Error> {
        let public_key = der::public_key(certificate).ok_or(CertificateError::BadEncoding)?;
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
