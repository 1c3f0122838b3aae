//! Handshakes that do not come to an end, and peers that speak something else.

use std::time::Duration;

use rpc::{
    BindError, CloseReason, ConnectError, Connector, Limits, Listen, Server, transport::tls::TlsError,
};
use rpc_tests::{Events, Issued, Raw, echo, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{self, Instant},
};

use super::{connect, listening, listening_with, ping};

/// How a record begins that holds a handshake message of 512 bytes.
const BEGINNING: [u8; 5] = [22, 3, 1, 2, 0];

async fn connected(server: &rpc::ServerHandle) -> TcpStream {
    let addr = server.endpoint().socket_addr().expect("an address");
    TcpStream::connect(addr).await.expect("it listens")
}

fn one_connection() -> Limits {
    let mut limits = Limits::server();
    limits.connections = 1;
    limits.handshake_timeout = Some(Duration::from_secs(7));
    limits
}

#[tokio::test]
async fn half_a_handshake_is_given_up_and_its_place_is_free() {
    let issued = Issued::by_itself(&["localhost"]);
    for (url, client) in [
        ("tls://127.0.0.1:0", "tls"),
        ("wss://127.0.0.1:0", "wss"),
        // A session that was asked for by HTTP.
        ("https://127.0.0.1:0", "wss"),
    ] {
        let at = Listen::at(url).expect("a URL").tls(issued.server());
        let server = Server::builder().service(super::service()).limits(one_connection()).bind(at).await;
        let server = server.expect("a port is free").start();
        for bytes in [&BEGINNING[..], b""] {
            let begun = Instant::now();
            let mut half = connected(&server).await;
            half.write_all(bytes).await.expect("it is there");
            time::pause();
            assert_eq!(soon(half.read(&mut [0; 8])).await.expect("it ends well"), 0);
            assert!(begun.elapsed() >= Duration::from_secs(7), "{url}: {:?}", begun.elapsed());
            // Clocks run while sockets do.
            time::resume();
        }
        let url = format!("{client}://localhost:{}", server.endpoint().port().expect("it has one"));
        let connecting = Connector::new(&url).expect("a URL").tls(issued.pinned()).connect();
        ping(&soon(connecting).await.expect("the place is free")).await;
    }
}

