//! Certificates that are made on the spot, and are worth nothing outside a test.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rpc::transport::tls::{Certificates, Identity, TlsClient, TlsServer};

/// Issues certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// Its private key.
    pub key: KeyPair,
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    pub fn new() -> Self {
        let key = new_key();
        let mut params = CertificateParams::default();
        // Nobody else is called so.
        params.distinguished_name.push(DnType::CommonName, format!("{:?}", &key.public_key_raw()[..16]));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, key).expect("the parameters are fine"))
    }

    /// A certificate for a server of these names, or a client.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    /// The same, changed before it is signed.
    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = params(names);
        change(&mut params);
        let key = new_key();
        let certificate = params.signed_by(&key, &self.0).expect("the parameters are fine");
        Issued { certificate, key }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate, to be trusted.
    pub fn roots(&self) -> Certificates {
        Certificates::from_pem(self.pem()).expect("a certificate")
    }

    /// Whoever trusts it.
    pub fn trusted(&self) -> TlsClient {
        TlsClient::with_roots(self.roots()).expect("a root")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Issued {
    /// One that has signed itself.
    pub fn by_itself(names: &[&str]) -> Self {
        Self::by_itself_with(names, new_key(), |_| {})
    }

    /// The same with a key of some kind, changed before it is signed.
    pub fn by_itself_with(names: &[&str], key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params(names);
        change(&mut params);
        let certificate = params.self_signed(&key).expect("the parameters are fine");
        Self { certificate, key }
    }

    /// What can be shown.
    pub fn identity(&self) -> Identity {
        Identity::from_pem(self.certificate.pem(), self.key.serialize_pem()).expect("they belong together")
    }

    /// Whoever shows it.
    pub fn server(&self) -> TlsServer {
        TlsServer::new(self.identity())
    }

    /// Whoever trusts it for itself.
    pub fn pinned(&self) -> TlsClient {
        let certificates = Certificates::from_der([self.certificate.der().to_vec()]);
        TlsClient::pinned(certificates).expect("a certificate")
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("they are names");
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("there are random bytes")
}
