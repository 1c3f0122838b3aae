//! Client side of the handshake.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::{
    head::{self, ALL_NOTICES, HeadError, MOST_HEADERS, NOTICES},
    options::{SubProtocol, WebSocketClient, WebSocketError},
    stream::open,
};
use crate::{
    framing::websocket::Role,
    transport::{Connection, Expected, Io, MOST_INTERIM, Secrets, TooManyInterim},
};

/// How much of the body of a refusal is kept, in bytes.
const TEXT: usize = 512;

/// Time limit for that body.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens a WebSocket at `target` of `host`, as in the URL.
pub(super) async fn connect(
    mut connection: Connection,
    host: &str,
    target: &str,
    options: &WebSocketClient,
) -> Result<Connection, WebSocketError> {
    let key = generate_key();
    connection.io.write_all(&request(host, target, &key, options)).await?;
    connection.io.flush().await?;
    let hide = |text: &str| Secrets::of(target, &options.headers, &options.protocols).hide(text);
    let ((status, headers), read) = final_answer(&mut connection.io).await.map_err(|error| match error {
        HeadError::Io(error) => error.into(),
        // The server may repeat parts of the request.
        HeadError::TooLarge(reason) | HeadError::Invalid(reason) => {
            WebSocketError::Answer { reason: hide(&reason) }
        }
        HeadError::Foreign(reason, foreign) => {
            let reason = format!("{reason}: {}", foreign.told(Expected::WebSocket));
            WebSocketError::Answer { reason: hide(&reason) }
        }
    })?;
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let text = text(status, &headers, read, &mut connection.io).await;
        let (status, text) = (status.as_u16(), hide(&text));
        return Err(WebSocketError::Refused { status, text, headers: headers.into() });
    }
    connection.takes = head::notices_taken(&headers);
    if let Some(protocol) = check(&headers, &key, options)? {
        connection.extensions.insert(SubProtocol(protocol));
    }
    Ok(open(connection, Role::Client, read, options.binary))
}

fn request(host: &str, target: &str, key: &str, options: &WebSocketClient) -> Vec<u8> {
    let mut request = format!("GET {target} HTTP/1.1\r\n").into_bytes();
    let mut put = |name: &str, value: &[u8]| head::put(&mut request, name, value);
    if !options.headers.contains_key(header::HOST) {
        put("Host", host.as_bytes());
    }
    put("Connection", b"Upgrade");
    put("Upgrade", b"websocket");
    put("Sec-WebSocket-Version", b"13");
    put("Sec-WebSocket-Key", key.as_bytes());
    if !options.protocols.is_empty() {
        put("Sec-WebSocket-Protocol", options.protocols.join(", ").as_bytes());
    }
    if !options.headers.contains_key(NOTICES) {
        put("Rpc-Notices", ALL_NOTICES.as_bytes());
    }
    for (name, value) in &options.headers {
        put(name.as_str(), value.as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// The head of a response.
type ResponseHead = (StatusCode, HeaderMap);

/// The head of the final response, after any interim ones, and the bytes read after it.
async fn final_answer(io: &mut Box<dyn Io>) -> Result<(ResponseHead, Vec<u8>), HeadError> {
    let mut behind = Vec::new();
    for _ in 0..=MOST_INTERIM {
        let (found, read) = head::read(io, behind, answer).await?;
        if !found.0.is_informational() || found.0 == StatusCode::SWITCHING_PROTOCOLS {
            return Ok((found, read));
        }
        behind = read;
    }
    Err(HeadError::Invalid(TooManyInterim.to_string()))
}

/// Parses a response head at the front of the bytes, with its length, once it is complete.
fn answer(read: &[u8]) -> Result<Option<(ResponseHead, usize)>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(read)? else { return Ok(None) };
    let Ok(status) = StatusCode::from_u16(parsed.code.unwrap_or_default()) else {
        return Err(HeadError::Invalid("it has no status".to_owned()));
    };
    Ok(Some(((status, head::map(parsed.headers)?), length)))
}

/// The checks of RFC 6455, section 4.1. Returns the chosen sub-protocol, if there is one.
fn check(
    headers: &HeaderMap,
    key: &str,
    options: &WebSocketClient,
) -> Result<Option<String>, WebSocketError> {
    let wrong = |reason: String| Err(WebSocketError::Answer { reason });
    if !head::has_token(headers, &header::CONNECTION, "upgrade")
        || !head::has_token(headers, &header::UPGRADE, "websocket")
    {
        return wrong("it upgrades to something else".to_owned());
    }
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
        return wrong("its Sec-WebSocket-Accept does not belong to our key".to_owned());
    }
    if let Some(extension) = head::tokens(headers, &header::SEC_WEBSOCKET_EXTENSIONS).next() {
        return wrong(format!("it wants the extension `{extension}`, and none was offered"));
    }
    let mut protocols = head::tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    match (protocols.next(), protocols.next()) {
        (None, _) => Ok(None),
        (Some(protocol), None) if options.protocols.iter().any(|offered| offered == protocol) => {
            Ok(Some(protocol.to_owned()))
        }
        (Some(protocol), more) => match options.protocols.iter().any(|offered| offered == protocol) {
            true if more.is_some() => wrong("it chose more than one sub-protocol".to_owned()),
            _ => wrong(format!("it chose the sub-protocol `{protocol}`, which was not offered")),
        },
    }
}

/// The start of the body of a refusal.
async fn text(status: StatusCode, headers: &HeaderMap, mut read: Vec<u8>, io: &mut Box<dyn Io>) -> String {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let wanted = length.unwrap_or(TEXT).min(TEXT);
    let more = wanted.saturating_sub(read.len()) as u64;
    // The rest is not waited for.
    drop(timeout(PATIENCE, io.take(more).read_to_end(&mut read)).await);
    read.truncate(wanted);
    let text = String::from_utf8_lossy(&read);
    match text.trim() {
        "" => status.canonical_reason().unwrap_or("nothing more").to_owned(),
        text => text.to_owned(),
    }
}