#[tokio::test]
async fn a_handshake_that_drips_in_has_no_longer() {
    let server = listening_with(&Issued::by_itself(&["localhost"]).server(), one_connection()).await;
    let (mut read, mut write) = connected(&server).await.into_split();
    time::pause();
    let dripping = tokio::spawn(async move {
        for byte in BEGINNING.into_iter().chain(std::iter::repeat(1)) {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            time::sleep(Duration::from_millis(500)).await;
        }
    });
    let begun = Instant::now();
    // A reset, or an end.
    let _end = read.read(&mut [0; 8]).await;
    assert!((7..9).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    soon(dripping).await.expect("it notices");
}

#[tokio::test]
async fn half_a_handshake_is_a_connection_and_one_too_many_is_told_so_behind_its_own() {
    let issued = Issued::by_itself(&["localhost"]);
    let mut limits = Limits::server();
    limits.connections = 1;
    let server = listening_with(&issued.server(), limits).await;
    let mut half = connected(&server).await;
    half.write_all(&BEGINNING).await.expect("it is there");
    // A message would not be one before the handshake.
    let session = connect(&server, &issued.pinned()).await.expect("the handshake is done");
    let reason = soon(session.closed()).await;
    let CloseReason::Refused(told) = &reason else { panic!("{reason:?}") };
    assert!(told.message().contains("1 are open, and 1 may be (`Limits::connections`)"), "{told}");
    soon(server.shutdown()).await;
    assert_eq!(soon(half.read(&mut [0; 8])).await.expect("it ends well"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("tls://{}", silent.local_addr().expect("it has one"));
    let mut limits = Limits::client();
    limits.handshake_timeout = Some(Duration::from_secs(7));
    let tls = Issued::by_itself(&["localhost"]).pinned();
    let error = Connector::new(&url)
        .expect("a URL")
        .tls(tls)
        .limits(limits)
        .connect()
        .await
        .expect_err("it is silent");
    assert_eq!(
        rpc::chain(&error).to_string(),
        format!("cannot connect to {url}: not within 7s (`handshake_timeout`)")
    );
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_named() {
    for (answer, told) in [
        (&b"{\"jsonrpc\":\"2.0\",\"error\":{}}\n"[..], "127.0.0.1 does not speak TLS: "),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "127.0.0.1 does not speak TLS: "),
        (b"", "127.0.0.1 has closed the connection within the TLS handshake; maybe it does not speak TLS"),
    ] {
        let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("tls://{}", plain.local_addr().expect("it has one"));
        let tls = Issued::by_itself(&["localhost"]).pinned();
        let connecting = tokio::spawn(Connector::new(&url).expect("a URL").tls(tls).connect());
        let (mut io, _) = soon(plain.accept()).await.expect("somebody comes");
        // All of it: closing with something unread would be another end.
        let mut hello = [0; 5];
        io.read_exact(&mut hello).await.expect("a record");
        let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
        io.read_exact(&mut rest).await.expect("all of it");
        io.write_all(answer).await.expect("it is there");
        io.shutdown().await.expect("it is there");
        let error = soon(connecting).await.expect("no panic").expect_err("it speaks something else");
        let error = rpc::chain(&error).to_string();
        assert!(error.starts_with(&format!("cannot connect to {url}: {told}")), "{error}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_learns_that_the_server_does() {
    let events = Events::capture();
    let server = listening(&Issued::by_itself(&["localhost"]).server()).await;
    let url = server.endpoint().to_string().replace("tls:", "tcp:");
    let session = soon(rpc::connect(&url)).await.expect("TCP is there");
    let error = soon(session.call::<()>("ping", ())).await.expect_err("it is not understood");
    // A fatal alert: 50 is `decode_error` (RFC 8446, 6).
    assert_eq!(
        rpc::chain(&error).to_string(),
        "the session is closed: the peer speaks TLS, and this side does not: it began with `\\x15\\x03\\x03\\x00\\x02\\x022`. \
         Connect with a URL of TLS (`tls://`, `wss://`, `https://`)"
    );
    assert!(matches!(session.close_reason(), Some(CloseReason::WrongProtocol { protocol: "TLS", .. })));

    let failed =
        "a peer speaks another protocol: its handshake of TLS has failed, and nothing of it was handled";
    let failed = soon(async {
        loop {
            match events.of(failed).pop() {
                Some(failed) => break failed,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert!(failed.field("network.peer.address").starts_with("tls://127.0.0.1:"), "{failed:?}");
    assert_eq!(failed.field("protocol"), "JSON-RPC in lines", "{failed:?}");
}

#[tokio::test]
async fn a_server_without_tls_hangs_up_on_a_client_that_speaks_it_and_goes_on() {
    let server =
        Server::builder().service(echo()).bind("tcp://127.0.0.1:0").await.expect("a port is free").start();
    let url = server.endpoint().to_string().replace("tcp:", "tls:");
    let tls = Issued::by_itself(&["localhost"]).pinned();
    let connecting = Connector::new(&url).expect("a URL").tls(tls).connect();
    let error = soon(connecting).await.expect_err("it speaks something else");
    let ConnectError::Tls { source: TlsError::NotTls { protocol, .. }, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(protocol, "JSON-RPC in lines");
    let mut peer = Raw::connect(server.endpoint()).await;
    let asked = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#;
    assert_eq!(peer.ask(asked).await, r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#);
}

#[tokio::test]
async fn what_is_said_of_tls_is_not_forgotten_where_there_is_none() {
    let issued = Issued::by_itself(&["localhost"]);
    for url in ["tcp://127.0.0.1:1", "memory:place"] {
        let connecting = Connector::new(url).expect("a URL").tls(issued.pinned()).connect();
        let error = soon(connecting).await.expect_err("there is no TLS");
        assert!(rpc::chain(&error).to_string().contains("is not spoken over TLS"), "{error}");

        let at = Listen::at(url).expect("a URL").tls(issued.server());
        let error = Server::builder().service(()).bind(at).await.expect_err("there is no TLS");
        assert!(rpc::chain(&error).to_string().contains("is not spoken over TLS"), "{error}");
    }
    let error = Server::builder().service(()).bind("tls://127.0.0.1:0").await.expect_err("no certificate");
    assert!(matches!(error, BindError::Io { .. }), "{error:?}");
    assert_eq!(
        rpc::chain(&error).to_string(),
        "cannot listen at tls://127.0.0.1:0: a server needs a certificate to speak TLS: set one with `Listen::tls`"
    );
}

/// As a client begins that knows no version later than 1.0 or 1.1, with a cipher suite of its time.
fn hello_of(version: [u8; 2]) -> Vec<u8> {
    let suites = [0xC0, 0x13, 0xC0, 0x14, 0x00, 0x2F];
    // Without the algorithms of its signatures, that would be what is wrong with it.
    let signatures = [0, 8, 0, 13, 0, 4, 0, 2, 4, 3];
    let body = [&version[..], &[7; 32], &[0], &[0, 6], &suites, &[1, 0], &signatures].concat();
    let length = u8::try_from(body.len()).expect("it is short");
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[tokio::test]
async fn a_version_of_tls_that_is_too_old_is_refused_by_either_side() {
    let issued = Issued::by_itself(&["localhost"]);
    let server = listening(&issued.server()).await;
    for version in [[3, 1], [3, 2]] {
        let mut old = connected(&server).await;
        old.write_all(&hello_of(version)).await.expect("it is there");
        let mut told = Vec::new();
        soon(old.read_to_end(&mut told)).await.expect("it ends well");
        // A fatal alert: `protocol_version`.
        assert_eq!((&told[..1], &told[told.len() - 2..]), (&[21][..], &[2, 70][..]), "{told:?}");
    }
    ping(&connect(&server, &issued.pinned()).await.expect("it goes on")).await;

    // A server that chooses 1.1.
    let old = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("tls://{}", old.local_addr().expect("it has one"));
    let connecting = tokio::spawn(Connector::new(&url).expect("a URL").tls(issued.pinned()).connect());
    let (mut io, _) = soon(old.accept()).await.expect("somebody comes");
    let chosen = [&[3, 2][..], &[7; 32], &[0], &[0xC0, 0x13], &[0]].concat();
    let length = u8::try_from(chosen.len()).expect("it is short");
    let hello = [&[22, 3, 2, 0, length + 4, 2, 0, 0, length][..], &chosen].concat();
    io.write_all(&hello).await.expect("it is there");
    let error = soon(connecting).await.expect("no panic").expect_err("it is too old");
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}
