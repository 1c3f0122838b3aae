//! What can be wrong with a stream of frames.

use crate::jsonrpc::shown::escaped;

/// Bytes that are no frame, or a message that fits into none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is larger than [`Limits::frame_size`](crate::Limits), or, on the way out, than the framing can say.
    #[error("a frame of {size} bytes or more is over the limit of {limit} bytes")]
    TooLarge {
        /// How large it says it is, or how much of it had arrived when it was given up, in bytes.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// Headers do not end.
    #[error("the headers of a frame have not ended within {limit} bytes")]
    HeadersTooLarge {
        /// How many bytes they may have.
        limit: usize,
    },
    /// A line among the headers is none.
    #[error("`{}` is no header", escaped(.found))]
    InvalidHeader {
        /// The start of it.
        found: String,
    },
    /// What should say how long a frame is does not.
    #[error("`{}` is no length of a frame in bytes", escaped(.found))]
    InvalidLength {
        /// The start of it.
        found: String,
    },
    /// There is no `Content-Length` among the headers.
    #[error("the headers of a frame have no Content-Length")]
    MissingLength,
    /// There is more than one `Content-Length` among the headers.
    #[error("the headers of a frame have more than one Content-Length")]
    RepeatedLength,
    /// The message is not in UTF-8.
    #[error("a frame is of the charset `{}`: only utf-8 is read", escaped(.found))]
    UnsupportedCharset {
        /// What it says it is.
        found: String,
    },
    /// Something stands where nothing but something else may stand.
    #[error("{expected} was expected, and `{}` came", escaped(.found))]
    Unexpected {
        /// What may stand there.
        expected: &'static str,
        /// The start of what came.
        found: String,
    },
    /// A message of another network, or of no network at all.
    #[error("a message begins with `{}`, and not with `{}`", escaped(.found), escaped(.expected))]
    WrongMagic {
        /// The network's own.
        expected: String,
        /// What came.
        found: String,
    },
    /// A payload is larger than its command may have.
    #[error("the payload of `{}`, {size} bytes, is over the limit of {limit} bytes", escaped(.command))]
    PayloadTooLarge {
        /// What the message is.
        command: String,
        /// Its size, in bytes.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A message was damaged on its way.
    #[error("the checksum of `{}` is {found:08x}: its payload has {expected:08x}", escaped(.command))]
    WrongChecksum {
        /// What the message is.
        command: String,
        /// What the payload that came has.
        expected: u32,
        /// What the header says.
        found: u32,
    },
    /// The stream does not follow the rules of the framing.
    #[error("the stream is broken: {}", escaped(.0))]
    Invalid(String),
}

impl FrameError {
    /// How bad the error is, next to input that cannot be read at all: what it costs the peer is this part of
    /// [`Limits::cost_of_unreadable`](crate::Limits::cost_of_unreadable). 1, but 0.5 for a payload over the limit of its command and 0.1
    /// for a wrong checksum: 1,000, 500 and 100 unless set (aiorpcX).
    pub const fn severity(&self) -> f64 {
        match self {
            Self::WrongChecksum { .. } => 0.1,
            Self::PayloadTooLarge { .. } => 0.5,
            _ => 1.0,
        }
    }
}

/// The start of what came, for a log.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 40;
    let start = bytes[..bytes.len().min(LONGEST)].escape_ascii().to_string();
    if bytes.len() > LONGEST { start + "…" } else { start }
}
