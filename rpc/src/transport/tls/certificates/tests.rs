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
