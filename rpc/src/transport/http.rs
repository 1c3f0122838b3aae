//! What a client makes of a server's answer over HTTP: why an exchange brought no reply, the headers of an error, interim answers.

#[cfg(feature = "http")]
use std::{error::Error, io, sync::Arc};
use std::{fmt, ops::Deref, time::Duration};

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

#[cfg(feature = "http")]
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
#[cfg(feature = "http")]
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

#[cfg(feature = "http")]
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

#[cfg(feature = "http")]
fn size(declared: &Option<u64>, limit: &usize) -> String {
    declared.map_or_else(|| format!("more than {limit}"), |size| size.to_string())
}

#[cfg(feature = "http")]
fn said(text: &str) -> &str {
    if text.is_empty() { "its body is empty" } else { text }
}

#[cfg(feature = "http")]
fn later(headers: &HttpHeaders) -> String {
    headers.retry_after().map_or_else(String::new, |wait| format!(" (it says to try again in {wait:?})"))
}

/// The headers of an answer that was an error: of one over HTTP, or of a handshake of WebSocket that was refused. They
/// are read as a [`HeaderMap`].
///
/// `Debug` shows their names alone: `Set-Cookie` is a credential, and a server may repeat others.
///
/// ```
/// use std::time::Duration;
///
/// use rpc::HttpHeaders;
///
/// let headers = http::HeaderMap::from_iter([(http::header::RETRY_AFTER, "30".parse().unwrap())]);
/// let headers = HttpHeaders::from(headers);
/// assert_eq!(headers.retry_after(), Some(Duration::from_secs(30)));
/// assert_eq!(headers["retry-after"], "30");
/// ```
#[derive(Clone, Default)]
pub struct HttpHeaders(Box<HeaderMap>);

impl HttpHeaders {
    /// How long the server wants to be left alone, counted from its answer (RFC 9110, section 10.2.3).
    ///
    /// It says so in whole seconds, or by a date. A date is compared with the `Date` of the same answer, so
    /// that the clocks of the two sides need not agree; a date that has passed is zero. `None` where
    /// there is no such header, where it is neither, or where a date comes without a `Date`.
    ///
    /// The number is the server's: bound it before waiting for it.
    pub fn retry_after(&self) -> Option<Duration> {
        let wanted = self.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit()) {
            // What does not fit is as good as never.
            return Some(Duration::from_secs(wanted.parse().unwrap_or(u64::MAX)));
        }
        let until = httpdate::parse_http_date(wanted).ok()?;
        let sent = httpdate::parse_http_date(self.get(DATE)?.to_str().ok()?.trim()).ok()?;
        Some(until.duration_since(sent).unwrap_or_default())
    }
}

impl From<HeaderMap> for HttpHeaders {
    fn from(headers: HeaderMap) -> Self {
        Self(Box::new(headers))
    }
}

impl Deref for HttpHeaders {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.0
    }
}

impl fmt::Debug for HttpHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys().map(http::HeaderName::as_str)).finish()
    }
}

/// How many may come before one answer. Servers send one or two: a `100 Continue`, a `103 Early
/// Hints`.
pub(crate) const MOST_INTERIM: usize = 16;

/// Why an answer is given up that does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_INTERIM} interim answers (1xx) have come, and no final one")]
pub(crate) struct TooManyInterim;

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(headers: &[(http::HeaderName, &'static str)]) -> Option<Duration> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)));
        HttpHeaders::from(headers.collect::<HeaderMap>()).retry_after()
    }

    #[test]
    fn it_is_said_in_seconds_or_by_a_date() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        // RFC 9110, section 5.6.7, has the three forms of one moment.
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (wanted, date, expected) in [
            ("120", None, seconds(120)),
            ("0", None, seconds(0)),
            (" 7 ", Some(NOW), seconds(7)),
            ("99999999999999999999999", None, seconds(u64::MAX)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(NOW), seconds(120)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(NOW), seconds(10)),
            ("Sun Nov  6 08:49:38 1994", Some(NOW), seconds(1)),
            // It has passed.
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(NOW), seconds(0)),
            // Nothing to count from.
            ("Sun, 06 Nov 1994 08:51:37 GMT", None, None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some("today"), None),
            ("-1", None, None),
            ("1.5", None, None),
            ("+1", None, None),
            ("", None, None),
            ("soon", Some(NOW), None),
        ] {
            let mut headers = vec![(RETRY_AFTER, wanted)];
            headers.extend(date.map(|date| (DATE, date)));
            assert_eq!(retry_after(&headers), expected, "{wanted:?}, {date:?}");
        }
        assert_eq!(retry_after(&[(DATE, NOW)]), None);
    }
}
