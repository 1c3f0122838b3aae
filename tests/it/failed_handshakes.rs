//! What a peer costs its group that never comes to a message: a handshake that fails, another
//! protocol, a stream that is broken. So it does not help to connect again.

use std::{future::Future, time::Duration};

use rpc::{
    Connector, Groups, HttpOptions, Limits, Listen, Server, ServerHandle, Session, WebAccess,
    framing::{ContentLengthFramer, LengthPrefixedFramer, NetstringFramer},
    transport::websocket::WebSocketServer,
};
use rpc_tests::{Authority, Raw, echo, soon, websocket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What cannot be read, and a rule that was broken: `cost_of_unreadable` and `cost_of_error` of
/// `Limits::public()`.
const UNREADABLE: f64 = 1_000.0;
const REFUSED: f64 = 100.0;

/// Nothing is forgiven meanwhile, and a peer that says no more is given up soon.
fn limits() -> Limits {
    let mut limits = Limits::public();
    limits.cost_forgiven_per_second = 0.0;
    limits.handshake_timeout = Some(Duration::from_millis(50));
    limits
}

/// A server at a place of interest, and a session from the same address elsewhere, whose cost is its
/// group's.
struct Watched {
    server: ServerHandle,
    session: Session,
    _peer: Raw<TcpStream>,
}

impl Watched {
    async fn at(listen: Listen, limits: Limits) -> Self {
        let server = Server::builder().service(echo()).groups(Groups::by_address()).limits(limits);
        let server = server.bind("tcp://127.0.0.1:0").await.expect("a port is free");
        let server = server.and_bind(listen).await.expect("a port is free").start();
        let mut peer = Raw::connect(server.endpoint()).await;
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#).await;
        let session = server.sessions().pop().expect("one");
        Self { server, session, _peer: peer }
    }

    async fn dial(&self) -> TcpStream {
        let addr = self.server.endpoints()[1].socket_addr().expect("an address");
        TcpStream::connect(addr).await.expect("it listens")
    }

    /// A peer that sends this, and closes its side, or leaves it open.
    async fn hears(&self, sent: impl AsRef<[u8]>, closes: bool) {
        let mut peer = self.dial().await;
        peer.write_all(sent.as_ref()).await.expect("it is there");
        if closes {
            peer.shutdown().await.expect("it is there");
        }
        // Until the server closes: a reset is an end, too.
        drop(soon(peer.read_to_end(&mut Vec::new())).await);
    }

    /// The group has come to cost this, and no more, but for some bytes.
    async fn costs(&self, expected: f64, what: &str) {
        let reached = async {
            while self.session.cost() < expected - 1.0 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), reached).await;
        let cost = self.session.cost();
        assert!(waited.is_ok() && (cost - expected).abs() < 1.0, "{what}: {cost}, not {expected}");
    }
}

fn at(url: &str) -> Listen {
    Listen::at(url).expect("a URL")
}

/// Each of these is sent by a peer of its own, and costs so much.
async fn each_costs(listen: Listen, cases: &[(&[u8], bool, f64)]) {
    let name = format!("{listen:?}");
    let watched = Watched::at(listen, limits()).await;
    let mut sum = 0.0;
    for (sent, closes, cost) in cases {
        watched.hears(sent, *closes).await;
        sum += cost;
        watched.costs(sum, &format!("{} {closes} {name}", sent.escape_ascii())).await;
    }
}

/// Those that see whether the server is there, and browsers that connect in advance.
const SILENT: [(&[u8], bool, f64); 2] = [(b"", true, 0.0), (b"", false, 0.0)];

