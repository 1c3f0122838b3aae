//! Why an HTTP exchange brought no reply.

use std::{error::Error, io, sync::Arc};

use crate::jsonrpc::{Executed, shown::escaped};

/// Why an HTTP exchange brought no reply to what it carried.
///
/// None of them shows credentials, nor the path of the URL, which may hold a key.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{CallError, HttpClient, HttpError};
///
/// let node = HttpClient::new("http://127.0.0.1:8332")?;
/// match node.call::<u64>("getblockcount", ()).await {
///     Ok(height) => println!("{height} blocks"),
///     Err(CallError::Http(HttpError::Status { status: 401, .. })) => println!("wrong password"),
///     Err(CallError::Http(HttpError::Connect { source, .. })) => println!("nobody answers: {source}"),
///     Err(other) => return Err(other.into()),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// There is no connection. Nothing was sent.
    #[error("cannot connect to {url}")]
    Connect {
        /// The server: scheme, host and port.
        url: String,
        /// Why not.
        source: Arc<io::Error>,
    },

    /// The proxy did not connect to the server. Nothing was sent.
    #[cfg(feature = "socks")]
    #[error("cannot connect to {url} by way of {proxy}")]
    Socks {
        /// The server: scheme, host and port.
        url: String,
        /// The proxy.
        proxy: super::socks::SocksProxy,
        /// Why not.
        source: Arc<super::socks::SocksError>,
    },

    /// There is a connection, and TLS could not be agreed on. Nothing was sent.
    #[cfg(feature = "tls")]
    #[error("cannot connect to {url}")]
    Tls {
        /// The server: scheme, host and port.
        url: String,
        /// Why not.
        source: Arc<super::tls::TlsError>,
    },

    /// The connection ended, or what came on it was no HTTP, before the whole answer was there. The call may have been carried out.
    #[error("the exchange with {url} broke off")]
    Broken {
        /// The server.
        url: String,
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
    },

    /// The server refused, and not in JSON-RPC: 401 where the credentials are wrong, 503 where it is too busy. With most statuses of 5xx the
    /// call may have been carried out.
    #[error("{url} answered with the HTTP status {status}: {}", escaped(said(.text)))]
    Status {
        /// The server.
        url: String,
        /// The status, for example 401.
        status: u16,
        /// The start of what it said, for people.
        text: String,
    },

    /// The server sends us elsewhere. Redirects are not followed: what was sent may be meant for this server alone, and credentials
    /// are.
    #[error("{url} redirects to {} (HTTP status {status}): redirects are not followed", escaped(.location))]
    Redirect {
        /// The server.
        url: String,
        /// The status, for example 308.
        status: u16,
        /// Where to.
        location: String,
    },

    /// The server accepted, and what it answered is no JSON: usually something else than a JSON-RPC server is there. Or nothing at all
    /// stands in the answer. The call may have been carried out.
    #[error("{url} answered with the HTTP status {status} and no JSON-RPC: {}", escaped(said(.text)))]
    NoReply {
        /// The server.
        url: String,
        /// The status, for example 200.
        status: u16,
        /// The start of what it said, for people.
        text: String,
    },

    /// The answer is larger than [`Limits::frame_size`](crate::Limits::frame_size), and was not read to its end. The call may have been
    /// carried out.
    #[error("the answer of {url} has {} bytes: the limit is {limit} (`frame_size`)", size(.declared, .limit))]
    TooLarge {
        /// The server.
        url: String,
        /// The size in bytes, where the server has declared it.
        declared: Option<u64>,
        /// The limit in bytes.
        limit: usize,
    },
}

impl HttpError {
    /// Whether the call was carried out, as far as the error tells: see [`Executed`].
    pub fn executed(&self) -> Executed {
        match self {
            Self::Connect { .. } => Executed::No,
            #[cfg(feature = "socks")]
            Self::Socks { .. } => Executed::No,
            #[cfg(feature = "tls")]
            Self::Tls { .. } => Executed::No,
            // 303 sends the client to the outcome of its POST (RFC 9110, 15.4.4). With 408 the request may have arrived at what
            // stands behind a proxy.
            Self::Redirect { status: 303, .. } | Self::Status { status: 408, .. } => Executed::Perhaps,
            Self::Status { status: 400..500, .. } | Self::Redirect { .. } => Executed::No,
            Self::Broken { .. } | Self::Status { .. } | Self::NoReply { .. } | Self::TooLarge { .. } => {
                Executed::Perhaps
            }
        }
    }

    /// The status that the server has answered with, if it has.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Redirect { status, .. } | Self::NoReply { status, .. } => {
                Some(*status)
            }
            #[cfg(feature = "tls")]
            Self::Tls { .. } => None,
            #[cfg(feature = "socks")]
            Self::Socks { .. } => None,
            Self::Connect { .. } | Self::Broken { .. } | Self::TooLarge { .. } => None,
        }
    }
}

fn size(declared: &Option<u64>, limit: &usize) -> String {
    declared.map_or_else(|| format!("more than {limit}"), |size| size.to_string())
}

fn said(text: &str) -> &str {
    if text.is_empty() { "nothing else" } else { text }
}
