//! What a request calls the server, and where a page is from, on every way that requests come in.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use bytes::Bytes;
use http::{Request, Version, header, request::Builder};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::{
    CallError, ConnectError, Connector, Endpoint, HttpClient, HttpError, HttpOptions, Listen, Server,
    ServerHandle, WebAccess,
    transport::websocket::{WebSocketClient, WebSocketError, WebSocketServer},
};
use rpc_tests::{Authority, CalcServer, Events, MyCalc, soon, websocket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tracing::Level;

use super::kit::ask;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// How a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Http1,
    Http2,
    /// A WebSocket of an HTTP server's.
    Upgrade,
    WebSocket,
    Mounted,
    MountedUpgrade,
}

const ALL: [Way; 6] =
    [Way::Http1, Way::Http2, Way::Upgrade, Way::WebSocket, Way::Mounted, Way::MountedUpgrade];

/// A server that requests come to in one way.
struct House {
    server: ServerHandle,
    access: WebAccess,
    way: Way,
}

impl House {
    async fn open(way: Way, ip: IpAddr, access: WebAccess) -> Self {
        let server = Server::builder().service(CalcServer::new(MyCalc));
        let at = |scheme: &str| Listen::at(&format!("{scheme}://{ip}:0")).expect("a URL");
        let server = match way {
            Way::Http1 | Way::Http2 | Way::Upgrade => {
                server.bind(at("http").http(HttpOptions::new().access(access.clone()))).await
            }
            Way::WebSocket => {
                server.bind(at("ws").websocket(WebSocketServer::new().access(access.clone()))).await
            }
            Way::Mounted | Way::MountedUpgrade => server.build(),
        };
        Self { server: server.expect("a port is free").start(), access, way }
    }

    /// The status that a request is answered with. A mounted service is told that it comes from
    /// `peer`.
    async fn status(&self, host: &str, origin: Option<&str>, peer: &str) -> u16 {
        let origin_line = origin.map_or(String::new(), |origin| format!("origin: {origin}\r\n"));
        match self.way {
            Way::Http1 => {
                let length = PING.len();
                self.raw(&format!(
                    "POST / HTTP/1.1\r\nhost: {host}\r\n{origin_line}content-type: application/json\r\n\
                     connection: close\r\ncontent-length: {length}\r\n\r\n{PING}"
                ))
                .await
            }
            Way::Upgrade | Way::WebSocket => self.raw(&websocket::request(host, "/", &origin_line)).await,
            Way::Http2 => self.over_http_2(host, origin).await,
            Way::Mounted | Way::MountedUpgrade => {
                let mut request = Request::builder().uri("/").header(header::HOST, host);
                if let Some(origin) = origin {
                    request = request.header(header::ORIGIN, origin);
                }
                self.mounted(request, peer).await
            }
        }
    }

    async fn mounted(&self, request: Builder, peer: &str) -> u16 {
        let request = match self.way {
            Way::Mounted => request.method("POST").header(header::CONTENT_TYPE, "application/json"),
            _ => request
                .header(header::CONNECTION, "upgrade")
                .header(header::UPGRADE, "websocket")
                .header(header::SEC_WEBSOCKET_VERSION, "13")
                .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        };
        let mut request = request.body(PING.into()).expect("a request");
        let peer: SocketAddr = peer.parse().expect("an address");
        request.extensions_mut().insert(Endpoint::tcp(peer));
        let service = self.server.http_service().access(self.access.clone());
        ask(&service, request).await.status.as_u16()
    }

    async fn dial(&self) -> TcpStream {
        let addr = self.server.endpoint().socket_addr().expect("an address");
        TcpStream::connect(addr).await.expect("it listens")
    }

    async fn raw(&self, request: &str) -> u16 {
        let mut stream = self.dial().await;
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut status = [0; 12];
        soon(stream.read_exact(&mut status)).await.expect("an answer");
        std::str::from_utf8(&status[9..]).expect("digits").parse().expect("a status")
    }

