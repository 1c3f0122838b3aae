//! Frames that end with a newline: what Electrum, Bitcoin and most daemons on sockets speak.

use std::ops::Range;

use memchr::memchr;

use super::{FrameError, Framed, Framer};

/// One message a line, ended by `\n` (or `\r\n`; blank lines are passed over).
///
/// A line over the limit is dropped and counted as an error, and a request is answered; the lines that follow it are not lost. The
/// rule is aiorpcX's.
///
/// The last line of a stream needs no newline if it is a whole object or array of JSON: many peers close their side right behind it.
#[derive(Debug, Clone)]
pub struct NewlineFramer {
    limit: usize,
    /// How much of the unread bytes is known to hold no newline.
    searched: usize,
    /// The size so far of a line that is being dropped.
    dropping: Option<usize>,
}

impl NewlineFramer {
    /// The limit applies from the session's [`Limits`](crate::Limits).
    pub const fn new() -> Self {
        Self { limit: usize::MAX, searched: 0, dropping: None }
    }

    const fn is_over(&self, size: usize) -> bool {
        size > self.limit
    }
}

impl Default for NewlineFramer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer for NewlineFramer {
    const OWN: bool = true;

    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        let Some(found) = memchr(b'\n', &unread[self.searched..]) else {
            let size = self.dropping.unwrap_or(0) + unread.len();
            if self.dropping.is_some() || self.is_over(size) {
                self.dropping = Some(size);
                self.searched = 0;
                return Ok(Framed::Dropping { consumed: unread.len(), is_last: false });
            }
            self.searched = unread.len();
            return Ok(Framed::Incomplete { consumed: 0 });
        };
        let end = self.searched + found;
        let consumed = end + 1;
        self.searched = 0;
        let size = self.dropping.take().unwrap_or(0) + end;
        if self.is_over(size) {
            return Ok(Framed::Dropped { error: FrameError::TooLarge { size, limit: self.limit }, consumed });
        }
        let line = &unread[..end];
        // One look at the last byte rules blanks out for nearly every line.
        if line.last().is_none_or(u8::is_ascii_whitespace) {
            let trimmed = line.trim_ascii_end().len();
            if trimmed == 0 {
                return Ok(Framed::Between { consumed });
            }
            return Ok(Framed::Frame { frame: 0..trimmed, consumed });
        }
        Ok(Framed::Frame { frame: 0..end, consumed })
    }

    fn last(&self, unread: &[u8]) -> Option<Range<usize>> {
        let line = unread.trim_ascii_end();
        (self.dropping.is_none() && !line.is_empty()).then_some(0..line.len())
    }

    /// The message must stand on one line. What this crate writes always does.
    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        debug_assert!(memchr(b'\n', &out[start..]).is_none(), "a line break within a message");
        out.push(b'\n');
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::pieces::taken_apart;

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let bytes = "{\"a\":1}\r\n\n  \r\n{\"é\":2}  \n{}\n".as_bytes();
        for step in 1..=bytes.len() {
            let (found, errors) = taken_apart(NewlineFramer::new(), bytes, step, usize::MAX);
            assert_eq!(found, ["{\"a\":1}", "{\"é\":2}", "{}"], "in pieces of {step}");
            assert_eq!(errors, []);
        }
    }

    #[test]
    fn a_line_over_the_limit_is_dropped_and_the_next_is_intact() {
        let bytes = [&[b'x'; 50][..], b"\n{}\n", &[b'y'; 10], b"\n", &[b'z'; 11], b"\n[]\n"].concat();
        for step in [1, 2, 7, 50, 51, 52, 200] {
            let (found, errors) = taken_apart(NewlineFramer::new(), &bytes, step, 10);
            assert_eq!(found, ["{}", "yyyyyyyyyy", "[]"], "in pieces of {step}");
            assert_eq!(
                errors,
                [FrameError::TooLarge { size: 50, limit: 10 }, FrameError::TooLarge { size: 11, limit: 10 }]
            );
        }
    }

    #[test]
    fn a_line_that_never_ends_is_not_kept() {
        let mut framer = NewlineFramer::new();
        framer.set_limit(10);
        for _ in 0..1000 {
            assert_eq!(framer.next(&[b'x'; 64]).unwrap(), Framed::Dropping { consumed: 64, is_last: false });
        }
    }
}
