//! The heads of requests and answers of HTTP/1.1, as they come in over a stream.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::transport::Foreign;

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
