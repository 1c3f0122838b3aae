//! The header of a frame: section 5.2.

use super::{Role, Violation};

/// The first byte: this is the last frame of a message.
const FINAL: u8 = 0x80;

/// The first byte: the bits for extensions, of which none is agreed on.
const RESERVED: u8 = 0x70;

/// The first byte: a control frame.
const CONTROL: u8 = 0x08;

/// The second byte: the payload is masked.
const MASKED: u8 = 0x80;

/// The largest payload of a control frame, in bytes.
pub(super) const CONTROL_PAYLOAD: usize = 125;

/// What a frame is.
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

/// Whether a frame that begins with this byte is a control frame.
pub(super) const fn begins_control(first: u8) -> bool {
    first & CONTROL != 0
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: OpCode,
    /// Whether the message ends with this frame.
    pub(super) is_final: bool,
    /// The size of the payload, in bytes.
    pub(super) length: u64,
    /// Of a client's frames.
    pub(super) mask: Option<[u8; 4]>,
}

impl Header {
    /// The header at the front of `bytes`, and its size; `None` where it has not come yet. `from` is
    /// the side that has sent it. A broken rule is found with the byte that breaks it.
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

    /// How many bytes it takes.
    pub(super) const fn size(&self) -> usize {
        size_of_length(self.length) + if self.mask.is_some() { 4 } else { 0 }
    }

    /// Writes it to the front of `out`, which has room for it.
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

/// How many bytes a header takes for a length in its shortest form, without a mask.
const fn size_of_length(length: u64) -> usize {
    match length {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, (1 << 63) - 1];

    #[test]
    fn what_is_written_is_read_and_not_before_it_is_whole() {
        for from in [Role::Client, Role::Server] {
            for length in LENGTHS {
                for opcode in [OpCode::Continuation, OpCode::Text, OpCode::Binary] {
                    for is_final in [false, true] {
                        let mask = from.masks().then_some([1, 2, 3, 4]);
                        let header = Header { opcode, is_final, length, mask };
                        let mut out = vec![0; header.size()];
                        header.write(&mut out);
                        for part in 0..out.len() {
                            assert_eq!(Header::parse(&out[..part], from), Ok(None), "{header:?} {part}");
                        }
                        let whole = Some((header, out.len()));
                        out.extend([0xff; 10]);
                        assert_eq!(Header::parse(&out, from), Ok(whole));
                    }
                }
            }
        }
    }

    #[test]
    fn a_broken_rule_is_found_with_the_byte_that_breaks_it() {
        let cases: [(&[u8], Role); 18] = [
            (&[0xc1], Role::Client),
            (&[0xa1], Role::Client),
            (&[0x91], Role::Server),
            (&[0x83], Role::Client),
            (&[0x87], Role::Client),
            (&[0x8b], Role::Client),
            (&[0x8f], Role::Server),
            (&[0x08], Role::Client),
            (&[0x09], Role::Client),
            (&[0x81, 0x05], Role::Client),
            (&[0x81, 0x85], Role::Server),
            (&[0x89, 0xfe], Role::Client),
            (&[0x88, 0x7f], Role::Server),
            (&[0x81, 126, 0, 125], Role::Server),
            (&[0x81, 0xfe, 0, 0], Role::Client),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Role::Server),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0, 0], Role::Server),
            (&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Role::Server),
        ];
        for (bytes, from) in cases {
            let (_, before) = bytes.split_last().expect("bytes");
            assert_eq!(Header::parse(before, from), Ok(None), "{bytes:x?}");
            let violation = Header::parse(bytes, from).expect_err("a rule is broken");
            assert_eq!(violation.code, 1002, "{bytes:x?}");
        }
    }
}
