//! Why connecting failed.

use std::{io, time::Duration};

#[cfg(feature = "stdio")]
use crate::jsonrpc::shown::escaped;
#[cfg(feature = "socks")]
use crate::transport::socks::{ByWayOf, SocksError, SocksProxy};
use crate::{
    jsonrpc::{Unsupported, clean_io},
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
    #[error("cannot connect to {endpoint}")]
    Io {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: io::Error,
    },

    /// The proxy did not connect to the peer.
    #[cfg(feature = "socks")]
    #[error("cannot connect to {endpoint} by way of {proxy}")]
    Socks {
        /// Where to.
        endpoint: Endpoint,
        /// The proxy.
        proxy: SocksProxy,
        /// Why not.
        source: SocksError,
    },

    /// The connection was not there in time.
    #[error("cannot connect to {endpoint}: not within {limit:?} (`handshake_timeout`)")]
    Timeout {
        /// Where.
        endpoint: Endpoint,
        /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout).
        limit: Duration,
    },

    /// The process to connect to cannot be started.
    #[cfg(feature = "stdio")]
    #[error("cannot start `{}`", escaped(.program))]
    Spawn {
        /// What was to be started.
        program: String,
        /// Why not.
        source: io::Error,
    },

    /// TLS could not be agreed on: the server is not who it should be, or one side does not like the other.
    #[cfg(feature = "tls-no-provider")]
    #[error("cannot connect to {endpoint}")]
    Tls {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: crate::transport::tls::TlsError,
    },

    /// The peer is there, and there is no WebSocket.
    #[cfg(feature = "ws")]
    #[error("cannot connect to {endpoint}")]
    WebSocket {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: crate::transport::websocket::WebSocketError,
    },

    /// Two services of the connecting side have a method of the same name on the wire.
    #[error(transparent)]
    DuplicateMethod(#[from] DuplicateMethod),

    /// What was configured cannot be said in the version that was chosen.
    #[error("cannot connect as configured")]
    Unsupported(#[from] Unsupported),
}

impl ConnectError {
    /// What became of connecting to `endpoint`: steps that have errors of their own hand them over within an I/O error.
    pub(super) fn of(endpoint: Endpoint, error: io::Error) -> Self {
        #[cfg(feature = "socks")]
        let error = match error.downcast() {
            Ok(ByWayOf { proxy, source }) => return Self::Socks { endpoint, proxy, source },
            Err(error) => error,
        };
        #[cfg(feature = "tls-no-provider")]
        let error = match error.downcast() {
            Ok(source) => return Self::Tls { endpoint, source },
            Err(error) => error,
        };
        #[cfg(feature = "ws")]
        let error = match error.downcast() {
            Ok(source) => return Self::WebSocket { endpoint, source },
            Err(error) => error,
        };
        Self::Io { endpoint, source: clean_io(error) }
    }
}
