//! Length-prefixed frames: binary lengths, and decimal ones (netstrings). Also the helpers for any
//! header that declares a length.

use super::framer::{FrameError, Framed, Framer, excerpt};

/// A length of 1, 2, 4 or 8 bytes, followed by a message of that many bytes. The length does not
/// count itself.
///
/// A frame over the limit is dropped and counted as an error once its length has arrived, and the
/// stream goes on after it. An outgoing message that is too long for the prefix is not sent: a call
/// ends with [`CallError::Frame`](crate::CallError::Frame), a reply becomes an error, and a
/// subscription item is skipped and logged. A one-byte prefix leaves room for 255 bytes of JSON,
/// hardly enough for an error.
///
/// ```
/// use rpc::framing::{Framed, Framer, LengthPrefixedFramer};
///
/// let mut framer = LengthPrefixedFramer::u32_be();
/// let unread = b"\x00\x00\x00\x02{}";
/// assert_eq!(framer.next(unread).unwrap(), Framed::Frame { frame: 4..6, consumed: 6 });
/// ```
#[derive(Debug, Clone)]
pub struct LengthPrefixedFramer {
    prefix: LengthPrefix,
    body: DeclaredBody,
}

/// The encoding of a binary length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LengthPrefix {
    /// Width in bytes: 1, 2, 4 or 8.
    pub(super) width: usize,
    pub(super) order: ByteOrder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Big,
    Little,
}

impl LengthPrefixedFramer {
    /// A one-byte length.
    pub const fn u8() -> Self {
        Self::new(1, ByteOrder::Big)
    }

    /// A two-byte length, big-endian.
    pub const fn u16_be() -> Self {
        Self::new(2, ByteOrder::Big)
    }

    /// A two-byte length, little-endian.
    pub const fn u16_le() -> Self {
        Self::new(2, ByteOrder::Little)
    }

    /// A four-byte length, big-endian: the most common choice.
    pub const fn u32_be() -> Self {
        Self::new(4, ByteOrder::Big)
    }

    /// A four-byte length, little-endian.
    pub const fn u32_le() -> Self {
        Self::new(4, ByteOrder::Little)
    }

    /// An eight-byte length, big-endian.
    pub const fn u64_be() -> Self {
        Self::new(8, ByteOrder::Big)
    }

    /// An eight-byte length, little-endian.
    pub const fn u64_le() -> Self {
        Self::new(8, ByteOrder::Little)
    }

    const fn new(width: usize, order: ByteOrder) -> Self {
        Self::of(LengthPrefix { width, order })
    }

    pub(super) const fn of(prefix: LengthPrefix) -> Self {
        Self { prefix, body: DeclaredBody::new() }
    }

    pub(super) const fn prefix(&self) -> LengthPrefix {
        self.prefix
    }
}

impl Framer for LengthPrefixedFramer {
    const OWN: bool = true;

    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        if let Some(skipped) = self.body.skip(unread) {
            return Ok(skipped);
        }
        let Some(prefix) = unread.get(..self.prefix.width) else {
            return Ok(Framed::Incomplete { consumed: 0 });
        };
        Ok(self.body.frame(unread, prefix.len(), self.prefix.least(prefix)))
    }

    fn owes_more(&self) -> bool {
        self.body.owes_more()
    }

    fn begin(&self, out: &mut Vec<u8>) {
        out.resize(out.len() + self.prefix.width, 0);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        let message = start + self.prefix.width;
        let size = out.len() - message;
        let largest = self.prefix.largest();
        if size as u64 > largest {
            let limit = usize::try_from(largest).unwrap_or(usize::MAX);
            return Err(FrameError::TooLarge { size, limit });
        }
        self.prefix.write(&mut out[start..message], size as u64);
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.body.set_limit(bytes);
    }
}

impl LengthPrefix {
    const fn largest(self) -> u64 {
        u64::MAX >> (64 - 8 * self.width)
    }

