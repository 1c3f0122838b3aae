//! Connecting and listening, HTTP, WebSocket, TLS and SOCKS.

use std::{io, sync::Arc, time::Duration};

use rpc::{
    BindError, CallError, ConnectError, Endpoint, HttpClientError, HttpError, HttpHeaders, Router, Server,
    Unsupported,
    transport::{
        socks::{SocksError, SocksProxy, SocksReply, SocksStep, SocksVersion},
        tls::{
            TlsError, TlsPart,
            rustls::{self, AlertDescription, CertificateError},
        },
        websocket::{WebSocket, WebSocketClient, WebSocketError},
    },
};
use tokio::io::AsyncWriteExt as _;

use super::{PUMP, broken_pump, table::Case};

const AFTER: Duration = Duration::from_millis(1_500);

fn shop() -> Endpoint {
    "tcp://shop:7".parse().expect("an endpoint")
}

fn url() -> String {
    "http://shop".to_owned()
}

fn headers() -> HttpHeaders {
    http::HeaderMap::from_iter([(http::header::RETRY_AFTER, http::HeaderValue::from_static("30"))]).into()
}

fn proxy() -> SocksProxy {
    "socks5://corner:9".parse().expect("a proxy")
}

/// Two services with one method.
fn twice() -> BindError {
    let router = || {
        Router::new().method("sell", async |_: rpc::Params, _: rpc::Context| Ok::<_, rpc::ErrorObject>(()))
    };
    Server::builder().service(router()).service(router()).build().expect_err("it is served twice")
}

pub(super) fn cases() -> Vec<Case> {
    let no_endpoint = || "tcp://shop".parse::<Endpoint>().expect_err("it has no port");
    let no_uri = "http://[".parse::<http::Uri>().expect_err("it does not end");
    let no_uri_says = no_uri.to_string();
    let BindError::DuplicateMethod(duplicate) = twice() else { panic!("another error") };
    vec![
        Case::of(
            ConnectError::Endpoint(no_endpoint()),
            &["`tcp://shop` is no endpoint", "the port is missing"],
        ),
        Case::of(
            ConnectError::Io { endpoint: shop(), source: broken_pump() },
            &["cannot connect to tcp://shop:7", PUMP[0], PUMP[1]],
        ),
        Case::of(
            ConnectError::Socks {
                endpoint: shop(),
                proxy: proxy(),
                source: SocksError::Unreachable { source: broken_pump() },
            },
            &[
                "cannot connect to tcp://shop:7 by way of socks5://corner:9",
                "the proxy cannot",
                PUMP[0],
                PUMP[1],
            ],
        ),
        Case::of(
            ConnectError::Timeout { endpoint: shop(), limit: AFTER },
            &["cannot connect to tcp://shop:7", "1.5s"],
        ),
        Case::of(
            ConnectError::Spawn { program: "till".into(), source: broken_pump() },
            &["cannot start `till`", PUMP[0], PUMP[1]],
        ),
        Case::of(
            ConnectError::Tls {
                endpoint: shop(),
                source: TlsError::Io { peer: "shop".into(), source: broken_pump() },
            },
            &["cannot connect to tcp://shop:7", "within the TLS handshake", PUMP[0], PUMP[1]],
        ),
        Case::of(
            ConnectError::WebSocket { endpoint: shop(), source: WebSocketError::Io(broken_pump()) },
            &["cannot connect to tcp://shop:7", "during the handshake", PUMP[0], PUMP[1]],
        ),
        Case::of(ConnectError::DuplicateMethod(duplicate), &["`sell` is served twice"]),
        Case::of(
            ConnectError::Unsupported(Unsupported::Cancellation),
            &["cannot connect as configured", "a cancellation"],
        ),
        Case::of(BindError::Endpoint(no_endpoint()), &["`tcp://shop` is no endpoint", "the port is missing"]),
        Case::of(
            BindError::Io { endpoint: shop(), source: broken_pump() },
            &["cannot listen at tcp://shop:7", PUMP[0], PUMP[1]],
        ),
        Case::of(twice(), &["`sell` is served twice"]),
        Case::of(
            BindError::Unsupported(Unsupported::Cancellation),
            &["cannot serve as configured", "a cancellation"],
        ),
        Case::of(HttpClientError::Endpoint(no_endpoint()), &["`tcp://shop` is no endpoint"]),
        Case::of(HttpClientError::Scheme { scheme: "tcp" }, &["`tcp:`"]),
        Case::of(
            HttpClientError::Path { source: no_uri },
            &["the path of the URL cannot be sent", &no_uri_says],
        ),
        Case::of(
            HttpClientError::Tls { url: url(), source: broken_pump() },
            &["http://shop cannot be called", PUMP[0], PUMP[1]],
        ),
        Case::of(
            HttpClientError::ConnectWith { url: url(), source: broken_pump() },
            &["http://shop cannot be called", PUMP[0], PUMP[1]],
        ),
        Case::of(HttpClientError::Credentials { reason: "a colon" }, &["a colon"]),
        Case::of(
            HttpClientError::Header { name: "x-till".into(), reason: "a line" },
            &["`x-till`", "a line"],
        ),
        Case::of(
            WebSocketError::Refused { status: 403, text: "go home".into(), headers: HttpHeaders::default() },
            &["403", "go home"],
        ),
        Case::of(WebSocketError::Answer { reason: "no key".into() }, &["no key"]),
        Case::of(
            WebSocketError::Header { name: "x-till".into(), reason: "a line".into() },
            &["`x-till`", "a line"],
        ),
        Case::of(WebSocketError::Io(broken_pump()), &["during the handshake", PUMP[0], PUMP[1]]),
        Case::of(
            HttpError::Connect { url: url(), source: Arc::new(broken_pump()) },
            &["cannot connect to http://shop", PUMP[0], PUMP[1]],
        ),
        Case::of(
            HttpError::Socks {
                url: url(),
                proxy: proxy(),
                source: Arc::new(SocksError::Unreachable { source: broken_pump() }),
            },
            &[
                "cannot connect to http://shop by way of socks5://corner:9",
                "the proxy cannot",
                PUMP[0],
                PUMP[1],
            ],
        ),
        Case::of(
            HttpError::Tls {
                url: url(),
                source: Arc::new(TlsError::Io { peer: "shop".into(), source: broken_pump() }),
            },
            &["cannot connect to http://shop", "within the TLS handshake", PUMP[0], PUMP[1]],
        ),
        Case::of(
            HttpError::Broken { url: url(), source: broken_pump().into() },
            &["the exchange with http://shop broke off", PUMP[0], PUMP[1]],
        ),
        Case::of(
            HttpError::Status { url: url(), status: 403, text: "go home".into(), headers: headers() },
            &["http://shop answered with the HTTP status 403", "go home"],
        ),
        Case::of(
            HttpError::Redirect { url: url(), status: 308, location: "/next".into(), headers: headers() },
            &["http://shop redirects to /next", "308"],
        ),
        Case::of(
            HttpError::NoReply { url: url(), status: 200, text: "welcome".into(), headers: headers() },
            &["http://shop answered with the HTTP status 200 and no JSON-RPC", "welcome"],
        ),
        Case::of(
            HttpError::TooManyRequests { url: url(), text: "go home".into(), headers: headers() },
            &["http://shop answered with the HTTP status 429", "go home", "30s"],
        ),
        Case::of(
            HttpError::Unavailable { url: url(), text: "go home".into(), headers: headers() },
            &["http://shop answered with the HTTP status 503", "go home", "30s"],
        ),
        Case::of(
            HttpError::TooLarge { url: url(), declared: Some(91), limit: 90 },
            &["the answer of http://shop has 91 bytes", "limit is 90"],
        ),
    ]
}

