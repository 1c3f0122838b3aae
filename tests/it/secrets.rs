//! Paths and queries of URLs, headers, credentials and keys hold secrets. None of them is shown: in
//! errors and their causes, with `Debug`, with `peer()`, and in log events.

use std::{error::Error, fmt};

use rpc::{
    CallError, ConnectError, Connector, Endpoint, HttpClient, HttpClientBuilder, HttpOptions, Listen, Server,
    WebAccess,
    transport::{
        socks::SocksProxy,
        stdio::Spawn,
        tls::{Identity, TlsClient},
        websocket::{WebSocket, WebSocketClient, WebSocketServer},
    },
};
use rpc_tests::{Authority, Events, Issued, echo, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinHandle,
};

/// Every secret has this in it, but for what `Basic` makes of one.
const SECRET: &str = "s3cr3t";
const PATH: &str = "/v1/s3cr3t-path/x?key=s3cr3t-query&s3cr3t-name";
/// Of `ann:s3cr3t-password`, by RFC 7617.
const BASIC: &str = "YW5uOnMzY3IzdC1wYXNzd29yZA==";

#[track_caller]
fn is_not_shown(text: &str) {
    let lower = text.to_lowercase();
    assert!(!lower.contains(SECRET) && !text.contains(BASIC), "{text}");
}

#[track_caller]
fn debug_shows_none(value: &impl fmt::Debug) {
    is_not_shown(&format!("{value:?}"));
    is_not_shown(&format!("{value:#?}"));
}

/// The error, and all that it comes from. Gives what it says.
#[track_caller]
fn shows_none(error: &(impl Error + 'static)) -> String {
    debug_shows_none(error);
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        is_not_shown(&error.to_string());
        is_not_shown(&format!("{error:?}"));
        next = error.source();
    }
    rpc::chain(error).to_string()
}

#[track_caller]
fn events_show_none(events: &Events) {
    for event in events.all() {
        is_not_shown(&format!("{event:?}"));
    }
}

/// An address at which nobody listens.
async fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    listener.local_addr().expect("an address").to_string()
}

/// A server that repeats what it is asked, in the head and the body of its answer.
struct Echo {
    addr: String,
    serving: JoinHandle<()>,
}

