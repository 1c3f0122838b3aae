//! Options of WebSockets that a URL does not express, and errors of the client's handshake.

use std::{fmt, io, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    jsonrpc::{clean_io, shown::escaped},
    transport::{HttpHeaders, LogRate, WebAccess},
};

/// Options for connecting to a `ws://` or `wss://` URL: see
/// [`Connector::websocket`](crate::Connector::websocket).
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

/// Without the values of headers, and without sub-protocols, which may be secret tokens.
impl fmt::Debug for WebSocketClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketClient")
            .field("headers", &self.headers)
            .field("protocols", &self.protocols.len())
            .field("binary", &self.binary)
            .finish()
    }
}

/// Headers set by the handshake itself.
const RESERVED: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

impl WebSocketClient {
    /// The defaults: no additional headers, no sub-protocol, text messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header to the request, or replaces `Host`. Its value is [never
    /// shown](crate::Endpoint#what-is-shown).
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Header`] if it is not valid in a request, or is set by the handshake
    /// itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, WebSocketError> {
        let wrong =
            |reason: &str| WebSocketError::Header { name: name.to_owned(), reason: reason.to_owned() };
        let parsed: HeaderName = name.parse().map_err(|_| wrong("it is no name of a header"))?;
        if RESERVED.contains(&parsed) {
            return Err(wrong("the handshake has its own"));
        }
        let mut value: HeaderValue =
            value.parse().map_err(|_| wrong("its value has characters that no header may have"))?;
        // Any value may be secret.
        value.set_sensitive(true);
        match parsed == header::HOST {
            true => drop(self.headers.insert(parsed, value)),
            false => drop(self.headers.append(parsed, value)),
        }
        Ok(self)
    }

    /// Offers a sub-protocol, after those offered before. The server's choice is in the session's
    /// [extensions](crate::Session::extensions), as a [`SubProtocol`]; it may choose none.
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Header`] if it is not an HTTP token.
    pub fn protocol(mut self, protocol: &str) -> Result<Self, WebSocketError> {
        check_token(protocol)?;
        self.protocols.push(protocol.to_owned());
        Ok(self)
    }

    /// Sends binary messages. Default: text messages, as most peers expect for JSON. Both are
    /// accepted.
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }
}

/// Options for listening at a `ws://` or `wss://` URL: see
/// [`Listen::websocket`](crate::Listen::websocket).
///
/// A URL with a path serves only that path, and answers 404 for others. Without one, or with `/`,
/// every path is served. Handlers find the client's request in
/// [`Context::http`](crate::Context::http).
///
/// ```
/// use rpc::{Listen, Server, WebAccess, transport::websocket::WebSocketServer};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let websocket = WebSocketServer::new()
///     .access(WebAccess::new().allow_origin("https://wallet.example.org"))
///     .protocol("jsonrpc")?;
/// let listen = Listen::at("ws://127.0.0.1:0/v1")?.websocket(websocket);
/// let server = Server::builder().service(()).bind(listen).await?;
/// # let _ = server;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct WebSocketServer {
    /// `None` if it was not set.
    access: Option<WebAccess>,
    pub(super) protocols: Vec<String>,
    pub(super) binary: bool,
    /// Rate limit for log events about peers that do not speak WebSocket.
    pub(super) foreign_log_rate: Arc<LogRate>,
}

impl WebSocketServer {
    /// The defaults: no sub-protocol, text messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which web pages may access the server, and under which host names. Default:
    /// [`WebAccess::new`], or the setting of the HTTP server that opens the WebSockets.
    pub fn access(mut self, access: WebAccess) -> Self {
        self.access = Some(access);
        self
    }

    /// The configured access, or `default`.
    pub(crate) fn access_or<'a>(&'a self, default: &'a WebAccess) -> &'a WebAccess {
        self.access.as_ref().unwrap_or(default)
    }

    /// Supports a sub-protocol. The first supported one among those that a client offers is chosen:
    /// it is in the session's [extensions](crate::Session::extensions), as a [`SubProtocol`]. A
    /// client that offers none of them is served without.
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Header`] if it is not an HTTP token.
    pub fn protocol(mut self, protocol: &str) -> Result<Self, WebSocketError> {
        check_token(protocol)?;
        self.protocols.push(protocol.to_owned());
        Ok(self)
    }

    /// Sends binary messages. Default: text messages, as most peers expect for JSON. Both are
    /// accepted.
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }
}

/// Checks for a token (RFC 9110).
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

/// The negotiated sub-protocol, in the session's [extensions](crate::Session::extensions) on both
/// sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubProtocol(pub String);

/// Why a client's handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The server refused: its response is not 101.
    #[error("the server answered {status}: {}", escaped(.text))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The start of the body, or the name of the status if the body is empty.
        text: String,
        /// The response headers, for example `Retry-After` with status 429 or 503.
        headers: HttpHeaders,
    },

    /// The response is not valid for a WebSocket handshake.
    #[error("the server's answer is none to a WebSocket handshake: {}", escaped(.reason))]
    Answer {
        /// The problem.
        reason: String,
    },

    /// A header is invalid.
    #[error("the header `{}` cannot be sent: {}", escaped(.name), escaped(.reason))]
    Header {
        /// Its name.
        name: String,
        /// The problem.
        reason: String,
    },

    /// I/O failed during the handshake.
    #[error("the connection was lost during the handshake")]
    Io(#[source] io::Error),
}

impl WebSocketError {
    /// The server's `Retry-After`, counted from its response, if it sent one. See
    /// [`HttpHeaders::retry_after`].
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
