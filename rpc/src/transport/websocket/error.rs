//! Why there is no WebSocket.

use std::{io, time::Duration};

use crate::{
    jsonrpc::{clean_io, shown::escaped},
    transport::HttpHeaders,
};

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
