//! Handshakes and streams in memory. Sessions over TLS are tested from outside, over sockets.

use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;

fn made(name: &str) -> CertifiedKey<KeyPair> {
    generate_simple_self_signed([name.to_owned()]).unwrap()
}

fn server_of(made: &CertifiedKey<KeyPair>) -> TlsServer {
    TlsServer::new(Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap())
}

fn pinned_to(made: &CertifiedKey<KeyPair>) -> TlsClient {
    TlsClient::pinned(Certificates::from_pem(made.cert.pem()).unwrap()).unwrap()
}

/// The negotiated protocol.
fn agreed(stream: &TlsStream<DuplexStream>) -> Option<&[u8]> {
    stream.0.get_ref().1.alpn_protocol()
}

/// A connected pair of a client and a server that it trusts.
async fn pair(
    client_alpn: &[&[u8]],
    server_alpn: &[&[u8]],
) -> (Result<TlsStream<DuplexStream>, TlsError>, Result<TlsStream<DuplexStream>, TlsError>) {
    let made = made("localhost");
    let (server, client) = (server_of(&made), pinned_to(&made));
    let (here, there) = tokio::io::duplex(64 << 10);
    tokio::join!(
        client.connect("localhost", here, client_alpn),
        server.accept("the client", there, server_alpn)
    )
}

#[tokio::test]
async fn protocols_are_agreed_on_for_each_use() {
    let (client, server) = pair(&[b"h2", b"http/1.1"], &[b"http/1.1"]).await;
    assert_eq!(agreed(&client.unwrap()), Some(&b"http/1.1"[..]));
    assert_eq!(agreed(&server.unwrap()), Some(&b"http/1.1"[..]));

    for (client, server) in [(&[][..], &[&b"h2"[..]][..]), (&[&b"h2"[..]], &[]), (&[], &[])] {
        let (client, server) = pair(client, server).await;
        assert_eq!((agreed(&client.unwrap()), agreed(&server.unwrap())), (None, None));
    }
}

#[tokio::test]
async fn sides_without_a_protocol_in_common_say_so() {
    let (client, server) = pair(&[b"h2"], &[b"http/1.1"]).await;
    assert_eq!(
        client.unwrap_err().to_string(),
        "localhost has refused the handshake: the two sides have no protocol in common (ALPN), as where one speaks HTTP/2 \
         only and the other HTTP/1.1 (alert NoApplicationProtocol)"
    );
    assert!(matches!(server.unwrap_err(), TlsError::Failed { .. }));
}

#[tokio::test]
async fn protocols_of_one_use_are_not_those_of_another() {
    let made = made("localhost");
    let (server, client) = (server_of(&made), pinned_to(&made));
    for (alpn, protocol) in [(&[&b"h2"[..]][..], Some(&b"h2"[..])), (&[], None)] {
        let (here, there) = tokio::io::duplex(64 << 10);
        let (client, server) = tokio::join!(
            client.connect("localhost", here, &[b"h2"]),
            server.accept("the client", there, alpn)
        );
        assert_eq!(agreed(&client.unwrap()), protocol);
        drop(server);
    }
}

#[tokio::test]
async fn a_peer_is_told_of_the_end_and_may_go_on_itself() {
    let (client, server) = pair(&[], &[]).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();

    let mut read = Vec::new();
    // Rustls distinguishes an announced end from a truncated stream.
    server.0.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last");

    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    read.clear();
    client.0.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"answer");
}

#[tokio::test]
async fn an_end_without_a_word_is_an_end() {
    let (client, server) = pair(&[], &[]).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.write_all(b"last").await.unwrap();
    client.flush().await.unwrap();
    // The stream below ends without a `close_notify`.
    drop(client);

    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last");
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "and it stays so");
}

