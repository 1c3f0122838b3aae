//! What a server says beside the body of an answer.

use std::{fmt, ops::Deref, time::Duration};

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};

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