    /// The smallest length that a prefix of which `bytes` have arrived can have; once it is
    /// complete, the length itself.
    pub(super) fn least(self, bytes: &[u8]) -> u64 {
        let prefix = &bytes[..bytes.len().min(self.width)];
        let mut number = [0; 8];
        match self.order {
            ByteOrder::Little => {
                number[..prefix.len()].copy_from_slice(prefix);
                u64::from_le_bytes(number)
            }
            ByteOrder::Big => {
                let from = 8 - self.width;
                number[from..from + prefix.len()].copy_from_slice(prefix);
                u64::from_be_bytes(number)
            }
        }
    }

    fn write(self, prefix: &mut [u8], length: u64) {
        match self.order {
            ByteOrder::Big => prefix.copy_from_slice(&length.to_be_bytes()[8 - self.width..]),
            ByteOrder::Little => prefix.copy_from_slice(&length.to_le_bytes()[..self.width]),
        }
    }
}

/// `2:{},`: D. J. Bernstein's netstrings.
///
/// A frame over the limit is dropped and counted as an error once its length has arrived, and the
/// stream goes on after it. An invalid length (including one with leading zeros, which the
/// specification forbids), or a missing comma, ends the session.
///
/// ```
/// use rpc::framing::{Framed, Framer, NetstringFramer};
///
/// let mut framer = NetstringFramer::new();
/// assert_eq!(framer.next(b"2:{},").unwrap(), Framed::Frame { frame: 2..4, consumed: 5 });
/// ```
#[derive(Debug, Clone)]
pub struct NetstringFramer {
    body: DeclaredBody,
    /// A frame was dropped, and its comma has not arrived.
    comma_is_due: bool,
}

const NETSTRING: DecimalHeader = DecimalHeader::new(b"000:", 0);

/// Number of digits of the largest `u64`.
const MAX_DIGITS: usize = 20;

impl NetstringFramer {
    /// A framer without a limit until the session sets that of its [`Limits`](crate::Limits).
    pub const fn new() -> Self {
        Self { body: DeclaredBody::new(), comma_is_due: false }
    }
}

impl Default for NetstringFramer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer for NetstringFramer {
    const OWN: bool = true;

    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        if let Some(skipped) = self.body.skip(unread) {
            return Ok(skipped);
        }
        if self.comma_is_due && !unread.is_empty() {
            check_comma(unread)?;
            self.comma_is_due = false;
            return Ok(Framed::Between { consumed: 1 });
        }
        let start = &unread[..unread.len().min(MAX_DIGITS + 1)];
        let digits = start.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = match start.get(digits) {
            Some(b':') if digits == 1 || (digits > 1 && start[0] != b'0') => decimal(&start[..digits])?,
            None if digits <= MAX_DIGITS => return Ok(Framed::Incomplete { consumed: 0 }),
            _ => {
                return Err(FrameError::InvalidLength {
                    found: excerpt(&start[..start.len().min(digits + 1)]),
                });
            }
        };
        match self.body.frame(unread, digits + 1, length) {
            Framed::Frame { frame, consumed } => match unread.get(consumed..) {
                Some([]) | None => Ok(Framed::Incomplete { consumed: 0 }),
                Some(behind) => {
                    check_comma(behind)?;
                    Ok(Framed::Frame { frame, consumed: consumed + 1 })
                }
            },
            oversized @ Framed::Oversized { .. } => {
                self.comma_is_due = true;
                Ok(oversized)
            }
            other => Ok(other),
        }
    }

    fn owes_more(&self) -> bool {
        self.body.owes_more() || self.comma_is_due
    }

    fn begin(&self, out: &mut Vec<u8>) {
        NETSTRING.begin(out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        NETSTRING.finish(out, start);
        out.push(b',');
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.body.set_limit(bytes);
    }
}

fn check_comma(behind: &[u8]) -> Result<(), FrameError> {
    match behind[0] {
        b',' => Ok(()),
        _ => Err(FrameError::Unexpected {
            expected: "a comma behind a netstring",
            found: excerpt(&behind[..1]),
        }),
    }
}

