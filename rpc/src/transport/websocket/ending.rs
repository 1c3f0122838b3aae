//! How WebSockets end: the codes of RFC 6455, section 7.4, and what becomes of the library's errors.

use std::io;

use tungstenite::{
    Error,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{framing::FrameError, transport::Closing};

/// The code that the peer is told when we close.
pub(super) const fn code(closing: Closing) -> CloseCode {
    match closing {
        Closing::Done => CloseCode::Normal,
        Closing::Away => CloseCode::Away,
        Closing::Policy => CloseCode::Policy,
    }
}

/// What is wrong with what came, and what the peer is told, if it can be told anything.
pub(super) fn broken(error: Error) -> (io::Error, Option<CloseFrame>) {
    let (error, code, reason) = match error {
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => (
            FrameError::TooLarge { size, limit: max_size },
            CloseCode::Size,
            format!("the message has {size} bytes or more, and the limit is {max_size} (`frame_size`)"),
        ),
        Error::Utf8(error) => (
            FrameError::Invalid(format!("a text is not UTF-8: {error}")),
            CloseCode::Invalid,
            "a text is not UTF-8".to_owned(),
        ),
        Error::Protocol(error) => {
            (FrameError::Invalid(error.to_string()), CloseCode::Protocol, error.to_string())
        }
        other => return (io_error(other), None),
    };
    (
        io::Error::new(io::ErrorKind::InvalidData, error),
        Some(CloseFrame { code, reason: short(reason).into() }),
    )
}

/// A reason may have 123 bytes.
fn short(mut reason: String) -> String {
    let end = (0..=reason.len().min(123)).rev().find(|&end| reason.is_char_boundary(end));
    reason.truncate(end.unwrap_or(0));
    reason
}

pub(super) fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

pub(super) fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Whether it is just the end: with or without a word.
pub(super) const fn is_end(error: &Error) -> bool {
    matches!(
        error,
        Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}
