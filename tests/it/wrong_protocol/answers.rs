//! What a server answers to a client of another protocol: once, in the client's own language where
//! that is known, and then the session ends.

use std::time::Duration;

use rpc::{CallError, CloseReason, Limits, framing::ContentLengthFramer};
use rpc_tests::{Events, Raw, echo, soon};
use tokio::io::AsyncReadExt as _;

use super::says;

const REQUEST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#;

/// All that a peer is told that sends this to a session in lines, and why the session has ended.
async fn told(bytes: &str, with: impl FnOnce(rpc::Connector) -> rpc::Connector) -> (String, CloseReason) {
    let (mut peer, session) = Raw::peer_with(|connector| with(connector.service(echo()))).await;
    peer.write(bytes).await;
    let mut told = Vec::new();
    soon(peer.into_inner().read_to_end(&mut told)).await.expect("it ends well");
    (String::from_utf8(told).expect("text"), soon(session.closed()).await)
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_has_one_response() {
    for request in [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned(),
        format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{REQUEST}\n{REQUEST}\n", REQUEST.len()),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        let events = Events::capture();
        let (told, reason) = told(&request, |connector| connector).await;
        let (head, body) = told.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{told:?}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{told:?}");
        says(body.trim_end(), &["JSON-RPC in lines is spoken here", "no HTTP"], &request);
        assert!(matches!(reason, CloseReason::WrongProtocol { protocol: "HTTP", .. }), "{reason:?}");
        let logged =
            events.of("a peer speaks another protocol: its session ends, and nothing of it was handled");
        let [logged] = &logged[..] else { panic!("{logged:?}") };
        assert!(logged.field("advice").contains("`http://`"), "{logged:?}");
    }
}

/// However many lines there are.
#[tokio::test(start_paused = true)]
async fn a_client_with_headers_has_one_answer_with_headers() {
    let frame = format!("Content-Length: {}\r\n\r\n{REQUEST}", REQUEST.len());
    let (told, reason) = told(&frame.repeat(50), |connector| connector).await;
    let (head, body) = told.split_once("\r\n\r\n").expect("headers");
    assert_eq!(head, format!("Content-Length: {}", body.len()));
    let answer: serde_json::Value = serde_json::from_str(body).expect("one message");
    assert_eq!((answer["id"].is_null(), answer["error"]["code"].as_i64()), (true, Some(-32700)));
    let message = answer["error"]["message"].as_str().expect("a text");
    says(
        message,
        &["`Content-Length: ", "headers", "JSON-RPC in lines", "`NewlineFramer::new()`"],
        "headers",
    );
    assert!(matches!(reason, CloseReason::WrongProtocol { .. }), "{reason:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_in_lines_has_one_line() {
    let (told, reason) =
        told(&format!("{REQUEST}\n").repeat(50), |connector| connector.framer(ContentLengthFramer::new()))
            .await;
    let line = told.strip_suffix('\n').expect("a line");
    let answer: serde_json::Value = serde_json::from_str(line).expect("one message");
    let message = answer["error"]["message"].as_str().expect("a text");
    says(message, &[r#"`{\"jsonrpc"#, "in lines", "headers", "`ContentLengthFramer::new()`"], "lines");
    assert!(matches!(reason, CloseReason::WrongProtocol { .. }), "{reason:?}");
}

/// What a server says is not answered, or two of them would talk to each other.
#[tokio::test(start_paused = true)]
async fn a_server_is_told_nothing() {
    for bytes in
        ["HTTP/1.1 400 Bad Request\r\n\r\n", "\x15\x03\x03\0\x02\x02\x32", "SSH-2.0-x\r\n", "220 mail\r\n"]
    {
        assert_eq!(told(bytes, |connector| connector).await.0, "", "{bytes:?}");
    }
}

/// It has two seconds to read it.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_holds_nothing_up() {
    let (mut peer, session) = Raw::narrow_peer_of(64, echo(), Limits::unlimited());
    peer.write("GET / HTTP/1.1\r\n\r\n").await;
    let reason = tokio::time::timeout(Duration::from_secs(3), session.closed()).await;
    assert!(matches!(reason, Ok(CloseReason::WrongProtocol { .. })), "{reason:?}");
    let call = session.call::<()>("echo", ()).await;
    assert!(
        matches!(call, Err(CallError::Closed { reason: CloseReason::WrongProtocol { .. }, .. })),
        "{call:?}"
    );
}
