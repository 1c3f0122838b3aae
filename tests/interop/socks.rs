//! Sessions by way of Debian's SOCKS servers.

use rpc::{
    ConnectError, Connector, Server, ServerHandle, Session,
    transport::socks::{Proxied, SocksAddress, SocksError, SocksProxy, SocksReply, SocksStep, SocksVersion},
};
use rpc_tests::echo;

use crate::{proxies, python::soon};

/// A server, and its port.
async fn listening() -> (ServerHandle, u16) {
    let server = Server::builder().service(echo()).bind("tcp://127.0.0.1:0").await.expect("a port is free");
    let port = server.endpoint().port().expect("a port");
    (server.start(), port)
}

async fn connected(host: &str, port: u16, proxy: SocksProxy) -> Result<Session, ConnectError> {
    soon(Connector::new(&format!("tcp://{host}:{port}")).expect("a URL").proxy(proxy).connect()).await
}

/// A whole session, and where the proxy says that it connects from.
async fn converses(host: &str, port: u16, proxy: SocksProxy) -> SocksAddress {
    let shown = proxy.to_string();
    let session = connected(host, port, proxy).await.unwrap_or_else(|error| panic!("{error}"));
    let long = "x".repeat(300_000);
    for text in ["hello", &long] {
        let echoed: Vec<String> = soon(session.call("echo", [text]).into_future()).await.expect("it answers");
        assert_eq!(echoed, [text], "{shown}");
    }
    let bound = session.extensions().get::<Proxied>().expect("it goes through a proxy").bound.clone();
    soon(session.close()).await;
    bound
}

async fn failure(host: &str, port: u16, proxy: SocksProxy) -> SocksError {
    match connected(host, port, proxy).await.expect_err("the proxy does not connect") {
        ConnectError::Socks { source, .. } => source,
        other => panic!("it is not about the proxy: {other}"),
    }
}

/// A port at which nobody listens any more.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

async fn is_found(server: &proxies::Server) {
    let found =
        soon(SocksProxy::detect_on("127.0.0.1", [free_port(), server.port()])).await.expect("there is one");
    assert_eq!((found.version(), found.port()), (SocksVersion::V5, server.port()));
}

#[tokio::test]
async fn dante_speaks_4_and_5() {
    let (server, port) = listening().await;
    let dante = proxies::Server::dante().await;
    is_found(&dante).await;
    for (host, proxy) in [
        ("127.0.0.1", dante.proxy("socks5")),
        ("localhost", dante.proxy("socks5")),
        ("127.0.0.1", dante.proxy("socks4")),
        ("127.0.0.1", dante.proxy("socks4").credentials("somebody", "")),
        ("localhost", dante.proxy("socks4").resolve_locally()),
    ] {
        let bound = converses(host, port, proxy).await;
        assert!(matches!(bound, SocksAddress::Ip(address) if address.ip().is_loopback()), "{bound}");
    }
    for (host, scheme, expected) in [
        ("127.0.0.1", "socks5", SocksReply::ConnectionRefused),
        ("nobody.invalid", "socks5", SocksReply::HostUnreachable),
        ("127.0.0.1", "socks4", SocksReply::Rejected),
    ] {
        let error = failure(host, free_port(), dante.proxy(scheme)).await;
        assert!(matches!(error, SocksError::Refused(reply) if reply == expected), "{host} {scheme}: {error}");
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn microsocks_wants_a_password() {
    let (server, port) = listening().await;
    let microsocks = proxies::Server::microsocks(Some(("ann", "secret"))).await;
    is_found(&microsocks).await;
    for host in ["127.0.0.1", "localhost"] {
        // It does not say where it connects from.
        let bound = converses(host, port, microsocks.proxy("socks5").credentials("ann", "secret")).await;
        assert_eq!(bound.to_string(), "0.0.0.0:0");
    }
    for wrong in [
        microsocks.proxy("socks5").credentials("ann", "wrong"),
        microsocks.proxy("socks5").credentials("bob", "secret"),
        microsocks.proxy("socks5").random_credentials(),
    ] {
        let error = failure("127.0.0.1", port, wrong).await;
        assert!(matches!(error, SocksError::CredentialsRefused { .. }), "{error}");
    }
    let error = failure("127.0.0.1", port, microsocks.proxy("socks5")).await;
    assert!(matches!(error, SocksError::NoAcceptableMethod { with_credentials: false }), "{error}");
    for old in ["socks4", "socks4a"] {
        let error = failure("127.0.0.1", port, microsocks.proxy(old)).await;
        assert!(matches!(error, SocksError::NotSocks { step: SocksStep::Request, .. }), "{error}");
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn microsocks_without_a_password_needs_none() {
    let (server, port) = listening().await;
    let microsocks = proxies::Server::microsocks(None).await;
    converses("localhost", port, microsocks.proxy("socks5")).await;
    // Credentials that nobody asks for do no harm.
    converses("localhost", port, microsocks.proxy("socks5").random_credentials()).await;
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn ssh_speaks_4_4a_and_5() {
    let (server, port) = listening().await;
    let ssh = proxies::Server::ssh().await;
    is_found(&ssh).await;
    for (host, scheme) in [
        ("127.0.0.1", "socks4"),
        ("127.0.0.1", "socks4a"),
        ("localhost", "socks4a"),
        ("127.0.0.1", "socks5"),
        ("localhost", "socks5"),
    ] {
        converses(host, port, ssh.proxy(scheme)).await;
    }
    for scheme in ["socks4", "socks4a", "socks5"] {
        // It has no other word for a host that refuses.
        let error = failure("127.0.0.1", free_port(), ssh.proxy(scheme)).await;
        assert!(matches!(error, SocksError::Closed { step: SocksStep::Request, .. }), "{scheme}: {error}");
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn tor_says_what_is_wrong_with_an_onion_service() {
    let tor = proxies::Server::tor().await;
    is_found(&tor).await;
    for proxy in [tor.proxy("socks5"), tor.proxy("socks5").random_credentials()] {
        let error = failure("bad.onion", 80, proxy).await;
        assert!(matches!(error, SocksError::Refused(SocksReply::OnionBadAddress)), "{error}");
    }
    let error = failure("bad.onion", 80, tor.proxy("socks4a").random_credentials()).await;
    assert!(matches!(error, SocksError::Refused(SocksReply::Rejected)), "{error}");
}
