//! Why connecting failed.

use std::io;

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

    /// Two services of the connecting side have a method of the same name on the wire.
    #[error(transparent)]
    DuplicateMethod(#[from] DuplicateMethod),
}
