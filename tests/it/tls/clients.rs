//! Whom a server lets in.

use rpc::{CallError, CloseReason, Session, transport::tls::TlsServer};
use rpc_tests::{Authority, Issued, soon};

use super::{connect, listening, ping};

struct World {
    authority: Authority,
    /// Of a server.
    issued: Issued,
    /// Of a client.
    client: Issued,
}

fn world() -> World {
    let authority = Authority::new();
    let (issued, client) = (authority.issue(&["localhost"]), authority.issue(&["client.example"]));
    World { authority, issued, client }
}

impl World {
    fn requiring(&self) -> TlsServer {
        self.issued.server().require_client_certificates(self.authority.roots()).expect("a root")
    }

    fn requesting(&self) -> TlsServer {
        self.issued.server().request_client_certificates(self.authority.roots()).expect("a root")
    }
}

/// Why a session ended that the server did not want.
async fn thrown_out(session: &Session) -> String {
    match soon(session.call::<()>("ping", ())).await {
        Err(CallError::Closed { reason: CloseReason::Io(error), .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_with_a_certificate_is_let_in_and_handlers_see_it() {
    let world = world();
    for server in [world.requiring(), world.requesting()] {
        let server = listening(&server).await;
        let client = world.authority.trusted().identity(world.client.identity());
        let session = connect(&server, &client).await.expect("it is let in");
        assert_eq!(ping(&session).await, [world.client.certificate.der().len()]);
        // The next one resumes, and is the same client.
        let session = connect(&server, &client).await.expect("it is let in");
        assert_eq!(ping(&session).await, [world.client.certificate.der().len()]);
    }
}

#[tokio::test]
async fn a_client_without_one_is_told_that_one_is_required() {
    let world = world();
    let server = listening(&world.requiring()).await;
    let session = connect(&server, &world.authority.trusted()).await.expect("the server has not judged yet");
    assert_eq!(
        thrown_out(&session).await,
        "the peer has refused the handshake: it requires a certificate of this side (alert CertificateRequired)"
    );
    assert!(server.sessions().is_empty());
}

#[tokio::test]
async fn a_client_without_one_is_let_in_where_it_may_have_none() {
    let world = world();
    let server = listening(&world.requesting()).await;
    let session = connect(&server, &world.authority.trusted()).await.expect("it is let in");
    assert_eq!(ping(&session).await, Vec::<usize>::new());
}

#[tokio::test]
async fn a_certificate_that_nobody_trusted_has_issued_is_refused_also_where_none_is_required() {
    let world = world();
    for server in [world.requiring(), world.requesting()] {
        let server = listening(&server).await;
        let stranger = Authority::new().issue(&["client.example"]);
        let client = world.authority.trusted().identity(stranger.identity());
        let session = connect(&server, &client).await.expect("the server has not judged yet");
        assert_eq!(
            thrown_out(&session).await,
            "the peer has refused the handshake: it does not trust whoever has issued the certificate of this side \
             (alert UnknownCA)"
        );
    }
}

#[tokio::test]
async fn what_is_asked_of_clients_stays_when_the_certificate_is_renewed() {
    let world = world();
    let tls = world.requiring();
    let server = listening(&tls).await;
    tls.reload(world.authority.issue(&["localhost"]).identity());
    let session = connect(&server, &world.authority.trusted()).await.expect("the server has not judged yet");
    assert!(thrown_out(&session).await.contains("it requires a certificate of this side"));
}
