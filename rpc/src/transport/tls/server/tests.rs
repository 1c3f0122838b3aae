//! Settings are kept across reloads, and sessions of an old identity are not resumed.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::transport::tls::{
    TlsClient,
    rustls::{
        ClientConfig, HandshakeKind as Kind, SupportedProtocolVersion,
        client::Resumption,
        crypto::ring::Ticketer,
        server::{NoServerSessionStorage, ServerSessionMemoryCache, StoresServerSessions},
        version::{TLS12, TLS13},
    },
};

fn made() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn identity(made: &CertifiedKey<KeyPair>) -> Identity {
    Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap()
}

/// A client that accepts any of them.
fn accepting(made: &[&CertifiedKey<KeyPair>]) -> TlsClient {
    TlsClient::pinned(Certificates::from_der(made.iter().map(|made| made.cert.der().to_vec()))).unwrap()
}

fn config(
    version: &'static SupportedProtocolVersion,
    shown: &CertifiedKey<KeyPair>,
    change: impl FnOnce(&mut ServerConfig),
) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(identity(shown).into_resolver());
    change(&mut config);
    config
}

type Stream = TlsStream<DuplexStream>;

async fn shake(
    client: &TlsClient,
    server: &TlsServer,
) -> (Result<Stream, TlsError>, Result<Stream, TlsError>) {
    let (here, there) = tokio::io::duplex(64 << 10);
    tokio::join!(client.connect("localhost", here, &[]), server.accept("the client", there, &[]))
}

/// The kind of the next handshake, and the certificate that the client attributes to the server.
async fn next(client: &TlsClient, server: &TlsServer) -> (Kind, Vec<u8>) {
    let (connected, accepted) = shake(client, server).await;
    let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
    // TLS 1.3 tickets arrive with the first bytes.
    accepted.write_all(b"x").await.unwrap();
    accepted.flush().await.unwrap();
    connected.read_exact(&mut [0]).await.unwrap();
    let shown = connected.peer_certificates().unwrap().end_entity().to_vec();
    (connected.0.get_ref().1.handshake_kind().unwrap(), shown)
}

fn full(made: &CertifiedKey<KeyPair>) -> (Kind, Vec<u8>) {
    (Kind::Full, made.cert.der().to_vec())
}

fn resumed(made: &CertifiedKey<KeyPair>) -> (Kind, Vec<u8>) {
    (Kind::Resumed, made.cert.der().to_vec())
}

/// Ways for a server to remember its clients.
const WAYS: [fn(&mut ServerConfig); 3] = [
    |_| {},
    |config| {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Ticketer::new().unwrap();
    },
    |config| config.ticketer = Ticketer::new().unwrap(),
];

#[tokio::test]
async fn no_session_of_before_shows_the_old_certificate() {
    for version in [&TLS12, &TLS13] {
        for way in WAYS {
            let (one, two) = (made(), made());
            let client = accepting(&[&one, &two]);
            let given = Arc::new(config(version, &one, way));
            let server = TlsServer::from_config(Arc::clone(&given));
            assert_eq!(next(&client, &server).await, full(&one));
            assert_eq!(next(&client, &server).await, resumed(&one));
            server.reload(identity(&two));
            assert_eq!(next(&client, &server).await, full(&two));
            assert_eq!(next(&client, &server).await, resumed(&two));
            // Back to the first identity, by a configuration that shares everything with the first
            // one.
            server.reload(identity(&one));
            assert_eq!(next(&client, &server).await, full(&one));
            assert_eq!(next(&client, &server).await, resumed(&one));
            let mut shares_all = (*given).clone();
            shares_all.cert_resolver = identity(&two).into_resolver();
            server.reload_config(Arc::new(shares_all));
            assert_eq!(next(&client, &server).await, full(&two));
            assert_eq!(next(&client, &server).await, resumed(&two));
            server.reload_config(given);
            assert_eq!(next(&client, &server).await, full(&one));
        }
    }
}

#[tokio::test]
async fn the_same_certificate_may_be_loaded_again() {
    let one = made();
    let (client, server) = (accepting(&[&one]), TlsServer::new(identity(&one)));
    server.reload(identity(&one));
    assert_eq!(next(&client, &server).await, full(&one));
    server.reload(identity(&one));
    assert_eq!(next(&client, &server).await, resumed(&one));
}

#[tokio::test]
async fn servers_that_share_tickets_do_so_after_each_has_the_new_certificate() {
    for version in [&TLS12, &TLS13] {
        let (one, two, keys) = (made(), made(), Ticketer::new().unwrap());
        let client = accepting(&[&one, &two]);
        let server = || {
            TlsServer::from_config(Arc::new(config(version, &one, |config| {
                config.ticketer = Arc::clone(&keys);
            })))
        };
        let servers = [server(), server()];
        assert_eq!(next(&client, &servers[0]).await, full(&one));
        assert_eq!(next(&client, &servers[1]).await, resumed(&one));
        servers[0].reload(identity(&two));
        assert_eq!(next(&client, &servers[0]).await, full(&two));
        // The other server still presents the old certificate.
        assert_eq!(next(&client, &servers[1]).await, full(&one));
        servers[1].reload(identity(&two));
        assert_eq!(next(&client, &servers[1]).await, full(&two));
        assert_eq!(next(&client, &servers[0]).await, resumed(&two));
    }
}

#[tokio::test]
async fn resumption_that_is_off_stays_off() {
    for version in [&TLS12, &TLS13] {
        let (one, two) = (made(), made());
        let client = accepting(&[&one, &two]);
        let off = |config: &mut ServerConfig| config.session_storage = Arc::new(NoServerSessionStorage {});
        let server = TlsServer::from_config(Arc::new(config(version, &one, off)));
        server.reload(identity(&two));
        for _ in 0..2 {
            assert_eq!(next(&client, &server).await, full(&two));
        }
        let server = server.request_client_certificates(Certificates::from_der([one.cert.der().to_vec()]));
        let server = server.unwrap();
        server.reload(identity(&one));
        for _ in 0..2 {
            assert_eq!(next(&client, &server).await, full(&one));
        }
    }
}

