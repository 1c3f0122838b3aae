//! Self-delimiting frames: lines, and concatenated JSON values.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::framer::{FrameError, Framed, Framer, excerpt};

/// One message per line, terminated by `\n` or `\r\n`. Blank lines are skipped.
///
/// A line over the limit is dropped and counted as an error, and a request in it is answered. The
/// lines after it are not lost. The rule is aiorpcX's.
///
/// The last line of a stream needs no newline if it is a complete JSON object or array: many peers
/// close their side right after it.
#[derive(Debug, Clone)]
pub struct NewlineFramer {
    limit: usize,
    /// Length of the unread prefix that is known to contain no newline.
    searched: usize,
    /// Bytes dropped so far of a line that is over the limit.
    dropping: Option<usize>,
}

impl NewlineFramer {
    /// A framer without a limit until the session sets that of its [`Limits`](crate::Limits).
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
        // Most lines end in a non-blank byte, so one check avoids the trim.
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

    /// The message must be a single line, as everything that this crate writes is.
    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        debug_assert!(memchr(b'\n', &out[start..]).is_none(), "a line break within a message");
        out.push(b'\n');
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }
}

/// Concatenated JSON objects and arrays, with nothing, blanks or newlines between them: what
/// relatives of Bitcoin, Core Lightning and many libraries read from a socket.
///
/// Each byte is scanned once, however the stream arrives. A value over the limit is dropped and
/// counted as an error where it ends, and the stream goes on after it. Anything else between
/// values, or a control character inside a string, ends the session: the start of the next value is
/// unknown.
///
/// Brackets are counted, not matched: `{]` is a frame, and the parser rejects it.
///
/// ```
/// use rpc::framing::{Framed, Framer, JsonFramer};
///
/// let mut framer = JsonFramer::new();
/// assert_eq!(framer.next(br#"{"a":"}"}[]"#).unwrap(), Framed::Frame { frame: 0..9, consumed: 9 });
/// ```
#[derive(Debug, Clone)]
pub struct JsonFramer {
    limit: usize,
    /// The separator written after each message.
    end: &'static [u8],
    scan: Scan,
    /// How many of the unread bytes were scanned.
    scanned: usize,
    /// Bytes dropped so far of a value that is over the limit.
    dropping: Option<usize>,
}

impl JsonFramer {
    /// Writes a newline after each message, so that peers that read lines understand it too. There
    /// is no limit until the session sets that of its [`Limits`](crate::Limits).
    pub const fn new() -> Self {
        Self { limit: usize::MAX, end: b"\n", scan: Scan::new(), scanned: 0, dropping: None }
    }

    /// Writes nothing between messages.
    pub const fn unseparated(mut self) -> Self {
        self.end = b"";
        self
    }

    /// Writes a blank line after each message: Core Lightning's client waits for one.
    pub const fn blank_lines(mut self) -> Self {
        self.end = b"\n\n";
        self
    }
}

impl Default for JsonFramer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer for JsonFramer {
    const OWN: bool = true;

    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        let blanks = match self.scan.is_within() {
            true => 0,
            false => unread.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count(),
        };
        let value = &unread[blanks..];
        let Some(first) = value.first() else {
            return Ok(Framed::Between { consumed: blanks });
        };
        if !self.scan.is_within() && !matches!(first, b'{' | b'[') {
            return Err(FrameError::Unexpected {
                expected: "a JSON object or array",
                found: excerpt(&value[..1]),
            });
        }
        let before = self.dropping.unwrap_or(0);
        let Some(scanned) = self.scan.find_end(&value[self.scanned..])? else {
            let size = before + value.len();
            if self.dropping.is_some() || size > self.limit {
                self.dropping = Some(size);
                self.scanned = 0;
                return Ok(Framed::Dropping { consumed: unread.len(), is_last: false });
            }
            self.scanned = value.len();
            return Ok(Framed::Incomplete { consumed: blanks });
        };
        let end = self.scanned + scanned;
        self.scanned = 0;
        self.dropping = None;
        let (frame, consumed, size) = (blanks..blanks + end, blanks + end, before + end);
        if size > self.limit {
            return Ok(Framed::Dropped { error: FrameError::TooLarge { size, limit: self.limit }, consumed });
        }
        Ok(Framed::Frame { frame, consumed })
    }

    fn finish(&self, out: &mut Vec<u8>, _start: usize) -> Result<(), FrameError> {
        out.extend_from_slice(self.end);
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }
}

/// Scanner state inside a value.
#[derive(Debug, Clone)]
struct Scan {
    /// Number of open brackets.
    depth: usize,
    in_string: bool,
    /// The previous byte was a backslash inside a string.
    escaped: bool,
}

impl Scan {
    const fn new() -> Self {
        Self { depth: 0, in_string: false, escaped: false }
    }

    const fn is_within(&self) -> bool {
        self.depth > 0
    }

    /// Continues the scan with `bytes`. Returns the end of the value if it is among them.
    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                at += self.string(&bytes[at..])?;
                continue;
            }
            let byte = bytes[at];
            at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Ok(Some(at));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Continues inside a string, up to its end or the next backslash. Returns the number of bytes
    /// scanned.
    fn string(&mut self, bytes: &[u8]) -> Result<usize, FrameError> {
        let from = usize::from(std::mem::take(&mut self.escaped));
        let end = memchr2(b'"', b'\\', &bytes[from..]).map_or(bytes.len(), |found| from + found);
        // An unterminated string would swallow the start of the next message and invert the meaning
        // of every quote after it. The fold has no early exit, so that it vectorizes.
        if bytes[..end].iter().fold(false, |any, &byte| any | is_control(byte)) {
            return Err(control_character(&bytes[..end]));
        }
        match bytes.get(end) {
            None => return Ok(end),
            Some(b'"') => self.in_string = false,
            Some(_) => self.escaped = true,
        }
        Ok(end + 1)
    }
}

const fn is_control(byte: u8) -> bool {
    byte < b' '
}

#[cold]
fn control_character(text: &[u8]) -> FrameError {
    let at = text.iter().position(|&byte| is_control(byte)).unwrap_or(0);
    FrameError::Unexpected { expected: "the rest of a JSON string", found: excerpt(&text[at..=at]) }
}

#[cfg(test)]
mod tests;
