//! From messages to frames.

use super::{Close, Header, OpCode, Role, mask};

/// How much of a message stands in one frame, at most, in bytes. A longer one leaves in fragments, so that a pong need not wait for all
/// of it.
const FRAGMENT: usize = 64 << 10;

/// Room for a header with a length of two bytes, as most have that need more than one.
const ROOM: usize = 4;

/// A frame that is no part of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Control<'a> {
    Ping,
    Pong(&'a [u8]),
    Close(&'a Close),
}

/// Puts frames around messages, on one side of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameWriter {
    role: Role,
    opcode: OpCode,
}

impl FrameWriter {
    /// On the side of `role`. The messages say that they are text, or not.
    pub(crate) const fn new(role: Role, binary: bool) -> Self {
        Self { role, opcode: if binary { OpCode::Binary } else { OpCode::Text } }
    }

    pub(crate) const fn role(self) -> Role {
        self.role
    }

    /// Makes room before a message.
    #[inline]
    pub(crate) fn begin(self, out: &mut Vec<u8>) {
        match self.role.masks() {
            true => out.extend_from_slice(&[0; ROOM + 4]),
            false => out.extend_from_slice(&[0; ROOM]),
        }
    }

    /// Puts frames around the message that stands behind the room that was made at `start`.
    #[inline]
    pub(crate) fn finish(self, out: &mut Vec<u8>, start: usize) {
        let mask = self.mask();
        let message = start + ROOM + mask.map_or(0, |mask| mask.len());
        let length = out.len() - message;
        if length > usize::from(u16::MAX) {
            return self.cut(out, start, message);
        }
        let header = Header { opcode: self.opcode, is_final: true, length: length as u64, mask };
        let size = header.size();
        if start + size < message {
            out.copy_within(message.., start + size);
            out.truncate(start + size + length);
        }
        header.write(&mut out[start..]);
        if let Some(mask) = mask {
            mask::apply(&mut out[start + size..], mask);
        }
    }

    /// Appends a frame that is no part of a message.
    pub(crate) fn control(self, out: &mut Vec<u8>, frame: Control<'_>) {
        let close;
        let (opcode, payload) = match frame {
            Control::Ping => (OpCode::Ping, &[][..]),
            Control::Pong(payload) => (OpCode::Pong, payload),
            Control::Close(said) => {
                close = said.payload();
                (OpCode::Close, &*close)
            }
        };
        let header = Header { opcode, is_final: true, length: payload.len() as u64, mask: self.mask() };
        let start = out.len();
        let message = start + header.size();
        out.resize(message, 0);
        header.write(&mut out[start..]);
        out.extend_from_slice(payload);
        if let Some(mask) = header.mask {
            mask::apply(&mut out[message..], mask);
        }
    }

    /// How much is left of a frame when so many of the bytes are written. They are whole frames of this side's, but for the first, of which the
    /// first `end` bytes are left.
    #[cold]
    pub(crate) fn rest_of_frame(self, bytes: &[u8], mut end: usize, written: usize) -> usize {
        while end < written {
            let Ok(Some((header, size))) = Header::parse(&bytes[end..], self.role) else {
                debug_assert!(false, "no frame of this side's");
                return 0;
            };
            end += size + header.length as usize;
        }
        end - written
    }

    /// A new one for each frame (section 5.3).
    #[inline]
    fn mask(self) -> Option<[u8; 4]> {
        self.role.masks().then(mask::random)
    }

    /// Cuts a long message into fragments, from the last to the first, so that each byte is moved once.
    #[cold]
    fn cut(self, out: &mut Vec<u8>, start: usize, message: usize) {
        let length = out.len() - message;
        let count = length.div_ceil(FRAGMENT);
        let fragment = |at: usize| {
            let opcode = if at == 0 { self.opcode } else { OpCode::Continuation };
            let length = (length - at * FRAGMENT).min(FRAGMENT) as u64;
            Header { opcode, is_final: at + 1 == count, length, mask: self.mask() }
        };
        let last = fragment(count - 1);
        let full = Header { length: FRAGMENT as u64, ..last }.size();
        let mut end = start + (count - 1) * full + last.size() + length;
        out.resize(end, 0);
        for at in (0..count).rev() {
            let header = fragment(at);
            let from = message + at * FRAGMENT;
            let payload = end - header.length as usize;
            out.copy_within(from..from + header.length as usize, payload);
            if let Some(mask) = header.mask {
                mask::apply(&mut out[payload..end], mask);
            }
            end = payload - header.size();
            header.write(&mut out[end..]);
        }
        debug_assert_eq!(end, start, "the fragments take the room that was reckoned");
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FrameReader, Read},
        *,
    };

    const SIZES: [usize; 14] =
        [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 65_600, 131_071, 131_072, 131_073, 200_003, 1_000_001];

    fn message(size: usize) -> Vec<u8> {
        (0..size).map(|at| b' ' + (at * 7 + at / 251) as u8 % 90).collect()
    }

    #[test]
    fn what_is_written_is_read_in_frames_of_at_most_64_kib() {
        for role in [Role::Client, Role::Server] {
            let writer = FrameWriter::new(role, false);
            let mut out = b"before".to_vec();
            for size in SIZES {
                let start = out.len();
                writer.begin(&mut out);
                out.extend(message(size));
                writer.finish(&mut out, start);
            }
            let mut unread = &mut out[b"before".len()..];
            let mut reader = FrameReader::new(role.other());
            for size in SIZES {
                let mut frames = 0;
                let read = loop {
                    frames += 1;
                    let (header, _) = Header::parse(unread, role).unwrap().unwrap();
                    assert!(header.length <= 65_536);
                    match reader.next(unread).unwrap() {
                        Read::Fragment { consumed } => unread = &mut unread[consumed..],
                        Read::Message { message, consumed } => {
                            let message = unread[message].to_vec();
                            unread = &mut unread[consumed..];
                            break message;
                        }
                        Read::Joined { message, consumed } => {
                            unread = &mut unread[consumed..];
                            break message.to_vec();
                        }
                        other => panic!("{other:?}"),
                    }
                };
                assert!(read == message(size), "{size} bytes");
                assert_eq!(frames, size.div_ceil(65_536).max(1), "{size} bytes");
            }
            assert!(unread.is_empty());
        }
    }

    #[test]
    fn the_end_of_a_frame_is_known_wherever_a_write_ends() {
        for role in [Role::Client, Role::Server] {
            let writer = FrameWriter::new(role, true);
            let (mut out, mut ends) = (Vec::new(), vec![0]);
            for size in [0, 1, 140_000, 3] {
                let start = out.len();
                writer.begin(&mut out);
                out.extend(message(size));
                writer.finish(&mut out, start);
                let mut reader = FrameReader::new(role.other());
                let mut at = start;
                while at < out.len() {
                    at += match reader.next(&mut out[at..].to_vec()) {
                        Ok(
                            Read::Fragment { consumed }
                            | Read::Joined { consumed, .. }
                            | Read::Message { consumed, .. },
                        ) => consumed,
                        other => panic!("{other:?}"),
                    };
                    ends.push(at);
                }
            }
            let (mut rest, mut from) = (0, 0);
            for written in (0..=out.len()).step_by(97) {
                rest = writer.rest_of_frame(&out[from..], rest, written - from);
                from = written;
                let end = ends.iter().find(|end| **end >= written).expect("an end");
                assert_eq!(rest, end - written, "{written}");
            }
        }
    }
}
