//! Which servers a client trusts.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    SignatureAlgorithm, date_time_ymd,
};
use rpc::{
    CloseReason, ConnectError,
    transport::tls::{
        Certificates, PeerCertificates, TlsClient, TlsError, TlsServer,
        rustls::{self, CertificateError, pki_types::CertificateDer, sign},
    },
};
use rpc_tests::{Authority, Issued, soon};

use super::{connect, connect_as, listening, ping, refused};

#[tokio::test]
async fn a_server_whose_certificate_a_root_has_issued_is_trusted() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost", "127.0.0.1"]);
    let server = listening(&issued.server()).await;
    for host in ["localhost", "127.0.0.1"] {
        let session = connect_as(&server, host, &authority.trusted()).await.expect("it is trusted");
        assert_eq!(ping(&session).await, Vec::<usize>::new(), "nobody has asked the client for one");
        let shown = session.extensions().get::<PeerCertificates>().expect("a server shows one");
        assert_eq!(shown.end_entity(), &issued.certificate.der()[..]);
        assert_eq!(session.peer().scheme(), "tls");
        assert_eq!(server.sessions()[0].peer().scheme(), "tls");
        soon(session.close()).await;
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn a_server_that_somebody_else_has_issued_is_refused() {
    let server = listening(&Authority::new().issue(&["localhost"]).server()).await;
    assert_eq!(
        refused(&server, "localhost", &Authority::new().trusted()).await,
        "the certificate of localhost is not trusted: nobody who is trusted has issued it"
    );
    let error = connect(&server, &Authority::new().trusted()).await.expect_err("it is refused");
    let ConnectError::Tls { source: TlsError::Certificate { problem, .. }, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(problem, CertificateError::UnknownIssuer);
    assert!(server.sessions().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = listening(&authority.issue(&["one.example", "two.example"]).server()).await;
    let told = refused(&server, "localhost", &authority.trusted()).await;
    assert!(
        told.starts_with("the certificate of localhost is not trusted: it is not for `localhost`, but for ")
    );
    assert!(told.contains("one.example") && told.contains("two.example"), "{told}");

    let told = refused(&server, "127.0.0.1", &authority.trusted()).await;
    assert!(told.contains("it is not for `127.0.0.1`, but for "), "{told}");

    let expecting = authority.trusted().server_name("two.example").expect("a name");
    ping(&connect(&server, &expecting).await.expect("that is one of its names")).await;
}

#[tokio::test]
async fn a_certificate_is_refused_before_and_after_its_time() {
    let authority = Authority::new();
    let past = authority.issue_with(&["localhost"], |params| params.not_after = date_time_ymd(2024, 3, 1));
    let server = listening(&past.server()).await;
    let told = refused(&server, "localhost", &authority.trusted()).await;
    let ago = told.strip_prefix("the certificate of localhost is not trusted: it has expired ").expect("why");
    let days: u32 = ago.strip_suffix(" days ago").expect("since when").parse().expect("a number");
    assert!(days > 365, "{days}");

    let future = authority.issue_with(&["localhost"], |params| params.not_before = date_time_ymd(4000, 1, 1));
    let server = listening(&future.server()).await;
    let told = refused(&server, "localhost", &authority.trusted()).await;
    assert!(told.contains("it is valid only in ") && told.ends_with(" days"), "{told}");
}

#[tokio::test]
async fn an_authority_that_shows_itself_is_refused_with_what_to_do() {
    let with = |is_ca| {
        Issued::by_itself_with(&["localhost"], KeyPair::generate().expect("a key"), |params| {
            params.is_ca = is_ca;
        })
    };
    // What `openssl req -x509` makes.
    let authority = with(IsCa::Ca(BasicConstraints::Unconstrained));
    let roots = |issued: &Issued| Certificates::from_der([issued.certificate.der().to_vec()]);
    let trusting = |issued: &Issued| TlsClient::with_roots(roots(issued)).expect("a root");
    let server = listening(&authority.server()).await;
    let told = refused(&server, "localhost", &trusting(&authority)).await;
    for expected in [
        "the certificate of an authority",
        "CA:TRUE",
        "basicConstraints=critical,CA:FALSE",
        "TlsClient::pinned",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!told.contains("CaUsedAsEndEntity"), "{told}");

    // What it says to do works.
    ping(&connect(&server, &authority.pinned()).await.expect("it is pinned")).await;
    let no_authority = with(IsCa::ExplicitNoCa);
    let server = listening(&no_authority.server()).await;
    ping(&connect(&server, &trusting(&no_authority)).await.expect("it is trusted")).await;
}

#[tokio::test]
async fn a_pinned_certificate_is_accepted_whatever_it_says_and_no_other() {
    let very_wrong =
        Issued::by_itself_with(&["another.example"], KeyPair::generate().expect("a key"), |params| {
            params.not_after = date_time_ymd(2000, 1, 1);
        });
    let server = listening(&very_wrong.server()).await;
    for host in ["localhost", "127.0.0.1"] {
        ping(&connect_as(&server, host, &very_wrong.pinned()).await.expect("it is the one")).await;
    }

    // The same names, and even the same key.
    let key = KeyPair::from_pem(&very_wrong.key.serialize_pem()).expect("a key");
    let other = Issued::by_itself_with(&["another.example"], key, |_| {});
    assert_eq!(
        refused(&server, "localhost", &other.pinned()).await,
        "the certificate of localhost is not trusted: it is not the one that was pinned"
    );

    let either = [&other, &very_wrong].map(|issued| issued.certificate.der().to_vec());
    let either = TlsClient::pinned(Certificates::from_der(either)).expect("two");
    ping(&connect(&server, &either).await.expect("it is one of the two")).await;
}

#[tokio::test]
async fn a_pinned_certificate_shown_by_a_server_without_its_key_is_refused() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (real, thief) = (Issued::by_itself(&["localhost"]), Issued::by_itself(&["localhost"]));
        let server = listening(&shown_with(real.certificate.der(), &thief.key, version)).await;
        for client in [real.pinned(), TlsClient::trusting_anybody()] {
            let told = refused(&server, "localhost", &client).await;
            let told = told.strip_prefix("the certificate of localhost is not trusted: a signature is wrong");
            assert!(told.is_some(), "{version:?}");
        }
    }
}

#[tokio::test]
async fn keys_of_every_kind_can_be_pinned_in_every_version() {
    let kinds: [&'static SignatureAlgorithm; 3] =
        [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519];
    for kind in kinds {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let key = KeyPair::generate_for(kind).expect("a key");
            let issued = Issued::by_itself_with(&["localhost"], key, |_| {});
            let tls = shown_with(issued.certificate.der(), &issued.key, version);
            let server = listening(&tls).await;
            let session = connect(&server, &issued.pinned()).await;
            ping(&session.unwrap_or_else(|error| panic!("{kind:?}, {version:?}: {error}"))).await;
        }
    }
}

/// `openssl x509 -req -signkey` makes such ones, and many Electrum servers have them.
#[tokio::test]
async fn a_certificate_of_version_1_can_be_pinned_and_shown() {
    let issued = Issued::by_itself(&["localhost"]);
    let old = version_1_of(issued.certificate.der());
    let identity = rpc::transport::tls::Identity::from_der(
        Certificates::from_der([old.to_vec()]),
        issued.key.serialize_der(),
    );
    let server = listening(&TlsServer::new(identity.expect("it is a certificate, and its key"))).await;
    let pinned = TlsClient::pinned(Certificates::from_der([old.to_vec()])).expect("a certificate");
    let session = connect(&server, &pinned).await.expect("it is the one");
    assert_eq!(session.extensions().get::<PeerCertificates>().expect("one").end_entity(), &old[..]);
    ping(&session).await;
    refused(&server, "localhost", &issued.pinned()).await;
}

#[tokio::test]
async fn whom_one_trusts_without_looking_can_be_pinned_afterwards() {
    let issued = Issued::by_itself(&["somewhere.example"]);
    let server = listening(&issued.server()).await;
    let first = connect(&server, &TlsClient::trusting_anybody()).await.expect("anybody is trusted");
    let shown = first.extensions().get::<PeerCertificates>().expect("a server shows one");
    let pinned = TlsClient::pinned(Certificates::from_der([shown.end_entity()])).expect("a certificate");
    ping(&connect(&server, &pinned).await.expect("it is the same")).await;

    first.abort();
    assert!(matches!(soon(first.closed()).await, CloseReason::Aborted));
}

#[tokio::test]
async fn a_chain_is_shown_with_all_that_leads_to_the_root() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let chain = issued.certificate.pem() + &authority.pem();
    let identity = rpc::transport::tls::Identity::from_pem(chain, issued.key.serialize_pem());
    let server = listening(&TlsServer::new(identity.expect("a chain"))).await;
    let session = connect(&server, &authority.trusted()).await.expect("it is trusted");
    let shown = session.extensions().get::<PeerCertificates>().expect("a server shows one");
    assert_eq!(shown.chain().count(), 2);
    assert_eq!(shown.chain().next(), Some(&issued.certificate.der()[..]));
}

