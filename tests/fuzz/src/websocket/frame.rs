//! Frames as they stand in a stream: RFC 6455, section 5.2.

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// How long the payload of a control frame may be.
pub(crate) const CONTROL: u64 = 125;

/// How many fragments without payload a session takes, before the last of a message.
pub(crate) const EMPTY_FRAGMENTS: usize = 64;

/// How long a fragment of a session's may be.
pub(crate) const FRAGMENT: usize = 65_536;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Head {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// How many bytes the length has besides the seven bits: 0, 2 or 8.
    pub(crate) extended: usize,
    /// How long the payload says it is.
    pub(crate) length: u64,
}

impl Head {
    /// The head at the front of `bytes`, if it is whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (extended, length) = length(bytes)?;
        let mask = match second & MASKED {
            0 => None,
            _ => Some(*bytes.get(2 + extended..)?.first_chunk()?),
        };
        Some(Self { first, mask, extended, length })
    }

    /// How many bytes the head has.
    pub(crate) const fn size(&self) -> usize {
        2 + self.extended + if self.mask.is_some() { 4 } else { 0 }
    }

    pub(crate) const fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub(crate) const fn is_final(&self) -> bool {
        self.first & FINAL != 0
    }

    pub(crate) const fn is_control(&self) -> bool {
        self.first & 8 != 0
    }

    /// Whether the length has another form than section 5.2 wants: it could stand in fewer bytes, or has its top bit set.
    pub(crate) const fn has_wrong_length(&self) -> bool {
        self.extended != shortest(self.length) || self.length > u64::MAX / 2
    }

    /// The head as it is sent.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.push(self.first);
        match self.extended {
            0 => out.push(masked | self.length as u8),
            2 => {
                out.push(masked | 126);
                out.extend_from_slice(&(self.length as u16).to_be_bytes());
            }
            _ => {
                out.push(masked | 127);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        out.extend(self.mask.iter().flatten());
    }
}

/// How many bytes the length at the front of a frame has besides the seven bits, and the length.
pub(crate) fn length(bytes: &[u8]) -> Option<(usize, u64)> {
    let rest = bytes.get(2..)?;
    Some(match bytes[1] & !MASKED {
        126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
        short => (0, u64::from(short)),
    })
}

/// Whether section 5.2 gives the opcode no meaning.
pub(crate) const fn is_reserved(opcode: u8) -> bool {
    matches!(opcode, 3..=7 | 11..)
}

/// Whether a Close may have the code: section 7.4, and what IANA has registered since.
pub(crate) const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// How many bytes the shortest form of a length has besides the seven bits.
pub(crate) const fn shortest(length: u64) -> usize {
    match length {
        ..126 => 0,
        126..65_536 => 2,
        _ => 8,
    }
}

/// A payload with its mask put on, or taken off.
pub(crate) fn masked(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut payload = payload.to_vec();
    let Some(mask) = mask.filter(|mask| *mask != [0; 4]) else { return payload };
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    payload
}

/// The frame at the front of `bytes`, if it is whole: its head, its payload without the mask, and how many
/// bytes it has.
pub(crate) fn read(bytes: &[u8]) -> Option<(Head, Vec<u8>, usize)> {
    let head = Head::read(bytes)?;
    let end = head.size().checked_add(usize::try_from(head.length).ok()?)?;
    Some((head, masked(bytes.get(head.size()..end)?, head.mask), end))
}
