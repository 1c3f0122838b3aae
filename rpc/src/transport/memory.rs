//! A connection within the process: for tests, and for two parts of one program.

use tokio::io::DuplexStream;

/// Two ends of a connection that never leaves memory. Each direction holds up to `capacity` bytes.
///
/// Give one end to [`Connector::over`](crate::Connector::over) and the other to [`ServerHandle::attach`](crate::ServerHandle::attach), or use
/// [`testing::pair`](crate::testing::pair), which does that.
pub fn memory(capacity: usize) -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(capacity)
}
