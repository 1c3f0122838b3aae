//! Frames over the limit, over every framing: requests are answered, responses and notifications are not, and what is far over the
//! limit ends the session.

use rpc::Server;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

const LIMIT: usize = 1_000;

/// Frames of 1,000 bytes, for a peer that may cost what it likes.
fn limits() -> Limits {
    let mut limits = Limits::public();
    (limits.frame_size, limits.cost_hard) = (LIMIT, f64::INFINITY);
    limits
}

/// A session that serves `echo` as a client does, and its peer.
async fn client<F: Framer>(framer: &F, protocol: Protocol) -> (FramedPeer<F>, Session) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let connector = Connector::over(there).framer(framer.clone()).protocol(protocol).limits(limits());
    let session = connector.service(echo()).connect().await.expect("connected");
    (FramedPeer::new(here, framer.clone()), session)
}

/// The same, as a server does.
fn server<F: Framer>(framer: &F, protocol: Protocol) -> (FramedPeer<F>, Session) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let builder = Server::builder().framer(framer.clone()).protocol(protocol).limits(limits());
    let server = builder.service(echo()).build().expect("one service").start();
    (FramedPeer::new(here, framer.clone()), server.attach(there))
}

/// An error that says how large the frame was, and how large it may be.
fn is_refusal(got: &str, id: &str, protocol: Protocol, size: usize) {
    let error: Value = serde_json::from_str(got).expect("JSON");
    let message = error["error"]["message"].as_str().expect("a message");
    assert_eq!(error["error"]["code"], -32600, "{got}");
    assert_eq!(error["id"].to_string(), id, "{got}");
    let members: Vec<&str> = error.as_object().expect("an object").keys().map(String::as_str).collect();
    match protocol {
        Protocol::V1 => assert!(error["result"].is_null() && members.contains(&"result"), "{got}"),
        _ => assert!(error["jsonrpc"] == "2.0" && !members.contains(&"result"), "{got}"),
    }
    let (before, after) = message.split_once(" bytes").expect("a size");
    let named: usize = before.rsplit(' ').next().expect("a number").parse().expect("a number");
    assert!(named > LIMIT && named <= size, "{named} of {size}: {message}");
    assert!(after.contains("the limit is 1000 (`frame_size`)"), "{message}");
}

