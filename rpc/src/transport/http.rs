//! Why an HTTP exchange brought no reply.

use std::{error::Error, io, sync::Arc, time::Duration};

use http::HeaderMap;

use super::HttpHeaders;
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
    #[cfg(feature = "tls-no-provider")]
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

    /// The server refused, and not in JSON-RPC: 401 where the credentials are wrong. With most statuses of 5xx the
    /// call may have been carried out. Two have variants of their own, [`TooManyRequests`](Self::TooManyRequests) and
    /// [`Unavailable`](Self::Unavailable).
    #[error("{url} answered with the HTTP status {status}: {}", escaped(said(.text)))]
    Status {
        /// The server.
        url: String,
        /// The status, for example 401.
        status: u16,
        /// The start of what it said, for people.
        text: String,
        /// What it said beside that: see [`HttpError::headers`].
        headers: HttpHeaders,
    },

    /// 429: this client sends more than the server takes from it. The call was not carried out.
    /// [`retry_after`](Self::retry_after) may say when to try again.
    #[error("{url} answered with the HTTP status 429: {}{}", escaped(said(.text)), later(.headers))]
    TooManyRequests {
        /// The server.
        url: String,
        /// The start of what it said, for people.
        text: String,
        /// What it said beside that: see [`HttpError::headers`].
        headers: HttpHeaders,
    },

    /// 503: the server, or one behind it, is too busy or down. A proxy may say so of a call that was carried out.
    /// [`retry_after`](Self::retry_after) may say when to try again.
    #[error("{url} answered with the HTTP status 503: {}{}", escaped(said(.text)), later(.headers))]
    Unavailable {
        /// The server.
        url: String,
        /// The start of what it said, for people.
        text: String,
        /// What it said beside that: see [`HttpError::headers`].
        headers: HttpHeaders,
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
        /// What it said beside that: see [`HttpError::headers`].
        headers: HttpHeaders,
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
        /// What it said beside that: see [`HttpError::headers`].
        headers: HttpHeaders,
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
            #[cfg(feature = "tls-no-provider")]
            Self::Tls { .. } => Executed::No,
            // 303 sends the client to the outcome of its POST (RFC 9110, 15.4.4). With 408 the request may have arrived at what
            // stands behind a proxy.
            Self::Redirect { status: 303, .. } | Self::Status { status: 408, .. } => Executed::Perhaps,
            Self::TooManyRequests { .. } | Self::Status { status: 400..500, .. } | Self::Redirect { .. } => {
                Executed::No
            }
            Self::Broken { .. }
            | Self::Unavailable { .. }
            | Self::Status { .. }
            | Self::NoReply { .. }
            | Self::TooLarge { .. } => Executed::Perhaps,
        }
    }

    /// The status that the server has answered with, if it has.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } | Self::Redirect { status, .. } | Self::NoReply { status, .. } => {
                Some(*status)
            }
            Self::TooManyRequests { .. } => Some(429),
            Self::Unavailable { .. } => Some(503),
            #[cfg(feature = "tls-no-provider")]
            Self::Tls { .. } => None,
            #[cfg(feature = "socks")]
            Self::Socks { .. } => None,
            Self::Connect { .. } | Self::Broken { .. } | Self::TooLarge { .. } => None,
        }
    }

    /// The headers that the server has answered with, if it has and its answer was read as far as that. For example
    /// `WWW-Authenticate` with the status 401.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.answered_with().map(|headers| &**headers)
    }

    /// How long the server wants to be left alone, counted from its answer: its `Retry-After`, if it has sent one. See
    /// [`HttpHeaders::retry_after`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rpc::{CallError, Executed, HttpClient, HttpError};
    ///
    /// /// Tries again where the server says when, and that is soon.
    /// async fn height(node: &HttpClient) -> Result<u64, CallError> {
    ///     match node.call("getblockcount", ()).await {
    ///         Err(CallError::Http(error @ HttpError::TooManyRequests { .. })) => {
    ///             let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
    ///             tokio::time::sleep(wait.min(Duration::from_secs(30))).await;
    ///             node.call("getblockcount", ()).await
    ///         }
    ///         other => other,
    ///     }
    /// }
    /// # let _ = height;
    ///
    /// let headers = http::HeaderMap::from_iter([(http::header::RETRY_AFTER, "30".parse().unwrap())]);
    /// let (url, text) = ("http://node".to_owned(), "slow down".to_owned());
    /// let error = HttpError::TooManyRequests { url, text, headers: headers.into() };
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    /// assert_eq!((error.status(), error.executed()), (Some(429), Executed::No));
    /// assert_eq!(
    ///     error.to_string(),
    ///     "http://node answered with the HTTP status 429: slow down (it says to try again in 30s)"
    /// );
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.answered_with()?.retry_after()
    }

    fn answered_with(&self) -> Option<&HttpHeaders> {
        match self {
            Self::Status { headers, .. }
            | Self::TooManyRequests { headers, .. }
            | Self::Unavailable { headers, .. }
            | Self::Redirect { headers, .. }
            | Self::NoReply { headers, .. } => Some(headers),
            #[cfg(feature = "tls-no-provider")]
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
    if text.is_empty() { "its body is empty" } else { text }
}

fn later(headers: &HttpHeaders) -> String {
    headers.retry_after().map_or_else(String::new, |wait| format!(" (it says to try again in {wait:?})"))
}
