//! TLS: who is trusted, who is let in, and how sessions over it end.

mod clients;
mod endings;
mod files;
mod handshakes;
mod platform;
mod reload;
mod trust;

use rpc::{
    ConnectError, Connector, Context, Limits, Listen, Params, Router, Server, ServerHandle, Session,
    transport::tls::{PeerCertificates, TlsClient, TlsServer},
};
use rpc_tests::soon;

pub(crate) use endings::stranger;

/// `ping` is answered with what the caller has shown: the length of each certificate.
fn service() -> Router {
    Router::new().method("ping", async |_: Params, cx: Context| {
        let shown = cx.extensions().get::<PeerCertificates>();
        let lengths = shown.map(|shown| shown.chain().map(<[u8]>::len).collect::<Vec<_>>());
        Ok::<_, rpc::ErrorObject>(lengths.unwrap_or_default())
    })
}

async fn listening(tls: &TlsServer) -> ServerHandle {
    listening_with(tls, Limits::server()).await
}

async fn listening_with(tls: &TlsServer, limits: Limits) -> ServerHandle {
    let at = Listen::at("tls://127.0.0.1:0").expect("a URL").tls(tls.clone());
    let server = Server::builder().service(service()).limits(limits).bind(at).await;
    server.expect("a port is free").start()
}

/// Connects to a server as to `host`.
async fn connect_as(server: &ServerHandle, host: &str, tls: &TlsClient) -> Result<Session, ConnectError> {
    let url = format!("tls://{host}:{}", server.endpoint().port().expect("it has one"));
    soon(Connector::new(&url).expect("a URL").tls(tls.clone()).connect()).await
}

async fn connect(server: &ServerHandle, tls: &TlsClient) -> Result<Session, ConnectError> {
    connect_as(server, "localhost", tls).await
}

async fn ping(session: &Session) -> Vec<usize> {
    soon(session.call("ping", ())).await.expect("it is answered")
}

/// The text of the error, without the place.
async fn refused(server: &ServerHandle, host: &str, tls: &TlsClient) -> String {
    let error = connect_as(server, host, tls).await.expect_err("it is refused");
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    let text = rpc::chain(&error).to_string();
    let place = format!("cannot connect to tls://{host}:{}: ", server.endpoint().port().expect("it has one"));
    text.strip_prefix(&place).expect("it begins with the place").to_owned()
}
