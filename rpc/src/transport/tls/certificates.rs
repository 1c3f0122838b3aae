//! Certificates and private keys: trusted ones, a side's own, and reading them from PEM and DER.

use std::{fmt, fs, io, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{
    error::{TlsError, TlsPart},
    provider::provider,
};

/// One or more certificates to trust: roots, or pinned ones.
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
    /// Their origin, for errors.
    origin: String,
}

impl Certificates {
    /// Reads all certificates of a PEM file, immediately.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, holds no certificate, or is malformed.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::of(&Pem::read(path.as_ref(), TlsPart::Certificate)?)
    }

    /// Parses all certificates of a PEM text.
    ///
    /// # Errors
    ///
    /// When there are none, or the text is malformed.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        Self::of(&Pem::given(pem.as_ref()))
    }

    /// Certificates in DER, one per item.
    pub fn from_der<D: Into<Vec<u8>>>(certificates: impl IntoIterator<Item = D>) -> Self {
        let der = certificates.into_iter().map(|der| CertificateDer::from(der.into())).collect();
        Self { der, origin: "the DER that was given".to_owned() }
    }

    /// The number of certificates.
    pub fn len(&self) -> usize {
        self.der.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.der.is_empty()
    }

    fn of(pem: &Pem) -> Result<Self, TlsError> {
        Ok(Self { der: pem.certificates()?, origin: pem.origin().to_owned() })
    }

    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.der.contains(certificate)
    }

    /// The certificates in DER.
    pub(super) fn der(&self) -> impl Iterator<Item = &[u8]> {
        self.der.iter().map(AsRef::as_ref)
    }

    fn into_parts(self) -> (Vec<CertificateDer<'static>>, String) {
        (self.der, self.origin)
    }

    /// `self`, if there is at least one certificate.
    pub(super) fn not_empty(self) -> Result<Self, TlsError> {
        match self.is_empty() {
            true => {
                Err(TlsError::Missing { part: TlsPart::Certificate, origin: self.origin, encrypted: false })
            }
            false => Ok(self),
        }
    }

    /// Converts to roots. There must be at least one certificate.
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

/// A certificate, its chain up to a root, and its private key: what a
/// [`TlsServer`](super::TlsServer) presents, and a [`TlsClient`](super::TlsClient) if servers
/// authenticate their clients.
///
/// It is always valid: constructors fail if a part is unusable, or if the key does not match the
/// certificate.
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
    /// Reads both PEM files immediately: the certificate chain, starting with the own one, and the
    /// private key (PKCS #8, PKCS #1 or SEC 1, not encrypted). One file may hold both.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, lacks its content, or is malformed, and when the key does not
    /// match the certificate.
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

    /// The same from DER: the certificate chain, starting with the own one, and the private key.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files).
    pub fn from_der(chain: Certificates, key: impl Into<Vec<u8>>) -> Result<Self, TlsError> {
        let origin = "the DER that was given";
        let key = PrivateKeyDer::try_from(key.into()).map_err(|problem| TlsError::Unusable {
            part: TlsPart::PrivateKey,
            origin: origin.to_owned(),
            source: text_error(problem),
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
        let Some(public_key) = public_key(first) else {
            return Err(TlsError::Unusable {
                part,
                origin,
                source: text_error("it is no X.509 certificate"),
            });
        };
        let key = provider().key_provider.load_private_key(key).map_err(|error| TlsError::Unusable {
            part: TlsPart::PrivateKey,
            origin: key_origin.to_owned(),
            source: Box::new(error),
        })?;
        // Some key types do not expose the public key: a mismatch then shows in the first
        // signature.
        if key.public_key().is_some_and(|of_key| *of_key != *public_key.whole) {
            return Err(TlsError::Mismatch { key: key_origin.to_owned(), certificate: origin });
        }
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// The chain in DER.
    pub(super) fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.cert.iter().map(AsRef::as_ref)
    }

    pub(super) fn into_resolver(self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.0))
    }
}

/// Without the private key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// The certificates presented by the peer, its own first: in the [`Extensions`](crate::Extensions)
/// of a session over TLS.
///
/// A server always presents some. A client does if the server
/// [requests](super::TlsServer::request_client_certificates) them and the client has some.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificates(Vec<CertificateDer<'static>>);

impl PeerCertificates {
    /// `None` if the peer has presented none.
    pub(super) fn new(shown: Option<&[CertificateDer<'static>]>) -> Option<Self> {
        shown.filter(|shown| !shown.is_empty()).map(|shown| Self(shown.to_vec()))
    }

    /// The peer's own certificate in DER. The peer has proved that it has the private key.
    pub fn end_entity(&self) -> &[u8] {
        // Never empty.
        self.0.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// All of them in DER, the peer's own first, in the order sent.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for PeerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificates").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// PEM data and its origin.
struct Pem {
    bytes: Vec<u8>,
    origin: String,
}

impl Pem {
    fn read(path: &Path, part: TlsPart) -> Result<Self, TlsError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Self { bytes, origin: format!("`{}`", path.display()) }),
            Err(source) => Err(TlsError::Read { part, path: path.to_owned(), source }),
        }
    }

