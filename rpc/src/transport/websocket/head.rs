//! HTTP/1.1 heads of requests and responses on a stream, the header `Rpc-Notices`, and refusals.
//!
//! With `Rpc-Notices` both sides of a handshake announce which of this crate's own notifications
//! they support: see [`Notices`](crate::Notices) and [`Cancellation`].

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::{
    jsonrpc::{
        Cancellation,
        subscription::{CLOSING, ENDED, LOST},
    },
    transport::{Foreign, Io, RefusedHandshake, Takes},
};

/// Limit of a head in bytes.
const LIMIT: usize = 16 << 10;

/// Limit of headers in a head.
pub(super) const MOST_HEADERS: usize = 100;

/// Why a head could not be read.
#[derive(Debug)]
pub(super) enum HeadError {
    Io(io::Error),
    /// It exceeds a limit.
    TooLarge(String),
    Invalid(String),
    /// The same, for a peer of another protocol.
    Foreign(String, Foreign),
}

/// Reads until `parse` returns a complete head and its length. `read` holds bytes that were read
/// before. Bytes after the head are returned, too.
pub(super) async fn read<T>(
    io: &mut (impl AsyncRead + Unpin),
    mut read: Vec<u8>,
    parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, HeadError>,
) -> Result<(T, Vec<u8>), HeadError> {
    loop {
        // Every attempt parses from the start. That is acceptable: 16 KiB arrive in a few reads, or
        // slowly.
        if let Some((head, length)) = parse(&read).map_err(|error| error.of(&read))? {
            drop(read.drain(..length));
            return Ok((head, read));
        }
        if read.len() >= LIMIT {
            return Err(HeadError::TooLarge(format!("the headers have not ended within {LIMIT} bytes")));
        }
        read.reserve(1024);
        if io.read_buf(&mut read).await.map_err(HeadError::Io)? == 0 {
            return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

impl HeadError {
    /// Converts to [`Foreign`](Self::Foreign) if the bytes are of another protocol.
    fn of(self, read: &[u8]) -> Self {
        match self {
            Self::Invalid(reason) => match Foreign::seen_in(read) {
                Foreign { protocol: "HTTP", .. } => Self::Invalid(reason),
                foreign => Self::Foreign(reason, foreign),
            },
            other => other,
        }
    }
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => {
                Self::TooLarge(format!("there are more than {MOST_HEADERS} headers"))
            }
            other => Self::Invalid(format!("this is no HTTP: {other}")),
        }
    }
}

/// Converts the headers to a map.
pub(super) fn map(headers: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(HeadError::Invalid(format!("`{}` is no header", header.name)));
        };
        map.append(name, value);
    }
    Ok(map)
}

/// Headers that concern the handshake only. The keys are random, and the others are the same in
/// each.
const OF_HANDSHAKE: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// The part of the request that a session keeps, in minimal memory.
pub(crate) fn of_session(mut request: Parts) -> Parts {
    for name in OF_HANDSHAKE {
        request.headers.remove(name);
    }
    let mut kept = HeaderMap::with_capacity(request.headers.keys_len());
    for (name, value) in &request.headers {
        kept.append(name.clone(), value.clone());
    }
    request.headers = kept;
    request
}

/// Appends a header.
pub(super) fn put(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    out.extend_from_slice(name.as_ref());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_ref());
    out.extend_from_slice(b"\r\n");
}

/// Whether a list header contains `token`.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// The values of a list header, which may be repeated.
pub(super) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

pub(super) const NOTICES: HeaderName = HeaderName::from_static("rpc-notices");

/// The notifications that this side supports: all that it sends.
pub(super) const ALL_NOTICES: HeaderValue =
    HeaderValue::from_static("rpc.ended, rpc.lost, rpc.closing, rpc.cancel");

/// The notifications of this side that a peer supports.
pub(super) fn notices_taken(headers: &HeaderMap) -> Takes {
    let takes = |notice: &str| has_token(headers, &NOTICES, notice);
    Takes {
        notices: takes(ENDED) && takes(LOST),
        closing: takes(CLOSING),
        cancel: takes(Cancellation::RPC.method()),
    }
}

/// Limit of further bytes read from the peer. Closing a socket with unread bytes sends a TCP reset,
/// which would discard the response.
const DISCARDED: u64 = 64 << 10;

/// A refusal of a request, as an HTTP response.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The body, for people.
    pub(crate) text: String,
    /// Additional headers.
    pub(crate) headers: Box<HeaderMap>,
    /// Whether a valid request was read.
    is_of_a_request: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: Box::default(), is_of_a_request: true }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// A refusal of bytes that are not a request.
    pub(super) fn unreadable(status: StatusCode, text: String) -> Self {
        Self { is_of_a_request: false, ..Self::new(status, text) }
    }

    /// Encodes the HTTP/1.1 response.
    fn to_bytes(&self) -> Vec<u8> {
        let Self { status, text, headers, .. } = self;
        let reason = status.canonical_reason().unwrap_or_default();
        let mut answer = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        put(&mut answer, "Connection", "close");
        put(&mut answer, "Content-Type", "text/plain; charset=utf-8");
        put(&mut answer, "Content-Length", (text.len() + 1).to_string());
        for (name, value) in &**headers {
            put(&mut answer, name, value);
        }
        answer.extend_from_slice(b"\r\n");
        answer.extend_from_slice(text.as_bytes());
        answer.push(b'\n');
        answer
    }

    /// Sends the response, and returns it as an error: [`RefusedHandshake`] if a request was read.
    pub(super) async fn tell(self, mut io: Box<dyn Io>) -> io::Error {
        let told = async {
            io.write_all(&self.to_bytes()).await?;
            io.shutdown().await?;
            tokio::io::copy(&mut io.take(DISCARDED), &mut tokio::io::sink()).await
        };
        // The refusal stands even if the peer did not receive it.
        drop(told.await);
        let Self { status, text, is_of_a_request, .. } = self;
        let told = format!("it was answered {}: {text}", status.as_u16());
        match is_of_a_request {
            true => io::Error::new(io::ErrorKind::InvalidData, RefusedHandshake(told)),
            false => io::Error::new(io::ErrorKind::InvalidData, told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_takes_what_it_names_and_notices_where_it_names_both() {
        let of = |values: &[&'static str]| {
            let values = values.iter().map(|value| (NOTICES, HeaderValue::from_static(value)));
            let Takes { notices, closing, cancel } = notices_taken(&values.collect());
            (notices, closing, cancel)
        };
        let all = Takes { notices: true, closing: true, cancel: true };
        assert_eq!(notices_taken(&HeaderMap::from_iter([(NOTICES, ALL_NOTICES)])), all);
        for values in [&["rpc.lost,rpc.ended , rpc.later"][..], &["rpc.ended", "rpc.lost"]] {
            assert_eq!(of(values), (true, false, false), "{values:?}");
        }
        assert_eq!(of(&["rpc.cancel"]), (false, false, true));
        assert_eq!(of(&["rpc.closing, rpc.ended"]), (false, true, false));
        for nothing in [&[][..], &["rpc.ended"], &["1"], &["rpc.ended rpc.lost"], &["rpc.cancelled"]] {
            assert_eq!(of(nothing), (false, false, false), "{nothing:?}");
        }
    }
}
