//! HTTP and WebSocket on one port: requests that ask for it become sessions.

use futures::StreamExt;
use http::{Request, StatusCode, header};
use rpc::{
    CloseReason, Connector, ConnectError, Endpoint, HttpClient, HttpOptions, Limits, Listen, Server, ServerHandle,
    WebAccess,
    transport::websocket::{SubProtocol, WebSocketClient, WebSocketServer},
};
use rpc_tests::{CalcClient, CalcServer, Counts, MyCalc, WorkClient, WorkServer, Worker, soon};
use tower_http::validate_request::ValidateRequestHeaderLayer;

/// A server, and the URLs of its two ways.
async fn served(listen: Listen, limits: Limits) -> (ServerHandle, String, String) {
    let builder = Server::builder().service(CalcServer::new(MyCalc));
    let builder = builder.service(WorkServer::new(Worker(Counts::default().into()))).limits(limits);
    let server = builder.bind(listen).await.expect("a free port").start();
    let http = server.endpoint().to_string();
    let websocket = http.replace("http://", "ws://");
    (server, http, websocket)
}

fn anywhere() -> Listen {
    Listen::at("http://127.0.0.1:0/rpc").expect("a URL")
}

#[tokio::test]
async fn one_port_speaks_both() {
    let (server, http, websocket) = served(anywhere(), Limits::server()).await;
    let client = HttpClient::new(&http).expect("a URL");
    assert_eq!(CalcClient::from(client).add(1, 2).await.expect("a sum"), 3);

    let session = Connector::new(&websocket).expect("a URL").service(WorkServer::new(Worker(Counts::default().into())));
    let session = session.connect().await.expect("it is upgraded");
    let work = WorkClient::from(session.clone());
    assert_eq!(work.back(4, 0).await.expect("called back"), 4);
    let items: Vec<_> = soon(work.count(0, 5).await.expect("subscribed").collect::<Vec<_>>()).await;
    let items: Vec<u64> = items.into_iter().map(|item| item.expect("an item")).collect();
    assert_eq!(items, [0, 1, 2, 3, 4]);
    let peers: Vec<_> = server.sessions().iter().map(|session| session.peer().scheme()).collect();
    assert_eq!(peers, ["ws"]);

    soon(server.shutdown()).await;
    let reason = soon(session.closed()).await;
    assert!(matches!(reason, CloseReason::PeerClosed { code: 1001, .. } | CloseReason::Peer), "{reason:?}");
}

#[tokio::test]
async fn the_path_and_the_page_are_judged_first() {
    let access = WebAccess::new().allow_origin("https://wallet.example.org");
    let listen = anywhere().http(HttpOptions::new().access(access));
    let (server, _, websocket) = served(listen, Limits::server()).await;
    let elsewhere = websocket.replace("/rpc", "/other");
    let from = |origin| WebSocketClient::new().header("Origin", origin).expect("a header");
    let connect = async |url: &str, client| Connector::new(url).expect("a URL").websocket(client).connect().await;
    for (url, client, status) in [
        (&elsewhere, WebSocketClient::new(), "404"),
        (&websocket, from("https://evil.example.org"), "403"),
    ] {
        let error = connect(url, client).await.expect_err("it is refused");
        assert!(error.to_string().contains(status), "{error}");
    }
    assert!(server.sessions().is_empty());
    connect(&websocket, from("https://wallet.example.org")).await.expect("it is allowed");
}

#[tokio::test]
async fn layers_stand_before_sessions_too() {
    #[expect(deprecated, reason = "it is as good a check as any here")]
    let layer = ValidateRequestHeaderLayer::bearer("secret");
    let listen = anywhere().http(HttpOptions::new().layer(layer));
    let (_server, _, websocket) = served(listen, Limits::server()).await;
    let error = rpc::connect(&websocket).await.expect_err("nobody knows it");
    assert!(matches!(&error, ConnectError::Io { .. } | ConnectError::WebSocket { .. }), "{error:?}");
    assert!(error.to_string().contains("401"), "{error}");
    let known = WebSocketClient::new().header("Authorization", "Bearer secret").expect("a header");
    let session = Connector::new(&websocket).expect("a URL").websocket(known).connect().await;
    let calc = CalcClient::from(session.expect("it is known"));
    assert_eq!(calc.add(1, 2).await.expect("a sum"), 3);
}

