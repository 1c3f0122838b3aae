//! The frames of WebSocket (RFC 6455, section 5), without I/O.
//!
//! [`FrameReader`] parses received bytes and unmasks them in place. [`FrameWriter`] adds headers
//! and masks to messages that are already in the write buffer. Only fragmented messages are copied.
//!
//! # Extensions
//!
//! The handshakes negotiate none, so a reserved bit is an error. Compression (RFC 7692) would start
//! in three places: the bits that [`FrameHeader::parse`] accepts, the end of a message in
//! [`FrameReader::next`], and [`FrameWriter::finish`].

mod frame;
mod read;

pub(crate) use frame::{ClosePayload, ControlFrame, FrameWriter, Role, Violation};
pub(crate) use read::{EarlyControl, FrameEvent, FrameReader};
