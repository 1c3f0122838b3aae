//! What a URL cannot say of a WebSocket, and why there is none.

use std::{fmt, io, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    jsonrpc::{clean_io, shown::escaped},
    transport::{HttpHeaders, LogRate, WebAccess},
};

/// How to connect to a `ws://` or `wss://` URL: see [`Connector::websocket`](crate::Connector::websocket).
///
/// ```
/// use rpc::{Connector, transport::websocket::WebSocketClient};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let websocket = WebSocketClient::new().header("authorization", "Bearer abc")?.protocol("jsonrpc")?;
/// let connector = Connector::new("ws://127.0.0.1:8546/v1")?.websocket(websocket);
/// # let _ = connector;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct WebSocketClient {
    pub(super) headers: HeaderMap,
    pub(super) protocols: Vec<String>,
    pub(super) binary: bool,
}

/// Without the values of headers, and without sub-protocols, which may be tokens.
impl fmt::Debug for WebSocketClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketClient")
            .field("headers", &self.headers)
            .field("protocols", &self.protocols.len())
            .field("binary", &self.binary)
            .finish()
    }
}

/// What the handshake itself says.
const RESERVED: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

impl WebSocketClient {
    /// The defaults: no headers but those of the handshake, no sub-protocol, texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends one more header with the request, or another `Host`. Its value is
    /// [never shown](crate::Endpoint#what-is-shown).
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Header`], where it cannot stand in a request, or is one of the handshake's own.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, WebSocketError> {
        let wrong =
            |reason: &str| WebSocketError::Header { name: name.to_owned(), reason: reason.to_owned() };
        let parsed: HeaderName = name.parse().map_err(|_| wrong("it is no name of a header"))?;
        if RESERVED.contains(&parsed) {
            return Err(wrong("the handshake has its own"));
        }
        let mut value: HeaderValue =
            value.parse().map_err(|_| wrong("its value has characters that no header may have"))?;
        // Of none is it known that it is no secret.
        value.set_sensitive(true);
        match parsed == header::HOST {
            true => drop(self.headers.insert(parsed, value)),
            false => drop(self.headers.append(parsed, value)),
        }
        Ok(self)
    }

    /// Offers a sub-protocol, after those that were offered before. Which one the server has chosen is in the session's
    /// [extensions](crate::Session::extensions), as a [`SubProtocol`]; it may choose none.
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Header`], where it is no token of HTTP.
    pub fn protocol(mut self, protocol: &str) -> Result<Self, WebSocketError> {
        check_token(protocol)?;
        self.protocols.push(protocol.to_owned());
        Ok(self)
    }

    /// Sends binary messages. Default: texts, which is what nearly everybody expects of JSON. Both are taken.
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }
}

/// How a `ws://` or `wss://` URL is listened at: see [`Listen::websocket`](crate::Listen::websocket).
///
/// A URL with a path serves that path only, and answers 404 elsewhere. With none, or `/`, it serves every path. What a client has sent with
/// its request handlers find in [`Context::http`](crate::Context::http).
///
/// ```
/// use rpc::{Listen, Server, WebAccess, transport::websocket::WebSocketServer};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let websocket = WebSocketServer::new()
///     .access(WebAccess::new().allow_origin("https://wallet.example.org"))
///     .protocol("jsonrpc")?;
/// let server = Server::builder().service(()).bind(Listen::at("ws://127.0.0.1:0/v1")?.websocket(websocket)).await?;
/// # let _ = server;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct WebSocketServer {
    /// `None` where it was not said.
    access: Option<WebAccess>,
    pub(super) protocols: Vec<String>,
    pub(super) binary: bool,
    /// How often the log has it that a peer does not speak WebSocket.
    pub(super) foreign_log_rate: Arc<LogRate>,
}

impl WebSocketServer {
    /// The defaults: no sub-protocol, texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which pages in a browser may come in, and under which names of the server. Default:
    /// [`WebAccess::new`]; of a server of HTTP that opens WebSockets, too, what holds there.
    pub fn access(mut self, access: WebAccess) -> Self {
        self.access = Some(access);
        self
    }

    /// What was said, or else `default`.
    pub(crate) fn access_or<'a>(&'a self, default: &'a WebAccess) -> &'a WebAccess {
        self.access.as_ref().unwrap_or(default)
    }

    /// Speaks a sub-protocol. Of those that a client offers, the first that is spoken is chosen: it is in the session's
    /// [extensions](crate::Session::extensions), as a [`SubProtocol`]. A client that offers none, or none of these, is served without.
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Header`], where it is no token of HTTP.
    pub fn protocol(mut self, protocol: &str) -> Result<Self, WebSocketError> {
        check_token(protocol)?;
        self.protocols.push(protocol.to_owned());
        Ok(self)
    }

    /// Sends binary messages. Default: texts, which is what nearly everybody expects of JSON. Both are taken.
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }
}

/// What RFC 9110 calls a token.
fn check_token(protocol: &str) -> Result<(), WebSocketError> {
    let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    match !protocol.is_empty() && protocol.bytes().all(is_token) {
        true => Ok(()),
        false => Err(WebSocketError::Header {
            name: header::SEC_WEBSOCKET_PROTOCOL.to_string(),
            reason: "a sub-protocol is a token (RFC 9110, section 5.6.2), and this is none".to_owned(),
        }),
    }
}

/// The sub-protocol that client and server have agreed on: in the session's [extensions](crate::Session::extensions), on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubProtocol(pub String);

/// Why a handshake has failed, seen from the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The server does not want to: its answer is not 101.
    #[error("the server answered {status}: {}", escaped(.text))]
    Refused {
        /// The status of HTTP.
        status: u16,
        /// The beginning of what it says, or the name of the status where it says nothing.
        text: String,
        /// What it says besides, such as `Retry-After` with the status 429 or 503.
        headers: HttpHeaders,
    },

    /// The answer is none of a WebSocket server's.
    #[error("the server's answer is none to a WebSocket handshake: {}", escaped(.reason))]
    Answer {
        /// What is wrong with it.
        reason: String,
    },

    /// A header cannot be sent.
    #[error("the header `{}` cannot be sent: {}", escaped(.name), escaped(.reason))]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The connection was lost during the handshake.
    #[error("the connection was lost during the handshake")]
    Io(#[source] io::Error),
}

impl WebSocketError {
    /// How long the server wants to be left alone, counted from its answer: its `Retry-After`, if it has
    /// sent one. See [`HttpHeaders::retry_after`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rpc::{ConnectError, Connector, Session};
    ///
    /// /// Connects again when the server says, if that is soon.
    /// async fn connect(connector: &Connector) -> Result<Session, ConnectError> {
    ///     let refused = match connector.clone().connect().await {
    ///         Err(ConnectError::WebSocket { source, .. }) if source.retry_after().is_some() => source,
    ///         connected_or_not => return connected_or_not,
    ///     };
    ///     let wait = refused.retry_after().unwrap_or_default();
    ///     tokio::time::sleep(wait.min(Duration::from_secs(30))).await;
    ///     connector.clone().connect().await
    /// }
    /// # let _ = connect;
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { headers, .. } => headers.retry_after(),
            Self::Answer { .. } | Self::Header { .. } | Self::Io(_) => None,
        }
    }
}

impl From<io::Error> for WebSocketError {
    fn from(error: io::Error) -> Self {
        Self::Io(clean_io(error))
    }
}