#[tokio::test]
async fn bytes_that_were_changed_under_way_are_an_error() {
    let made = made("localhost");
    let (server, client) = (server_of(&made), pinned_to(&made));
    let (here, there) = tokio::io::duplex(64 << 10);
    let (client, server) =
        tokio::join!(client.connect("localhost", here, &[]), server.accept("the client", there, &[]));
    let (client, mut server) = (client.unwrap(), server.unwrap());
    // A record of application data, as an attacker in the middle could write it.
    let (mut below, _session) = match client.0 {
        tokio_rustls::TlsStream::Client(stream) => stream.into_inner(),
        tokio_rustls::TlsStream::Server(_) => unreachable!(),
    };
    below.write_all(&[23, 3, 3, 0, 32]).await.unwrap();
    below.write_all(&[7; 32]).await.unwrap();
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(
        crate::jsonrpc::chain(&error).to_string(),
        "TLS with the peer failed: cannot decrypt peer's message"
    );
}

#[tokio::test]
async fn who_has_no_name_is_not_asked() {
    let made = made("localhost");
    let (here, _there) = tokio::io::duplex(64);
    let error = pinned_to(&made).connect("no name", here, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "`no name` is neither the name nor the IP address of a server");
    assert!(pinned_to(&made).server_name("also none").is_err());
    assert!(pinned_to(&made).server_name("0x7f000001").is_err());
}

#[tokio::test]
async fn another_server_may_be_expected_than_the_one_of_the_url() {
    let made = made("inside.example");
    let roots = Certificates::from_pem(made.cert.pem()).unwrap();
    let trusting = TlsClient::with_roots(roots).unwrap();
    let server = server_of(&made);
    for (client, fine) in
        [(trusting.clone(), false), (trusting.server_name("inside.example.").unwrap(), true)]
    {
        let (here, there) = tokio::io::duplex(64 << 10);
        let (connected, _) =
            tokio::join!(client.connect("127.0.0.1", here, &[]), server.accept("the client", there, &[]));
        assert_eq!(connected.is_ok(), fine);
    }
}

#[tokio::test]
async fn whoever_comes_again_resumes_until_the_certificate_changes() {
    let (first, second) = (made("localhost"), made("localhost"));
    let both = [&first, &second].map(|made| made.cert.der().to_vec());
    let client = TlsClient::pinned(Certificates::from_der(both)).unwrap();
    let server = server_of(&first);
    let kind_of_next = async || {
        let (here, there) = tokio::io::duplex(64 << 10);
        let (connected, accepted) =
            tokio::join!(client.connect("localhost", here, &[]), server.accept("the client", there, &[]));
        let (mut connected, mut accepted) = (connected.unwrap(), accepted.unwrap());
        // The ticket arrives with the first bytes.
        accepted.write_all(b"x").await.unwrap();
        accepted.flush().await.unwrap();
        connected.read_exact(&mut [0]).await.unwrap();
        let shown = connected.peer_certificates().unwrap().end_entity().to_vec();
        (connected.0.get_ref().1.handshake_kind().unwrap(), shown)
    };
    use rustls::HandshakeKind as Kind;
    assert_eq!(kind_of_next().await, (Kind::Full, first.cert.der().to_vec()));
    assert_eq!(kind_of_next().await, (Kind::Resumed, first.cert.der().to_vec()));

    let (chain, key) = (second.cert.pem(), second.signing_key.serialize_pem());
    server.reload(Identity::from_pem(chain, key).unwrap());
    assert_eq!(kind_of_next().await, (Kind::Full, second.cert.der().to_vec()));
    assert_eq!(kind_of_next().await, (Kind::Resumed, second.cert.der().to_vec()));
}

#[tokio::test]
async fn a_configuration_of_rustls_is_taken_and_may_be_exchanged() {
    let made = made("localhost");
    let of_version = |version| {
        let identity = Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(provider::provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(identity.into_resolver());
        Arc::new(config)
    };
    let server = TlsServer::from_config(of_version(&rustls::version::TLS12));
    let running = server.clone();
    let client = pinned_to(&made);
    let version_of_next = async || {
        let (here, there) = tokio::io::duplex(64 << 10);
        let (connected, accepted) =
            tokio::join!(client.connect("localhost", here, &[]), running.accept("the client", there, &[]));
        drop(accepted.unwrap());
        connected.unwrap().0.get_ref().1.protocol_version().unwrap()
    };
    assert_eq!(version_of_next().await, rustls::ProtocolVersion::TLSv1_2);
    server.reload_config(of_version(&rustls::version::TLS13));
    assert_eq!(version_of_next().await, rustls::ProtocolVersion::TLSv1_3);
}