    fn given(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), origin: "the PEM that was given".to_owned() }
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    /// All certificates. At least one.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let mut found = Vec::new();
        for item in CertificateDer::pem_slice_iter(&self.bytes) {
            found.push(item.map_err(|error| self.unusable(TlsPart::Certificate, error))?);
        }
        match found.is_empty() {
            true => Err(self.missing(TlsPart::Certificate)),
            false => Ok(found),
        }
    }

    /// The first private key.
    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|error| match error {
            pem::Error::NoItemsFound => self.missing(TlsPart::PrivateKey),
            error => self.unusable(TlsPart::PrivateKey, error),
        })
    }

    fn missing(&self, part: TlsPart) -> TlsError {
        const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
        let encrypted =
            part == TlsPart::PrivateKey && self.bytes.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
        TlsError::Missing { part, origin: self.origin.clone(), encrypted }
    }

    fn unusable(&self, part: TlsPart, error: pem::Error) -> TlsError {
        TlsError::Unusable { part, origin: self.origin.clone(), source: text_error(describe(&error)) }
    }
}

/// Labels of the PEM sections that are read: RFC 7468, and those of OpenSSL.
const LABELS: [&str; 5] =
    ["CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"];

/// Describes the problem without showing the data, which may be secret.
fn describe(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = LABELS.into_iter().find(|label| label.as_bytes() == end_marker);
            // If the lines were joined, the whole text is one label.
            format!("the line `-----END {}-----` is missing", label.unwrap_or("…"))
        }
        pem::Error::IllegalSectionStart { .. } => "a line that begins a section is damaged".to_owned(),
        pem::Error::Base64Decode(_) => "it is not written in base64".to_owned(),
        other => other.to_string(),
    }
}

/// An error that is only a text.
fn text_error(text: impl Into<String>) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(io::Error::other(text.into()))
}

// Minimal X.509 parsing, to find the public key of a certificate: RFC 5280, section 4.1.
//
// The library that verifies chains reads version 3 certificates only. Many self-signed ones, for
// example of Electrum servers, have version 1 (`openssl x509 -req` makes them), and need no chain.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed: the version, which is omitted for version 1.
const VERSION: u8 = 0xa0;

/// A `SubjectPublicKeyInfo`.
pub(super) struct PublicKey<'a> {
    /// The whole structure.
    pub(super) whole: &'a [u8],
    /// The contents of `AlgorithmIdentifier`: the type of key and its parameters.
    pub(super) algorithm: &'a [u8],
    /// The key.
    pub(super) key: &'a [u8],
}

/// The public key of a certificate. `None` if it is malformed.
pub(super) fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<PublicKey<'a>> {
    let mut outer = DerReader(certificate);
    let mut signed = DerReader(DerReader(outer.take(SEQUENCE)?.contents).take(SEQUENCE)?.contents);
    if !outer.0.is_empty() {
        return None;
    }
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    signed.take(INTEGER)?; // serial number
    signed.take(SEQUENCE)?; // algorithm of the signature
    signed.take(SEQUENCE)?; // issuer
    signed.take(SEQUENCE)?; // validity
    signed.take(SEQUENCE)?; // subject
    let info = signed.take(SEQUENCE)?;
    let mut parts = DerReader(info.contents);
    let algorithm = parts.take(SEQUENCE)?.contents;
    // The first byte is the number of unused bits in the last one: none.
    let key = parts.take(BIT_STRING)?.contents.strip_prefix(&[0])?;
    Some(PublicKey { whole: info.whole, algorithm, key })
}

struct DerReader<'a>(&'a [u8]);

struct DerValue<'a> {
    whole: &'a [u8],
    contents: &'a [u8],
}

impl<'a> DerReader<'a> {
    /// Reads the next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<DerValue<'a>> {
        let (&[found, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, header) = match first {
            0..=0x7f => (usize::from(first), 2),
            // Number of length bytes that follow. (0x80, an indefinite length, is not DER.)
            0x81..=0x84 => {
                let bytes = rest.get(..usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
                (length, 2 + bytes.len())
            }
            _ => return None,
        };
        let (whole, rest) = self.0.split_at_checked(header.checked_add(length)?)?;
        self.0 = rest;
        (found == tag).then_some(DerValue { whole, contents: &whole[header..] })
    }
}

#[cfg(test)]
mod tests;
