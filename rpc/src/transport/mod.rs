//! Byte streams between two sides, and the URLs that name them. Nothing here knows what the bytes mean.

mod endpoint;
mod memory;
#[cfg(feature = "socks")]
pub(crate) mod socks;
pub(crate) mod tcp;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use endpoint::Kind;
pub use endpoint::{Endpoint, EndpointError};
pub use memory::memory;
#[cfg(feature = "socks")]
pub use socks::{Proxied, SocksAddress, SocksError, SocksProxy, SocksReply, SocksStep, SocksUrlError, SocksVersion};
pub use tcp::{ConnectAttempts, TcpKeepAlive, TcpOptions};

/// Anything that bytes can be read from and written to.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}
