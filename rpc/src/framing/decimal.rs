//! Headers that say in decimal how long the message is that stands behind them.

/// How many digits room is made for: most messages have 100 to 999 bytes.
///
/// A message of another length is moved by a few bytes when it is written. (Not padded: there are readers that take no blanks, and some
/// that take leading zeros for octal.)
const DIGITS: usize = 3;

/// `prefix`, the length, `suffix`.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecimalHeader {
    pub(super) prefix: &'static [u8],
    pub(super) suffix: &'static [u8],
}

impl DecimalHeader {
    const fn size(self, digits: usize) -> usize {
        self.prefix.len() + digits + self.suffix.len()
    }

    /// Makes room.
    pub(super) fn begin(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix);
        out.extend_from_slice(&[b'0'; DIGITS]);
        out.extend_from_slice(self.suffix);
    }

    /// Writes the length of what stands behind the room that was made at `start`.
    pub(super) fn finish(self, out: &mut Vec<u8>, start: usize) {
        let message = start + self.size(DIGITS);
        let length = out.len() - message;
        let digits = length.checked_ilog10().unwrap_or(0) as usize + 1;
        if digits != DIGITS {
            let moved = start + self.size(digits);
            let end = out.len();
            out.resize(end.max(moved + length), 0);
            out.copy_within(message..end, moved);
            out.truncate(moved + length);
        }
        let (number, suffix) = out[start + self.prefix.len()..].split_at_mut(digits);
        let mut rest = length;
        for digit in number.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        suffix[..self.suffix.len()].copy_from_slice(self.suffix);
    }
}
