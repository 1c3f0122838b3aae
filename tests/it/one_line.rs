//! What a peer has written is shown in one line, and commands no terminal: in errors, endpoints and
//! everything that is logged (CWE-117). The fields have it as it came.

mod causes;

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use rpc::{
    BatchError, CallError, CloseReason, ConnectError, Connector, Context, Endpoint, EndpointError,
    ErrorObject, HttpError, HttpHeaders, HttpOptions, Limits, Params, Protocol, ProtocolError, ReplyError,
    Router, Server, SubscriptionError,
    framing::{ContentLengthFramer, FrameError},
    transport::{
        socks::{SocksAddress, SocksError},
        tls::{TlsError, rustls::CertificateError},
        websocket::WebSocketError,
    },
};
use rpc_tests::{
    Event, Events, Raw,
    frames::framed,
    is_pending, settled, soon,
    websocket::{CLOSE, WsPeer},
};
use serde::de::Error as _;
use serde_json::{Value, value::RawValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Ends a line, commands a terminal, ends a line in other ways, and turns the direction.
const EVIL: &str = "a\n\r\x1b[2J\0\x7f\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}z";
/// What of it may stand in a string of JSON as it is.
const RAW: &str = "a\x7f\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}z";

/// The text in JSON, with as little escaped as may be.
fn json(text: &str) -> String {
    let value = serde_json::to_string(text).expect("a text");
    assert!(value.contains('\u{202e}'), "it is not escaped: {value:?}");
    value
}

fn is_clean(text: &str) -> bool {
    !text.contains(|c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

fn shown(value: &(impl fmt::Display + fmt::Debug)) {
    let (display, debug) = (value.to_string(), format!("{value:?}"));
    for text in [&display, &debug] {
        assert!(is_clean(text), "{}", text.escape_debug());
    }
    assert!(display.contains('z') && debug.contains('z'), "it is shown: {display}, {debug}");
}

/// An error, alone and with its causes. A cause that another crate has made by hand may say
/// anything: it is escaped where the causes are shown by [`rpc::chain`], and where errors are made
/// (see below) it is clean itself.
fn error_shown(error: &(dyn Error + 'static)) {
    let (display, debug, chain) = (error.to_string(), format!("{error:?}"), rpc::chain(error).to_string());
    for text in [&display, &debug, &chain] {
        assert!(is_clean(text), "{}", text.escape_debug());
    }
    assert!(chain.contains('z') && debug.contains('z'), "it is shown: {chain}, {debug}");
}

fn shown_in_log(events: &Events) {
    for event in events.all() {
        for (name, value) in &event.fields {
            assert!(is_clean(value), "{}: {name}: {}", event.message, value.escape_debug());
            assert!(value.len() < 70_000, "{}: {name} has {} bytes", event.message, value.len());
        }
        assert!(is_clean(&event.message), "{}", event.message.escape_debug());
    }
}

fn evil() -> String {
    EVIL.to_owned()
}

fn evil_json() -> serde_json::Error {
    serde_json::Error::custom(EVIL)
}

fn evil_io() -> io::Error {
    io::Error::other(EVIL)
}

fn evil_object() -> ErrorObject {
    // White space between the tokens of JSON is the peer's, too.
    let data = RawValue::from_string(format!("[\n\r\t{}]", json(RAW))).expect("JSON");
    ErrorObject::new(1, EVIL).with_raw_data(data)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct OfTheService(String);

#[test]
fn errors_are_shown_in_one_line() {
    let object = evil_object();
    shown(&object);
    assert_eq!(
        (object.message(), object.data::<Vec<String>>().expect("it is there").expect("texts")[0].as_str()),
        (EVIL, RAW)
    );
    error_shown(&ProtocolError::MalformedReply { reason: evil() });
    error_shown(&ReplyError::Error(evil_object()));
    error_shown(&ReplyError::Decode(evil_json()));

    for error in [
        CallError::Service(OfTheService(evil())),
        CallError::Rpc(evil_object()),
        CallError::Closed { reason: CloseReason::PeerClosed { code: 1000, reason: evil() }, sent: false },
        CallError::Encode { method: evil(), source: evil_json() },
        CallError::Frame { method: evil(), source: FrameError::Invalid(evil()) },
        CallError::Decode { method: evil(), source: evil_json() },
        CallError::Protocol { method: evil(), source: ProtocolError::MalformedReply { reason: evil() } },
        CallError::Http(HttpError::Status {
            url: "http://x".into(),
            status: 500,
            text: evil(),
            headers: HttpHeaders::default(),
        }),
    ] {
        error_shown(&error);
    }
    for error in [
        SubscriptionError::Service(OfTheService(evil())),
        SubscriptionError::Rpc(evil_object()),
        SubscriptionError::Decode(evil_json()),
        SubscriptionError::Closed(CloseReason::Io(Arc::new(evil_io()))),
    ] {
        error_shown(&error);
    }
    error_shown(&BatchError::Encode { method: evil(), index: 1, source: evil_json() });
    for reason in [
        CloseReason::PeerClosed { code: 1000, reason: evil() },
        CloseReason::Io(Arc::new(evil_io())),
        CloseReason::Frame(FrameError::Invalid(evil())),
        CloseReason::WrongProtocol { protocol: "HTTP", found: evil() },
    ] {
        error_shown(&reason);
    }
    for error in [
        FrameError::InvalidHeader { found: evil() },
        FrameError::InvalidLength { found: evil() },
        FrameError::UnsupportedCharset { found: evil() },
        FrameError::Unexpected { expected: "z", found: evil() },
        FrameError::WrongMagic { expected: evil(), found: evil() },
        FrameError::PayloadTooLarge { command: evil(), size: 1, limit: 1 },
        FrameError::WrongChecksum { command: evil(), expected: 1, found: 1 },
        FrameError::Invalid(evil()),
    ] {
        error_shown(&error);
    }
}

#[test]
fn errors_of_transports_are_shown_in_one_line() {
    let url = || "http://z".to_owned();
    for error in [
        HttpError::Connect { url: url(), source: Arc::new(evil_io()) },
        HttpError::Broken { url: url(), source: evil().into() },
        HttpError::Status { url: url(), status: 500, text: evil(), headers: HttpHeaders::default() },
        HttpError::Redirect { url: url(), status: 302, location: evil(), headers: HttpHeaders::default() },
        HttpError::NoReply { url: url(), status: 200, text: evil(), headers: HttpHeaders::default() },
        HttpError::TooManyRequests { url: url(), text: evil(), headers: HttpHeaders::default() },
        HttpError::Unavailable { url: url(), text: evil(), headers: HttpHeaders::default() },
    ] {
        error_shown(&error);
    }
    for error in [
        WebSocketError::Refused { status: 500, text: evil(), headers: HttpHeaders::default() },
        WebSocketError::Answer { reason: evil() },
        WebSocketError::Header { name: evil(), reason: "z".into() },
        WebSocketError::Io(evil_io()),
    ] {
        error_shown(&error);
    }
    let presented = CertificateError::NotValidForNameContext {
        expected: "z.example".try_into().expect("a name"),
        presented: vec![evil()],
    };
    for error in [
        TlsError::Certificate { peer: "z".into(), problem: presented },
        TlsError::ServerName(evil()),
        TlsError::Failed { peer: "z".into(), source: rpc::transport::tls::rustls::Error::General(evil()) },
        TlsError::NotTls {
            peer: "z".into(),
            protocol: "HTTP",
            found: evil(),
            source: Box::new(rpc::transport::tls::rustls::Error::General(evil())),
        },
        TlsError::Io { peer: "z".into(), source: evil_io() },
    ] {
        error_shown(&error);
    }
    error_shown(&SocksError::Resolve { source: evil_io() });
    error_shown(&ConnectError::Io { endpoint: Endpoint::unix(EVIL), source: evil_io() });
    let bound = SocksAddress::Name(evil(), 1);
    shown(&bound);
    assert!(matches!(bound, SocksAddress::Name(name, _) if name == EVIL));
}

#[test]
fn endpoints_are_shown_in_one_line() {
    let endpoint = Endpoint::unix(EVIL);
    shown(&endpoint);
    assert_eq!(endpoint.path().expect("a path").to_str(), Some(EVIL));
    let named: Endpoint = "memory:a\n\x1bz".parse().expect("a name");
    shown(&named);
    let error: EndpointError = format!("tcp://{EVIL}").parse::<Endpoint>().expect_err("it has no port");
    shown(&error);
}

/// Everything that a peer can write in messages: names, ids, parameters, errors, and what is none.
#[tokio::test(start_paused = true)]
async fn messages_are_logged_in_one_line() {
    for protocol in [Protocol::V2, Protocol::V1, Protocol::Loose, Protocol::Detect] {
        let events = Events::capture();
        let framer = ContentLengthFramer::new();
        let (mut io, there) = rpc::transport::memory(1 << 20);
        let router = Router::new()
            .method("echo", async |params: Params, _: Context| params.parse::<Value>())
            .method("panic", async |params: Params, _: Context| -> Result<(), ErrorObject> {
                let (text,): (String,) = params.parse()?;
                panic!("{text}")
            });
        let mut limits = Limits::server();
        limits.cost_hard = f64::INFINITY;
        let connector = Connector::over(there).framer(framer.clone()).protocol(protocol).limits(limits);
        let connector = match protocol {
            // It has no named parameters, and so no cancellation.
            Protocol::V1 => connector,
            _ => connector.cancellation(rpc::Cancellation::LSP),
        };
        let connector = connector.service(router);
        let session = connector.connect().await.expect("connected");
        let mut call = Box::pin(session.call::<Value>(EVIL, ()).without_timeout().into_future());
        assert!(is_pending(&mut call));
        let (text, raw) = (json(EVIL), json(RAW));
        let mut messages = vec![
            format!("{{\"jsonrpc\":\"2.0\",\r\n\t\"id\":{raw},\"method\":\"echo\",\"params\":[{text}]}}"),
            format!(r#"{{"jsonrpc":"2.0","id":{raw},"method":"panic","params":[{text}]}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":{raw},"method":{text}}}"#),
            format!(r#"{{"jsonrpc":"2.0","method":{text},"params":[]}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":{raw}}}"#),
            format!(r#"{{"jsonrpc":{text},"id":1,"method":"echo"}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":2,{text}:1,"method":"echo"}}"#),
            format!(r#"{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{raw}}}}}"#),
            format!("{{\"id\":[1,\n\r{raw}],\"method\":{text},\"params\":[]}}"),
            format!("{EVIL}{raw}"),
            format!("[{raw},\n1]"),
            format!(r#"{{"jsonrpc":"2.0","id":3,"method":"{}"}}"#, "x".repeat(100_000)),
            format!(r#"{{"jsonrpc":"2.0","id":99,"result":{text}}}"#),
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{{"code":1,"message":{text},"data":[{raw}]}}}}"#
            ),
        ];
        if protocol == Protocol::V2 {
            messages.retain(|message| !message.contains("\"result\":null,\"error\""));
            messages.push(format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":{text},"data":[{raw}]}}}}"#
            ));
        }
        for message in &messages {
            io.write_all(&framed(&framer, &[message])).await.expect("it reads");
            settled().await;
        }
        match soon(call).await {
            Err(CallError::Rpc(error)) => {
                assert_eq!(error.message(), EVIL);
                shown(&error);
            }
            other => panic!("{protocol:?}: {other:?}"),
        }
        io.write_all(b"X: \x1b\r\n\r\n").await.expect("it reads");
        shown_reason(&session.closed().await);
        settled().await;
        let refused = |event: &Event| {
            event.message == "request refused" || matches!(event.field("outcome"), "refused" | "unknown")
        };
        let refused: Vec<_> = events.all().into_iter().filter(refused).collect();
        assert_eq!(events.of("message received").len(), messages.len());
        assert!(refused.len() > 5 && !events.of("a handler panicked").is_empty(), "{protocol:?}");
        shown_in_log(&events);
    }
}

/// A reason that need not hold anything of the peer's.
fn shown_reason(reason: &CloseReason) {
    assert!(is_clean(&reason.to_string()) && is_clean(&format!("{reason:?}")));
}

#[tokio::test(start_paused = true)]
async fn what_another_protocol_says_is_logged_in_one_line() {
    let events = Events::capture();
    let (mut peer, session) = Raw::peer_of(Router::new(), Limits::server());
    peer.write(format!("POST /{RAW}\x1b HTTP/1.1\r\n\r\n")).await;
    shown_reason(&session.closed().await);
    settled().await;
    assert_eq!(
        events.of("a peer speaks another protocol: its session ends, and nothing of it was handled").len(),
        1
    );
    shown_in_log(&events);
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_close_frame_is_shown_in_one_line() {
    let events = Events::capture();
    let (mut peer, session) = WsPeer::client_of(|connector| connector.service(Router::new())).await;
    peer.frame(CLOSE, [&1000_u16.to_be_bytes()[..], EVIL.as_bytes()].concat()).await;
    let reason = session.closed().await;
    shown(&reason);
    assert!(
        matches!(&reason, CloseReason::PeerClosed { code: 1000, reason } if reason == EVIL),
        "{reason:?}"
    );
    settled().await;
    let [closed] = &events.of("session closed")[..] else { panic!("{:?}", events.all()) };
    assert!(closed.field("reason").contains(r"\n\r\u{1b}[2J"), "{}", closed.field("reason"));
    shown_in_log(&events);
}

#[cfg(unix)]
#[tokio::test]
async fn the_name_of_a_unix_peer_is_shown_in_one_line() {
    let events = Events::capture();
    let folder = rpc_tests::Scratch::new();
    let path = folder.path("s");
    let server =
        Server::builder().bind(format!("unix:{}", path.display()).as_str()).await.expect("bound").start();
    // What a client is bound to is its own choice.
    let own = folder.path("a\n\x1b\u{85}\u{202e}z");
    let socket = tokio::net::UnixSocket::new_stream().expect("a socket");
    socket.bind(&own).expect("a name");
    let io = socket.connect(&path).await.expect("it listens");
    let session = soon(async {
        loop {
            match server.sessions().pop() {
                Some(session) => break session,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    shown(session.peer());
    assert_eq!(session.peer().path(), Some(&*own));
    drop(io);
    soon(session.closed()).await;
    soon(server.shutdown()).await;
    assert!(!events.of("session opened").is_empty());
    shown_in_log(&events);
}

/// Requests of HTTP that are refused: what they name, and what they say they are.
#[tokio::test(start_paused = true)]
async fn requests_of_http_are_logged_in_one_line() {
    let events = Events::capture();
    let server = Server::builder().service(Router::new()).build().expect("one service").start();
    for head in [
        format!("POST /{RAW} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: 2\r\n\r\n{{}}",
            RAW.replace('\x7f', "")
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Encoding: {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
            RAW.replace('\x7f', "")
        ),
        format!("{} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "Z".repeat(2_000)),
        format!(
            "POST / HTTP/1.1\r\nConnection: close\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
            RAW.replace('\x7f', "")
        ),
        format!("{EVIL}\r\n\r\n"),
    ] {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        server.attach_http(there, &HttpOptions::new());
        io.write_all(head.as_bytes()).await.expect("there is room");
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).await.expect("an answer, or the end");
    }
    server.shutdown_within(Duration::from_secs(1)).await;
    assert!(events.of("an HTTP request was refused").len() >= 2, "{:?}", events.all());
    shown_in_log(&events);
}

/// What a server of something else says to a client of WebSocket.
#[tokio::test(start_paused = true)]
async fn a_refused_handshake_is_shown_in_one_line() {
    for answer in [
        format!("HTTP/1.1 500 {}\r\nContent-Length: {}\r\n\r\n{EVIL}", RAW.replace('\x7f', ""), EVIL.len()),
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: {}\r\n\r\n", RAW.replace('\x7f', "")),
        format!("{EVIL}\r\n\r\n"),
    ] {
        let (mut io, there) = rpc::transport::memory(64 << 10);
        io.write_all(answer.as_bytes()).await.expect("there is room");
        io.shutdown().await.expect("it is there");
        let url: Endpoint = "ws://localhost/".parse().expect("a URL");
        let options = rpc::transport::websocket::WebSocketClient::new();
        let error = rpc::transport::websocket::WebSocket::connect(there, &url, &options)
            .await
            .expect_err("it is none");
        assert!(is_clean(&error.to_string()), "{}", error.to_string().escape_debug());
        assert!(is_clean(&format!("{error:?}")), "{error:?}");
    }
}
