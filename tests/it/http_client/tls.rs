//! `https://`: whom the client trusts, and which version of HTTP is agreed on.

use std::{net::Ipv4Addr, sync::Arc};

use hyper::Version;
use rpc::{
    CallError, Context, Dispatcher, ErrorObject, HttpClient, HttpError, Params, Router,
    transport::tls::TlsClient,
};
use rpc_tests::{Authority, Issued};
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::typed::serve_connection;

/// Serves `version`, which tells the version of HTTP that it was asked by. The server speaks those in `alpn`. Gives the URL.
async fn serve(issued: &Issued, alpn: &[&str]) -> String {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("nothing is wrong with it")
        .with_no_client_auth()
        .with_single_cert(vec![issued.certificate.der().clone()], key)
        .expect("nothing is wrong with it");
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let router = Router::new().method("version", async |_: Params, cx: Context| {
        let version = cx.extensions().get::<Version>().expect("it was put there");
        Ok::<_, ErrorObject>(format!("{version:?}"))
    });
    let dispatcher = Dispatcher::builder().service(router).build().expect("nothing is wrong with it");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("nothing is wrong with it");
    let url =
        format!("https://localhost:{}/", listener.local_addr().expect("nothing is wrong with it").port());
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.expect("nothing is wrong with it");
            let (acceptor, dispatcher) = (acceptor.clone(), dispatcher.clone());
            tokio::spawn(async move {
                // It fails where the client does not trust us.
                if let Ok(io) = acceptor.accept(io).await {
                    serve_connection(io, dispatcher).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn both_sides_agree_on_a_version_of_http() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    for (alpn, http2_only, spoken) in [
        (&["h2", "http/1.1"][..], false, "HTTP/2.0"),
        (&["http/1.1"], false, "HTTP/1.1"),
        (&[], false, "HTTP/1.1"),
        (&["h2"], true, "HTTP/2.0"),
    ] {
        let url = serve(&issued, alpn).await;
        let builder = HttpClient::builder(&url).unwrap().tls(authority.trusted());
        let builder = if http2_only { builder.http2_only() } else { builder };
        let client = builder.build().unwrap();
        for _ in 0..2 {
            assert_eq!(client.call::<String>("version", ()).await.unwrap(), spoken, "{alpn:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_told_nothing() {
    let url = serve(&Authority::new().issue(&["localhost"]), &["h2", "http/1.1"]).await;
    let client = HttpClient::builder(&url).unwrap().tls(Authority::new().trusted()).build().unwrap();
    let error = client.call::<String>("version", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Http(HttpError::Tls { .. })), "{error:?}");
    assert!(
        rpc::chain(&error)
            .to_string()
            .starts_with(&format!("cannot connect to {}: ", url.trim_end_matches('/'))),
        "{error}"
    );
}

#[test]
fn who_has_said_how_to_speak_tls_does_not_go_without_it() {
    let builder = HttpClient::builder("http://server.test/").unwrap();
    let error = rpc::chain(&builder.tls(TlsClient::trusting_anybody()).build().unwrap_err()).to_string();
    assert_eq!(
        error,
        "http://server.test cannot be called: it was said how to speak TLS, and the scheme is not https"
    );
}
