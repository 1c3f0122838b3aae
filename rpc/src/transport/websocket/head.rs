//! The heads of requests and answers of HTTP/1.1, as they come in over a stream: reading one, the header `Rpc-Notices`, and the answer to a
//! request that is turned down.
//!
//! By `Rpc-Notices` the two sides of a handshake say which notifications of this crate's own they take: see
//! [`Notices`](crate::Notices) and [`Cancellation`].

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

/// How many bytes a head may have.
const LIMIT: usize = 16 << 10;

/// How many headers it may have.
pub(super) const MOST_HEADERS: usize = 100;

/// Why there is no head.
#[derive(Debug)]
pub(super) enum HeadError {
    Io(io::Error),
    /// It does not end, or has too many headers.
    TooLarge(String),
    Invalid(String),
    /// The same, where it is another protocol.
    Foreign(String, Foreign),
}

/// Reads until `parse` has found a whole head, whose length it gives besides: in what was `read`
/// already, and what comes. What was read behind the head is given, too.
pub(super) async fn read<T>(
    io: &mut (impl AsyncRead + Unpin),
    mut read: Vec<u8>,
    parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, HeadError>,
) -> Result<(T, Vec<u8>), HeadError> {
    loop {
        // Each try begins at the front: but a head of 16 KiB has come after a few reads, or slowly.
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
    /// With what came, where it is another protocol.
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

/// The headers as a map.
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

/// What concerns nothing but the handshake. The keys are random, and the rest says the same in each.
const OF_HANDSHAKE: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// What a session keeps of the request that it began with, in as little memory as it takes.
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

/// Writes a header.
pub(super) fn put(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    out.extend_from_slice(name.as_ref());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_ref());
    out.extend_from_slice(b"\r\n");
}

/// Whether one of the values of a header that is a list is `token`.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// The values of a header that is a list, which may stand in several.
pub(super) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

pub(super) const NOTICES: HeaderName = HeaderName::from_static("rpc-notices");

/// What this side takes: all that it sends.
pub(super) const ALL_NOTICES: HeaderValue =
    HeaderValue::from_static("rpc.ended, rpc.lost, rpc.closing, rpc.cancel");

/// What a peer takes of what this side sends.
pub(super) fn notices_taken(headers: &HeaderMap) -> Takes {
    let takes = |notice: &str| has_token(headers, &NOTICES, notice);
    Takes {
        notices: takes(ENDED) && takes(LOST),
        closing: takes(CLOSING),
        cancel: takes(Cancellation::RPC.method()),
    }
}

/// How much of what the peer goes on sending is read. Closing a socket with unread bytes has TCP throw away what the peer was told.
const DISCARDED: u64 = 64 << 10;

/// Why a request is turned down, as HTTP says it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// For a person to read.
    pub(crate) text: String,
    /// What has to be said besides.
    pub(crate) headers: Box<HeaderMap>,
    /// Whether there is a request, and not something else in its place.
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

    /// Of what is no request.
    pub(super) fn unreadable(status: StatusCode, text: String) -> Self {
        Self { is_of_a_request: false, ..Self::new(status, text) }
    }

    /// As it is sent over HTTP/1.1.
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

    /// Tells the peer, and says what it was told: of a request that was read,
    /// [`RefusedHandshake`].
    pub(super) async fn tell(self, mut io: Box<dyn Io>) -> io::Error {
        let told = async {
            io.write_all(&self.to_bytes()).await?;
            io.shutdown().await?;
            tokio::io::copy(&mut io.take(DISCARDED), &mut tokio::io::sink()).await
        };
        // Whether the peer has heard it makes no difference.
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
