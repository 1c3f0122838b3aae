//! Netstrings: a length in decimal, a colon, the message, a comma.

use super::{
    FrameError, Framed, Framer, content_length::decimal, decimal::DecimalHeader, declared::Declared,
    error::excerpt,
};

/// `2:{},`: D. J. Bernstein's netstrings.
///
/// A frame over the limit is dropped and counted as an error when its length is there, and the stream goes on behind it. A length that
/// is none (or begins with a zero that means nothing, as its author has it), or a missing comma, ends the session.
///
/// ```
/// use rpc::framing::{Framed, Framer, NetstringFramer};
///
/// let mut framer = NetstringFramer::new();
/// assert_eq!(framer.next(b"2:{},").unwrap(), Framed::Frame { frame: 2..4, consumed: 5 });
/// ```
#[derive(Debug, Clone)]
pub struct NetstringFramer {
    body: Declared,
    /// A frame was dropped, and its comma has not come.
    comma_is_due: bool,
}

const HEADER: DecimalHeader = DecimalHeader::new(b"000:", 0);

/// The digits of the largest length that there is.
const MAX_DIGITS: usize = 20;

impl NetstringFramer {
    /// The limit applies from the session's [`Limits`](crate::Limits).
    pub const fn new() -> Self {
        Self { body: Declared::new(), comma_is_due: false }
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
        HEADER.begin(out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        HEADER.finish(out, start);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::pieces::{broken, frames, taken_apart};

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let messages = ["{}", "", &"x".repeat(120), "{\"é\":\",\"}"];
        let bytes = frames(&NetstringFramer::new(), &messages);
        assert!(bytes.starts_with(b"2:{},0:,120:xxx"));
        for step in 1..=bytes.len() {
            let (found, errors) = taken_apart(NetstringFramer::new(), &bytes, step, usize::MAX);
            assert_eq!(found, messages, "in pieces of {step}");
            assert_eq!(errors, []);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_dropped_and_the_next_is_intact() {
        let bytes =
            frames(&NetstringFramer::new(), &[&"x".repeat(50), "{}", "0123456789", "0123456789x", "[]"]);
        for step in 1..=bytes.len() {
            let (found, errors) = taken_apart(NetstringFramer::new(), &bytes, step, 10);
            assert_eq!(found, ["{}", "0123456789", "[]"], "in pieces of {step}");
            assert_eq!(errors, [50, 11].map(|size| FrameError::TooLarge { size, limit: 10 }));
        }
    }

    #[test]
    fn what_is_no_netstring_is_named() {
        for (bytes, error) in [
            ("{}", "`{` is no length of a frame in bytes"),
            (":", "`:` is no length of a frame in bytes"),
            ("02:{},", "`02:` is no length of a frame in bytes"),
            ("-1:", "`-` is no length of a frame in bytes"),
            ("99999999999999999999:", "`99999999999999999999` is no length of a frame in bytes"),
            ("999999999999999999999", "`999999999999999999999` is no length of a frame in bytes"),
            ("2:{}2:{},", "a comma behind a netstring was expected, and `2` came"),
        ] {
            for step in 1..=bytes.len() {
                assert_eq!(
                    broken(NetstringFramer::new(), bytes.as_bytes(), step).to_string(),
                    error,
                    "{bytes}"
                );
            }
        }
    }

    #[test]
    fn the_comma_of_a_dropped_frame_is_looked_for() {
        let mut framer = NetstringFramer::new();
        framer.set_limit(1);
        assert!(matches!(framer.next(b"2:"), Ok(Framed::Oversized { size: 2, limit: 1, consumed: 2 })));
        assert_eq!(framer.next(b"{}x"), Ok(Framed::Dropping { consumed: 2, is_last: true }));
        assert!(matches!(framer.next(b"x"), Err(FrameError::Unexpected { .. })));
    }
}
