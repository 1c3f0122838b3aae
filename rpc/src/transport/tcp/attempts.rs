//! Why none of a name's addresses could be connected to.

use std::{error::Error, fmt, io, net::SocketAddr};

use crate::jsonrpc::chain;

/// Why none of a name's addresses could be connected to: each that was tried, with its own error.
///
/// It is found within the `io::Error` of [`ConnectError::Io`](crate::ConnectError::Io), whose kind is that of the last attempt:
///
/// ```no_run
/// # async fn example() {
/// use rpc::{ConnectError, transport::tcp::ConnectAttempts};
///
/// if let Err(ConnectError::Io { source, .. }) = rpc::connect("tcp://example.org:50001").await {
///     let attempts = source.get_ref().and_then(|error| error.downcast_ref::<ConnectAttempts>());
///     for (address, error) in attempts.into_iter().flat_map(ConnectAttempts::iter) {
///         println!("{address}: {error}");
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct ConnectAttempts {
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl ConnectAttempts {
    /// In the order in which they were begun.
    pub(super) const fn new(attempts: Vec<(SocketAddr, io::Error)>) -> Self {
        Self { attempts }
    }

    /// Each address with its error, in the order in which they were tried.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SocketAddr, &io::Error)> {
        self.attempts.iter().map(|(address, error)| (*address, error))
    }
}

impl From<ConnectAttempts> for io::Error {
    fn from(attempts: ConnectAttempts) -> Self {
        match attempts.attempts.last() {
            Some((_, last)) => Self::new(last.kind(), attempts),
            None => Self::new(io::ErrorKind::NotFound, attempts),
        }
    }
}

impl fmt::Display for ConnectAttempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts.is_empty() {
            return f.write_str("it has no address");
        }
        for (place, (address, error)) in self.attempts.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {}", chain(error))?;
        }
        Ok(())
    }
}

/// It has no source: an error has one at most, and each of these is as good as the last. The text has all of them.
impl Error for ConnectAttempts {}
