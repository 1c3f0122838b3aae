//! Server side of the handshake: over a plain stream, and for requests that an HTTP server has
//! read.

use std::{fmt, io, sync::LazyLock};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, request::Parts};
use tokio::io::AsyncWriteExt;
use tungstenite::handshake::derive_accept_key;

use super::{
    head::{self, ALL_NOTICES, HeadError, MOST_HEADERS, NOTICES, Refusal},
    options::{SubProtocol, WebSocketServer},
    stream::open,
};
use crate::{
    framing::websocket::Role,
    jsonrpc::{ErrorCode, ErrorObject},
    transport::{
        Connection, Denied, Expected, ForeignHandshake, FromItself, Handshake, Net, PageScheme, Takes,
        WebAccess, has_address, log_foreign,
    },
};

/// The handshake of a `ws://` or `wss://` listener.
struct WebSocketHandshake {
    options: WebSocketServer,
    /// The path that is served; `None` for all.
    path: Option<Box<str>>,
}

/// The handshake of a listener at `net`.
pub(crate) fn handshake(options: &WebSocketServer, net: &Net) -> Box<dyn Handshake> {
    Box::new(WebSocketHandshake { options: options.clone(), path: net.served_path().map(Box::from) })
}

/// Without the path, which may hold a key.
impl fmt::Debug for WebSocketHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketHandshake").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Handshake for WebSocketHandshake {
    fn shake(&self, connection: Connection) -> BoxFuture<'static, io::Result<Connection>> {
        let (options, path) = (self.options.clone(), self.path.clone());
        async move { accept(connection, &options, path.as_deref()).await }.boxed()
    }

    /// Reads the request first: many clients do not accept a response that comes before they have
    /// sent it.
    fn refuse<'a>(
        &'a self,
        mut connection: Connection,
        error: &'a ErrorObject,
    ) -> BoxFuture<'a, io::Result<Option<Connection>>> {
        async move {
            if let Err(HeadError::Io(error)) = head::read(&mut connection.io, Vec::new(), request).await {
                return Err(error);
            }
            let status = match error.code() {
                ErrorCode::EXCESSIVE_RESOURCE_USAGE => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            Err(Refusal::new(status, error.message()).tell(connection.io).await)
        }
        .boxed()
    }
}

pub(super) async fn accept(
    mut connection: Connection,
    options: &WebSocketServer,
    path: Option<&str>,
) -> io::Result<Connection> {
    let agreed = match head::read(&mut connection.io, Vec::new(), request).await {
        Ok((request, read)) => {
            agreed(&request, path, &connection, options).map(|agreed| (agreed, request, read))
        }
        Err(HeadError::Io(error)) => return Err(error),
        Err(HeadError::Foreign(reason, foreign)) => {
            let (peer, rate) = (&connection.peer, Some(&*options.foreign_log_rate));
            log_foreign((Expected::WebSocket, &foreign), (peer, None), rate, "it was answered 400 over HTTP");
            let text = format!("{reason}: {}", foreign.told_to_client());
            let told = Refusal::unreadable(StatusCode::BAD_REQUEST, text).tell(connection.io).await;
            return Err(io::Error::new(told.kind(), ForeignHandshake(told.to_string())));
        }
        Err(HeadError::Invalid(reason)) => Err(Refusal::unreadable(StatusCode::BAD_REQUEST, reason)),
        Err(HeadError::TooLarge(reason)) => {
            Err(Refusal::unreadable(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason))
        }
    };
    let (agreed, request, read) = match agreed {
        Ok(agreed) => agreed,
        Err(refusal) => return Err(refusal.tell(connection.io).await),
    };
    connection.io.write_all(&agreed.to_bytes()).await?;
    connection.io.flush().await?;
    connection.extensions = connection.extensions.for_request(head::of_session(request));
    Ok(upgraded(connection, agreed, read, options))
}

/// Parses the head of an HTTP/1.1 request.
fn request(read: &[u8]) -> Result<Option<(Parts, usize)>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(read)? else { return Ok(None) };
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes());
    let (Ok(method), Ok(uri)) = (method, parsed.path.unwrap_or_default().parse()) else {
        return Err(HeadError::Invalid("this is no request of HTTP".to_owned()));
    };
    let mut request = http::Request::new(()).into_parts().0;
    (request.method, request.uri, request.version) = (method, uri, version);
    request.headers = head::map(parsed.headers)?;
    Ok(Some((request, length)))
}