    async fn over_http_2(&self, host: &str, origin: Option<&str>) -> u16 {
        let io = TokioIo::new(self.dial().await);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut sender, connection) = soon(handshake).await.expect("HTTP/2 is spoken");
        tokio::spawn(connection);
        let request = Request::post(format!("http://{host}/"));
        let mut request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let request = request.body(Full::<Bytes>::from(PING)).expect("a request");
        soon(sender.send_request(request)).await.expect("a response").status().as_u16()
    }

    /// The status of a request of HTTP/1, with a line for each host.
    async fn status_of(&self, version: Version, target: &str, hosts: &[&str]) -> u16 {
        let lines: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        match self.way {
            Way::Http2 => panic!("that is HTTP/2"),
            Way::Http1 => {
                let length = PING.len();
                self.raw(&format!(
                    "POST {target} {version:?}\r\n{lines}content-type: application/json\r\n\
                     connection: close\r\ncontent-length: {length}\r\n\r\n{PING}"
                ))
                .await
            }
            Way::Upgrade | Way::WebSocket => {
                let request =
                    websocket::request("localhost", target, "").replace("Host: localhost\r\n", &lines);
                self.raw(&request.replace("HTTP/1.1", &format!("{version:?}"))).await
            }
            Way::Mounted | Way::MountedUpgrade => {
                let mut request = Request::builder().uri(target).version(version);
                for host in hosts {
                    request = request.header(header::HOST, *host);
                }
                self.mounted(request, "127.0.0.1:5").await
            }
        }
    }

    /// What a request gets that is let in.
    const fn let_in(&self) -> u16 {
        match self.way {
            Way::Upgrade | Way::WebSocket | Way::MountedUpgrade => 101,
            Way::Http1 | Way::Http2 | Way::Mounted => 200,
        }
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_host_that_no_server_can_have_is_a_bad_request() {
    for way in ALL {
        let anything = WebAccess::new().allow_any_host().allow_any_origin();
        let house = House::open(way, LOOPBACK, anything).await;
        for host in ["localhost:99999", "localhost:65536", "127.0.0.1:99999", "0x7f000001", "127.1:80"] {
            for origin in [None, Some("http://localhost")] {
                assert_eq!(house.status(host, origin, "127.0.0.1:5").await, 400, "{way:?} {host}");
            }
        }
        for host in ["localhost", "localhost:65535", "[::1]:1", "127.0.0.1"] {
            assert_eq!(house.status(host, None, "127.0.0.1:5").await, house.let_in(), "{way:?} {host}");
        }
        // The rest the library of this test does not send over HTTP/2.
        if way != Way::Http2 {
            for host in ["", "localhost:x", "localhost:+80", "localhost:80:80", ":80", "a b", "u@localhost"] {
                assert_eq!(house.status(host, None, "127.0.0.1:5").await, 400, "{way:?} {host}");
            }
            assert_eq!(house.status("localhost:", None, "127.0.0.1:5").await, house.let_in(), "{way:?}");
        }
        soon(house.server.shutdown()).await;
    }
}

#[tokio::test]
async fn what_lets_a_refused_name_in_is_in_the_log_once() {
    for way in ALL {
        let events = Events::capture();
        let warned = |field| {
            let warnings = events.all().into_iter().filter(|event| event.level == Level::WARN);
            warnings.filter_map(|event| Some((event.fields.get(field)?.clone(), event.message))).collect()
        };
        let house = House::open(way, LOOPBACK, WebAccess::new()).await;
        for host in ["a.example", "b.example", "a.example", "A.EXAMPLE"] {
            assert_eq!(house.status(host, None, "127.0.0.1:5").await, 403, "{way:?} {host}");
        }
        let hosts: Vec<(String, String)> = warned("host");
        assert_eq!(
            hosts.iter().map(|(host, _)| &**host).collect::<Vec<_>>(),
            ["a.example", "b.example"],
            "{way:?}"
        );
        assert!(hosts.iter().all(|(_, text)| text.contains("`WebAccess::allow_host`")), "{way:?} {hosts:?}");

        for _ in 0..2 {
            assert_eq!(
                house.status("localhost", Some("https://c.example"), "127.0.0.1:5").await,
                403,
                "{way:?}"
            );
        }
        let origins: Vec<(String, String)> = warned("origin");
        let [(origin, text)] = &origins[..] else { panic!("{way:?} {origins:?}") };
        assert_eq!(origin, "https://c.example", "{way:?}");
        for setting in ["`WebAccess::allow_origin`", "`WebAccess::behind_tls`"] {
            assert!(text.contains(setting), "{way:?} {text}");
        }

        // A peer cannot fill the log.
        for at in 0..40 {
            assert_eq!(house.status(&format!("{at}.example"), None, "127.0.0.1:5").await, 403, "{way:?}");
        }
        let told = warned("host").len() + warned("origin").len();
        assert_eq!(told, 32, "{way:?}");
        soon(house.server.shutdown()).await;
    }
}

/// RFC 9112, section 3.2; of WebSocket, RFC 6455, section 4.1 as well.
#[tokio::test]
async fn a_request_of_http_1_1_has_one_host_and_one_of_http_1_0_need_not() {
    const ABSOLUTE: &str = "http://localhost/";
    for way in ALL.into_iter().filter(|way| *way != Way::Http2) {
        for access in [WebAccess::new(), WebAccess::new().allow_any_host().allow_any_origin()] {
            let house = House::open(way, LOOPBACK, access).await;
            for (target, hosts) in [
                ("/", &[][..]),
                (ABSOLUTE, &[]),
                ("/", &["localhost", "localhost"]),
                (ABSOLUTE, &["localhost", "localhost"]),
                ("/", &["[fe80::1%25eth0]:80"]),
                ("/", &["[::1%2]:80"]),
            ] {
                let status = house.status_of(Version::HTTP_11, target, hosts).await;
                assert_eq!(status, 400, "{way:?} {target} {hosts:?}");
            }
            for target in ["/", ABSOLUTE] {
                let status = house.status_of(Version::HTTP_11, target, &["localhost"]).await;
                assert_eq!(status, house.let_in(), "{way:?} {target}");
            }
            // No WebSocket is opened over HTTP/1.0 (RFC 6455, section 4.1).
            let old = if house.let_in() == 101 { 426 } else { 200 };
            assert_eq!(house.status_of(Version::HTTP_10, "/", &[]).await, old, "{way:?}");
            assert_eq!(house.status_of(Version::HTTP_10, "/", &["a", "a"]).await, 400, "{way:?}");
            soon(house.server.shutdown()).await;
        }
    }
}

/// Whatever else it is.
#[tokio::test]
async fn a_request_without_a_host_is_malformed_before_it_is_anything_else() {
    for way in [Way::Http1, Way::WebSocket] {
        let house = House::open(way, LOOPBACK, WebAccess::new()).await;
        for request in ["GET / HTTP/1.1\r\n\r\n", "GET /nowhere HTTP/1.1\r\nconnection: close\r\n\r\n"] {
            assert_eq!(house.raw(request).await, 400, "{way:?} {request}");
        }
        soon(house.server.shutdown()).await;
    }
}

/// An address of this machine that is no loopback address, if it has one. Nothing is sent:
/// connecting a UDP socket only chooses.
fn address_of_this_machine() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("203.0.113.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

#[tokio::test]
async fn what_comes_from_an_address_of_this_machine_comes_from_this_machine() {
    for ip in address_of_this_machine().into_iter().chain([LOOPBACK]) {
        let IpAddr::V4(v4) = ip else { panic!("{ip}") };
        for way in ALL {
            let house = House::open(way, ip, WebAccess::new()).await;
            // An address of IPv4 may be written as one of IPv6: so is a peer of a listener at
            // `[::]`.
            for peer in [format!("{ip}:5"), format!("[{}]:5", v4.to_ipv6_mapped())] {
                for (host, status) in [
                    ("evil.example", 403),
                    ("evil.example:80", 403),
                    ("localhost", house.let_in()),
                    ("127.0.0.1:80", house.let_in()),
                    (&*ip.to_string(), house.let_in()),
                ] {
                    assert_eq!(house.status(host, None, &peer).await, status, "{way:?} {peer} {host}");
                }
                let rebound = house.status("evil.example", Some("http://evil.example"), &peer).await;
                assert_eq!(rebound, 403, "{way:?} {peer}");
            }
            soon(house.server.shutdown()).await;
        }
    }
    for way in [Way::Mounted, Way::MountedUpgrade] {
        let house = House::open(way, LOOPBACK, WebAccess::new()).await;
        for elsewhere in ["203.0.113.7:5", "[2001:db8::7]:5", "[::ffff:203.0.113.7]:5"] {
            assert_eq!(house.status("node.example", None, elsewhere).await, house.let_in(), "{elsewhere}");
        }
    }
}

#[tokio::test]
async fn without_tls_the_servers_own_pages_are_those_of_http() {
    for way in ALL {
        let house = House::open(way, LOOPBACK, WebAccess::new()).await;
        let own = house.let_in();
        // A mounted service does not know what browsers speak.
        let https = if matches!(way, Way::Mounted | Way::MountedUpgrade) { own } else { 403 };
        for (host, origin, status) in [
            ("localhost", "http://localhost", own),
            ("localhost:80", "http://localhost", own),
            ("localhost:8545", "http://localhost:8545", own),
            ("localhost:8545", "https://localhost:8545", https),
            ("localhost", "https://localhost", https),
            ("localhost:443", "http://localhost", 403),
            ("localhost:80", "https://localhost", 403),
            ("localhost", "null", 403),
        ] {
            let seen = house.status(host, Some(origin), "127.0.0.1:5").await;
            assert_eq!(seen, status, "{way:?} {host} {origin}");
        }
        soon(house.server.shutdown()).await;

        let behind = House::open(way, LOOPBACK, WebAccess::new().behind_tls()).await;
        for (host, origin, status) in [
            ("localhost", "https://localhost", own),
            ("localhost:443", "https://localhost", own),
            ("localhost:8545", "http://localhost:8545", 403),
            ("localhost", "http://localhost", 403),
        ] {
            let seen = behind.status(host, Some(origin), "127.0.0.1:5").await;
            assert_eq!(seen, status, "{way:?} {host} {origin}, behind a proxy");
        }
        soon(behind.server.shutdown()).await;
    }
}

/// The status that a page of `origin` gets of a server that listens at `scheme`.
async fn from_page(server: &ServerHandle, authority: &Authority, origin: &str) -> u16 {
    let endpoint = server.endpoint();
    let url = format!("{}://localhost:{}", endpoint.scheme(), endpoint.port().expect("it has one"));
    if endpoint.scheme() == "wss" {
        let options = WebSocketClient::new().header("origin", origin).expect("a header");
        let connector = Connector::new(&url).expect("a URL").tls(authority.trusted()).websocket(options);
        return match soon(connector.connect()).await {
            Ok(_) => 101,
            Err(ConnectError::WebSocket { source: WebSocketError::Refused { status, .. }, .. }) => status,
            Err(other) => panic!("{other}"),
        };
    }
    let client = HttpClient::builder(&url).expect("a URL").tls(authority.trusted());
    let client = client.header("origin", origin).build().expect("nothing is wrong with it");
    match soon(client.call::<String>("ping", ())).await {
        Ok(_) => 200,
        // It says so in JSON-RPC.
        Err(CallError::Rpc(error)) if error.message().starts_with("pages of the origin") => 403,
        Err(CallError::Http(HttpError::Status { status, .. })) => status,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn over_tls_the_servers_own_pages_are_those_of_https() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    for (scheme, let_in) in [("wss", 101), ("https", 200)] {
        let listen = Listen::at(&format!("{scheme}://127.0.0.1:0")).expect("a URL").tls(issued.server());
        let server = Server::builder().service(CalcServer::new(MyCalc)).bind(listen).await;
        let server = server.expect("a port is free").start();
        let port = server.endpoint().port().expect("it has one");
        for (origin, status) in [
            (format!("https://localhost:{port}"), let_in),
            (format!("http://localhost:{port}"), 403),
            ("http://localhost".to_owned(), 403),
            ("https://localhost".to_owned(), 403),
        ] {
            assert_eq!(from_page(&server, &authority, &origin).await, status, "{scheme} {origin}");
        }
        soon(server.shutdown()).await;
    }
}