/// A user's session storage that counts insertions.
#[derive(Debug)]
struct Counting(Arc<ServerSessionMemoryCache>, AtomicUsize);

impl StoresServerSessions for Counting {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.1.fetch_add(1, SeqCst);
        self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_storage_of_the_users_stays_in_use() {
    let (one, two) = (made(), made());
    let client = accepting(&[&one, &two]);
    let storage = Arc::new(Counting(ServerSessionMemoryCache::new(9), AtomicUsize::new(0)));
    let given = config(&TLS13, &one, |config| config.session_storage = Arc::<Counting>::clone(&storage));
    let server = TlsServer::from_config(Arc::new(given));
    server.reload(identity(&two));
    assert_eq!(next(&client, &server).await, full(&two));
    assert!(storage.1.swap(0, SeqCst) > 0);
    let server = server.request_client_certificates(Certificates::from_der([one.cert.der().to_vec()]));
    assert_eq!(next(&client, &server.unwrap()).await, full(&two));
    assert!(storage.1.load(SeqCst) > 0);
}

/// Sessions made before a client certificate was required are not resumed afterwards.
#[tokio::test(start_paused = true)]
async fn a_session_of_a_client_that_was_not_asked_is_not_resumed_where_it_is() {
    for version in [&TLS12, &TLS13] {
        for way in WAYS {
            let (one, other) = (made(), made());
            let client = accepting(&[&one]);
            let server = TlsServer::from_config(Arc::new(config(version, &one, way)));
            assert_eq!(next(&client, &server).await, full(&one));
            assert_eq!(next(&client, &server).await, resumed(&one));
            let roots = Certificates::from_der([other.cert.der().to_vec()]);
            let requiring = server.require_client_certificates(roots).unwrap();
            let (_, accepted) = shake(&client, &requiring).await;
            assert!(matches!(accepted, Err(TlsError::NoCertificate { .. })), "{accepted:?}");
            // The requirement survives a reload of the identity.
            requiring.reload(identity(&one));
            let (_, accepted) = shake(&client, &requiring).await;
            assert!(matches!(accepted, Err(TlsError::NoCertificate { .. })), "{accepted:?}");
        }
    }
}

#[tokio::test]
async fn the_version_of_a_configuration_outlasts_what_is_asked_of_clients() {
    for version in [&TLS12, &TLS13] {
        let one = made();
        let roots = Certificates::from_der([one.cert.der().to_vec()]);
        let server = TlsServer::from_config(Arc::new(config(version, &one, |_| {})));
        let server = server.request_client_certificates(roots).unwrap();
        let (connected, _accepted) = shake(&accepting(&[&one]), &server).await;
        assert_eq!(connected.unwrap().0.get_ref().1.protocol_version(), Some(version.version));
    }
}

#[tokio::test]
async fn protocols_of_a_configuration_are_offered() {
    let one = made();
    let named = |names: &[&str]| {
        let names = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsServer::from_config(Arc::new(config(&TLS13, &one, |config| config.alpn_protocols = names)))
    };
    let http: &[&[u8]] = &[b"h2", b"http/1.1"];
    let agreed = async |server: &TlsServer| {
        let (here, there) = tokio::io::duplex(64 << 10);
        let client = accepting(&[&one]);
        let (connected, _accepted) =
            tokio::join!(client.connect("localhost", here, http), server.accept("the client", there, http));
        connected.map(|stream| stream.0.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
    };
    for (names, protocol) in
        [(&[][..], "h2"), (&["http/1.1"], "http/1.1"), (&["http/1.1", "h2"], "http/1.1"), (&["h2"], "h2")]
    {
        let server = named(names);
        assert_eq!(agreed(&server).await.unwrap(), Some(protocol.as_bytes().to_vec()));
        // Whatever else is configured.
        server.reload(identity(&one));
        let roots = Certificates::from_der([one.cert.der().to_vec()]);
        let server = server.request_client_certificates(roots).unwrap();
        assert_eq!(agreed(&server).await.unwrap(), Some(protocol.as_bytes().to_vec()));
    }
    let error = named(&["jsonrpc"]).must_offer(http).unwrap_err();
    assert!(matches!(error, TlsError::NoProtocol { .. }), "{error}");
    assert!(error.to_string().contains("only jsonrpc (ALPN), and here h2, http/1.1 is spoken"), "{error}");
}

#[tokio::test]
async fn a_client_that_does_not_resume_does_not_with_an_identity_either() {
    let (one, other) = (made(), made());
    let server = TlsServer::new(identity(&one));
    let server = server.request_client_certificates(Certificates::from_der([other.cert.der().to_vec()]));
    let server = server.unwrap();
    let with = |resumption| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(one.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = resumption;
        TlsClient::from_config(Arc::new(config))
    };
    let disabled = with(Resumption::disabled()).identity(identity(&other));
    for _ in 0..2 {
        assert_eq!(next(&disabled, &server).await, full(&one));
    }

    // Nor does a client with an identity resume a session that began without, although both share a
    // storage.
    let nameless = with(Resumption::default());
    assert_eq!(next(&nameless, &server).await, full(&one));
    let named = nameless.clone().identity(identity(&other));
    let (connected, accepted) = shake(&named, &server).await;
    assert_eq!(connected.unwrap().0.get_ref().1.handshake_kind(), Some(Kind::Full));
    assert!(accepted.unwrap().peer_certificates().is_some());
}
