//! What a user has configured is kept, or said to have no part in it: nothing is lost without a
//! word.

use std::{io, sync::Arc};

use http::{Version, header};
use rpc::{
    BindError, ConnectError, Connector, Context, ErrorObject, HttpClient, HttpClientError, HttpOptions,
    Listen, Params, Router, Server, ServerHandle, WebAccess,
    transport::{
        memory,
        socks::SocksProxy,
        tls::{
            TlsClient, TlsServer,
            rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
        },
        websocket::{WebSocketClient, WebSocketError, WebSocketServer},
    },
};
use rpc_tests::{Issued, echo, soon};
use tokio::process::Command;

fn told(outcome: Result<rpc::Session, ConnectError>) -> (io::ErrorKind, String) {
    match outcome {
        Err(ConnectError::Io { source, .. }) => (source.kind(), source.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connection_that_is_there_is_not_taken_for_one_over_tls_or_by_way_of_a_proxy() {
    type Make = fn() -> Connector;
    let connectors: [(&str, Make); 3] = [
        ("the connection is there already", || Connector::over(memory(64).0)),
        ("the connection is there already", || {
            let (sink, stream) = futures::channel::mpsc::channel::<bytes::Bytes>(1);
            let stream = futures::StreamExt::map(stream, Ok::<_, io::Error>);
            Connector::over_messages(rpc::transport::join_messages(stream, sink))
        }),
        ("a process is talked to over its input and output", || Connector::spawn(Command::new("cat"))),
    ];
    for (source, connector) in connectors {
        for (said, connector) in [
            ("tls", connector().tls(TlsClient::trusting_anybody())),
            ("proxy", connector().proxy(SocksProxy::tor())),
        ] {
            let problem = format!("{source}, and `{said}` has no part in it: leave one of the two out");
            assert_eq!(told(soon(connector.connect()).await), (io::ErrorKind::InvalidInput, problem));
        }
    }
}

#[test]
fn connections_of_the_users_own_are_not_taken_for_ones_over_tls_or_by_way_of_a_proxy() {
    let builder = || HttpClient::builder("https://node.example/").expect("a URL");
    let open = || std::future::ready(Ok::<_, io::Error>(memory(64).0));
    let tls = TlsClient::trusting_anybody;
    for (said, builder) in [
        ("tls", builder().tls(tls()).connect_with(open)),
        ("tls", builder().connect_with(open).tls(tls())),
        ("proxy", builder().proxy(SocksProxy::tor()).connect_with(open)),
        ("proxy", builder().connect_with(open).proxy(SocksProxy::tor())),
    ] {
        let error = builder.build().expect_err("one of the two would be lost");
        assert!(matches!(error, HttpClientError::ConnectWith { .. }), "{error:?}");
        let problem = format!(
            "https://node.example cannot be called: `connect_with` makes the connections, and `{said}` has no \
             part in it: leave one of the two out"
        );
        assert_eq!(rpc::chain(&error).to_string(), problem);
    }
    builder().connect_with(open).build().expect("nothing is lost");
}

#[tokio::test]
async fn where_a_websocket_is_there_is_no_other_http() {
    let listen = Listen::at("ws://127.0.0.1:0").expect("a URL").http(HttpOptions::new());
    match Server::builder().service(()).bind(listen).await {
        Err(BindError::Io { source, .. }) => {
            assert_eq!(source.kind(), io::ErrorKind::InvalidInput);
            assert!(source.to_string().contains("listen at http or https"), "{source}");
        }
        other => panic!("{other:?}"),
    }
}

/// The status that a page of `origin` gets that wants a WebSocket.
async fn opened(server: &ServerHandle, origin: &str) -> u16 {
    let url = format!("ws://localhost:{}", server.endpoint().port().expect("a port"));
    let options = WebSocketClient::new().header("origin", origin).expect("a header");
    let connector = Connector::new(&url).expect("a URL").websocket(options);
    match soon(connector.connect()).await {
        Ok(_) => 101,
        Err(ConnectError::WebSocket { source: WebSocketError::Refused { status, .. }, .. }) => status,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_said_of_pages_for_websockets_holds_where_http_opens_them() {
    let (one, two) = ("https://one.example", "https://two.example");
    let (http, websocket) = (
        HttpOptions::new().access(WebAccess::new().allow_origin(one)),
        WebSocketServer::new().access(WebAccess::new().allow_origin(two)),
    );
    let at = || Listen::at("http://127.0.0.1:0").expect("a URL");
    for (listen, may) in [
        (at(), [false, false]),
        (at().http(http.clone()), [true, false]),
        (at().websocket(websocket.clone()), [false, true]),
        (at().http(http.clone()).websocket(websocket.clone()), [false, true]),
        (at().websocket(websocket.clone()).http(http.clone()), [false, true]),
        // Nothing was said of pages.
        (at().http(http).websocket(WebSocketServer::new().binary()), [true, false]),
    ] {
        let server = Server::builder().service(echo()).bind(listen).await.expect("a port").start();
        let seen = [opened(&server, one).await == 101, opened(&server, two).await == 101];
        assert_eq!(seen, may);
        soon(server.shutdown()).await;
    }
}

#[tokio::test]
async fn what_a_server_is_called_is_said_over_http_2_too() {
    let router = Router::new().method("called", async |_: Params, cx: Context| {
        let request = cx.http().ok_or_else(|| ErrorObject::new(1, "it comes over HTTP"))?;
        let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = request.uri.authority().map(http::uri::Authority::as_str);
        Ok::<_, ErrorObject>((request.version == Version::HTTP_2, authority.or(host).map(str::to_owned)))
    });
    let access = HttpOptions::new().access(WebAccess::new().allow_host("node.example:8545"));
    let listen = Listen::at("http://127.0.0.1:0").expect("a URL").http(access);
    let server = Server::builder().service(router).bind(listen).await.expect("a port").start();
    for http2_only in [false, true] {
        let builder = HttpClient::builder(&server.endpoint().to_string()).expect("a URL");
        let builder = builder.header("host", "node.example:8545");
        let builder = if http2_only { builder.http2_only() } else { builder };
        let client = builder.build().expect("nothing is wrong with it");
        let called: (bool, String) = soon(client.call("called", ())).await.expect("it is let in");
        assert_eq!(called, (http2_only, "node.example:8545".to_owned()));
    }
    let builder = HttpClient::builder("http://127.0.0.1:1").expect("a URL").header("host", "a b");
    let error = builder.build().expect_err("it is no host");
    assert_eq!(
        rpc::chain(&error).to_string(),
        "the header `host` cannot be sent: that is no host, nor a host and a port"
    );
    soon(server.shutdown()).await;
}

fn server_naming(issued: &Issued, protocols: &[&str]) -> TlsServer {
    let key = PrivateKeyDer::try_from(issued.key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("both")
        .with_no_client_auth()
        .with_single_cert(vec![issued.certificate.der().clone()], key)
        .expect("they belong together");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsServer::from_config(Arc::new(config))
}

fn client_naming(issued: &Issued, protocols: &[&str]) -> TlsClient {
    let mut roots = RootCertStore::empty();
    roots.add(issued.certificate.der().clone()).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("both")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsClient::from_config(Arc::new(config))
}

#[tokio::test]
async fn versions_of_http_that_a_configuration_of_tls_leaves_out_are_not_spoken() {
    let issued = Issued::by_itself(&["localhost"]);
    let version = || {
        Router::new().method("version", async |_: Params, cx: Context| {
            Ok::<_, ErrorObject>(cx.http().map(|request| format!("{:?}", request.version)))
        })
    };
    for (of_server, of_client, spoken) in [
        (&["http/1.1"][..], &[][..], "HTTP/1.1"),
        (&[], &["http/1.1"], "HTTP/1.1"),
        (&["http/1.1", "h2"], &[], "HTTP/1.1"),
        (&["h2"], &["http/1.1", "h2"], "HTTP/2.0"),
        (&["acme-tls/1", "h2"], &[], "HTTP/2.0"),
    ] {
        let listen = Listen::at("https://127.0.0.1:0").expect("a URL").tls(server_naming(&issued, of_server));
        let server = Server::builder().service(version()).bind(listen).await.expect("a port").start();
        let url = format!("https://localhost:{}", server.endpoint().port().expect("a port"));
        let client = HttpClient::builder(&url).expect("a URL").tls(client_naming(&issued, of_client));
        let client = client.build().expect("they have one in common");
        let seen: String = soon(client.call("version", ())).await.expect("it answers");
        assert_eq!(seen, spoken, "{of_server:?} {of_client:?}");
        soon(server.shutdown()).await;
    }
    // One configuration for HTTPS and WebSockets.
    let both = ["h2", "http/1.1"];
    let listen = Listen::at("wss://127.0.0.1:0").expect("a URL").tls(server_naming(&issued, &both));
    let server = Server::builder().service(echo()).bind(listen).await.expect("a port").start();
    let url = format!("wss://localhost:{}", server.endpoint().port().expect("a port"));
    let connector = Connector::new(&url).expect("a URL").tls(client_naming(&issued, &both));
    soon(connector.connect()).await.expect("HTTP/1.1 is agreed on");
    let error = Connector::new(&url).expect("a URL").tls(client_naming(&issued, &["h2"])).connect().await;
    let error = error.expect_err("no WebSocket");
    assert!(rpc::chain(&error).to_string().contains("only h2 (ALPN), and here http/1.1"), "{error:?}");
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn a_configuration_of_tls_that_leaves_nothing_to_speak_is_refused_before_anybody_comes() {
    let issued = Issued::by_itself(&["localhost"]);
    for (scheme, protocols) in [("https", "jsonrpc"), ("wss", "h2")] {
        let listen = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL");
        let listen = listen.tls(server_naming(&issued, &[protocols]));
        let error = Server::builder().service(()).bind(listen).await.expect_err("nothing can be agreed on");
        assert!(rpc::chain(&error).to_string().contains(&format!("only {protocols} (ALPN)")), "{error}");
    }
    let builder = HttpClient::builder("https://node.example").expect("a URL");
    let builder = builder.tls(client_naming(&issued, &["http/1.1"])).http2_only();
    let error = builder.build().expect_err("HTTP/2 cannot be agreed on");
    assert!(
        rpc::chain(&error).to_string().contains("only http/1.1 (ALPN), and here h2 is spoken"),
        "{error}"
    );
}
