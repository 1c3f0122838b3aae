//! Why a server could not be made.

use std::io;

use crate::{
    service::Duplicate,
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
    #[error("cannot listen at {endpoint}: {source}")]
    Io {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        source: io::Error,
    },

    /// Two services have a method of the same name on the wire.
    #[error("the method `{method}` is served twice: by {first} and by {second}")]
    DuplicateMethod {
        /// The name.
        method: &'static str,
        /// The type of the service that was added first.
        first: &'static str,
        /// The type of the service that was added second.
        second: &'static str,
    },
}

impl From<Duplicate> for BindError {
    fn from(Duplicate { method, first, second }: Duplicate) -> Self {
        Self::DuplicateMethod { method, first, second }
    }
}
