//! The frames of HTTP/2 as they go by in one direction: no more of them than flow control is about.

/// How many bytes the head of a frame has (RFC 9113, section 4.1).
const HEAD: usize = 9;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
}

impl Head {
    fn read(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self { length: u32::from_be_bytes([0, a, b, c]) as usize, kind, flags, stream: number(stream) }
    }

    /// Whether it is the last one of its side of the stream.
    pub(super) const fn ends_stream(self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether a list of headers is whole with it.
    pub(super) const fn ends_headers(self) -> bool {
        matches!(self.kind, HEADERS | CONTINUATION) && self.flags & END_HEADERS != 0
    }

    /// How many bytes of the payload belong together, where they matter.
    const fn unit(self) -> usize {
        match self.kind {
            SETTINGS => 6,
            WINDOW_UPDATE | GOAWAY => 4,
            _ => 0,
        }
    }
}

/// Ids and windows have 31 bits.
pub(super) const fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

/// What has gone by of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Head,
    /// Some of its payload.
    Payload,
    /// A setting, a window or an id. The rest of the array is unused.
    Unit([u8; 6]),
    End,
}

/// What is known of the frame that goes by.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// How many bytes there are of the head.
    known: usize,
    /// How many are to come of the payload.
    rest: usize,
    unit: [u8; 6],
    unit_known: usize,
}

impl Frames {
    /// Tells `see` of the frames that bytes are of, which may begin and end anywhere.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut see: impl FnMut(Head, Seen)) {
        while !bytes.is_empty() {
            if self.known < HEAD {
                let (taken, rest) = bytes.split_at(bytes.len().min(HEAD - self.known));
                self.head[self.known..][..taken.len()].copy_from_slice(taken);
                self.known += taken.len();
                bytes = rest;
                if self.known < HEAD {
                    return;
                }
                let head = Head::read(self.head);
                (self.rest, self.unit_known) = (head.length, 0);
                see(head, Seen::Head);
            } else {
                let (payload, rest) = bytes.split_at(bytes.len().min(self.rest));
                self.rest -= payload.len();
                bytes = rest;
                self.pass_payload(payload, &mut see);
            }
            if self.rest == 0 {
                self.known = 0;
                see(Head::read(self.head), Seen::End);
            }
        }
    }

    fn pass_payload(&mut self, mut payload: &[u8], see: &mut impl FnMut(Head, Seen)) {
        let head = Head::read(self.head);
        see(head, Seen::Payload);
        let unit = head.unit();
        while unit > 0 && !payload.is_empty() {
            let (taken, rest) = payload.split_at(payload.len().min(unit - self.unit_known));
            self.unit[self.unit_known..][..taken.len()].copy_from_slice(taken);
            self.unit_known += taken.len();
            payload = rest;
            if self.unit_known == unit {
                self.unit_known = 0;
                see(head, Seen::Unit(self.unit));
                if head.kind == GOAWAY {
                    // What follows the id does not matter.
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DATA of 3 bytes, two settings, PING, and the end of a list of headers without a payload.
    const FRAMES: &[u8] = b"\0\0\x03\0\x01\0\0\0\x05abc\
        \0\0\x0c\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\0\xff\xff\
        \0\0\x08\x06\0\0\0\0\0pingpong\
        \0\0\0\x09\x04\x80\0\0\x07";

    #[test]
    fn frames_are_seen_wherever_they_are_cut() {
        for size in 1..=FRAMES.len() {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for piece in FRAMES.chunks(size) {
                frames.pass(piece, |head, what| {
                    if what != Seen::Payload {
                        seen.push((head.kind, head.length, head.stream, what));
                    }
                });
            }
            assert_eq!(
                seen,
                [
                    (DATA, 3, 5, Seen::Head),
                    (DATA, 3, 5, Seen::End),
                    (SETTINGS, 12, 0, Seen::Head),
                    (SETTINGS, 12, 0, Seen::Unit([0, 3, 0, 0, 0, 0x64])),
                    (SETTINGS, 12, 0, Seen::Unit([0, 4, 0, 0, 0xff, 0xff])),
                    (SETTINGS, 12, 0, Seen::End),
                    (6, 8, 0, Seen::Head),
                    (6, 8, 0, Seen::End),
                    (CONTINUATION, 0, 7, Seen::Head),
                    (CONTINUATION, 0, 7, Seen::End),
                ],
                "{size}"
            );
        }
    }
}
