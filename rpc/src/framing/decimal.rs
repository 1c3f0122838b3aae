//! Headers that say in decimal how long the message is that stands behind them.

/// How many digits room is made for: most messages have 100 to 999 bytes.
///
/// A message of another length is moved by a few bytes when it is written. (Not padded: there are readers that take no blanks, and some
/// that take leading zeros for octal.)
const DIGITS: usize = 3;

/// Something, the length, something else.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecimalHeader {
    /// As it is written at first, with room for [`DIGITS`].
    room: &'static [u8],
    prefix: usize,
}

impl DecimalHeader {
    /// From `room`, in which three zeros stand behind `prefix` bytes.
    pub(super) const fn new(room: &'static [u8], prefix: usize) -> Self {
        Self { room, prefix }
    }

    pub(super) fn prefix(self) -> &'static [u8] {
        &self.room[..self.prefix]
    }

    fn suffix(self) -> &'static [u8] {
        &self.room[self.prefix + DIGITS..]
    }

    /// Makes room.
    pub(super) fn begin(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.room);
    }

    /// Writes the length of what stands behind the room that was made at `start`.
    pub(super) fn finish(self, out: &mut Vec<u8>, start: usize) {
        let message = start + self.room.len();
        let length = out.len() - message;
        let digits = digits_of(length);
        if digits != DIGITS {
            self.make_way(out, message, message + digits - DIGITS);
        }
        let number = start + self.prefix;
        let mut rest = length;
        for digit in out[number..number + digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }

    /// Moves the message and the suffix in front of it.
    fn make_way(self, out: &mut Vec<u8>, message: usize, to: usize) {
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