pub(super) fn proxies() -> Vec<Case> {
    let (version, step) = (SocksVersion::V5, SocksStep::Greeting);
    let no_port = SocksError::Io { step, source: broken_pump() };
    let addresses = vec![("192.0.2.1:7".parse().expect("an address"), no_port)];
    vec![
        Case::of(
            SocksError::Unreachable { source: broken_pump() },
            &["the proxy cannot be connected to", PUMP[0], PUMP[1]],
        ),
        Case::of(
            SocksError::NotSocks { version, step, answer: b"HT".to_vec().into() },
            &["to the greeting", "48 54"],
        ),
        Case::of(SocksError::NoAcceptableMethod { with_credentials: false }, &["no credentials are set"]),
        Case::of(SocksError::CredentialsRefused { status: Some(0x17) }, &["status 17"]),
        Case::of(
            SocksError::Refused(SocksReply::HostUnreachable),
            &["the proxy did not connect", &SocksReply::HostUnreachable.to_string()],
        ),
        Case::of(SocksError::Closed { step, source: broken_pump() }, &["to the greeting", PUMP[0], PUMP[1]]),
        Case::of(SocksError::TimedOut { step, limit: AFTER }, &["to the greeting", "1.5s"]),
        Case::of(
            SocksError::Io { step, source: broken_pump() },
            &["talking to the proxy failed to the greeting", PUMP[0], PUMP[1]],
        ),
        Case::of(
            SocksError::Host { version, host: "shop".into(), reason: "too long" },
            &["cannot ask for shop", "too long"],
        ),
        Case::of(
            SocksError::Credentials { version, part: "user", reason: "too long" },
            &["cannot send the user", "too long"],
        ),
        Case::of(
            SocksError::Resolve { source: broken_pump() },
            &["the name cannot be resolved", PUMP[0], PUMP[1]],
        ),
        // Each address has its own error, with its causes.
        Case::of(
            SocksError::Addresses(addresses),
            &["192.0.2.1: talking to the proxy failed", PUMP[0], PUMP[1]],
        ),
    ]
}

