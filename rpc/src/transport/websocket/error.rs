//! Why there is no WebSocket.

use std::io;

use crate::jsonrpc::{clean_io, shown::escaped};

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

impl From<io::Error> for WebSocketError {
    fn from(error: io::Error) -> Self {
        Self::Io(clean_io(error))
    }
}
