//! As much of X.509 as finding the public key of a certificate takes: RFC 5280, section 4.1.
//!
//! The library that judges chains reads certificates of version 3 only. Many that sign themselves, of Electrum servers for example, are of
//! version 1 (`openssl x509 -req` makes them), and need no chain.

use super::rustls::pki_types::CertificateDer;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed: the version, which is left out where it is 1.
const VERSION: u8 = 0xa0;

/// A `SubjectPublicKeyInfo`.
pub(super) struct PublicKey<'a> {
    /// All of it.
    pub(super) whole: &'a [u8],
    /// The kind of key and its parameters: what `AlgorithmIdentifier` holds.
    pub(super) algorithm: &'a [u8],
    /// The key itself.
    pub(super) key: &'a [u8],
}

/// The public key of a certificate. `None` where it is no certificate.
pub(super) fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<PublicKey<'a>> {
    let mut outer = Reader(certificate);
    let mut signed = Reader(Reader(outer.take(SEQUENCE)?.contents).take(SEQUENCE)?.contents);
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
    let mut parts = Reader(info.contents);
    let algorithm = parts.take(SEQUENCE)?.contents;
    // The first byte says how many bits of the last one are unused: none.
    let key = parts.take(BIT_STRING)?.contents.strip_prefix(&[0])?;
    Some(PublicKey { whole: info.whole, algorithm, key })
}

struct Reader<'a>(&'a [u8]);

struct Value<'a> {
    whole: &'a [u8],
    contents: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<Value<'a>> {
        let (&[found, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, header) = match first {
            0..=0x7f => (usize::from(first), 2),
            // As many bytes of length follow. (0x80, a length that is not told, is not DER.)
            0x81..=0x84 => {
                let bytes = rest.get(..usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
                (length, 2 + bytes.len())
            }
            _ => return None,
        };
        let (whole, rest) = self.0.split_at_checked(header.checked_add(length)?)?;
        self.0 = rest;
        (found == tag).then_some(Value { whole, contents: &whole[header..] })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData};

    use super::*;

    fn certificate() -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().der().clone(), key)
    }

    #[test]
    fn the_public_key_of_a_certificate_is_found() {
        let (certificate, key) = certificate();
        let found = public_key(&certificate).unwrap();
        assert_eq!(found.whole, key.subject_public_key_info());
        assert_eq!(found.key, key.public_key_raw());
    }

    #[test]
    fn a_certificate_that_is_cut_off_or_goes_on_has_none() {
        let (certificate, _key) = certificate();
        for end in 0..certificate.len() {
            assert!(public_key(&CertificateDer::from(&certificate[..end])).is_none(), "up to {end}");
        }
        let longer: Vec<u8> = certificate.iter().copied().chain([0]).collect();
        assert!(public_key(&CertificateDer::from(longer)).is_none());
    }

    #[test]
    fn whatever_one_byte_of_it_is_nothing_panics() {
        let (certificate, _key) = certificate();
        for index in 0..certificate.len() {
            for byte in [0x00, 0x7f, 0x80, 0x81, 0x84, 0xff] {
                let mut changed = certificate.to_vec();
                changed[index] = byte;
                let _key = public_key(&CertificateDer::from(changed)).map(|key| key.whole.len());
            }
        }
    }
}
