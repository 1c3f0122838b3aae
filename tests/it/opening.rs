//! Peers that speak another protocol: the session ends before anything of theirs is handled, and
//! says what they speak.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use rpc::{
    CallError, CloseReason, Connector, Context, ErrorObject, Limits, Listen, Message, MessageSession, Params,
    Router, Server, ServerHandle,
    framing::{
        CodecFramer, ContentLengthFramer, FrameError, Framed, Framer, JsonFramer, LengthPrefixedFramer,
        NetstringFramer, NewlineFramer,
    },
};
use rpc_tests::{Authority, Events, Raw, frames::framed, is_pending, settled, soon};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::codec::{LengthDelimitedCodec, LinesCodec};

const WIPE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"wipe"}"#;

/// What a web page has its browser send, and others.
fn openings() -> Vec<(String, &'static str)> {
    let post = |target: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{WIPE}\r\n{WIPE}\n",
            WIPE.len()
        )
    };
    let mut openings: Vec<_> = ["/a:b", "/", "http://127.0.0.1:8000/a:b", "/?u=http://x", "*", "no:target"]
        .map(|target| (post(target), "HTTP"))
        .into();
    openings.push((post("/a:b").replacen("HTTP/1.1", "HTTP/1.0", 1), "HTTP"));
    openings.push((post("/a:b").replacen("POST", "get", 1), "HTTP"));
    openings.push((post("/a:b").replacen("POST", "X-ANY", 1), "HTTP"));
    openings.push((post(&format!("/{}", "x".repeat(3_000))), "HTTP"));
    openings.push((format!("\r\n{}", post("/a:b")), "HTTP"));
    openings.push((format!("GET /\r\n{WIPE}\n"), "HTTP"));
    openings.push((format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{WIPE}\n"), "HTTP"));
    openings.push((format!("\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03\n{WIPE}\n"), "TLS"));
    openings.push((format!("EHLO example.org\r\n{WIPE}\n"), "SMTP"));
    openings.push((format!("MAIL FROM:<a@example.org>\r\n{WIPE}\n"), "SMTP"));
    openings.push((format!("QUIT\r\n{WIPE}\n"), "SMTP"));
    openings
}

/// Limits under which no cost ends a session.
fn free_of_cost() -> [Limits; 3] {
    [Limits::server(), Limits::client(), Limits::unlimited()].map(|mut limits| {
        limits.cost_hard = f64::INFINITY;
        limits
    })
}

/// Counts what is called, and what arrives at all.
fn wiping(wiped: &Arc<AtomicUsize>) -> Router {
    let wiped = Arc::clone(wiped);
    Router::new().method("wipe", move |_: Params, _: Context| {
        wiped.fetch_add(1, Relaxed);
        async { Ok::<_, ErrorObject>(()) }
    })
}

/// The peer finds that the session has ended, and was told why, at most: over HTTP by one response,
/// and where it speaks TLS by one error without it.
async fn is_hung_up(io: &mut (impl AsyncRead + AsyncWrite + Unpin), protocol: &str) {
    let mut told = Vec::new();
    // What was not read may have the connection reset.
    let _end = soon(io.read_to_end(&mut told)).await;
    let text = told.escape_ascii().to_string();
    match protocol {
        "HTTP" => assert!(told.starts_with(b"HTTP/1.1 400 Bad Request\r\n"), "{text}"),
        "TLS" => assert!(text.matches("is not spoken here").count() <= 1, "{text}"),
        _ => assert!(told.is_empty(), "{text}"),
    }
    assert!(!text.contains("result") && !text.contains("32601"), "{text}");
}

async fn sent(io: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8], step: usize) {
    for piece in bytes.chunks(step) {
        // It may have ended by now.
        if io.write_all(piece).await.and(io.flush().await).is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// Each opening over one framing, whole and in drips, whatever the limits.
async fn nothing_is_handled_over(framer: impl Framer) {
    for limits in free_of_cost() {
        for (bytes, protocol) in openings() {
            for step in [bytes.len(), 1, 7] {
                let wiped = Arc::default();
                let events = Events::capture();
                let (mut io, there) = rpc::transport::memory(64 << 10);
                let connector = Connector::over(there).framer(framer.clone()).limits(limits.clone());
                let session = connector.service(wiping(&wiped)).connect().await.expect("connected");
                sent(&mut io, bytes.as_bytes(), step).await;
                let what = format!("{framer:?}, {bytes:.60}");
                let reason = soon(session.closed()).await;
                assert!(
                    matches!(&reason, CloseReason::WrongProtocol { protocol: spoken, .. } if *spoken == protocol),
                    "{what}: {reason:?}"
                );
                is_hung_up(&mut io, protocol).await;
                let statistics = session.statistics();
                assert_eq!((wiped.load(Relaxed), statistics.messages_received), (0, 0), "{what}");
                let told = events
                    .of("a peer speaks another protocol: its session ends, and nothing of it was handled");
                let [event] = &told[..] else { panic!("{what}: {told:?}") };
                assert_eq!(event.field("protocol"), protocol);
                let found = event.field("found");
                let start = bytes.trim_start()[..5].escape_default().to_string();
                assert!(!found.contains(char::is_control) && found.len() < 200, "{found}");
                assert!(protocol == "TLS" || found.starts_with(&start), "{found} begins with {start}");
            }
        }
    }
}

/// Frames of so many bytes each, of which any may be a message.
#[derive(Debug, Clone)]
struct Fixed(usize);

impl Framer for Fixed {
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        Ok(match unread.len() >= self.0 {
            true => Framed::Frame { frame: 0..self.0, consumed: self.0 },
            false => Framed::Incomplete { consumed: 0 },
        })
    }

    fn finish(&self, _: &mut Vec<u8>, _: usize) -> Result<(), FrameError> {
        Ok(())
    }
}

macro_rules! over_framings {
    ($($name:ident = $framer:expr;)*) => {
        mod nothing_of_another_protocol_is_handled {
            use super::*;
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                nothing_is_handled_over($framer).await;
            })*
        }

        mod an_honest_peer_is_answered {
            use super::*;
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                honest_peers_over($framer).await;
            })*
        }
    };
}