pub(super) fn tls() -> Vec<Case> {
    let peer = || "shop".to_owned();
    let origin = || "the pocket".to_owned();
    let says = |text: &str| rustls::Error::General(text.into());
    let part = TlsPart::PrivateKey;
    vec![
        Case::of(
            TlsError::Read { part, path: "key.pem".into(), source: broken_pump() },
            &["cannot read the private key from `key.pem`", PUMP[0], PUMP[1]],
        ),
        Case::of(
            TlsError::Missing { part, origin: origin(), encrypted: true },
            &["no private key in the pocket", "an encrypted one"],
        ),
        Case::of(
            TlsError::Unusable { part, origin: origin(), source: broken_pump().into() },
            &["the private key in the pocket cannot be used", PUMP[0], PUMP[1]],
        ),
        Case::of(
            TlsError::Mismatch { key: "key.pem".into(), certificate: "chain.pem".into() },
            &["key.pem", "chain.pem"],
        ),
        Case::of(
            TlsError::Platform(says("no store")),
            &["certificates that this platform trusts", "no store"],
        ),
        Case::of(TlsError::ServerName("a b".into()), &["`a b` is neither the name nor the IP address"]),
        Case::of(
            TlsError::NoProtocol { named: "h3".into(), spoken: "h2".into() },
            &["only h3", "h2 is spoken"],
        ),
        Case::of(
            TlsError::Certificate { peer: peer(), problem: CertificateError::Expired },
            &["the certificate of shop is not trusted", "it has expired"],
        ),
        Case::of(TlsError::NoCertificate { peer: peer() }, &["shop has shown no certificate"]),
        Case::of(
            TlsError::Refused { peer: peer(), alert: AlertDescription::UnknownCA },
            &["shop has refused the handshake", "alert UnknownCA"],
        ),
        Case::of(
            TlsError::NotTls {
                peer: peer(),
                protocol: "HTTP",
                found: "GET / HTTP".into(),
                source: Box::new(says("what a mess")),
            },
            &["shop does not speak TLS", "`GET / HTTP`", "`https://`", "what a mess"],
        ),
        Case::of(TlsError::Closed { peer: peer() }, &["shop has closed the connection"]),
        Case::of(
            TlsError::Failed { peer: peer(), source: says("what a mess") },
            &["TLS with shop failed", "what a mess"],
        ),
        Case::of(
            TlsError::Io { peer: peer(), source: broken_pump() },
            &["the connection to shop was lost within the TLS handshake", PUMP[0], PUMP[1]],
        ),
    ]
}

/// A name with several addresses has an error for each. They stand in the text, and none of them is
/// the cause more than another.
#[tokio::test]
async fn addresses_that_were_tried_are_said_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let error = rpc::connect(&format!("tcp://localhost:{port}")).await.expect_err("there is no server");
    let ConnectError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
    let shown = rpc::chain(&error).to_string();
    assert_eq!(shown.matches(&format!("127.0.0.1:{port}: ")).count(), 1, "{shown}");
    let texts = Case::of(error, &[]).texts();
    assert_eq!(texts.len(), 2, "{texts:?}");
}

/// What HTTP breaks off for is said by hyper, at the end of its own causes.
#[tokio::test]
async fn an_exchange_that_breaks_off_says_why() {
    let (here, there) = rpc::transport::memory(1024);
    let once = std::sync::Mutex::new(Some(here));
    let client = rpc::HttpClient::builder("http://shop/")
        .expect("a URL")
        .connect_with(move || {
            let io = once.lock().expect("no panic").take();
            async move { io.ok_or_else(broken_pump) }
        })
        .build()
        .expect("it can be called");
    drop(there);
    let error = client.call::<u8>("sell", ()).await.expect_err("the server has gone");
    assert!(matches!(error, CallError::Http(HttpError::Broken { .. })), "{error:?}");
    let texts = Case::of(error, &[]).texts();
    assert_eq!(texts[0], "the exchange with http://shop broke off");
    assert!(texts.len() > 1 && !texts[0].contains(&texts[1]), "{texts:?}");

    let error = client.call::<u8>("sell", ()).await.expect_err("there is no second connection");
    let texts = Case::of(error, &[]).texts();
    assert_eq!(texts, ["cannot connect to http://shop", PUMP[0], PUMP[1]]);
}

/// What a server says when it refuses is kept as it came, and escaped once, when it is shown.
#[tokio::test(start_paused = true)]
async fn the_body_of_a_refused_handshake_is_escaped_once() {
    const BODY: &str = "{\"error\":\"it's \\\"full\\\"\"}\n\ttry later";
    let (mut io, there) = rpc::transport::memory(64 << 10);
    let answer = format!("HTTP/1.1 503 Busy\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
    io.write_all(answer.as_bytes()).await.expect("there is room");
    let url: Endpoint = "ws://shop/".parse().expect("a URL");
    let error = WebSocket::connect(there, &url, &WebSocketClient::new()).await.expect_err("it is refused");
    let WebSocketError::Refused { status: 503, text, .. } = &error else { panic!("{error:?}") };
    assert_eq!(text, BODY);
    assert_eq!(
        rpc::chain(&error).to_string(),
        r#"the server answered 503: {"error":"it's \"full\""}\n\ttry later"#
    );
}
