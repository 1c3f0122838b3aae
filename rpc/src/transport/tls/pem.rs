//! PEM, from files and from memory, with errors that say which part of which file is wrong.

use std::{fs, io, path::Path};

use super::{
    TlsError, TlsPart,
    rustls::pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

/// Bytes that were read, and where.
pub(super) struct Pem {
    bytes: Vec<u8>,
    origin: String,
}

impl Pem {
    pub(super) fn read(path: &Path, part: TlsPart) -> Result<Self, TlsError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Self { bytes, origin: format!("`{}`", path.display()) }),
            Err(source) => Err(TlsError::Read { part, path: path.to_owned(), source }),
        }
    }

    pub(super) fn given(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), origin: "the PEM that was given".to_owned() }
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Every certificate. There is at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
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
        TlsError::Unusable { part, origin: self.origin.clone(), source: because(told(&error)) }
    }
}

/// What sections of PEM are called that are read here: RFC 7468, and those of OpenSSL.
const LABELS: [&str; 5] =
    ["CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"];

/// What is wrong with the text, without the bytes of it, which may be a secret.
fn told(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = LABELS.into_iter().find(|label| label.as_bytes() == end_marker);
            // Where the lines were joined, all of the text is one label.
            format!("the line `-----END {}-----` is missing", label.unwrap_or("…"))
        }
        pem::Error::IllegalSectionStart { .. } => "a line that begins a section is damaged".to_owned(),
        pem::Error::Base64Decode(_) => "it is not written in base64".to_owned(),
        other => other.to_string(),
    }
}

/// An error that needs no more than words.
pub(super) fn because(text: impl Into<String>) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(io::Error::other(text.into()))
}
