//! How sessions over TLS end, and what they carry until then.

use std::{sync::Arc, time::Duration};

use rpc::{
    CloseReason, Connector, Limits, Listen, Server, ServerHandle,
    transport::tls::rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use rpc_tests::{Authority, Issued, echo, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{connect, listening, ping};

async fn echoing(authority: &Authority) -> ServerHandle {
    let at = Listen::at("tls://127.0.0.1:0").expect("a URL").tls(authority.issue(&["localhost"]).server());
    Server::builder().service(echo()).bind(at).await.expect("a port is free").start()
}

/// A client that is not ours.
pub(crate) async fn stranger(authority: &Authority, server: &ServerHandle) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let pem = authority.pem();
    let root = rpc_pem(&pem);
    roots.add(root).expect("a root");
    let provider = Arc::new(rpc::transport::tls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let io =
        TcpStream::connect(server.endpoint().socket_addr().expect("an address")).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    soon(TlsConnector::from(Arc::new(config)).connect(name, io)).await.expect("they agree")
}

fn rpc_pem(pem: &str) -> rpc::transport::tls::rustls::pki_types::CertificateDer<'static> {
    use rpc::transport::tls::rustls::pki_types::pem::PemObject;
    PemObject::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

const ASKED: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"later\",\"params\":[1]}\n";
const ANSWERED: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1]}\n";

#[tokio::test]
async fn a_session_that_ends_tells_the_peer() {
    let authority = Authority::new();
    let server = echoing(&authority).await;
    let mut peer = stranger(&authority, &server).await;
    peer.write_all(ASKED).await.expect("it is there");
    let mut answer = vec![0; ANSWERED.len()];
    soon(peer.read_exact(&mut answer)).await.expect("an answer");
    assert_eq!(answer, ANSWERED);
    let shutdown = tokio::spawn(async move { server.shutdown().await });
    // Rustls makes an error of an end that was not announced.
    assert_eq!(soon(peer.read(&mut [0; 8])).await.expect("it was announced"), 0);
    soon(shutdown).await.expect("no panic");
}

#[tokio::test]
async fn a_peer_that_has_announced_its_end_is_still_answered() {
    let authority = Authority::new();
    let server = echoing(&authority).await;
    let mut peer = stranger(&authority, &server).await;
    peer.write_all(ASKED).await.expect("it is there");
    peer.shutdown().await.expect("it is there");
    let mut rest = Vec::new();
    soon(peer.read_to_end(&mut rest)).await.expect("the end was announced");
    assert_eq!(rest, ANSWERED);
}

#[tokio::test]
async fn a_peer_that_just_closes_has_closed() {
    let authority = Authority::new();
    let server = echoing(&authority).await;
    let mut peer = stranger(&authority, &server).await;
    peer.write_all(ASKED).await.expect("it is there");
    peer.flush().await.expect("it is there");
    // Below TLS, which says nothing.
    peer.get_mut().0.shutdown().await.expect("it is there");
    let mut rest = Vec::new();
    soon(peer.read_to_end(&mut rest)).await.expect("the end was announced");
    assert_eq!(rest, ANSWERED, "what came before is answered");

    let mut peer = stranger(&authority, &server).await;
    peer.write_all(ASKED).await.expect("it is there");
    soon(peer.read_exact(&mut vec![0; ANSWERED.len()])).await.expect("an answer");
    let session = server.sessions().pop().expect("one");
    drop(peer);
    let reason = soon(session.closed()).await;
    assert!(matches!(reason, CloseReason::Peer), "{reason:?}");
}

#[tokio::test]
async fn both_sides_learn_of_an_end_in_good_order() {
    let issued = Issued::by_itself(&["localhost"]);
    let server = listening(&issued.server()).await;
    let session = connect(&server, &issued.pinned()).await.expect("it is trusted");
    ping(&session).await;
    let theirs = server.sessions().pop().expect("one");
    soon(session.close()).await;
    assert!(matches!(soon(session.closed()).await, CloseReason::Local));
    assert!(matches!(soon(theirs.closed()).await, CloseReason::Peer));

    let session = connect(&server, &issued.pinned()).await.expect("it is trusted");
    ping(&session).await;
    soon(server.shutdown()).await;
    assert!(matches!(soon(session.closed()).await, CloseReason::Peer));
}

#[tokio::test]
async fn what_is_large_and_what_is_many_arrives_as_it_was_sent() {
    let authority = Authority::new();
    let server = echoing(&authority).await;
    let url = format!("tls://localhost:{}", server.endpoint().port().expect("it has one"));
    let limits = Limits::unlimited();
    let connector = Connector::new(&url).expect("a URL").tls(authority.trusted()).limits(limits);
    let session = soon(connector.connect()).await.expect("it is trusted");

    let large: String = (0..600_000).map(|index| char::from(b'a' + (index % 23) as u8)).collect();
    let (back,): (String,) = soon(session.call("echo", (&large,))).await.expect("an answer");
    assert!(back == large, "{} bytes of {}", back.len(), large.len());

    let many = (0..2_000_u32).map(|number| session.call::<(u32,)>("later", (number,)).into_future());
    let answers = soon(futures::future::join_all(many)).await;
    for (number, answer) in (0..).zip(answers) {
        assert_eq!(answer.expect("an answer"), (number,));
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up_and_what_waits_for_it_is_bounded() {
    let authority = Authority::new();
    let mut limits = Limits::server();
    (limits.outgoing_bytes, limits.send_timeout) = (100_000, Some(Duration::from_millis(200)));
    // Replies are made where there is any room, and for requests that were admitted before there was none.
    let bound = limits.outgoing_bytes + (limits.requests_in_flight + 1) * 20_100;
    let at = Listen::at("tls://127.0.0.1:0").expect("a URL").tls(authority.issue(&["localhost"]).server());
    let server =
        Server::builder().service(echo()).limits(limits).bind(at).await.expect("a port is free").start();
    let mut peer = stranger(&authority, &server).await;
    peer.write_all(ASKED).await.expect("it is there");
    soon(peer.read_exact(&mut vec![0; ANSWERED.len()])).await.expect("an answer");
    let (_unread, mut deaf) = tokio::io::split(peer);
    let session = server.sessions().pop().expect("it has begun");
    let long = "x".repeat(20_000);
    let call = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"{long}\"]}}\n");
    let asking = tokio::spawn(async move { while deaf.write_all(call.as_bytes()).await.is_ok() {} });
    let mut most = 0;
    let closed = session.closed();
    tokio::pin!(closed);
    let cause = soon(async {
        loop {
            tokio::select! {
                cause = &mut closed => break cause,
                () = tokio::task::yield_now() => most = most.max(session.statistics().bytes_unsent),
            }
        }
    })
    .await;
    assert!(matches!(cause, CloseReason::SendTimeout { .. }), "{cause}");
    assert!((20_000..=bound).contains(&most), "{most} bytes waited, and {bound} may");
    soon(asking).await.expect("it notices");
}