/// What comes, and the id that it is answered with, if it is answered.
fn frames_in(protocol: Protocol) -> Vec<(String, Option<&'static str>)> {
    let long = "x\\\"]},{[".repeat(200);
    let (frames, of_version): (&[_], &[_]) = (
        &[
            (r#"{"jsonrpc":"2.0","id":7,"method":"echo","params":["LONG"]}"#, Some("7")),
            (r#"{"jsonrpc":"2.0","method":"echo","params":["LONG"],"id":"a"}"#, Some("\"a\"")),
            (
                r#"{"\u0069d":8,"params":[{"id":9,"result":"LONG"}],"m\u0065thod":"echo","jsonrpc":"2.0"}"#,
                Some("8"),
            ),
            (r#"{"jsonrpc":"2.0","id":7,"what":"LONG"}"#, Some("7")),
            (r#"{"jsonrpc":"2.0","method":"echo","params":["LONG",{"id":7}]}"#, None),
            (r#"{"jsonrpc":"2.0","id":7,"result":"LONG"}"#, None),
            (r#"{"jsonrpc":"2.0","result":{"method":"LONG"},"id":7}"#, None),
            (r#"{"jsonrpc":"2.0","id":7,"\u0065rror":{"code":1,"message":"LONG"}}"#, None),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"LONG"}}"#, None),
            (r#"{"result":null,"error":"LONG","id":7}"#, None),
            (r#"[{"jsonrpc":"2.0","id":7,"method":"echo","params":["LONG"]}]"#, Some("null")),
            (r#"[{"jsonrpc":"2.0","id":7,"result":"LONG"}]"#, None),
            (r#"[{"jsonrpc":"2.0","method":"echo","params":["LONG"]}]"#, None),
            (r#"{"jsonrpc":"2.0","id":[7],"method":"echo","params":["LONG"]}"#, Some("null")),
            (r#"["LONG"]"#, Some("null")),
        ],
        match protocol {
            Protocol::V1 => &[
                (r#"{"method":"echo","params":["LONG"],"id":7}"#, Some("7")),
                (r#"{"id":true,"method":"echo","params":["LONG"]}"#, Some("true")),
                (r#"{"method":"echo","params":["LONG"],"id":null}"#, None),
                (r#"{"id":null,"method":"echo","params":["LONG"]}"#, None),
            ],
            _ => &[
                (r#"{"jsonrpc":"2.0","id":null,"method":"echo","params":["LONG"]}"#, Some("null")),
                (r#"{"jsonrpc":"2.0","id":true,"method":"echo","params":["LONG"]}"#, Some("null")),
            ],
        },
    );
    frames.iter().chain(of_version).map(|(frame, id)| (frame.replace("LONG", &long), *id)).collect()
}

async fn requests_are_answered_and_nothing_else_is(framer: impl Framer) {
    for protocol in [Protocol::V2, Protocol::V1, Protocol::Loose] {
        for is_client in [true, false] {
            let (mut peer, session) = match is_client {
                true => client(&framer, protocol).await,
                false => server(&framer, protocol),
            };
            for (errors, (frame, id)) in (1..).zip(frames_in(protocol)) {
                let bytes = peer.framed(&frame);
                peer.write(&bytes, if errors % 2 == 0 { 100 } else { usize::MAX }).await;
                peer.send(r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":["y"]}"#).await;
                if let Some(id) = id {
                    is_refusal(&peer.message().await.expect("a refusal"), id, protocol, frame.len() + 1);
                }
                let answer: Value =
                    serde_json::from_str(&peer.message().await.expect("an answer")).expect("JSON");
                assert_eq!(answer["result"], json!(["y"]), "{frame}");
                // Each has its price, answered or not.
                assert_eq!(session.statistics().errors, errors, "{frame}");
            }
            assert!(session.cost() >= 1_000.0);
        }
    }
}

async fn the_first_message_may_be_too_large_whatever_it_speaks(framer: impl Framer) {
    let long = "x".repeat(2 * LIMIT);
    for (message, protocol) in [
        (r#"{"id":7,"method":"echo","params":["LONG"],"jsonrpc":"2.0"}"#, Protocol::V2),
        (r#"{"id":7,"method":"echo","params":["LONG"]}"#, Protocol::V1),
    ] {
        let (mut peer, session) = client(&framer, Protocol::Detect).await;
        let message = message.replace("LONG", &long);
        peer.send(&message).await;
        is_refusal(&peer.message().await.expect("a refusal"), "7", protocol, message.len() + 1);
        assert_eq!(session.protocol(), Protocol::Detect, "it was not read");
    }
    let (mut peer, _session) = client(&framer, Protocol::Detect).await;
    peer.send(&format!(r#"{{"method":"echo","params":["{long}"],"id":null}}"#)).await;
    peer.expect_silence().await;
}

over_every_framing!(requests_are_answered_and_nothing_else_is);
over_every_framing!(the_first_message_may_be_too_large_whatever_it_speaks);

async fn our_own_client_is_told_by_our_own_server(framer: impl Framer) {
    for protocol in [Protocol::V2, Protocol::V1] {
        let (here, there) = rpc::transport::memory(64 << 10);
        let connector = |io| Connector::over(io).framer(framer.clone()).protocol(protocol);
        let there = connector(there).service(echo()).limits(limits()).connect().await.expect("connected");
        let here = connector(here).connect().await.expect("connected");
        let start = Instant::now();
        let (large, small) = tokio::join!(
            here.call::<Value>("echo", ("x".repeat(5 * LIMIT),)),
            here.call::<Value>("echo", ("y",))
        );
        let Err(CallError::Rpc(error)) = large else { panic!("{large:?}") };
        assert!(error.code().value() == -32600 && error.message().contains("the limit is 1000"), "{error}");
        assert_eq!(small.expect("it goes on"), json!(["y"]));
        assert!(start.elapsed() < Duration::from_secs(1), "at once, and not by a timeout");
        assert!(!there.is_closed());
        if protocol == Protocol::V2 {
            let long = "x".repeat(LIMIT);
            let batch =
                here.batch((here.call::<Value>("echo", (&long,)), here.call::<Value>("echo", (&long,))));
            let (one, other) = batch.await.expect("it was sent");
            assert!(matches!(&one, Err(CallError::Rpc(error)) if error.code().value() == -32600), "{one:?}");
            assert!(other.is_err());
        }
    }
}

over_every_framing!(our_own_client_is_told_by_our_own_server);

/// The framings of this crate: an application's codec has to have decoded a frame before anything is known of it.
macro_rules! over_our_own_framings {
    ($body:ident) => {
        mod $body {
            use super::*;

            over_every_framing! { $body:
                newline = NewlineFramer::new();
                content_length = ContentLengthFramer::new();
                prefix_u16_be = LengthPrefixedFramer::u16_be();
                prefix_u32_le = LengthPrefixedFramer::u32_le();
                netstring = NetstringFramer::new();
                values = JsonFramer::new();
            }
        }
    };
}

/// A request of so many bytes, whose id comes first.
fn request(size: usize) -> String {
    let around = r#"{"jsonrpc":"2.0","id":7,"method":"echo","params":[""]}"#;
    around.replace("\"\"", &format!("\"{}\"", "x".repeat(size - around.len())))
}

async fn the_answer_does_not_wait_for_the_end(framer: impl Framer) {
    for (message, answer) in [
        (request(5 * LIMIT), Some("7")),
        (request(5 * LIMIT).replacen("\"id\":7,", "", 1), None),
        (format!(r#"[{}]"#, request(5 * LIMIT)), Some("null")),
    ] {
        let (mut peer, session) = client(&framer, Protocol::V2).await;
        let bytes = peer.framed(&message);
        peer.write(&bytes[..2 * LIMIT], 64).await;
        match answer {
            Some(id) => {
                is_refusal(&peer.message().await.expect("a refusal"), id, Protocol::V2, message.len());
            }
            None => peer.expect_silence().await,
        }
        peer.write(&bytes[2 * LIMIT..], 64).await;
        peer.expect_silence().await;
        assert_eq!(session.statistics().errors, 1);
        assert!(!session.is_closed());
    }
}

over_our_own_framings!(the_answer_does_not_wait_for_the_end);

mod far_over;

fn declared() -> (ContentLengthFramer, LengthPrefixedFramer, NetstringFramer) {
    (ContentLengthFramer::new(), LengthPrefixedFramer::u32_be(), NetstringFramer::new())
}

/// What stands before a message of so many bytes.
fn header(framer: &impl Framer, size: usize) -> Vec<u8> {
    let mut framed = framed(framer, &["x".repeat(size)]);
    let end = framed.iter().position(|&byte| byte == b'x').expect("the message");
    framed.truncate(end);
    framed
}

/// The header has come, or some of the frame, and nothing more does.
#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_that_stalls_ends_the_session() {
    async fn ends(framer: impl Framer, header: Vec<u8>) {
        for (start, answer) in [
            ("", (!header.is_empty()).then_some("null")),
            (r#"{"jsonrpc":"2.0","id":7,"method":"echo","params":["LONG"#, None),
            (r#"{"jsonrpc":"2.0","method":"echo","params":["LONG"#, Some("null")),
            (r#"{"jsonrpc":"2.0","id":7,"result":["LONG"#, None),
        ] {
            let (mut peer, session) = client(&framer, Protocol::V2).await;
            let begun = Instant::now();
            let bytes = [&*header, start.replace("LONG", &"x".repeat(2 * LIMIT)).as_bytes()].concat();
            if bytes.is_empty() {
                continue;
            }
            peer.write(&bytes, 100).await;
            if start.contains("\"id\":7,\"method\"") {
                is_refusal(&peer.message().await.expect("a refusal"), "7", Protocol::V2, 5 * LIMIT);
            }
            assert!(!session.is_closed());
            if let Some(id) = answer {
                is_refusal(&peer.message().await.expect("a refusal"), id, Protocol::V2, 5 * LIMIT);
            }
            assert_eq!(peer.message().await, None, "{start}");
            let reason = session.closed().await;
            assert!(matches!(reason, CloseReason::FrameTimeout { .. }), "{reason}");
            assert_eq!(begun.elapsed().as_secs(), 30);
        }
    }
    let (content_length, prefix, netstring) = declared();
    let headers =
        (header(&content_length, 5 * LIMIT), header(&prefix, 5 * LIMIT), header(&netstring, 5 * LIMIT));
    ends(content_length, headers.0).await;
    ends(prefix, headers.1).await;
    ends(netstring, headers.2).await;
    ends(NewlineFramer::new(), Vec::new()).await;
    ends(JsonFramer::new(), Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_that_is_cut_off_is_answered() {
    for (start, answer) in [
        (r#"{"jsonrpc":"2.0","method":"echo","params":["LONG"#, Some("null")),
        (r#"{"jsonrpc":"2.0","id":7,"result":["LONG"#, None),
    ] {
        let (mut peer, session) = client(&NewlineFramer::new(), Protocol::V2).await;
        peer.write(start.replace("LONG", &"x".repeat(2 * LIMIT)).as_bytes(), 100).await;
        peer.finish().await;
        if let Some(id) = answer {
            is_refusal(&peer.message().await.expect("a refusal"), id, Protocol::V2, 3 * LIMIT);
        }
        assert_eq!(peer.message().await, None);
        assert!(matches!(session.closed().await, CloseReason::Peer));
    }
}

/// Lines, by a framer of an application's own: what its marks are, this crate cannot know.
#[derive(Debug, Clone)]
struct Lines(NewlineFramer);

impl Framer for Lines {
    fn next(&mut self, unread: &[u8]) -> Result<rpc::framing::Framed, FrameError> {
        self.0.next(unread)
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        self.0.finish(out, start)
    }

    fn set_limit(&mut self, bytes: usize) {
        self.0.set_limit(bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_a_framer_of_the_applications_can_read_is_not_answered() {
    let (mut peer, session) = client(&Lines(NewlineFramer::new()), Protocol::V2).await;
    peer.send(&"x".repeat(2 * LIMIT)).await;
    peer.expect_silence().await;
    peer.send(&request(2 * LIMIT)).await;
    is_refusal(&peer.message().await.expect("a refusal"), "7", Protocol::V2, 3 * LIMIT);
    assert_eq!(session.statistics().errors, 2);
}
