//! Why a server could not be made.

use std::io;

use crate::{
    jsonrpc::Unsupported,
    service::DuplicateMethod,
    transport::{Endpoint, EndpointError},
};

/// Why a server (or a connector that serves) could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The URL names no place to listen at.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),

    /// The place cannot be listened at.
    #[error("cannot listen at {endpoint}")]
    Io {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: io::Error,
    },

    /// Two services have a method of the same name on the wire.
    #[error(transparent)]
    DuplicateMethod(#[from] DuplicateMethod),

    /// What was configured cannot be said in the version that was chosen.
    #[error("cannot serve as configured")]
    Unsupported(#[from] Unsupported),
}
