//! No framing: one JSON value behind another.

use memchr::memchr2;

use super::{FrameError, Framed, Framer, error::excerpt};

/// One JSON object or array behind another, with nothing, blanks or newlines between them: what Bitcoin's relatives, Core Lightning and
/// many libraries read from a socket.
///
/// Each byte is looked at once, however the stream arrives. A value over the limit is dropped and counted as an error where it ends, and
/// the stream goes on behind it. Anything else between values, and a control character within a string, ends the session: nobody can say
/// where the next value begins.
///
/// Brackets are counted, not compared: `{]` is a frame, and it is for the parser to refuse it.
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
    /// What is written behind each message.
    end: &'static [u8],
    scan: Scan,
    /// How much of the unread bytes was scanned.
    scanned: usize,
    /// The size so far of a value that is being dropped.
    dropping: Option<usize>,
}

impl JsonFramer {
    /// Writes a newline behind each message: a peer that reads lines understands it too. The limit applies from the session's
    /// [`Limits`](crate::Limits).
    pub const fn new() -> Self {
        Self { limit: usize::MAX, end: b"\n", scan: Scan::new(), scanned: 0, dropping: None }
    }

    /// Writes nothing between messages.
    pub const fn unseparated(mut self) -> Self {
        self.end = b"";
        self
    }

    /// Writes a blank line behind each message: Core Lightning's client waits for one.
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

/// Where in a value the scan is.
#[derive(Debug, Clone)]
struct Scan {
    /// Brackets that are open.
    depth: usize,
    in_string: bool,
    /// The next character of the string was announced by a backslash.
    escaped: bool,
}

impl Scan {
    const fn new() -> Self {
        Self { depth: 0, in_string: false, escaped: false }
    }

    const fn is_within(&self) -> bool {
        self.depth > 0
    }

    /// Goes on with `bytes`, to the end of the value where it stands in them.
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

    /// Goes on within a string: up to what ends it or escapes something. Gives the number of bytes that are done with.
    fn string(&mut self, bytes: &[u8]) -> Result<usize, FrameError> {
        let from = usize::from(std::mem::take(&mut self.escaped));
        let end = memchr2(b'"', b'\\', &bytes[from..]).map_or(bytes.len(), |found| from + found);
        // A string that was never ended would take the next message for its end, and turn the stream inside out.
        // (All of it is looked at, without stopping: that is many bytes at once.)
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
mod tests {
    use super::*;
    use crate::framing::pieces::{broken, frames, taken_apart};

    #[test]
    fn values_come_out_whole_however_they_arrive() {
        let values = [
            r#"{"a":[1,{"b":"}]\"\\"}]}"#,
            "[]",
            "{}",
            r#"{"é":"\\\"{"}"#,
            "[[[[]]]]",
            "{\n  \"a\": 1\n}",
            "{]",
        ];
        for between in ["", " ", "\n", "\r\n\t\n"] {
            let bytes = values.join(between) + between;
            for step in 1..=bytes.len() {
                let (found, errors) = taken_apart(JsonFramer::new(), bytes.as_bytes(), step, usize::MAX);
                assert_eq!(found, values, "in pieces of {step}");
                assert_eq!(errors, []);
            }
        }
    }

    #[test]
    fn a_value_over_the_limit_is_dropped_and_the_next_is_intact() {
        let long = format!(r#"["{}\"]["]"#, "x".repeat(50));
        let bytes = format!(r#"{long}{{}} [1,2,3,4]  [1,2,3,45] {long}[]"#);
        for step in 1..=bytes.len() {
            let (found, errors) = taken_apart(JsonFramer::new(), bytes.as_bytes(), step, 9);
            assert_eq!(found, ["{}", "[1,2,3,4]", "[]"], "in pieces of {step}");
            assert_eq!(errors, [58, 10, 58].map(|size| FrameError::TooLarge { size, limit: 9 }));
        }
    }

    #[test]
    fn what_is_no_value_ends_the_session_and_is_named() {
        for (bytes, error) in [
            ("{}x{}", "a JSON object or array was expected, and `x` came"),
            ("\"{\"", "a JSON object or array was expected, and `\\\"` came"),
            ("}", "a JSON object or array was expected, and `}` came"),
            ("1 2", "a JSON object or array was expected, and `1` came"),
            ("\u{feff}{}", "a JSON object or array was expected, and `\\xef` came"),
            ("{\"a\n{}", "the rest of a JSON string was expected, and `\\n` came"),
            ("{\"a\\\n{}", "the rest of a JSON string was expected, and `\\n` came"),
        ] {
            for step in 1..=bytes.len() {
                assert_eq!(broken(JsonFramer::new(), bytes.as_bytes(), step).to_string(), error, "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_value_that_never_ends_is_not_kept() {
        let mut framer = JsonFramer::new();
        framer.set_limit(10);
        for _ in 0..1000 {
            assert_eq!(
                framer.next(&[b'['; 64]).expect("open"),
                Framed::Dropping { consumed: 64, is_last: false }
            );
        }
    }

    #[test]
    fn behind_a_message_stands_what_was_chosen() {
        for (framer, written) in [
            (JsonFramer::new(), "{}\n[]\n"),
            (JsonFramer::new().unseparated(), "{}[]"),
            (JsonFramer::new().blank_lines(), "{}\n\n[]\n\n"),
        ] {
            assert_eq!(frames(&framer, &["{}", "[]"]), written.as_bytes());
        }
    }
}