/// A server that shows `certificate` and signs with `key`, whether they belong together or not.
fn shown_with(
    certificate: &CertificateDer<'static>,
    key: &KeyPair,
    version: &'static rustls::SupportedProtocolVersion,
) -> TlsServer {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key");
    let shown = sign::CertifiedKey::new(vec![certificate.clone()], key);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(sign::SingleCertAndKey::from(shown)));
    TlsServer::from_config(Arc::new(config))
}

/// The certificate without what only version 3 has: the number of the version, and extensions. Nobody looks at its signature.
fn version_1_of(certificate: &[u8]) -> CertificateDer<'static> {
    let outer = values(contents(certificate));
    let kept: Vec<u8> = values(contents(outer[0]))
        .into_iter()
        // `[0]` and `[3]`, constructed.
        .filter(|value| !matches!(value[0], 0xa0 | 0xa3))
        .flatten()
        .copied()
        .collect();
    let parts = [&sequence(&kept), outer[1], outer[2]].concat();
    CertificateDer::from(sequence(&parts))
}

/// Where a value's contents begin, and how long they are.
fn header(der: &[u8]) -> (usize, usize) {
    match usize::from(der[1]) {
        length @ 0..0x80 => (2, length),
        more => {
            let bytes = more - 0x80;
            (2 + bytes, der[2..2 + bytes].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        }
    }
}

fn contents(der: &[u8]) -> &[u8] {
    let (start, length) = header(der);
    &der[start..start + length]
}

fn values(mut der: &[u8]) -> Vec<&[u8]> {
    let mut values = Vec::new();
    while !der.is_empty() {
        let (start, length) = header(der);
        let (value, rest) = der.split_at(start + length);
        values.push(value);
        der = rest;
    }
    values
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    let length = u16::try_from(contents.len()).expect("it is short").to_be_bytes();
    [&[0x30, 0x82, length[0], length[1]], contents].concat()
}