over_framings! {
    newline = NewlineFramer::new();
    content_length = ContentLengthFramer::new();
    prefix_u8 = LengthPrefixedFramer::u8();
    prefix_u16_be = LengthPrefixedFramer::u16_be();
    prefix_u16_le = LengthPrefixedFramer::u16_le();
    prefix_u32_be = LengthPrefixedFramer::u32_be();
    prefix_u32_le = LengthPrefixedFramer::u32_le();
    prefix_u64_be = LengthPrefixedFramer::u64_be();
    prefix_u64_le = LengthPrefixedFramer::u64_le();
    netstring = NetstringFramer::new();
    values = JsonFramer::new();
    codec_of_lengths = CodecFramer::new(LengthDelimitedCodec::new());
    codec_of_lines = CodecFramer::text(LinesCodec::new());
    of_the_users_own = Fixed(40);
}

/// Messages of any size, in drips, first and alone: whatever the length before them reads like.
async fn honest_peers_over(framer: impl Framer) {
    let sizes: Vec<usize> = match format!("{framer:?}").as_str() {
        "Fixed(40)" => vec![40],
        told if told.contains("width: 1") => (40..=255).collect(),
        // Two bytes that read like the beginning of a word, of a record of TLS, or of its old
        // hello.
        told if told.contains("width: 2") => vec![
            40, 0x0a0a, 0x2020, 0x4745, 0x4547, 0x504f, 0x4f50, 0x5052, 0x4854, 0x5353, 0x3232, 0x1603,
            0x0316, 0x1503, 0x0315, 0x8001, 0x0180,
        ],
        // Three lengths that begin as a record of TLS does, the least significant byte first.
        told if told.contains("width: 4") => vec![40, 0x0a0a, 0x2020, 0x1_0316, 0x3_0316, 0x3_0315, 0x2_0180],
        _ => vec![40, 0x1603],
    };
    for size in sizes {
        for step in [usize::MAX, 1, 3] {
            // It is a message of JSON-RPC with blanks at its end.
            let message = format!("{WIPE}{}", " ".repeat(size - WIPE.len()));
            let bytes = framed(&framer, &[&message]);
            // Byte by byte is slow: it is the first ones that matter.
            let (start, rest) = bytes.split_at(bytes.len().min(30));
            let (wiped, (mut io, there)) = (Arc::default(), rpc::transport::memory(512 << 10));
            let connector = Connector::over(there).framer(framer.clone()).limits(Limits::unlimited());
            let session = connector.service(wiping(&wiped)).connect().await.expect("connected");
            sent(&mut io, start, step).await;
            settled().await;
            io.write_all(rest).await.expect("the session is there");
            settled().await;
            assert_eq!(wiped.load(Relaxed), 1, "{size} bytes over {framer:?} in pieces of {step}");
            assert!(!session.is_closed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_only_no_json_is_answered_as_before() {
    for start in ["GET x", "garbage", "some more garbage", "null", "PUT /x y z HTTP", "220", "\u{feff}x"] {
        for step in [1, 100] {
            let (mut peer, session) =
                Raw::peer_with(|connector| connector.service(wiping(&Arc::default()))).await;
            for piece in format!("{start}\n").as_bytes().chunks(step) {
                peer.write(piece).await;
                settled().await;
            }
            if start == "PUT /x y z HTTP" {
                // A request of the first version of HTTP.
                assert!(matches!(
                    session.closed().await,
                    CloseReason::WrongProtocol { protocol: "HTTP", .. }
                ));
                continue;
            }
            let answer = peer.line().await.expect("an answer");
            assert!(answer.contains(r#""code":-32"#), "{start}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn blanks_before_the_first_message_hide_nothing_and_hurt_nobody() {
    for blanks in ["\n", "\r\n\r\n", " \t\n", &"\n".repeat(100_000)] {
        let wiped = Arc::default();
        let (mut peer, session) = Raw::peer_of(wiping(&wiped), Limits::unlimited());
        peer.write(blanks).await;
        settled().await;
        peer.send(WIPE).await;
        peer.expect(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).await;
        // What comes later is no opening.
        peer.send("POST / HTTP/1.1").await;
        assert!(peer.line().await.expect("an answer").contains("-32700"));
        drop(session);

        let (mut peer, session) = Raw::peer_of(wiping(&wiped), Limits::unlimited());
        peer.write(blanks).await;
        settled().await;
        peer.write(&openings()[0].0).await;
        assert!(matches!(session.closed().await, CloseReason::WrongProtocol { protocol: "HTTP", .. }));
        assert_eq!(wiped.load(Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_within_its_opening_is_timed() {
    let mut limits = Limits::unlimited();
    limits.frame_timeout = Some(std::time::Duration::from_secs(5));
    let (mut peer, session) = Raw::peer_of(Router::new(), limits);
    peer.write("POST / HT").await;
    let reason = session.closed().await;
    assert!(matches!(reason, CloseReason::FrameTimeout { received: 9, .. }), "{reason:?}");
}

fn unlimited_server(wiped: &Arc<AtomicUsize>) -> rpc::ServerBuilder {
    Server::builder().service(wiping(wiped)).limits(Limits::unlimited())
}

/// Over TCP, Unix sockets, TLS, memory and what is attached: a server hangs up, and goes on.
async fn hangs_up(server: &ServerHandle, wiped: &AtomicUsize, mut io: impl AsyncRead + AsyncWrite + Unpin) {
    sent(&mut io, openings()[0].0.as_bytes(), usize::MAX).await;
    is_hung_up(&mut io, "HTTP").await;
    assert_eq!(wiped.load(Relaxed), 0);
    soon(async {
        while !server.sessions().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn reached(server: &ServerHandle) -> TcpStream {
    TcpStream::connect(server.endpoint().socket_addr().expect("an address")).await.expect("it listens")
}

#[tokio::test]
async fn every_transport_of_bytes_is_judged() {
    let wiped = Arc::default();
    let server = unlimited_server(&wiped).bind("tcp://127.0.0.1:0").await.expect("a port is free").start();
    hangs_up(&server, &wiped, reached(&server).await).await;
    let (io, there) = rpc::transport::memory(64 << 10);
    server.attach(there);
    hangs_up(&server, &wiped, io).await;

    // A framing of the listener's own.
    let listen = Listen::at("tcp://127.0.0.1:0").expect("a URL").framer(ContentLengthFramer::new());
    let server = unlimited_server(&wiped).bind(listen).await.expect("a port is free").start();
    hangs_up(&server, &wiped, reached(&server).await).await;

    // HTTP within TLS.
    let authority = Authority::new();
    let listen =
        Listen::at("tls://127.0.0.1:0").expect("a URL").tls(authority.issue(&["127.0.0.1"]).server());
    let server = unlimited_server(&wiped).bind(listen).await.expect("a port is free").start();
    let connector = Connector::new(&server.endpoint().to_string()).expect("a URL").tls(authority.trusted());
    let client = soon(connector.connect_messages(async |_, _: Text| {})).await.expect("it is trusted");
    let session = soon(async {
        loop {
            match server.sessions().pop() {
                Some(session) => break session,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    soon(client.send(&Text("POST /a:b HTTP/1.1".into()))).await.expect("it is sent");
    let reason = soon(session.closed()).await;
    assert!(matches!(reason, CloseReason::WrongProtocol { protocol: "HTTP", .. }), "{reason:?}");
    assert_eq!(wiped.load(Relaxed), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_are_judged_too() {
    let (wiped, folder) = (Arc::default(), rpc_tests::Scratch::new());
    let path = folder.path("s");
    let server = unlimited_server(&wiped).bind(format!("unix:{}", path.display()).as_str()).await;
    let server = server.expect("it can be made").start();
    let io = tokio::net::UnixStream::connect(&path).await.expect("it listens");
    hangs_up(&server, &wiped, io).await;
}

/// A line, whatever it says.
#[derive(Debug)]
struct Text(String);

impl Message for Text {
    fn read(frame: &[u8]) -> Result<Self, FrameError> {
        Ok(Self(String::from_utf8_lossy(frame).into_owned()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

#[tokio::test]
async fn messages_of_the_applications_own_may_begin_with_anything() {
    let handle = async |session: MessageSession<Text>, message: Text| {
        session.send(&message).await.expect("it is there");
    };
    for opening in ["GET x", "GET /x", "POST / HTTP/1.1", "QUIT"] {
        let server = Server::builder().messages(handle).build().expect("no services").start();
        let (io, there) = rpc::transport::memory(64 << 10);
        server.attach(there);
        let mut peer = Raw::over(io);
        assert_eq!(soon(peer.ask(opening)).await, opening);
    }
}

/// What servers of something else say to a client of JSON-RPC.
#[tokio::test(start_paused = true)]
async fn a_call_learns_at_once_what_the_server_speaks() {
    for (answer, protocol) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "HTTP"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n<html>", "HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x0a", "TLS"),
        (b"220 mail.example.org ESMTP\r\n", "SMTP or FTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    ] {
        for step in [1, 100] {
            let (mut io, there) = rpc::transport::memory(64 << 10);
            let session =
                Connector::over(there).limits(Limits::unlimited()).connect().await.expect("connected");
            let mut call = Box::pin(session.call::<()>("m", ()).into_future());
            assert!(is_pending(&mut call));
            sent(&mut io, answer, step).await;
            let error = soon(call).await.expect_err("it is no server of JSON-RPC");
            let CallError::Closed { reason: CloseReason::WrongProtocol { protocol: spoken, found }, .. } =
                &error
            else {
                panic!("{error:?}")
            };
            assert_eq!(*spoken, protocol);
            assert!(answer.escape_ascii().to_string().starts_with(found.trim_end_matches('…')), "{found}");
            let told = format!(
                "the session is closed: the peer speaks {protocol}, and this side does not: it began with"
            );
            assert!(rpc::chain(&error).to_string().starts_with(&told), "{error}");
        }
    }
}

/// What came while nothing could be taken is judged when it is.
#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_is_judged_too() {
    for (opening, protocol) in openings() {
        let wiped = Arc::default();
        let mut limits = Limits::unlimited();
        limits.outgoing_bytes = 100;
        let (mut peer, session) = Raw::narrow_peer_of(16, wiping(&wiped), limits);
        session.notify("much", ("x".repeat(1_000),)).await.expect("one message is always accepted");
        settled().await;
        peer.write(opening.as_bytes()).await;
        settled().await;
        assert!(!session.is_closed(), "it was not looked at yet");
        // The peer takes what has waited, until its own bytes are looked at.
        while peer.read_some(&mut [0; 16]).await > 0 {}
        let reason = soon(session.closed()).await;
        assert!(
            matches!(&reason, CloseReason::WrongProtocol { protocol: found, .. } if *found == protocol),
            "{reason:?}"
        );
        assert_eq!(wiped.load(Relaxed), 0);
    }
}