/// The body after a header that declares its length.
///
/// Nothing is allocated for a declared length: only received bytes are buffered. A body over the
/// limit is reported once its header has arrived, and skipped as it arrives.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredBody {
    limit: usize,
    /// Remaining bytes of a dropped frame.
    skipping: u64,
}

impl DeclaredBody {
    pub(crate) const fn new() -> Self {
        Self { limit: usize::MAX, skipping: 0 }
    }

    pub(crate) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Skips the received bytes of a dropped frame, if there is one.
    pub(crate) fn skip(&mut self, unread: &[u8]) -> Option<Framed> {
        if self.skipping == 0 {
            return None;
        }
        let left = usize::try_from(self.skipping).unwrap_or(usize::MAX);
        let consumed = left.min(unread.len());
        self.skipping -= consumed as u64;
        Some(match consumed {
            0 => Framed::Incomplete { consumed },
            _ => Framed::Dropping { consumed, is_last: self.skipping == 0 },
        })
    }

    /// Whether bytes of a dropped frame are still to arrive.
    pub(crate) const fn owes_more(&self) -> bool {
        self.skipping > 0
    }

    /// The frame of `size` bytes after a header of `header` bytes.
    pub(crate) fn frame(&mut self, unread: &[u8], header: usize, size: u64) -> Framed {
        let fits = usize::try_from(size).ok().filter(|&size| size <= self.limit);
        let Some(end) = fits.and_then(|size| header.checked_add(size)) else {
            self.skipping = size;
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            return Framed::Oversized { size, limit: self.limit, consumed: header };
        };
        if unread.len() < end {
            return Framed::Incomplete { consumed: 0 };
        }
        Framed::Frame { frame: header..end, consumed: end }
    }
}

/// Number of digits to reserve: most messages have 100 to 999 bytes.
///
/// A message with another number of digits is moved by a few bytes when it is written. The number
/// is not padded: some readers accept no blanks, and some read leading zeros as octal.
const DIGITS: usize = 3;

/// A header with a decimal length between a fixed prefix and suffix.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecimalHeader {
    /// The header as first written, with [`DIGITS`] reserved.
    room: &'static [u8],
    prefix: usize,
}

impl DecimalHeader {
    /// A header from `room`, which has three zeros after `prefix` bytes.
    pub(super) const fn new(room: &'static [u8], prefix: usize) -> Self {
        Self { room, prefix }
    }

    pub(super) fn prefix(self) -> &'static [u8] {
        &self.room[..self.prefix]
    }

    fn suffix(self) -> &'static [u8] {
        &self.room[self.prefix + DIGITS..]
    }

    /// Reserves space for the header.
    pub(super) fn begin(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.room);
    }

    /// Writes the length of the message after the header that was reserved at `start`.
    pub(super) fn finish(self, out: &mut Vec<u8>, start: usize) {
        let message = start + self.room.len();
        let length = out.len() - message;
        let digits = digits_of(length);
        if digits != DIGITS {
            self.move_message(out, message, message + digits - DIGITS);
        }
        let number = start + self.prefix;
        let mut rest = length;
        for digit in out[number..number + digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }

    /// Moves the message, and the suffix in front of it.
    fn move_message(self, out: &mut Vec<u8>, message: usize, to: usize) {
        let end = out.len();
        let length = end - message;
        if to > message {
            out.resize(to + length, 0);
        }
        let suffix = self.suffix().len();
        out.copy_within(message - suffix..end, to - suffix);
        out.truncate(to + length);
    }
}

const fn digits_of(number: usize) -> usize {
    match number {
        0..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        _ => number.ilog10() as usize + 1,
    }
}

/// Parses a number that consists of digits only.
pub(super) fn decimal(text: &[u8]) -> Result<u64, FrameError> {
    let digits = Some(text).filter(|text| text.iter().all(u8::is_ascii_digit));
    digits
        .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok())
        .ok_or_else(|| FrameError::InvalidLength { found: excerpt(text) })
}

#[cfg(test)]
mod tests;
