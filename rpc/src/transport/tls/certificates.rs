//! Certificates to trust.

use std::{fmt, path::Path};

use super::{
    TlsError, TlsPart,
    pem::Pem,
    rustls::{RootCertStore, pki_types::CertificateDer},
};

/// One certificate or several, to be trusted: roots, or pinned ones.
///
/// ```
/// # use rcgen::generate_simple_self_signed;
/// use rpc::transport::tls::Certificates;
///
/// # let (directory, name) = (std::env::temp_dir(), format!("roots-{}.pem", std::process::id()));
/// # let path = directory.join(name);
/// # std::fs::write(&path, generate_simple_self_signed([]).unwrap().cert.pem()).unwrap();
/// let roots = Certificates::from_pem_file(&path)?;
/// assert_eq!(roots.len(), 1);
/// # std::fs::remove_file(path).unwrap();
///
/// let error = Certificates::from_pem_file("no/such/file.pem").unwrap_err();
/// assert_eq!(error.to_string(), "cannot read the certificate from `no/such/file.pem`");
/// # Ok::<_, rpc::transport::tls::TlsError>(())
/// ```
#[derive(Clone)]
pub struct Certificates {
    der: Vec<CertificateDer<'static>>,
    /// Where they were read.
    origin: String,
}

impl Certificates {
    /// All certificates of a PEM file. The file is read at once.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, holds no certificate, or is damaged.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::of(&Pem::read(path.as_ref(), TlsPart::Certificate)?)
    }

    /// All certificates of a PEM text.
    ///
    /// # Errors
    ///
    /// Where there are none, or the text is damaged.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::of(&Pem::given(pem.as_ref()))
    }

    /// Certificates in DER, each by itself.
    pub fn from_der<D: Into<Vec<u8>>>(certificates: impl IntoIterator<Item = D>) -> Self {
        let der = certificates.into_iter().map(|der| CertificateDer::from(der.into())).collect();
        Self { der, origin: "the DER that was given".to_owned() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.der.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.der.is_empty()
    }

    pub(super) fn of(pem: &Pem) -> Result<Self, TlsError> {
        Ok(Self { der: pem.certificates()?, origin: pem.origin().to_owned() })
    }

    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.der.contains(certificate)
    }

    /// Each, in DER.
    pub(super) fn der(&self) -> impl Iterator<Item = &[u8]> {
        self.der.iter().map(AsRef::as_ref)
    }

    pub(super) fn into_parts(self) -> (Vec<CertificateDer<'static>>, String) {
        (self.der, self.origin)
    }

    /// Themselves, where there is at least one.
    pub(super) fn not_empty(self) -> Result<Self, TlsError> {
        match self.is_empty() {
            true => {
                Err(TlsError::Missing { part: TlsPart::Certificate, origin: self.origin, encrypted: false })
            }
            false => Ok(self),
        }
    }

    /// As roots. There is at least one.
    pub(super) fn into_roots(self) -> Result<RootCertStore, TlsError> {
        let Self { der, origin } = self.not_empty()?;
        let (mut roots, count) = (RootCertStore::empty(), der.len());
        for (index, der) in der.into_iter().enumerate() {
            roots.add(der).map_err(|error| TlsError::Unusable {
                part: TlsPart::Certificate,
                origin: match count {
                    1 => origin.clone(),
                    _ => format!("{origin} (number {} of {count})", index + 1),
                },
                source: Box::new(error),
            })?;
        }
        Ok(roots)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("origin", &self.origin).field("len", &self.len()).finish()
    }
}
