//! The parts of a frame: roles, header (section 5.2), masking (5.3), close payload (7), and protocol
//! violations.

use crate::framing::FrameError;

/// One endpoint of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The endpoint that opened the WebSocket. It masks its frames.
    Client,
    /// The endpoint that accepted it. It masks nothing.
    Server,
}

impl Role {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    pub(super) const fn masks(self) -> bool {
        matches!(self, Self::Client)
    }
}

/// A protocol violation by the peer. The connection is closed with the code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Status code of RFC 6455, section 7.4.1.
    pub(crate) code: u16,
    pub(crate) error: FrameError,
    /// Whether frame boundaries are still known afterwards, so that the peer's close frame can be
    /// found.
    pub(crate) in_step: bool,
}

impl Violation {
    #[cold]
    pub(super) fn protocol(what: impl Into<String>) -> Self {
        Self { code: 1002, error: FrameError::Invalid(what.into()), in_step: false }
    }

    #[cold]
    pub(crate) fn text(error: std::str::Utf8Error) -> Self {
        let error = FrameError::Invalid(format!("a text is not UTF-8: {error}"));
        Self { code: 1007, error, in_step: true }
    }

    /// No frame follows the close frame with the invalid reason.
    #[cold]
    fn reason_of_close(error: std::str::Utf8Error) -> Self {
        let error = FrameError::Invalid(format!("the reason of a close is not UTF-8: {error}"));
        Self { code: 1007, error, in_step: false }
    }

    #[cold]
    pub(super) fn policy(what: String) -> Self {
        Self { code: 1008, error: FrameError::Invalid(what), in_step: true }
    }

    #[cold]
    pub(super) fn too_large(size: u64, limit: usize) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Self { code: 1009, error: FrameError::TooLarge { size, limit }, in_step: true }
    }

    /// The reason in the close frame, for a person to read.
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

/// First byte: the last frame of a message.
const FINAL: u8 = 0x80;

/// First byte: the reserved bits, for extensions. None is negotiated.
const RESERVED: u8 = 0x70;

/// First byte: a control frame.
const CONTROL: u8 = 0x08;

/// Second byte: the payload is masked.
const MASKED: u8 = 0x80;

/// Largest payload of a control frame, in bytes.
pub(super) const CONTROL_PAYLOAD: usize = 125;

/// The type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpCode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl OpCode {
    pub(super) const fn is_control(self) -> bool {
        self as u8 & CONTROL != 0
    }
}

/// Whether a frame with this first byte is a control frame.
pub(super) const fn begins_control(first: u8) -> bool {
    first & CONTROL != 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) opcode: OpCode,
    /// Whether this frame ends the message.
    pub(super) is_final: bool,
    /// Size of the payload in bytes.
    pub(super) length: u64,
    /// Masking key, in a client's frames.
    pub(super) mask: Option<[u8; 4]>,
}

impl FrameHeader {
    /// Parses the header at the front of `bytes` and returns it with its size; `None` if it is
    /// incomplete. `from` is the sender. A violation is reported with the byte that causes it.
    #[inline]
    pub(super) fn parse(bytes: &[u8], from: Role) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(Violation::protocol("a frame has a reserved bit, and no extension was agreed on"));
        }
        let opcode = match first & 0x0f {
            0 => OpCode::Continuation,
            1 => OpCode::Text,
            2 => OpCode::Binary,
            8 => OpCode::Close,
            9 => OpCode::Ping,
            10 => OpCode::Pong,
            unknown => {
                return Err(Violation::protocol(format!(
                    "a frame has the opcode {unknown}, which is reserved"
                )));
            }
        };
        let is_final = first & FINAL != 0;
        if opcode.is_control() && !is_final {
            return Err(Violation::protocol("a control frame is in fragments"));
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if (second & MASKED != 0) != from.masks() {
            return Err(Violation::protocol(match from {
                Role::Client => "a frame of the client's is not masked",
                Role::Server => "a frame of the server's is masked",
            }));
        }
        let (length, mut size) = match second & !MASKED {
            126.. if opcode.is_control() => {
                return Err(Violation::protocol(format!(
                    "a control frame has more than {CONTROL_PAYLOAD} bytes of payload"
                )));
            }
            126 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if size != size_of_length(length) {
            return Err(Violation::protocol(format!(
                "a length of {length} bytes is not in its shortest form"
            )));
        }
        if length >> 63 != 0 {
            return Err(Violation::protocol("a length has its highest bit set"));
        }
        let mask = match from.masks() {
            true => match bytes.get(size..).and_then(<[u8]>::first_chunk) {
                Some(mask) => {
                    size += mask.len();
                    Some(*mask)
                }
                None => return Ok(None),
            },
            false => None,
        };
        Ok(Some((Self { opcode, is_final, length, mask }, size)))
    }

    /// Encoded size in bytes.
    pub(super) const fn size(&self) -> usize {
        size_of_length(self.length) + if self.mask.is_some() { 4 } else { 0 }
    }

    /// Writes the header to the front of `out`, which has space for it.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8]) {
        out[0] = self.opcode as u8 | if self.is_final { FINAL } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        let size = size_of_length(self.length);
        match size {
            2 => out[1] = masked | self.length as u8,
            4 => {
                out[1] = masked | 126;
                out[2..4].copy_from_slice(&(self.length as u16).to_be_bytes());
            }
            _ => {
                out[1] = masked | 127;
                out[2..10].copy_from_slice(&self.length.to_be_bytes());
            }
        }
        if let Some(mask) = self.mask {
            out[size..size + 4].copy_from_slice(&mask);
        }
    }
}

/// Size in bytes of a header without a masking key, with the length in its shortest form.
const fn size_of_length(length: u64) -> usize {
    match length {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Masks or unmasks the bytes.
#[inline]
pub(super) fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let mask = [a, b, c, d, a, b, c, d];
    let wide = u64::from_ne_bytes(mask);
    let (chunks, rest) = bytes.as_chunks_mut();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// A masking key that is unpredictable for the peer.
#[inline]
pub(super) fn random_mask() -> [u8; 4] {
    rand::random::<u32>().to_ne_bytes()
}

/// Stands for a close frame without a payload. It is never sent.
const NO_CODE: u16 = 1005;

/// A status code and a reason, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosePayload {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl ClosePayload {
    /// Parses the unmasked payload of a close frame.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return match payload {
                [] => Ok(Self { code: NO_CODE, reason: String::new() }),
                _ => Err(Violation::protocol("a close frame has one byte of payload, and a code has two")),
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Violation::protocol(format!(
                "a close frame has the code {code}, which may not be sent"
            )));
        }
        match std::str::from_utf8(reason) {
            Ok(reason) => Ok(Self { code, reason: reason.to_owned() }),
            Err(error) => Err(Violation::reason_of_close(error)),
        }
    }

    /// Encodes the payload. A reason that does not fit is truncated.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        if self.code != NO_CODE {
            payload.extend_from_slice(&self.code.to_be_bytes());
            let room = CONTROL_PAYLOAD - payload.len();
            let end = self.reason.len().min(room);
            let end = (0..=end).rev().find(|&end| self.reason.is_char_boundary(end)).unwrap_or(0);
            payload.extend_from_slice(&self.reason.as_bytes()[..end]);
        }
        payload
    }
}

/// Section 7.4, and the codes registered since then (1012 to 1014).
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests;