impl Echo {
    async fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let addr = listener.local_addr().expect("an address").to_string();
        let serving = tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                tokio::spawn(repeat(peer, status));
            }
        });
        Self { addr, serving }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn repeat(mut peer: TcpStream, status: &str) {
    let mut head = Vec::new();
    // TLS and SOCKS begin otherwise.
    let is_http = |head: &[u8]| matches!(head.first(), None | Some(b'G' | b'P'));
    while is_http(&head) && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if peer.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let decoded = target.replace("%2D", "-");
    let body = format!("nothing is at {target} ({decoded}), asked by {head}");
    let answer = format!(
        "HTTP/1.1 {status}\r\nlocation: https://node.example{target}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    // It may have gone.
    drop(peer.write_all(answer.as_bytes()).await);
    drop(peer.shutdown().await);
}

fn websocket_options() -> WebSocketClient {
    let options = WebSocketClient::new()
        .header("authorization", "Bearer s3cr3t-token")
        .and_then(|options| options.header("cookie", "id=s3cr3t-cookie"))
        .and_then(|options| options.header("x-api-key", "s3cr3t-key"))
        .and_then(|options| options.protocol("s3cr3t-protocol"));
    options.expect("each can be sent")
}

fn connector(url: &str) -> Connector {
    Connector::new(url).expect("a URL").websocket(websocket_options())
}

fn proxy(addr: &str) -> SocksProxy {
    SocksProxy::new(&format!("socks5://s3cr3t-user:s3cr3t-password@{addr}")).expect("a proxy")
}

async fn not_connected(connector: Connector) -> ConnectError {
    debug_shows_none(&connector);
    soon(connector.connect()).await.expect_err("nobody is there")
}

#[tokio::test]
async fn a_session_that_does_not_come_about_shows_none() {
    let events = Events::capture();
    let (dead, echo) = (dead().await, Echo::start("403 Forbidden").await);
    for addr in [&dead, &echo.addr] {
        let shown = format!("cannot connect to ws://{addr}/…");
        let told = shows_none(&not_connected(connector(&format!("ws://{addr}{PATH}"))).await);
        assert!(told.starts_with(&shown), "{told}");
        // What answers speaks no TLS.
        let told = shows_none(&not_connected(connector(&format!("wss://{addr}{PATH}"))).await);
        assert!(told.starts_with(&format!("cannot connect to wss://{addr}/…")), "{told}");
        for url in [format!("ws://node.example{PATH}"), format!("tcp://{addr}")] {
            shows_none(&not_connected(connector(&url).proxy(proxy(addr))).await);
        }
        let told = shows_none(&not_connected(connector(&format!("http://{addr}{PATH}"))).await);
        assert!(told.contains("HTTP carries no session"), "{told}");
    }
    let mut limits = rpc::Limits::client();
    limits.handshake_timeout = Some(std::time::Duration::ZERO);
    let late = connector(&format!("ws://{dead}{PATH}")).limits(limits);
    assert!(matches!(not_connected(late).await, ConnectError::Timeout { endpoint, .. }
        if endpoint.to_string() == format!("ws://{dead}/…") && endpoint.url() == format!("ws://{dead}{PATH}")));
    events_show_none(&events);
}

#[tokio::test]
async fn a_websocket_over_a_stream_of_the_users_shows_none() {
    let events = Events::capture();
    let echo = Echo::start("404 Not Found").await;
    let io = TcpStream::connect(&echo.addr).await.expect("it listens");
    let url: Endpoint = format!("wss://node.example{PATH}").parse().expect("a URL");
    let error = soon(WebSocket::connect(io, &url, &websocket_options())).await.expect_err("it is refused");
    let told = shows_none(&error);
    assert!(told.contains("404") && told.contains("nothing is at …"), "{told}");
    events_show_none(&events);
}

#[tokio::test]
async fn a_session_shows_none_and_gives_the_whole_url_to_who_asks() {
    let events = Events::capture();
    let listen = Listen::at("ws://127.0.0.1:0/v1/s3cr3t-path/x").expect("a URL");
    debug_shows_none(&listen);
    let server = Server::builder().service(echo()).bind(listen).await.expect("a port is free");
    debug_shows_none(&server);
    let server = server.start();
    debug_shows_none(&server);

    // What a server prints can be connected to.
    let whole = server.endpoint().to_string();
    assert!(whole.ends_with("/v1/s3cr3t-path/x"), "{whole}");
    let session = soon(connector(&format!("{whole}?key=s3cr3t-query")).connect()).await.expect("it is there");
    debug_shows_none(&session);
    debug_shows_none(session.peer());
    let addr = server.endpoint().socket_addr().expect("an address");
    assert_eq!(session.peer().to_string(), format!("ws://{addr}/…"));
    assert_eq!(session.peer().url(), format!("{whole}?key=s3cr3t-query"));
    let error = soon(session.call::<()>("unknown", ())).await.expect_err("there is no such method");
    shows_none(&error);

    // Nor does the server show what it is asked.
    let told = shows_none(&not_connected(connector(&format!("ws://{addr}/s3cr3t-other?s3cr3t"))).await);
    assert!(told.contains("404"), "{told}");
    let taken = Server::builder().service(()).bind(&whole).await.expect_err("the address is taken");
    assert!(shows_none(&taken).starts_with(&format!("cannot listen at ws://{addr}/…: ")), "{taken}");
    soon(session.close()).await;
    soon(server.shutdown()).await;
    events_show_none(&events);
}

fn http(url: &str) -> HttpClientBuilder {
    let builder = HttpClient::builder(url).expect("a URL").header("x-api-key", "s3cr3t-key");
    let builder = builder.header("cookie", "id=s3cr3t-cookie").user_agent("s3cr3t-agent");
    debug_shows_none(&builder);
    builder
}

async fn not_called(builder: HttpClientBuilder) -> CallError {
    let client = builder.build().expect("nothing is wrong with it");
    debug_shows_none(&client);
    is_not_shown(client.server());
    // What is answered to a notification with success is ignored.
    if let Err(error) = soon(client.notify("log", ())).await {
        shows_none(&error);
    }
    soon(client.call::<u64>("count", ())).await.expect_err("nobody answers")
}

#[tokio::test]
async fn a_call_over_http_shows_none() {
    let events = Events::capture();
    let dead = dead().await;
    let answers = ["403 Forbidden", "308 Permanent Redirect", "200 OK", "503 Busy"];
    let mut servers = Vec::new();
    for answer in answers {
        servers.push(Echo::start(answer).await);
    }
    for addr in servers.iter().map(|server| &server.addr).chain([&dead]) {
        let url = format!("http://{addr}{PATH}");
        for builder in [
            http(&url),
            http(&url).basic_auth("ann", "s3cr3t-password"),
            http(&url).bearer_auth("s3cr3t-token"),
            http(&format!("https://{addr}{PATH}")),
            http(&url).http2_only(),
            http(&format!("http://node.example{PATH}")).proxy(proxy(addr)),
        ] {
            shows_none(&not_called(builder).await);
        }
    }
    let told = shows_none(&not_called(http(&format!("http://{}{PATH}", servers[1].addr))).await);
    assert!(told.contains("redirects to https://node.example/…"), "{told}");
    let told = shows_none(&not_called(http(&format!("http://{}{PATH}", servers[0].addr))).await);
    assert!(told.contains("403: nothing is at …"), "{told}");
    events_show_none(&events);
}

#[tokio::test]
async fn a_server_of_http_shows_none_of_what_it_is_asked() {
    let events = Events::capture();
    let listen = Listen::at("http://127.0.0.1:0/v1/s3cr3t-path/x").expect("a URL").http(HttpOptions::new());
    let server = Server::builder().service(echo()).bind(listen).await.expect("a port is free").start();
    let addr = server.endpoint().socket_addr().expect("an address");
    shows_none(&not_called(http(&format!("http://{addr}/s3cr3t-other"))).await);
    soon(server.shutdown()).await;
    events_show_none(&events);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_shows_none() {
    let events = Events::capture();
    let (authority, other) = (Authority::new(), Authority::new());
    for scheme in ["wss", "https"] {
        let listen = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL");
        let listen = listen.tls(authority.issue(&["localhost"]).server());
        let server = Server::builder().service(echo()).bind(listen).await.expect("a port is free").start();
        let url = format!("{scheme}://localhost:{}{PATH}", server.endpoint().port().expect("a port"));
        match scheme {
            "wss" => drop(shows_none(&not_connected(connector(&url).tls(other.trusted())).await)),
            _ => drop(shows_none(&not_called(http(&url).tls(other.trusted())).await)),
        }
        soon(server.shutdown()).await;
    }
    events_show_none(&events);
}

#[test]
fn a_url_that_is_wrong_shows_none() {
    for url in [
        "wss://node.example:99999/s3cr3t?s3cr3t",
        "wss://s3cr3t:s3cr3t@node.example/",
        "wss://node.example/s3cr3t#s3cr3t",
        "wss://node.example:99999?s3cr3t",
        "ws://ann:s3c/s3cr3t@node.example/",
        "https://s3cr3t@node.example/s3cr3t",
        "http://node.example/s3cr3t s3cr3t",
        "gopher://node.example/s3cr3t",
        "tcp://node.example:1/s3cr3t",
        "node.example/s3cr3t",
    ] {
        shows_none(&Connector::new(url).expect_err("it is wrong"));
        shows_none(&Listen::at(url).expect_err("it is wrong"));
        shows_none(&HttpClient::builder(url).expect_err("it is wrong"));
        shows_none(&Endpoint::parse_or(url, &[]).expect_err("it is wrong"));
    }
    for url in [
        "socks5://ann:s3cr3t@node.example:x",
        "socks5://s3cr3t@node.example",
        "socks4://ann:s3cr3t@node.example",
        "socks5://node.example/s3cr3t",
        "http://ann:s3cr3t@node.example:1",
        "ann:s3cr3t@node.example:1",
        "socks5://ann:s3c/s3cr3t@node.example:x",
    ] {
        shows_none(&SocksProxy::new(url).expect_err("it is wrong"));
    }
}

#[test]
fn what_cannot_be_sent_shows_none() {
    let options = WebSocketClient::new;
    shows_none(&options().header("x-api-key", "s3cr3t\n").expect_err("it is on two lines"));
    shows_none(&options().header("upgrade", "s3cr3t").expect_err("the handshake has its own"));
    shows_none(&options().protocol("s3cr3t s3cr3t").expect_err("it is no token"));
    let builder = || HttpClient::builder("http://node.example/s3cr3t").expect("a URL");
    for builder in [
        builder().header("x-api-key", "s3cr3t\n"),
        builder().header("content-length", "s3cr3t"),
        builder().header("host", "s3cr3t s3cr3t"),
        builder().basic_auth("s3cr3t:", "s3cr3t"),
        builder().bearer_auth("s3cr3t s3cr3t"),
        builder().tls(TlsClient::trusting_anybody()),
    ] {
        shows_none(&builder.build().expect_err("it cannot be sent"));
    }
}

#[test]
fn options_show_none() {
    debug_shows_none(&websocket_options());
    assert!(format!("{:?}", websocket_options()).contains("x-api-key"), "names may be shown");
    let access = WebAccess::new().allow_origin("https://node.example");
    debug_shows_none(&WebSocketServer::new().access(access.clone()));
    debug_shows_none(&HttpOptions::new().access(access));
    debug_shows_none(&proxy("127.0.0.1:1"));
    debug_shows_none(&proxy("127.0.0.1:1").credentials("s3cr3t", "s3cr3t"));
    is_not_shown(&proxy("127.0.0.1:1").to_string());
    let url = "wss://node.example/s3cr3t?s3cr3t";
    debug_shows_none(&Listen::at(url).expect("a URL"));
    debug_shows_none(&connector(url).proxy(proxy("127.0.0.1:1")));
    debug_shows_none(&url.parse::<Endpoint>().expect("a URL"));
    let mut command = Command::new("tool");
    command.arg("--token=s3cr3t").env("TOKEN", "s3cr3t");
    let spawn = Spawn::new(command);
    debug_shows_none(&spawn);
    assert!(format!("{spawn:?}").contains("tool"));
}

#[test]
fn a_private_key_is_not_shown() {
    let issued = Issued::by_itself(&["localhost"]);
    let key = issued.key.serialize_pem();
    // The middle of it, in base64 and as the numbers of its bytes.
    let line = key.lines().nth(1).expect("a line").to_owned();
    let numbers = line.bytes().take(8).map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let chain = issued.certificate.pem();
    let identity = Identity::from_pem(&chain, &key).expect("they belong together");
    let tls = (identity.clone(), issued.server(), issued.pinned().identity(identity));
    let mut shown = vec![format!("{tls:?}")];
    for damaged in [
        key.replace('\n', " "),
        key.replacen("-----\n", "----\n", 1),
        key.replacen("-----\n", "", 1),
        key.replace(&line, &format!("{line}*")),
        key.replace("-----END", "----END"),
        key.replace("PRIVATE KEY", &format!("{line} KEY")),
    ] {
        if let Err(error) = Identity::from_pem(&chain, &damaged) {
            let source = error.source().map(|source| format!("{source} {source:?}"));
            shown.push(format!("{error} {error:?} {error:#?} {source:?}"));
        }
    }
    assert!(shown.len() > 4);
    for shown in shown {
        assert!(!shown.contains(&line[..8]) && !shown.contains(&numbers), "{shown}");
    }
}
