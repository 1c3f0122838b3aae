//! WebSocket on the port of HTTP: a request that asks for it becomes a session.

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{StatusCode, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rpc::{
    ConnectError, Connector, Context, ErrorObject, Groups, HttpOptions, Limits, Listen, Params, Router,
    Server, ServerBuilder, ServerHandle, Session, WebAccess,
    transport::websocket::{SubProtocol, WebSocketClient, WebSocketServer},
};
use rpc_tests::{Authority, echo, soon};
use tokio::net::{TcpListener, TcpStream};

use super::kit::{Answer, message, posted};

/// `back` calls the caller back, `from` tells a header and the sub-protocol, `count` gives a stream.
fn talkative() -> Router {
    echo()
        .method("back", async |_: Params, cx: Context| {
            let answer = cx.session().call::<String>("name", ()).await;
            answer.map_err(|error| ErrorObject::new(1, error.to_string()))
        })
        .method("from", async |_: Params, cx: Context| {
            let request = cx.http().expect("it began with a request");
            let token = request
                .headers
                .get(header::AUTHORIZATION)
                .map(|token| token.to_str().expect("text").to_owned());
            let protocol = cx.extensions().get::<SubProtocol>().map(|protocol| protocol.0.clone());
            Ok::<_, ErrorObject>((request.uri.path().to_owned(), token, protocol))
        })
        .subscription("count", async |_: Params, _: Context| Ok::<_, ErrorObject>(stream::iter([1, 2, 3])))
}

async fn listening(builder: ServerBuilder) -> ServerHandle {
    builder.service(talkative()).bind("http://127.0.0.1:0").await.expect("a port").start()
}

fn url(server: &ServerHandle) -> String {
    format!("ws://{}/", server.endpoint().socket_addr().expect("an address"))
}

async fn connect(url: &str) -> Result<Session, ConnectError> {
    let name = Router::new().method("name", async |_: Params, _: Context| Ok::<_, ErrorObject>("Ann"));
    soon(Connector::new(url).expect("a URL").service(name).connect()).await
}

/// Calls, is called back, and subscribes.
async fn converse(session: &Session) {
    assert_eq!(session.call::<[u8; 1]>("echo", (7,)).await.expect("a reply"), [7]);
    assert_eq!(session.call::<String>("back", ()).await.expect("a reply"), "Ann");
    let count = session.subscribe::<u8>("count", ()).await.expect("a reply");
    let count: Vec<u8> = count.map(|item| item.expect("an item")).collect().await;
    assert_eq!(count, [1, 2, 3]);
}

async fn post(addr: std::net::SocketAddr, path: &str) -> Answer {
    let io = TokioIo::new(TcpStream::connect(addr).await.expect("it listens"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    let body = Full::<Bytes>::from(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[5]}"#);
    let request = posted().uri(path).body(body).expect("a request");
    Answer::read(soon(sender.send_request(request)).await.expect("a response")).await
}

#[tokio::test]
async fn both_are_spoken_on_one_port() {
    let server = listening(Server::builder()).await;
    let session = connect(&url(&server)).await.expect("it is let in");
    converse(&session).await;
    let addr = server.endpoint().socket_addr().expect("an address");
    assert_eq!(post(addr, "/").await.json()["result"][0], 5);
    let sessions = server.sessions();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].peer().scheme(), "http");
    soon(server.shutdown()).await;
    soon(session.closed()).await;
}

#[tokio::test]
async fn so_they_are_over_tls() {
    let authority = Authority::new();
    let listen =
        Listen::at("https://127.0.0.1:0").expect("a URL").tls(authority.issue(&["localhost"]).server());
    let server = Server::builder().service(talkative()).bind(listen).await.expect("a port").start();
    let url = format!("wss://localhost:{}", server.endpoint().port().expect("a port"));
    let connector = Connector::new(&url).expect("a URL").tls(authority.trusted());
    let session = soon(connector.connect()).await.expect("it is let in");
    assert_eq!(session.call::<[u8; 1]>("echo", (7,)).await.expect("a reply"), [7]);
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn handlers_see_the_request_and_the_sub_protocol() {
    let websocket = WebSocketServer::new().protocol("two").expect("a token");
    let listen = Listen::at("http://127.0.0.1:0/v1").expect("a URL").websocket(websocket);
    let server = Server::builder().service(talkative()).bind(listen).await.expect("a port").start();
    let client =
        WebSocketClient::new().header("authorization", "Bearer 17").and_then(|client| client.protocol("two"));
    let url = format!("ws://{}/v1", server.endpoint().socket_addr().expect("an address"));
    let connector = Connector::new(&url).expect("a URL").websocket(client.expect("nothing is wrong with it"));
    let session = soon(connector.connect()).await.expect("it is let in");
    let from = session.call::<(String, Option<String>, Option<String>)>("from", ()).await.expect("a reply");
    assert_eq!(from, ("/v1".to_owned(), Some("Bearer 17".to_owned()), Some("two".to_owned())));
    // Elsewhere there is nothing.
    let nowhere = connect(&url.replace("/v1", "/v2")).await.expect_err("nothing is there");
    assert!(rpc::chain(&nowhere).to_string().contains("404"), "{nowhere}");
    soon(server.shutdown()).await;
}

/// What a request for a WebSocket is answered, with these headers besides.
async fn asked(server: &ServerHandle, name: &'static str, value: &'static str) -> StatusCode {
    let addr = server.endpoint().socket_addr().expect("an address");
    let io = TokioIo::new(TcpStream::connect(addr).await.expect("it listens"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP is spoken");
    tokio::spawn(connection);
    let mut request = message("");
    *request.method_mut() = http::Method::GET;
    let headers = request.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::HOST, addr.to_string().parse().expect("a host"));
    headers.insert(header::CONNECTION, "Upgrade".parse().expect("a token"));
    headers.insert(header::UPGRADE, "websocket".parse().expect("a token"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, "13".parse().expect("a number"));
    headers.insert(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().expect("a key"));
    headers.insert(name, value.parse().expect("a value"));
    soon(sender.send_request(request)).await.expect("a response").status()
}

#[tokio::test]
async fn a_page_of_another_origin_opens_none_unless_it_is_allowed() {
    let access = WebAccess::new().allow_origin("https://app.example.org");
    let listen = Listen::at("http://127.0.0.1:0").expect("a URL").http(HttpOptions::new().access(access));
    let server = Server::builder().service(talkative()).bind(listen).await.expect("a port").start();
    for (name, value, status) in [
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
        ("host", "evil.example", StatusCode::FORBIDDEN),
        ("origin", "https://app.example.org", StatusCode::SWITCHING_PROTOCOLS),
        ("sec-websocket-version", "8", StatusCode::UPGRADE_REQUIRED),
        ("sec-websocket-key", "short", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(asked(&server, name, value).await, status, "{name}: {value}");
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn a_session_counts_as_the_one_connection_that_it_is() {
    let mut limits = Limits::server();
    limits.connections = 1;
    let groups = Groups::by_address().connections(1);
    let server = listening(Server::builder().limits(limits).groups(groups)).await;
    let session = connect(&url(&server)).await.expect("there is a place");
    converse(&session).await;
    let refused = connect(&url(&server)).await.expect_err("there is no place");
    assert!(rpc::chain(&refused).to_string().contains("503"), "{refused}");
    // And gives its place back.
    soon(session.close()).await;
    soon(async {
        while connect(&url(&server)).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn a_session_keeps_the_place_in_its_group() {
    let server = listening(Server::builder().groups(Groups::by_address().connections(1))).await;
    let session = connect(&url(&server)).await.expect("there is a place");
    converse(&session).await;
    let refused = connect(&url(&server)).await.expect_err("there is no place");
    assert!(rpc::chain(&refused).to_string().contains("503"), "{refused}");
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn it_is_mounted_in_axum_with_its_sessions() {
    let server = Server::builder().service(talkative()).build().expect("one service").start();
    let app = axum::Router::new()
        .route("/", axum::routing::get("Hello"))
        .route_service("/rpc", server.http_service());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    let session = connect(&format!("ws://{addr}/rpc")).await.expect("it is let in");
    converse(&session).await;
    assert_eq!(post(addr, "/rpc").await.json()["result"][0], 5);
    assert_eq!(server.sessions().len(), 1);
    soon(server.shutdown()).await;
    soon(session.closed()).await;
    assert!(server.sessions().is_empty());
    serving.abort();
}

#[tokio::test]
async fn a_server_that_has_stopped_begins_no_session_where_it_is_mounted() {
    let server = Server::builder().service(talkative()).build().expect("one service").start();
    let app = axum::Router::new().route_service("/rpc", server.http_service());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    soon(server.shutdown()).await;
    let refused = connect(&format!("ws://{addr}/rpc")).await.expect_err("the server has stopped");
    let refused = rpc::chain(&refused).to_string();
    assert!(refused.contains("503") && refused.contains("shutting down"), "{refused}");
    serving.abort();
}
