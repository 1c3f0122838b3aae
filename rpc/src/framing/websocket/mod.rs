//! The frames of WebSocket (RFC 6455, section 5), without I/O.
//!
//! [`FrameReader`] takes apart the bytes that a session has read, and takes the masks off where the
//! bytes stand. [`FrameWriter`] puts its headers and masks around messages that stand in the outgoing
//! bytes already. Neither copies a message, but one that comes in fragments.
//!
//! # Extensions
//!
//! The handshakes agree on none, so a reserved bit is an error. Compression (RFC 7692) would begin
//! at three places: the bits that [`FrameHeader::parse`] lets through, the end of a message in
//! [`FrameReader::next`], and [`FrameWriter::finish`].

mod frame;
mod read;

pub(crate) use frame::{ClosePayload, ControlFrame, FrameWriter, Role, Violation};
pub(crate) use read::{EarlyControl, FrameEvent, FrameReader};
