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

pub(crate) use frame::{ClosePayload, Role, Violation};
use frame::{FrameHeader, OpCode, apply_mask, random_mask};
pub(crate) use read::{EarlyControl, FrameEvent, FrameReader};

/// Largest payload of a data frame that this side sends, in bytes. Longer messages are fragmented,
/// so that a pong can be sent between the fragments.
const FRAGMENT: usize = 64 << 10;

/// Space for a header with a two-byte length.
const ROOM: usize = 4;

/// A control frame to send.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ControlFrame<'a> {
    Ping,
    Pong(&'a [u8]),
    Close(&'a ClosePayload),
}

/// Frames outgoing messages for one endpoint of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameWriter {
    role: Role,
    opcode: OpCode,
}

impl FrameWriter {
    /// A writer for the endpoint `role`, of text or binary messages.
    pub(crate) const fn new(role: Role, binary: bool) -> Self {
        Self { role, opcode: if binary { OpCode::Binary } else { OpCode::Text } }
    }

    pub(crate) const fn role(self) -> Role {
        self.role
    }

    /// Reserves space for the header before a message.
    #[inline]
    pub(crate) fn begin(self, out: &mut Vec<u8>) {
        match self.role.masks() {
            true => out.extend_from_slice(&[0; ROOM + 4]),
            false => out.extend_from_slice(&[0; ROOM]),
        }
    }

    /// Frames the message after the header that was reserved at `start`.
    #[inline]
    pub(crate) fn finish(self, out: &mut Vec<u8>, start: usize) {
        let mask = self.mask();
        let message = start + ROOM + mask.map_or(0, |mask| mask.len());
        let length = out.len() - message;
        if length > usize::from(u16::MAX) {
            return self.fragment(out, start, message);
        }
        let header = FrameHeader { opcode: self.opcode, is_final: true, length: length as u64, mask };
        let size = header.size();
        if start + size < message {
            out.copy_within(message.., start + size);
            out.truncate(start + size + length);
        }
        header.write(&mut out[start..]);
        if let Some(mask) = mask {
            apply_mask(&mut out[start + size..], mask);
        }
    }

    /// Appends a control frame.
    pub(crate) fn control(self, out: &mut Vec<u8>, frame: ControlFrame<'_>) {
        let close;
        let (opcode, payload) = match frame {
            ControlFrame::Ping => (OpCode::Ping, &[][..]),
            ControlFrame::Pong(payload) => (OpCode::Pong, payload),
            ControlFrame::Close(frame) => {
                close = frame.payload();
                (OpCode::Close, &*close)
            }
        };
        let header = FrameHeader { opcode, is_final: true, length: payload.len() as u64, mask: self.mask() };
        let start = out.len();
        let message = start + header.size();
        out.resize(message, 0);
        header.write(&mut out[start..]);
        out.extend_from_slice(payload);
        if let Some(mask) = header.mask {
            apply_mask(&mut out[message..], mask);
        }
    }

    /// Bytes left of the current frame after the first `written` of `bytes` are written. `bytes`
    /// are whole frames of this side, except that the first one has only `end` bytes left.
    #[cold]
    pub(crate) fn rest_of_frame(self, bytes: &[u8], mut end: usize, written: usize) -> usize {
        while end < written {
            let Ok(Some((header, size))) = FrameHeader::parse(&bytes[end..], self.role) else {
                debug_assert!(false, "no frame of this side's");
                return 0;
            };
            end += size + header.length as usize;
        }
        end - written
    }

    /// A fresh masking key for each frame (section 5.3).
    #[inline]
    fn mask(self) -> Option<[u8; 4]> {
        self.role.masks().then(random_mask)
    }

    /// Splits a long message into fragments, last to first, so that each byte is moved once.
    #[cold]
    fn fragment(self, out: &mut Vec<u8>, start: usize, message: usize) {
        let length = out.len() - message;
        let count = length.div_ceil(FRAGMENT);
        let header_at = |at: usize| {
            let opcode = if at == 0 { self.opcode } else { OpCode::Continuation };
            let length = (length - at * FRAGMENT).min(FRAGMENT) as u64;
            FrameHeader { opcode, is_final: at + 1 == count, length, mask: self.mask() }
        };
        let last = header_at(count - 1);
        let full = FrameHeader { length: FRAGMENT as u64, ..last }.size();
        let mut end = start + (count - 1) * full + last.size() + length;
        out.resize(end, 0);
        for at in (0..count).rev() {
            let header = header_at(at);
            let from = message + at * FRAGMENT;
            let payload = end - header.length as usize;
            out.copy_within(from..from + header.length as usize, payload);
            if let Some(mask) = header.mask {
                apply_mask(&mut out[payload..end], mask);
            }
            end = payload - header.size();
            header.write(&mut out[end..]);
        }
        debug_assert_eq!(end, start, "the fragments take the room that was reckoned");
    }
}

#[cfg(test)]
mod tests;