/// The default access, shared so that each denied name is logged once.
static DEFAULT_ACCESS: LazyLock<WebAccess> = LazyLock::new(WebAccess::new);

/// Checks in the same order as an HTTP server that opens WebSockets.
fn agreed(
    request: &Parts,
    path: Option<&str>,
    connection: &Connection,
    options: &WebSocketServer,
) -> Result<Agreed, Refusal> {
    let peer = &connection.peer;
    let is_local =
        || connection.extensions.get::<FromItself>().is_some() || peer.socket_addr().is_some_and(has_address);
    let access = options.access_or(&DEFAULT_ACCESS);
    access.check(request, PageScheme::of(peer), is_local).map_err(|denied| match denied {
        Denied::Malformed(reason) => Refusal::bad_request(reason),
        Denied::Forbidden(reason) => Refusal::new(StatusCode::FORBIDDEN, reason),
    })?;
    if path.is_some_and(|path| path != request.uri.path()) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "nothing is served at this path"));
    }
    agree(request, options)
}

/// Whether a request asks for a WebSocket, validly or not.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    head::has_token(headers, &header::UPGRADE, "websocket")
}

/// The outcome of a successful negotiation.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// The headers of the 101 response.
    pub(crate) headers: HeaderMap,
    protocol: Option<String>,
    /// The notifications that the client supports.
    takes: Takes,
}

/// Negotiates a WebSocket. On success, respond with 101 and these headers, and pass the upgraded
/// connection to [`upgraded`]. Access by web pages is checked separately.
///
/// # Errors
///
/// The response otherwise.
pub(crate) fn agree(request: &Parts, options: &WebSocketServer) -> Result<Agreed, Refusal> {
    let Parts { method, version, headers, .. } = request;
    if *method != Method::GET {
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "WebSocket handshakes are GET requests");
        return Err(refusal.with(header::ALLOW, "GET"));
    }
    let is_upgrade = *version == Version::HTTP_11
        && head::has_token(headers, &header::CONNECTION, "upgrade")
        && is_asked_for(headers);
    if !is_upgrade {
        let text = "WebSocket is spoken here: ask for an upgrade, over HTTP/1.1";
        let refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, text);
        return Err(refusal.with(header::UPGRADE, "websocket"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, "version 13 of WebSocket is spoken here");
        return Err(refusal.with(header::SEC_WEBSOCKET_VERSION, "13").with(header::UPGRADE, "websocket"));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key) => key,
        _ => return Err(Refusal::bad_request("a Sec-WebSocket-Key of 16 bytes in base64 is missing")),
    };
    let protocol = head::tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .find(|offered| options.protocols.iter().any(|spoken| spoken == offered))
        .map(str::to_owned);
    let mut answer = answer(key, protocol.as_deref());
    let takes = head::notices_taken(headers);
    if headers.contains_key(NOTICES) {
        answer.insert(NOTICES, ALL_NOTICES);
    }
    Ok(Agreed { headers: answer, protocol, takes })
}

/// Whether a key has the form of 16 bytes in base64.
fn is_key(key: &HeaderValue) -> bool {
    let is_digit = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    matches!(key.as_bytes(), [digits @ .., b'=', b'='] if digits.len() == 22 && digits.iter().all(is_digit))
}

fn answer(key: &HeaderValue, protocol: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    // Both contain only valid header characters.
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = protocol.and_then(|protocol| protocol.parse().ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    headers
}

impl Agreed {
    fn to_bytes(&self) -> Vec<u8> {
        let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        for (name, value) in &self.headers {
            head::put(&mut answer, name, value);
        }
        answer.extend_from_slice(b"\r\n");
        answer
    }
}

/// The connection for a session after the 101 response. Its `io` is the upgraded stream, and `read`
/// are bytes that followed the request.
pub(crate) fn upgraded(
    mut connection: Connection,
    agreed: Agreed,
    read: Vec<u8>,
    options: &WebSocketServer,
) -> Connection {
    connection.takes = agreed.takes;
    if let Some(protocol) = agreed.protocol {
        connection.extensions.insert(SubProtocol(protocol));
    }
    open(connection, Role::Server, read, options.binary)
}