#[tokio::test]
async fn options_hold_for_what_is_upgraded() {
    let options = HttpOptions::new().websocket(WebSocketServer::new().protocol("rpc.v1").expect("a name"));
    let (server, _, websocket) = served(anywhere().http(options), Limits::server()).await;
    let client = WebSocketClient::new().protocol("rpc.v1").expect("a name");
    let session = Connector::new(&websocket).expect("a URL").websocket(client).connect().await.expect("upgraded");
    assert_eq!(session.extensions().get::<SubProtocol>().expect("it was chosen").0, "rpc.v1");
    CalcClient::from(session).ping().await.expect("a pong");
    let there = server.sessions().pop().expect("a session");
    assert_eq!(there.extensions().get::<SubProtocol>().expect("it was chosen").0, "rpc.v1");
    let request = there.extensions().http().expect("it began as one").uri.clone();
    assert_eq!(request, "/rpc");
}

#[tokio::test]
async fn a_session_counts_as_the_connection_that_it_was() {
    let mut limits = Limits::server();
    limits.connections = 1;
    let (server, http, websocket) = served(anywhere(), limits).await;
    let session = rpc::connect(&websocket).await.expect("there is one place");
    CalcClient::from(session.clone()).ping().await.expect("a pong");
    let error = rpc::connect(&websocket).await.expect_err("it is taken");
    assert!(error.to_string().contains("503"), "{error}");
    session.close().await;
    soon(async {
        while !server.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let client = HttpClient::new(&http).expect("a URL");
    assert_eq!(CalcClient::from(client).add(1, 2).await.expect("it is free"), 3);
}

/// In an application of axum's: other routes beside it, WebSocket included, and its sessions are the server's.
#[tokio::test]
async fn mounted_in_axum() {
    let server = Server::builder().service(CalcServer::new(MyCalc)).build().expect("no doubles").start();
    let app = axum::Router::new()
        .route("/health", axum::routing::get(|| async { "fine" }))
        .route_service("/rpc", server.http_service());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let running = tokio::spawn(axum::serve(listener, app).into_future());

    let client = HttpClient::new(&format!("http://{addr}/rpc")).expect("a URL");
    assert_eq!(CalcClient::from(client).add(1, 2).await.expect("a sum"), 3);
    let session = rpc::connect(&format!("ws://{addr}/rpc")).await.expect("it is upgraded");
    let calc = CalcClient::from(session.clone());
    assert_eq!(calc.add(1, 2).await.expect("a sum"), 3);
    assert_eq!(server.sessions().len(), 1);
    let health = HttpClient::new(&format!("http://{addr}/health")).expect("a URL");
    health.call::<()>("any", ()).await.expect_err("it is another route");

    soon(server.shutdown()).await;
    soon(session.closed()).await;
    let error = rpc::connect(&format!("ws://{addr}/rpc")).await.expect_err("it shuts down");
    assert!(error.to_string().contains("503"), "{error}");
    running.abort();
}

/// What asks for a WebSocket in a way that is none, and what does not ask.
#[tokio::test]
async fn a_bad_handshake_is_answered() {
    use tower::ServiceExt;

    let server = Server::builder().service(CalcServer::new(MyCalc)).build().expect("no doubles").start();
    let ask = |version: Option<&str>| {
        let mut request = Request::get("http://localhost/").header(header::UPGRADE, "websocket");
        request = request.header(header::CONNECTION, "Upgrade").header(header::HOST, "localhost");
        if let Some(version) = version {
            request = request.header(header::SEC_WEBSOCKET_VERSION, version);
        }
        server.http_service().oneshot(request.body(http_body_util::Empty::<bytes::Bytes>::new()).expect("a request"))
    };
    let answered = ask(Some("8")).await.expect("it cannot fail");
    assert_eq!(answered.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(answered.headers()[header::SEC_WEBSOCKET_VERSION], "13");
    let answered = ask(Some("13")).await.expect("it cannot fail");
    assert_eq!(answered.status(), StatusCode::BAD_REQUEST, "it has no key");
    assert!(server.sessions().is_empty());
    let nowhere: Endpoint = "memory:x".parse().expect("a URL");
    assert_eq!(nowhere.scheme(), "memory");
}