#[tokio::test]
async fn a_handshake_of_tls_that_fails() {
    let tls = Authority::new().issue(&["localhost"]).server();
    for scheme in ["tls", "wss", "https"] {
        let listen = at(&format!("{scheme}://127.0.0.1:0")).tls(tls.clone());
        let cases = [
            SILENT[0],
            SILENT[1],
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", true, UNREADABLE),
            // The head of a record, and no more.
            (b"\x16\x03\x01\x02\x00", true, UNREADABLE),
            (b"\x16\x03\x01\x02\x00", false, UNREADABLE),
        ];
        each_costs(listen, &cases).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_server_fails_too() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let watched =
        Watched::at(at("tls://127.0.0.1:0").tls(ours.issue(&["localhost"]).server()), limits()).await;
    let url = format!("tls://localhost:{}", watched.server.endpoints()[1].port().expect("a port"));
    let connect = |tls| Connector::new(&url).expect("a URL").tls(tls).connect();
    soon(connect(theirs.trusted())).await.expect_err("nobody knows who that is");
    watched.costs(UNREADABLE, "no trust").await;
    soon(connect(ours.trusted())).await.expect("it is known");
    watched.costs(UNREADABLE, "trust").await;
}

#[tokio::test]
async fn a_handshake_of_websocket_that_fails() {
    let good = websocket::request("localhost", "/v1", "");
    let cases = [
        SILENT[0],
        SILENT[1],
        (&b"{\"jsonrpc\":\"2.0\"}\r\n\r\n"[..], true, UNREADABLE),
        (&good.as_bytes()[..20], true, UNREADABLE),
        (&good.as_bytes()[..20], false, UNREADABLE),
        // What is understood and refused costs as much as over HTTP.
        (&good.replace("/v1", "/v2").into_bytes(), true, REFUSED),
        (&good.replace("Version: 13", "Version: 8").into_bytes(), true, REFUSED),
        (&good.replace("Host: localhost\r\n", "").into_bytes(), true, REFUSED),
        (
            &websocket::request("localhost", "/v1", "Origin: http://evil.example\r\n").into_bytes(),
            true,
            REFUSED,
        ),
    ];
    each_costs(at("ws://127.0.0.1:0/v1"), &cases).await;
}

#[tokio::test]
async fn what_opens_a_connection_of_http_and_is_none() {
    let good = websocket::request("localhost", "/v1", "");
    let cases = [
        SILENT[0],
        SILENT[1],
        (&b"\0\x01\x02\r\n\r\n"[..], true, UNREADABLE),
        (b"PRI * HTTP/2.0\r\n", true, UNREADABLE),
        (&good.as_bytes()[..20], true, UNREADABLE),
        (&good.as_bytes()[..20], false, UNREADABLE),
        // Refused, not opened.
        (&good.replace("/v1", "/v2").replace("keep-alive", "close").into_bytes(), true, REFUSED),
        (&good.replace("Version: 13", "Version: 8").replace("keep-alive", "close").into_bytes(), true, REFUSED),
        (
            b"POST /v1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
              content-length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}",
            true,
            0.0,
        ),
    ];
    let access = WebAccess::new().allow_any_origin();
    let options = HttpOptions::new().access(access.clone());
    let listen = at("http://127.0.0.1:0/v1").http(options).websocket(WebSocketServer::new().access(access));
    each_costs(listen, &cases).await;
}

#[tokio::test]
async fn a_stream_that_speaks_another_protocol_or_is_broken() {
    let request: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    each_costs(
        at("tcp://127.0.0.1:0"),
        &[SILENT[0], (request, true, UNREADABLE), (b"{\n", true, UNREADABLE)],
    )
    .await;
    let listen = at("tcp://127.0.0.1:0").framer(ContentLengthFramer::new());
    each_costs(listen, &[(request, true, UNREADABLE), (b"{}\r\n\r\n", true, UNREADABLE)]).await;
    let listen = at("tcp://127.0.0.1:0").framer(NetstringFramer::new());
    each_costs(listen, &[(b"{}", true, UNREADABLE), (b"2:{}x", true, UNREADABLE)]).await;
    // That is only cut.
    let listen = at("tcp://127.0.0.1:0").framer(LengthPrefixedFramer::u32_be());
    each_costs(listen, &[(b"\0\0\0\x02{", true, 0.0), (b"\0\0\0\x02{x", true, UNREADABLE)]).await;
}

/// As of a group that sends malformed messages, the next ones are refused.
async fn is_turned_away<F: Future<Output = bool>>(
    listen: Listen,
    sent: &[u8],
    is_let_in: impl Fn(String) -> F,
) {
    let mut limits = limits();
    limits.cost_hard = 3.0 * UNREADABLE;
    let watched = Watched::at(listen, limits).await;
    let addr = watched.server.endpoints()[1].socket_addr().expect("an address").to_string();
    for failed in 1..=3 {
        assert!(soon(is_let_in(addr.clone())).await, "after {} handshakes that failed", failed - 1);
        watched.hears(sent, true).await;
        watched.costs(f64::from(failed) * UNREADABLE, "a handshake").await;
    }
    assert!(!soon(is_let_in(addr)).await, "after 3 handshakes that failed");
}

#[tokio::test]
async fn who_fails_again_and_again_is_refused() {
    let connects = |addr| async move { rpc::connect(&format!("ws://{addr}")).await.is_ok() };
    is_turned_away(at("ws://127.0.0.1:0"), b"\0\r\n\r\n", connects).await;
    is_turned_away(at("http://127.0.0.1:0"), b"\0\r\n\r\n", connects).await;

    let authority = Authority::new();
    let listen = at("tls://127.0.0.1:0").tls(authority.issue(&["127.0.0.1"]).server());
    let connects = |addr| {
        let connector = Connector::new(&format!("tls://{addr}")).expect("a URL").tls(authority.trusted());
        // One that is refused is told so behind the handshake.
        async move {
            let session = connector.connect().await.expect("the handshake is done");
            session.call::<Vec<u8>>("echo", (1,)).await.is_ok()
        }
    };
    is_turned_away(listen, b"GET / HTTP/1.1\r\n\r\n", connects).await;

    let answers = |addr| async move {
        let session = rpc::connect(&format!("tcp://{addr}")).await.expect("it listens");
        session.call::<Vec<u8>>("echo", (1,)).await.is_ok()
    };
    is_turned_away(at("tcp://127.0.0.1:0"), b"GET / HTTP/1.1\r\n\r\n", answers).await;
}
