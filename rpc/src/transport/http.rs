//! HTTP responses as a client sees them: errors of an exchange, headers of an error response,
//! interim responses.

#[cfg(feature = "http")]
use std::{error::Error, io, sync::Arc};
use std::{fmt, ops::Deref, time::Duration};

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

#[cfg(feature = "http")]
use crate::jsonrpc::{Executed, shown::escaped};

/// Why an HTTP exchange brought no reply.
///
/// No error shows credentials, or the path of the URL, which may hold a key.
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
    /// Connecting failed. Nothing was sent.
    #[error("cannot connect to {url}")]
    Connect {
        /// The server: scheme, host and port.
        url: String,
        /// The cause.
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
        /// The cause.
        source: Arc<super::socks::SocksError>,
    },

    /// The TLS handshake failed. Nothing was sent.
    #[cfg(feature = "tls-no-provider")]
    #[error("cannot connect to {url}")]
    Tls {
        /// The server: scheme, host and port.
        url: String,
        /// The cause.
        source: Arc<super::tls::TlsError>,
    },

    /// The connection ended, or broke the protocol, before the response was complete. The call may
    /// have been executed.
    #[error("the exchange with {url} broke off")]
    Broken {
        /// The server: scheme, host and port.
        url: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },

    /// An HTTP error without a JSON-RPC reply, for example 401 for wrong credentials. With most 5xx
    /// statuses the call may have been executed. Two statuses have their own variants:
    /// [`TooManyRequests`](Self::TooManyRequests) and [`Unavailable`](Self::Unavailable).
    #[error("{url} answered with the HTTP status {status}: {}", escaped(body_or_note(.text)))]
    Status {
        /// The server: scheme, host and port.
        url: String,
        /// The status, for example 401.
        status: u16,
        /// The start of the body, for people.
        text: String,
        /// The response headers: see [`HttpError::headers`].
        headers: HttpHeaders,
    },

    /// 429: the client exceeds a rate limit of the server. The call was not executed.
    /// [`retry_after`](Self::retry_after) may say when to try again.
    #[error("{url} answered with the HTTP status 429: {}{}", escaped(body_or_note(.text)), retry_note(.headers))]
    TooManyRequests {
        /// The server: scheme, host and port.
        url: String,
        /// The start of the body, for people.
        text: String,
        /// The response headers: see [`HttpError::headers`].
        headers: HttpHeaders,
    },

    /// 503: the server, or one behind it, is overloaded or down. A proxy may report this for a call
    /// that was executed. [`retry_after`](Self::retry_after) may say when to try again.
    #[error("{url} answered with the HTTP status 503: {}{}", escaped(body_or_note(.text)), retry_note(.headers))]
    Unavailable {
        /// The server: scheme, host and port.
        url: String,
        /// The start of the body, for people.
        text: String,
        /// The response headers: see [`HttpError::headers`].
        headers: HttpHeaders,
    },

    /// A redirect. It is not followed: the request may be meant for this server only, as
    /// credentials are.
    #[error("{url} redirects to {} (HTTP status {status}): redirects are not followed", escaped(.location))]
    Redirect {
        /// The server: scheme, host and port.
        url: String,
        /// The status, for example 308.
        status: u16,
        /// The `Location` of the redirect.
        location: String,
        /// The response headers: see [`HttpError::headers`].
        headers: HttpHeaders,
    },

    /// A success status with an empty body or one that is not JSON: usually the server is not a
    /// JSON-RPC server. The call may have been executed.
    #[error("{url} answered with the HTTP status {status} and no JSON-RPC: {}", escaped(body_or_note(.text)))]
    NoReply {
        /// The server: scheme, host and port.
        url: String,
        /// The status, for example 200.
        status: u16,
        /// The start of the body, for people.
        text: String,
        /// The response headers: see [`HttpError::headers`].
        headers: HttpHeaders,
    },

    /// The response exceeds [`Limits::frame_size`](crate::Limits::frame_size), and was not read to
    /// its end. The call may have been executed.
    #[error("the answer of {url} has {} bytes: the limit is {limit} (`frame_size`)", size(.declared, .limit))]
    TooLarge {
        /// The server: scheme, host and port.
        url: String,
        /// The size in bytes, if the server declared it.
        declared: Option<u64>,
        /// The limit in bytes.
        limit: usize,
    },
}

#[cfg(feature = "http")]
impl HttpError {
    /// Whether the call was executed, as far as the error tells: see [`Executed`].
    pub fn executed(&self) -> Executed {
        match self {
            Self::Connect { .. } => Executed::No,
            #[cfg(feature = "socks")]
            Self::Socks { .. } => Executed::No,
            #[cfg(feature = "tls-no-provider")]
            Self::Tls { .. } => Executed::No,
            // 303 refers the client to the outcome of its POST (RFC 9110, 15.4.4). With 408 the
            // request may have reached a server behind a proxy.
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

    /// The status of the response, if there was one.
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

    /// The headers of the response, if it was read that far. For example `WWW-Authenticate` with
    /// status 401.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.answered_with().map(|headers| &**headers)
    }

    /// The server's `Retry-After`, counted from its response, if it sent one. See
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
fn body_or_note(text: &str) -> &str {
    if text.is_empty() { "its body is empty" } else { text }
}

#[cfg(feature = "http")]
fn retry_note(headers: &HttpHeaders) -> String {
    headers.retry_after().map_or_else(String::new, |wait| format!(" (it says to try again in {wait:?})"))
}

/// Headers of an error response, over HTTP or to a refused WebSocket handshake. Dereferences to
/// [`HeaderMap`].
///
/// `Debug` shows only the names: `Set-Cookie` is a credential, and a server may repeat those of the
/// request.
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
    /// How long to wait before the next request, counted from the response (RFC 9110, section
    /// 10.2.3).
    ///
    /// The header has a number of seconds or a date. A date is compared with the `Date` of the same
    /// response, so the two clocks need not agree; a date in the past is zero. `None` if the header
    /// is missing or invalid, or has a date and there is no `Date`.
    ///
    /// The number comes from the untrusted server: bound it before waiting.
    pub fn retry_after(&self) -> Option<Duration> {
        let wanted = self.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit()) {
            // A number that does not fit is as good as never.
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

/// Limit of interim responses (1xx except 101: RFC 9110, section 15.2) before a final one. Servers
/// send one or two: `100 Continue`, `103 Early Hints`.
pub(crate) const MOST_INTERIM: usize = 16;

/// The server sent only interim responses.
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
        // The three date formats of RFC 9110, section 5.6.7, for one moment.
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (wanted, date, expected) in [
            ("120", None, seconds(120)),
            ("0", None, seconds(0)),
            (" 7 ", Some(NOW), seconds(7)),
            ("99999999999999999999999", None, seconds(u64::MAX)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(NOW), seconds(120)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(NOW), seconds(10)),
            ("Sun Nov  6 08:49:38 1994", Some(NOW), seconds(1)),
            // In the past.
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(NOW), seconds(0)),
            // No `Date` to compare with.
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
