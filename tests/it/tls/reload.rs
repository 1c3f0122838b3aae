//! A certificate that changes while the server runs.

use std::fs;

use rpc::transport::tls::{Identity, PeerCertificates};
use rpc_tests::Issued;

use super::{connect, listening, ping, refused};

#[tokio::test]
async fn new_connections_see_the_new_certificate_and_old_ones_notice_nothing() {
    let (old, new) = (Issued::by_itself(&["localhost"]), Issued::by_itself(&["localhost"]));
    let tls = old.server();
    let server = listening(&tls).await;
    let before = connect(&server, &old.pinned()).await.expect("the old one is shown");
    ping(&before).await;

    tls.reload(new.identity());
    ping(&before).await;
    let after = connect(&server, &new.pinned()).await.expect("the new one is shown");
    ping(&after).await;
    let shown = after.extensions().get::<PeerCertificates>().expect("a server shows one");
    assert_eq!(shown.end_entity(), &new.certificate.der()[..]);
    let told = refused(&server, "localhost", &old.pinned()).await;
    assert!(told.ends_with("it is not the one that was pinned"), "{told}");
    ping(&before).await;
}

#[tokio::test]
async fn files_that_are_wrong_leave_the_old_certificate() {
    let directory = super::files::Scratch::new("reload");
    let old = Issued::by_itself(&["localhost"]);
    let (chain, key) = (directory.path("chain.pem"), directory.path("key.pem"));
    fs::write(&chain, old.certificate.pem()).expect("it is written");
    fs::write(&key, old.key.serialize_pem()).expect("it is written");
    let tls = rpc::transport::tls::TlsServer::from_pem_files(&chain, &key).expect("both are there");
    let server = listening(&tls).await;

    // Half a renewal: the new certificate is there, and its key is not yet.
    let new = Issued::by_itself(&["localhost"]);
    fs::write(&chain, new.certificate.pem()).expect("it is written");
    let error =
        Identity::from_pem_files(&chain, &key).map(|renewed| tls.reload(renewed)).expect_err("half of it");
    assert!(error.to_string().contains("does not belong to"), "{error}");
    ping(&connect(&server, &old.pinned()).await.expect("the old one is shown")).await;

    fs::write(&key, new.key.serialize_pem()).expect("it is written");
    tls.reload(Identity::from_pem_files(&chain, &key).expect("now both are there"));
    ping(&connect(&server, &new.pinned()).await.expect("the new one is shown")).await;
}
