//! Byte streams between two sides, and the URLs that name them. Nothing here knows what the bytes mean.

mod endpoint;
mod memory;
#[cfg(feature = "stdio")]
pub(crate) mod stdio;
pub(crate) mod tcp;
#[cfg(all(unix, feature = "unix"))]
pub(crate) mod unix;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use endpoint::Kind;
pub use endpoint::{Endpoint, EndpointError};
pub use memory::memory;
#[cfg(feature = "stdio")]
pub use stdio::{ChildExit, ChildProcess, Spawn};
#[cfg(all(unix, feature = "unix"))]
pub use unix::PeerCredentials;

/// Anything that bytes can be read from and written to.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}
