//! A configuration that asks clients for certificates, and is the same in all else.
//!
//! rustls lets the verifier of clients be chosen only while a configuration is built, and does not
//! tell which versions one speaks. So it is built anew, and what is public is carried over.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{
    TlsError,
    pinned::Pinned,
    provider,
    rustls::{
        ALL_VERSIONS, ClientConfig, ClientConnection, KeyLog, NoKeyLog, ServerConfig,
        SupportedProtocolVersion,
        pki_types::ServerName,
        server::{
            Acceptor, ClientHello, NoServerSessionStorage, ResolvesServerCert, danger::ClientCertVerifier,
        },
        sign::CertifiedKey,
    },
};

/// `given`, with `clients` to verify the clients that connect.
///
/// # Errors
///
/// Where rustls would not have made it with the versions and suites that it has.
pub(super) fn asking(
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

/// The versions that `config` speaks: those in which it goes on to look for a certificate when a
/// client offers nothing else. Nothing of the user's runs.
fn versions_of(config: &ServerConfig) -> Vec<&'static SupportedProtocolVersion> {
    ALL_VERSIONS.iter().copied().filter(|version| speaks(config, version)).collect()
}

fn speaks(config: &ServerConfig, version: &'static SupportedProtocolVersion) -> bool {
    let looked = Arc::new(LooksForOne::default());
    let mut asked = config.clone();
    asked.cert_resolver = Arc::<LooksForOne>::clone(&looked);
    asked.session_storage = Arc::new(NoServerSessionStorage {});
    asked.key_log = Arc::new(NoKeyLog) as Arc<dyn KeyLog>;
    asked.max_fragment_size = None;
    if let Some(hello) = hello(version) {
        // What comes of it is no connection either way.
        let mut acceptor = Acceptor::default();
        drop(acceptor.read_tls(&mut &*hello));
        if let Ok(Some(accepted)) = acceptor.accept() {
            drop(accepted.into_connection(Arc::new(asked)));
        }
    }
    looked.0.load(Relaxed)
}

/// What a client says first that speaks `version` only.
fn hello(version: &'static SupportedProtocolVersion) -> Option<Vec<u8>> {
    let config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[version])
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned::ToNothing))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").ok()?;
    let mut client = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello).ok()?;
    Some(hello)
}

/// Has no certificate, and knows whether it was asked for one.
#[derive(Debug, Default)]
struct LooksForOne(AtomicBool);

impl ResolvesServerCert for LooksForOne {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Relaxed);
        None
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use super::*;
    use crate::transport::tls::rustls::{
        KeyLogFile,
        compress::CompressionCache,
        crypto::ring::{Ticketer, default_provider},
        server::{ServerSessionMemoryCache, WebPkiClientVerifier},
        time_provider::DefaultTimeProvider,
        version::{TLS12, TLS13},
    };

    fn of_versions(versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        ServerConfig::builder_with_details(Arc::new(default_provider()), Arc::new(DefaultTimeProvider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(LooksForOne::default()))
    }

    /// Something else than the default everywhere. A field that rustls adds is in what `Debug`
    /// shows.
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
        let made = asking(&given, WebPkiClientVerifier::no_client_auth()).unwrap();
        assert_eq!(format!("{made:?}"), format!("{given:?}"));
        assert!(Arc::ptr_eq(&made.ticketer, &given.ticketer));
        assert!(Arc::ptr_eq(&made.cert_resolver, &given.cert_resolver));
        assert!(Arc::ptr_eq(&made.time_provider, &given.time_provider));
        assert!(Arc::ptr_eq(made.crypto_provider(), given.crypto_provider()));
    }

    #[test]
    fn the_versions_are_found_out_and_nothing_of_the_users_is_asked() {
        for versions in [&[&TLS12][..], &[&TLS13], &[&TLS13, &TLS12]] {
            let looks = Arc::new(LooksForOne::default());
            let mut given = of_versions(versions);
            given.cert_resolver = Arc::<LooksForOne>::clone(&looks);
            given.session_storage = ServerSessionMemoryCache::new(1);
            given.max_fragment_size = Some(1);
            assert_eq!(versions_of(&given), versions);
            assert!(!looks.0.load(Relaxed));
        }
    }
}
