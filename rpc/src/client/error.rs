//! Why connecting failed.

use std::{io, time::Duration};

use crate::{
    service::DuplicateMethod,
    transport::{Endpoint, EndpointError},
};

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL names no place to connect to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The peer cannot be reached.
    #[error("cannot connect to {endpoint}: {source}")]
    Io {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: io::Error,
    },

    /// The connection was not there in time.
    #[error("cannot connect to {endpoint}: not within {limit:?} (`handshake_timeout`)")]
    Timeout {
        /// Where.
        endpoint: Endpoint,
        /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout).
        limit: Duration,
    },

    /// The peer is there, and there is no WebSocket.
    #[cfg(feature = "ws")]
    #[error("cannot connect to {endpoint}: {source}")]
    WebSocket {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: crate::transport::WebSocketError,
    },

    /// Two services of the connecting side have a method of the same name on the wire.
    #[error(transparent)]
    DuplicateMethod(#[from] DuplicateMethod),
}
