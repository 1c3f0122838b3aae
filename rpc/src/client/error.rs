//! Why connecting failed.

use std::io;

use crate::{
    server::BindError,
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

    /// What the connecting side wants to serve does not fit together.
    #[error(transparent)]
    Services(#[from] BindError),
}
