//! The frames of WebSocket (RFC 6455, section 5), without I/O.
//!
//! [`FrameReader`] takes apart the bytes that a session has read, and takes the masks off where the
//! bytes stand. [`FrameWriter`] puts its headers and masks around messages that stand in the outgoing
//! bytes already. Neither copies a message, but one that comes in fragments.
//!
//! # Extensions
//!
//! The handshakes agree on none, so a reserved bit is an error. Compression (RFC 7692) would begin
//! at three places: the bits that [`Header::parse`] lets through, the end of a message in
//! [`FrameReader::next`], and [`FrameWriter::finish`].

mod close;
mod header;
mod mask;
mod read;
mod write;

pub(crate) use close::Close;
use header::{Header, OpCode};
pub(crate) use read::{Ahead, FrameReader, Read};
pub(crate) use write::{Control, FrameWriter};

use super::FrameError;

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has asked for the WebSocket, and masks what it sends.
    Client,
    /// It has agreed, and masks nothing.
    Server,
}

impl Role {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    const fn masks(self) -> bool {
        matches!(self, Self::Client)
    }
}

/// A rule that the peer has broken. The connection is closed with the code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Of RFC 6455, section 7.4.1.
    pub(crate) code: u16,
    pub(crate) error: FrameError,
    /// Whether the frames behind it can still be told apart: the peer's close is found among them.
    pub(crate) in_step: bool,
}

impl Violation {
    #[cold]
    fn protocol(what: impl Into<String>) -> Self {
        Self { code: 1002, error: FrameError::Invalid(what.into()), in_step: false }
    }

    #[cold]
    pub(crate) fn text(error: std::str::Utf8Error) -> Self {
        let error = FrameError::Invalid(format!("a text is not UTF-8: {error}"));
        Self { code: 1007, error, in_step: true }
    }

    /// Nothing follows the close that has such a reason.
    #[cold]
    fn reason_of_close(error: std::str::Utf8Error) -> Self {
        let error = FrameError::Invalid(format!("the reason of a close is not UTF-8: {error}"));
        Self { code: 1007, error, in_step: false }
    }

    #[cold]
    fn policy(what: String) -> Self {
        Self { code: 1008, error: FrameError::Invalid(what), in_step: true }
    }

    #[cold]
    fn too_large(size: u64, limit: usize) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Self { code: 1009, error: FrameError::TooLarge { size, limit }, in_step: true }
    }

    /// What the peer is told, for a person to read.
    pub(crate) fn reason(&self) -> String {
        match &self.error {
            FrameError::TooLarge { size, limit } => {
                format!("the message has {size} bytes or more, and the limit is {limit} (`frame_size`)")
            }
            FrameError::Invalid(what) => what.clone(),
            other => other.to_string(),
        }
    }
}
