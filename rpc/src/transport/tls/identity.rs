//! What one side shows to the other, and can prove to be its own.

use std::{fmt, path::Path, sync::Arc};

use super::{
    Certificates, TlsError, TlsPart, der,
    pem::{Pem, because},
    provider,
    rustls::{
        pki_types::PrivateKeyDer,
        sign::{CertifiedKey, SingleCertAndKey},
    },
};

/// A certificate, those that lead from it to a root, and its private key: what a [`TlsServer`](super::TlsServer) shows, and a
/// [`TlsClient`](super::TlsClient) where servers want to know their clients.
///
/// It is whole: one whose parts cannot be used, or do not belong together, is never made.
///
/// ```
/// # use rcgen::generate_simple_self_signed;
/// use rpc::transport::tls::Identity;
///
/// # let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let other_key = generate_simple_self_signed([]).unwrap().signing_key.serialize_pem();
/// let identity = Identity::from_pem(&chain, &key)?;
///
/// let error = Identity::from_pem(&chain, &other_key).unwrap_err();
/// assert!(error.to_string().contains("does not belong to the first certificate"));
/// # Ok::<_, rpc::transport::tls::TlsError>(())
/// ```
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// Reads both from PEM files, at once: the certificates, that of this side first, and the private key (PKCS #8, PKCS #1 or SEC 1, not
    /// encrypted). It may be one file that holds both.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, lacks what it should hold, or is damaged, and where the key is not that of the certificate.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let chain = Pem::read(chain.as_ref(), TlsPart::Certificate)?;
        Self::of_pem(&chain, &Pem::read(key.as_ref(), TlsPart::PrivateKey)?)
    }

    /// The same from PEM texts.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files).
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::of_pem(&Pem::given(chain.as_ref()), &Pem::given(key.as_ref()))
    }

    /// The same from DER: the certificates, that of this side first, and the private key.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files).
    pub fn from_der(chain: Certificates, key: impl Into<Vec<u8>>) -> Result<Self, TlsError> {
        let origin = "the DER that was given";
        let key = PrivateKeyDer::try_from(key.into()).map_err(|problem| TlsError::Unusable {
            part: TlsPart::PrivateKey,
            origin: origin.to_owned(),
            source: because(problem),
        })?;
        Self::of(chain, key, origin)
    }

    fn of_pem(chain: &Pem, key: &Pem) -> Result<Self, TlsError> {
        let certificates = Certificates::of(chain)?;
        Self::of(certificates, key.private_key()?, key.origin())
    }

    fn of(chain: Certificates, key: PrivateKeyDer<'static>, key_origin: &str) -> Result<Self, TlsError> {
        let (chain, origin) = chain.into_parts();
        let part = TlsPart::Certificate;
        let Some(first) = chain.first() else {
            return Err(TlsError::Missing { part, origin, encrypted: false });
        };
        let Some(public_key) = der::public_key(first) else {
            return Err(TlsError::Unusable { part, origin, source: because("it is no X.509 certificate") });
        };
        let key = provider().key_provider.load_private_key(key).map_err(|error| TlsError::Unusable {
            part: TlsPart::PrivateKey,
            origin: key_origin.to_owned(),
            source: Box::new(error),
        })?;
        // Some kinds of key do not tell: what they sign will.
        if key.public_key().is_some_and(|of_key| *of_key != *public_key.whole) {
            return Err(TlsError::Mismatch { key: key_origin.to_owned(), certificate: origin });
        }
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// What is shown, in DER.
    pub(super) fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.cert.iter().map(AsRef::as_ref)
    }

    pub(super) fn into_resolver(self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.0))
    }
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}
