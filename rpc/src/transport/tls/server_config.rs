//! Derived server configurations: one that verifies client certificates, otherwise equal to the
//! original, and one that binds TLS session resumption to an identity and a demand.
//!
//! rustls allows to set the client verifier only while building a configuration, and does not
//! expose its protocol versions. The configuration is therefore rebuilt, and its public fields are
//! copied.
//!
//! A resumed session presents no certificates: the client goes on trusting the server's earlier
//! identity, and the server does not request a client certificate. A session made under one
//! identity, or without a client certificate, must therefore not be resumed under another identity
//! or demand. Session storage and ticket keys belong to the user, who may share them with other
//! servers: they remain in use, and a digest is added to what they store and encrypt.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use tokio_rustls::rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, KeyLog, NoKeyLog, ServerConfig, SupportedProtocolVersion,
    pki_types::ServerName,
    server::{
        Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert,
        StoresServerSessions, danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};

use super::{client::Pinned, error::TlsError, provider::provider};

/// `given` with `clients` as the verifier of client certificates.
///
/// # Errors
///
/// When rustls rejects the versions and cipher suites of the configuration.
pub(super) fn with_client_verifier(
    given: &ServerConfig,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, TlsError> {
    let (crypto, time) = (Arc::clone(given.crypto_provider()), Arc::clone(&given.time_provider));
    let mut made = ServerConfig::builder_with_details(crypto, time)
        .with_protocol_versions(&versions_of(given))
        .map_err(|source| TlsError::Failed { peer: "clients".to_owned(), source })?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::clone(&given.cert_resolver));
    made.ignore_client_order = given.ignore_client_order;
    made.max_fragment_size = given.max_fragment_size;
    made.session_storage = Arc::clone(&given.session_storage);
    made.ticketer = Arc::clone(&given.ticketer);
    made.alpn_protocols.clone_from(&given.alpn_protocols);
    made.key_log = Arc::clone(&given.key_log);
    made.enable_secret_extraction = given.enable_secret_extraction;
    made.max_early_data_size = given.max_early_data_size;
    made.send_half_rtt_data = given.send_half_rtt_data;
    made.send_tls13_tickets = given.send_tls13_tickets;
    made.max_tls13_tickets = given.max_tls13_tickets;
    made.require_ems = given.require_ems;
    made.cert_compressors.clone_from(&given.cert_compressors);
    made.cert_compression_cache = Arc::clone(&given.cert_compression_cache);
    made.cert_decompressors.clone_from(&given.cert_decompressors);
    Ok(made)
}

/// The protocol versions of `config`: those for which a hello that offers nothing else makes it
/// look for a certificate. No user code runs.
fn versions_of(config: &ServerConfig) -> Vec<&'static SupportedProtocolVersion> {
    ALL_VERSIONS.iter().copied().filter(|version| speaks(config, version)).collect()
}

fn speaks(config: &ServerConfig, version: &'static SupportedProtocolVersion) -> bool {
    let looked = Arc::new(CertificateProbe::default());
    let mut asked = config.clone();
    asked.cert_resolver = Arc::<CertificateProbe>::clone(&looked);
    asked.session_storage = Arc::new(NoServerSessionStorage {});
    asked.key_log = Arc::new(NoKeyLog) as Arc<dyn KeyLog>;
    asked.max_fragment_size = None;
    if let Some(hello) = client_hello(version) {
        // The handshake fails in either case.
        let mut acceptor = Acceptor::default();
        drop(acceptor.read_tls(&mut &*hello));
        if let Ok(Some(accepted)) = acceptor.accept() {
            drop(accepted.into_connection(Arc::new(asked)));
        }
    }
    looked.0.load(Relaxed)
}

/// The hello of a client that supports only `version`.
fn client_hello(version: &'static SupportedProtocolVersion) -> Option<Vec<u8>> {
    let config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[version])
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned::Anything))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    let mut client = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello).ok()?;
    Some(hello)
}

/// Has no certificate, and records whether one was looked for.
#[derive(Debug, Default)]
struct CertificateProbe(AtomicBool);

impl ResolvesServerCert for CertificateProbe {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Relaxed);
        None
    }
}

/// SHA-256 of everything that must be unchanged for a session to be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal([u8; 32]);

