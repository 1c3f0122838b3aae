//! Our own client, over HTTP and HTTPS: what handlers know of it. The conversation itself is in `roads`.

use http::Version;
use rpc::{
    BindError, Context, ErrorObject, HttpClient, Listen, Params, Router, Server, ServerHandle,
    transport::tls::{PeerCertificates, TlsServer},
};
use rpc_tests::{Authority, Issued, soon};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// `by` tells the version of HTTP that it was asked by, `shown` how many bytes the client's certificate has.
fn curious() -> Router {
    Router::new()
        .method("by", async |_: Params, cx: Context| {
            Ok::<_, ErrorObject>(format!("{:?}", cx.http().map(|request| request.version)))
        })
        .method("shown", async |_: Params, cx: Context| {
            let shown = cx.extensions().get::<PeerCertificates>();
            Ok::<_, ErrorObject>(shown.map(|shown| shown.end_entity().len()))
        })
}

async fn listening(url: &str) -> ServerHandle {
    let builder = Server::builder().service(curious());
    builder.bind(url).await.expect("a port").start()
}

async fn listening_over_tls(tls: &TlsServer) -> ServerHandle {
    let builder = Server::builder().service(curious());
    let listen = Listen::at("https://127.0.0.1:0").expect("a URL").tls(tls.clone());
    builder.bind(listen).await.expect("a port").start()
}

fn url(server: &ServerHandle) -> String {
    format!("https://localhost:{}", server.endpoint().port().expect("a port"))
}

#[tokio::test]
async fn the_version_is_the_one_that_the_client_speaks() {
    let server = listening("http://127.0.0.1:0").await;
    for (http2_only, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let builder = HttpClient::builder(&server.endpoint().to_string()).expect("a URL");
        let builder = if http2_only { builder.http2_only() } else { builder };
        let client = builder.build().expect("nothing is wrong with it");
        assert_eq!(client.call::<String>("by", ()).await.expect("a reply"), format!("{:?}", Some(version)));
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn over_tls_both_agree_on_http_2() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let server = listening_over_tls(&issued.server()).await;
    assert_eq!(server.endpoint().scheme(), "https");
    let builder = HttpClient::builder(&url(&server)).expect("a URL").tls(authority.trusted());
    let client = builder.build().expect("nothing is wrong with it");
    assert_eq!(
        client.call::<String>("by", ()).await.expect("a reply"),
        format!("{:?}", Some(Version::HTTP_2))
    );
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn every_request_knows_the_certificate_of_the_connection() {
    let authority = Authority::new();
    let issued: Issued = authority.issue(&["localhost"]);
    let shown = authority.issue(&["client.example"]);
    let tls = issued.server().require_client_certificates(authority.roots()).expect("a root");
    let server = listening_over_tls(&tls).await;
    let trusted = authority.trusted().identity(shown.identity());
    let client = HttpClient::builder(&url(&server)).expect("a URL").tls(trusted);
    let client = client.build().expect("nothing is wrong with it");
    for _ in 0..2 {
        let size = client.call::<Option<usize>>("shown", ()).await.expect("a reply");
        assert_eq!(size, Some(shown.certificate.der().len()));
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn who_speaks_no_tls_is_not_answered_in_http() {
    let issued = Authority::new().issue(&["localhost"]);
    let server = listening_over_tls(&issued.server()).await;
    let addr = server.endpoint().socket_addr().expect("an address");
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .expect("it reads");
    let mut answer = Vec::new();
    // It may be reset.
    let _closed = soon(stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"));
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn there_is_no_https_without_a_certificate() {
    let missing = Server::builder().bind("https://127.0.0.1:0").await.expect_err("nothing to show");
    assert!(
        matches!(&missing, BindError::Io { source, .. } if source.to_string().contains("Listen::tls")),
        "{missing}"
    );
}
