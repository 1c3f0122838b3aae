//! Frames behind their length in binary.

use super::{FrameError, Framed, Framer, declared::Declared, known::Lengths};

/// A length of 1, 2, 4 or 8 bytes, and as many bytes of message as it says. The length does not count itself.
///
/// A frame over the limit is dropped and counted as an error when its length is there, and the stream goes on behind it. A message of
/// ours that is too long for its prefix is not sent: a call ends with [`CallError::Frame`](crate::CallError::Frame), a reply becomes an
/// error, and an item of a subscription is left out and logged. A prefix of one byte leaves room for 255 bytes of JSON: hardly enough
/// for an error.
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
    prefix: Prefix,
    body: Declared,
}

#[derive(Debug, Clone, Copy)]
struct Prefix {
    /// In bytes: at most 8.
    width: usize,
    order: Order,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl LengthPrefixedFramer {
    /// One byte.
    pub const fn u8() -> Self {
        Self::new(1, Order::Big)
    }

    /// Two bytes, the most significant first.
    pub const fn u16_be() -> Self {
        Self::new(2, Order::Big)
    }

    /// Two bytes, the least significant first.
    pub const fn u16_le() -> Self {
        Self::new(2, Order::Little)
    }

    /// Four bytes, the most significant first: what most protocols have.
    pub const fn u32_be() -> Self {
        Self::new(4, Order::Big)
    }

    /// Four bytes, the least significant first.
    pub const fn u32_le() -> Self {
        Self::new(4, Order::Little)
    }

    /// Eight bytes, the most significant first.
    pub const fn u64_be() -> Self {
        Self::new(8, Order::Big)
    }

    /// Eight bytes, the least significant first.
    pub const fn u64_le() -> Self {
        Self::new(8, Order::Little)
    }

    const fn new(width: usize, order: Order) -> Self {
        Self { prefix: Prefix { width, order }, body: Declared::new() }
    }

    pub(super) const fn of(Lengths { width, is_little }: Lengths) -> Self {
        Self::new(width, if is_little { Order::Little } else { Order::Big })
    }

    pub(super) const fn lengths(&self) -> Lengths {
        Lengths { width: self.prefix.width, is_little: matches!(self.prefix.order, Order::Little) }
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
        Ok(self.body.frame(unread, prefix.len(), self.prefix.read(prefix)))
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

impl Prefix {
    const fn largest(self) -> u64 {
        u64::MAX >> (64 - 8 * self.width)
    }

    fn read(self, prefix: &[u8]) -> u64 {
        let mut bytes = [0; 8];
        match self.order {
            Order::Big => {
                bytes[8 - self.width..].copy_from_slice(prefix);
                u64::from_be_bytes(bytes)
            }
            Order::Little => {
                bytes[..self.width].copy_from_slice(prefix);
                u64::from_le_bytes(bytes)
            }
        }
    }

    fn write(self, prefix: &mut [u8], length: u64) {
        match self.order {
            Order::Big => prefix.copy_from_slice(&length.to_be_bytes()[8 - self.width..]),
            Order::Little => prefix.copy_from_slice(&length.to_le_bytes()[..self.width]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::pieces::{frames, taken_apart};

    fn all() -> [(LengthPrefixedFramer, &'static [u8]); 7] {
        [
            (LengthPrefixedFramer::u8(), &[2]),
            (LengthPrefixedFramer::u16_be(), &[0, 2]),
            (LengthPrefixedFramer::u16_le(), &[2, 0]),
            (LengthPrefixedFramer::u32_be(), &[0, 0, 0, 2]),
            (LengthPrefixedFramer::u32_le(), &[2, 0, 0, 0]),
            (LengthPrefixedFramer::u64_be(), &[0, 0, 0, 0, 0, 0, 0, 2]),
            (LengthPrefixedFramer::u64_le(), &[2, 0, 0, 0, 0, 0, 0, 0]),
        ]
    }

    #[test]
    fn the_length_stands_in_front_in_its_order() {
        for (framer, prefix) in all() {
            assert_eq!(frames(&framer, &["{}"]), [prefix, b"{}"].concat(), "{framer:?}");
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        for (framer, _) in all() {
            let long = "x".repeat(200);
            let bytes = frames(&framer, &["{}", &long, "", "[1]"]);
            for step in 1..=bytes.len() {
                let (found, errors) = taken_apart(framer.clone(), &bytes, step, usize::MAX);
                assert_eq!(found, ["{}", &long, "", "[1]"], "{framer:?} in pieces of {step}");
                assert_eq!(errors, []);
            }
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_dropped_and_the_next_is_intact() {
        for (framer, _) in all() {
            let bytes = frames(&framer, &["0123456789", "0123456789x", &"y".repeat(100), "{}"]);
            for step in 1..=bytes.len() {
                let (found, errors) = taken_apart(framer.clone(), &bytes, step, 10);
                assert_eq!(found, ["0123456789", "{}"], "{framer:?} in pieces of {step}");
                assert_eq!(errors, [11, 100].map(|size| FrameError::TooLarge { size, limit: 10 }));
            }
        }
    }

    #[test]
    fn a_length_beyond_all_memory_is_no_overflow() {
        let mut framer = LengthPrefixedFramer::u64_le();
        let dropped = framer.next(&[0xff; 8]).expect("a length");
        assert!(matches!(dropped, Framed::Oversized { size: usize::MAX, consumed: 8, .. }));
        assert_eq!(framer.next(&[b'x'; 64]), Ok(Framed::Dropping { consumed: 64, is_last: false }));
    }

    #[test]
    fn a_message_too_long_for_its_prefix_is_refused() {
        for (framer, limit) in [(LengthPrefixedFramer::u8(), 255), (LengthPrefixedFramer::u16_be(), 65_535)] {
            for (size, outcome) in
                [(limit, Ok(())), (limit + 1, Err(FrameError::TooLarge { size: limit + 1, limit }))]
            {
                let mut out = Vec::new();
                framer.begin(&mut out);
                out.resize(out.len() + size, b'x');
                assert_eq!(framer.finish(&mut out, 0), outcome);
            }
        }
    }
}