impl Seal {
    /// Hashes the parts with their lengths, so that different lists have different digests.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(&part.len().to_be_bytes());
            all.extend_from_slice(part);
        }
        let suites = &provider().cipher_suites;
        let hash = suites.iter().find_map(|suite| {
            let hash = suite.tls13()?.common.hash_provider.hash(&all);
            hash.as_ref().try_into().ok()
        });
        Self(hash.expect("a provider has a suite of TLS 1.3 with SHA-256"))
    }

    /// A random digest, equal to no other.
    pub(super) fn unique() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A copy of `config` whose sessions can be resumed only with this digest.
    pub(super) fn put_on(self, config: &ServerConfig) -> ServerConfig {
        let mut sealed = config.clone();
        sealed.session_storage = Arc::new(Sealed { seal: self, inner: Arc::clone(&config.session_storage) });
        sealed.ticketer = Arc::new(Sealed { seal: self, inner: Arc::clone(&config.ticketer) });
        sealed
    }
}

#[derive(Debug)]
struct Sealed<T: ?Sized> {
    seal: Seal,
    inner: Arc<T>,
}

impl<T: ?Sized> Sealed<T> {
    fn sealed(&self, bytes: &[u8]) -> Vec<u8> {
        [self.seal.as_bytes(), bytes].concat()
    }
}

impl StoresServerSessions for Sealed<dyn StoresServerSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.inner.put(self.sealed(&key), value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.get(&self.sealed(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.take(&self.sealed(key))
    }

    fn can_cache(&self) -> bool {
        self.inner.can_cache()
    }
}

impl ProducesTickets for Sealed<dyn ProducesTickets> {
    fn enabled(&self) -> bool {
        self.inner.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.inner.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.encrypt(&self.sealed(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.inner.decrypt(cipher)?;
        plain.strip_prefix(self.seal.as_bytes()).map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use tokio_rustls::rustls::{
        KeyLogFile,
        compress::CompressionCache,
        crypto::ring::{Ticketer, default_provider},
        server::{ServerSessionMemoryCache, WebPkiClientVerifier},
        time_provider::DefaultTimeProvider,
        version::{TLS12, TLS13},
    };

    use super::*;

    fn of_versions(versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        ServerConfig::builder_with_details(Arc::new(default_provider()), Arc::new(DefaultTimeProvider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(CertificateProbe::default()))
    }

    /// Every field has another value than the default. `Debug` also shows fields that a later
    /// rustls adds.
    #[test]
    fn all_else_is_carried_over() {
        let default = of_versions(&[&TLS13]);
        let mut given = default.clone();
        given.ignore_client_order = true;
        given.max_fragment_size = Some(1_000);
        given.session_storage = Arc::new(NoServerSessionStorage {});
        given.ticketer = Ticketer::new().unwrap();
        given.alpn_protocols = vec![b"jsonrpc".to_vec()];
        given.key_log = Arc::new(KeyLogFile::new());
        given.enable_secret_extraction = true;
        given.max_early_data_size = 7;
        given.send_half_rtt_data = true;
        given.send_tls13_tickets = 5;
        given.max_tls13_tickets = 6;
        given.require_ems = !default.require_ems;
        given.cert_compression_cache = Arc::new(CompressionCache::Disabled);
        let made = with_client_verifier(&given, WebPkiClientVerifier::no_client_auth()).unwrap();
        assert_eq!(format!("{made:?}"), format!("{given:?}"));
        assert!(Arc::ptr_eq(&made.ticketer, &given.ticketer));
        assert!(Arc::ptr_eq(&made.cert_resolver, &given.cert_resolver));
        assert!(Arc::ptr_eq(&made.time_provider, &given.time_provider));
        assert!(Arc::ptr_eq(made.crypto_provider(), given.crypto_provider()));
    }

    #[test]
    fn the_versions_are_found_out_and_nothing_of_the_users_is_asked() {
        for versions in [&[&TLS12][..], &[&TLS13], &[&TLS13, &TLS12]] {
            let looks = Arc::new(CertificateProbe::default());
            let mut given = of_versions(versions);
            given.cert_resolver = Arc::<CertificateProbe>::clone(&looks);
            given.session_storage = ServerSessionMemoryCache::new(1);
            given.max_fragment_size = Some(1);
            assert_eq!(versions_of(&given), versions);
            assert!(!looks.0.load(Relaxed));
        }
    }
}
