//! Long frames of the peer's, cut into short ones before the library sees them.
//!
//! The library sets aside what a frame's head declares, before any of it has come: 14 bytes would
//! take as much memory as a message may have. A message may come in fragments of any size (RFC
//! 6455, 5.4), so a long frame is given to it as fragments, none of which is longer than [`PIECE`],
//! or than what has come of the frame already.

/// A frame up to this size, in bytes, is given to the library as it is. What this crate sends is
/// never longer.
const PIECE: u64 = 64 << 10;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTROL: u8 = 0x08;

/// The length that control frames may not have (RFC 6455, 5.5).
const TOO_LONG: u64 = 126;

/// What a frame begins with.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// The first byte: whether it is the last fragment, and of what.
    first: u8,
    /// The size of the payload.
    length: u64,
    mask: Option<[u8; 4]>,
}

impl Head {
    /// Reads a head and says how long it is, where all of it is there.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match second & !MASKED {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let (mask, rest) = match second & MASKED {
            0 => (None, rest),
            _ => {
                let (mask, rest) = rest.split_first_chunk()?;
                (Some(*mask), rest)
            }
        };
        Some((Self { first, length, mask }, bytes.len() - rest.len()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        out.push(self.first);
        match u16::try_from(self.length) {
            Ok(short @ ..126) => out.push(masked | short as u8),
            Ok(length) => {
                out.push(masked | 126);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                out.push(masked | 127);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        out.extend(self.mask.into_iter().flatten());
    }
}

/// Follows the frames in what the peer sends, and cuts those that are long.
#[derive(Debug)]
pub(super) struct Cutter {
    /// What is refused by its size, in bytes: it is not cut, so that the library sees how large it
    /// is.
    limit: usize,
    /// How many bytes go through as they are before the next head.
    through: u64,
    /// What is left of a frame behind the piece that goes through.
    rest: Option<Head>,
    /// How much of that frame has gone through, or does now.
    passed: u64,
    /// The beginning of a head.
    begun: Vec<u8>,
    /// A head that is to be given next.
    due: Vec<u8>,
}

impl Cutter {
    pub(super) const fn new() -> Self {
        Self { limit: usize::MAX, through: 0, rest: None, passed: 0, begun: Vec::new(), due: Vec::new() }
    }

    pub(super) const fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Gives what there is room for. Says how much was taken, and how much was given.
    pub(super) fn pass(&mut self, from: &[u8], to: &mut [u8]) -> (usize, usize) {
        if !self.due.is_empty() {
            return (0, self.give_head(to));
        }
        let most = from.len().min(to.len());
        let mut run = least(self.through, most);
        self.through -= run as u64;
        // Whole heads of short frames need no second look.
        while self.through == 0 && run < most && self.rest.is_none() && self.begun.is_empty() {
            let short = |(head, _): &(Head, usize)| head.length <= PIECE;
            let Some((head, size)) = Head::parse(&from[run..]).filter(short) else { break };
            let whole = size as u64 + head.length;
            let part = least(whole, most - run);
            self.through = whole - part as u64;
            run += part;
        }
        if run > 0 || self.through > 0 {
            to[..run].copy_from_slice(&from[..run]);
            return (run, run);
        }
        self.pass_head(from, to)
    }

    /// At a head of a long frame, or one that is not whole.
    #[cold]
    fn pass_head(&mut self, from: &[u8], to: &mut [u8]) -> (usize, usize) {
        let taken = match self.rest.take() {
            Some(rest) => {
                self.give_piece(rest);
                0
            }
            None => self.take_head(from),
        };
        (taken, self.give_head(to))
    }

    #[cold]
    fn give_head(&mut self, to: &mut [u8]) -> usize {
        let given = self.due.len().min(to.len());
        to[..given].copy_from_slice(&self.due[..given]);
        self.due.drain(..given);
        given
    }

    fn take_head(&mut self, from: &[u8]) -> usize {
        for (at, &byte) in from.iter().enumerate() {
            self.begun.push(byte);
            if let Some((head, _)) = Head::parse(&self.begun) {
                self.begun.clear();
                self.begin(head);
                return at + 1;
            }
        }
        from.len()
    }

    fn begin(&mut self, head: Head) {
        self.passed = 0;
        let is_over = usize::try_from(head.length).map_or(true, |length| length > self.limit);
        if head.length <= PIECE || is_over {
            head.write(&mut self.due);
            self.through = head.length;
        } else if head.first & CONTROL != 0 {
            // It is refused for being too long, however long it is.
            Head { length: TOO_LONG, ..head }.write(&mut self.due);
            self.through = head.length;
        } else {
            self.give_piece(head);
        }
    }

    /// Gives the head of the next piece of a frame, and keeps the rest.
    fn give_piece(&mut self, whole: Head) {
        // A multiple of the mask's size, as all before it were: the mask fits to the next one, too.
        let length = PIECE.max(self.passed).min(whole.length);
        let rest = whole.length - length;
        let is_last = if rest == 0 { whole.first & FINAL } else { 0 };
        Head { first: is_last | (whole.first & !FINAL), length, ..whole }.write(&mut self.due);
        self.through = length;
        self.passed += length;
        // What follows is a continuation, and keeps in mind whether the message ends with it.
        self.rest = (rest > 0).then_some(Head { first: whole.first & FINAL, length: rest, ..whole });
    }
}

fn least(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).map_or(most, |bytes| bytes.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = Vec::new();
        Head { first, length: payload.len() as u64, mask }.write(&mut out);
        out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask.map_or(0, |mask| mask[at % 4])));
        out
    }

    /// All of the stream, given in pieces of `from` bytes and taken in pieces of `to`.
    fn passed(cutter: &mut Cutter, stream: &[u8], from: usize, to: usize) -> Vec<u8> {
        let (mut out, mut space) = (Vec::new(), vec![0; to]);
        for mut piece in stream.chunks(from) {
            loop {
                let (taken, given) = cutter.pass(piece, &mut space);
                out.extend_from_slice(&space[..given]);
                piece = &piece[taken..];
                if piece.is_empty() && given < to {
                    break;
                }
                assert!(taken + given > 0, "it stands still");
            }
        }
        out
    }

    /// The frames of a stream: first byte, mask, and payload as it is meant.
    fn parsed(mut stream: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while !stream.is_empty() {
            let (head, size) = Head::parse(stream).expect("a head");
            let (payload, rest) = stream[size..].split_at(head.length as usize);
            let mask = |(at, byte): (usize, &u8)| byte ^ head.mask.map_or(0, |mask| mask[at % 4]);
            frames.push((head.first, payload.iter().enumerate().map(mask).collect()));
            stream = rest;
        }
        frames
    }

    fn payload(size: usize) -> Vec<u8> {
        (0..size).map(|at| (at * 7 + at / 251) as u8).collect()
    }

    const SIZES: [usize; 9] = [0, 1, 125, 126, 65_535, 65_536, 65_537, 200_003, 1_000_001];

    #[test]
    fn short_frames_go_through_as_they_are_and_long_ones_in_fragments() {
        for mask in [None, Some([1, 2, 3, 4])] {
            let mut stream = Vec::new();
            let mut expected: Vec<(u8, Vec<u8>)> = Vec::new();
            for first in [0x81, 0x01, 0x80, 0x89, 0x82] {
                for size in SIZES.into_iter().filter(|&size| first != 0x89 || size < 126) {
                    stream.extend(frame(first, &payload(size), mask));
                    expected.push((first, payload(size)));
                }
            }
            for (from, to) in
                [(1, 4096), (13, 1), (4096, 4096), (65_536, 4096), (usize::MAX, usize::MAX >> 40)]
            {
                let out = passed(&mut Cutter::new(), &stream, from, to.max(1));
                let mut frames = parsed(&out).into_iter();
                for (first, payload) in &expected {
                    let (begun, mut whole) = frames.next().expect("a frame");
                    assert_eq!(begun & 0x7f, first & 0x7f);
                    let mut last = begun;
                    while whole.len() < payload.len() {
                        assert_eq!(last & 0x80, 0, "more follows");
                        let (next, more) = frames.next().expect("a fragment");
                        assert_eq!(next & 0x7f, 0, "a continuation");
                        assert!(
                            more.len() <= whole.len().max(65_536),
                            "{} bytes after {}",
                            more.len(),
                            whole.len()
                        );
                        (last, whole) = (next, [whole, more].concat());
                    }
                    assert!(
                        whole == *payload && last & 0x80 == first & 0x80,
                        "{} bytes of {first:x}",
                        payload.len()
                    );
                }
                assert_eq!(frames.next(), None);
            }
        }
    }

    #[test]
    fn what_is_over_the_limit_is_shown_as_it_is() {
        let mut cutter = Cutter::new();
        cutter.set_limit(100_000);
        for length in [100_001, 1 << 46, u64::MAX] {
            let mut cutter = Cutter { limit: 100_000, ..Cutter::new() };
            let mut head = Vec::new();
            Head { first: 0x81, length, mask: Some([9; 4]) }.write(&mut head);
            for from in [1, 20] {
                assert_eq!(passed(&mut cutter, &head, from, 4096), head);
                cutter = Cutter { limit: 100_000, ..Cutter::new() };
            }
        }
        assert!(passed(&mut cutter, &frame(0x81, &payload(100_000), None), 4096, 4096).len() > 100_000);
    }

    #[test]
    fn no_head_declares_more_than_has_come() {
        for first in [0x81, 0x82, 0x01, 0x00, 0x88, 0x89, 0x8a] {
            for length in [65_537, 1 << 31, 1 << 46, u64::MAX] {
                let mut stream = Vec::new();
                Head { first, length, mask: None }.write(&mut stream);
                let out = passed(&mut Cutter::new(), &stream, 3, 4096);
                let (head, _) = Head::parse(&out).expect("a head");
                assert!(head.length <= PIECE, "{} bytes", head.length);
            }
        }
    }
}
