//! Frames after HTTP-style headers, as in the Language Server Protocol.

use memchr::memmem;

use super::{
    framer::{FrameError, Framed, Framer, excerpt},
    length_prefixed::{DecimalHeader, DeclaredBody, decimal},
};

/// `Content-Length: 17`, an empty line, and 17 bytes: the base protocol of LSP, DAP and BSP.
///
/// `Content-Length` is required, exactly once. `Content-Type` may name the charset `utf-8`, or
/// `utf8` as older clients do, and no other; further headers are ignored. Names are
/// case-insensitive. Written frames have exactly `Content-Length: `, the number, and an empty line,
/// because some readers accept nothing else. A header line follows HTTP: a token, a colon directly
/// after it, and a value without control characters (RFC 9110, 5.1, 5.5, 5.6.2). The first line of
/// an HTTP request is therefore rejected.
///
/// A frame over the limit is dropped and counted as an error once its headers have arrived, and the
/// stream goes on after it. Invalid headers, or headers over 4,096 bytes, end the session: the
/// start of the next frame is unknown.
///
/// ```
/// use rpc::{Connector, framing::ContentLengthFramer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // A language server: the editor is at its standard input and output.
/// let editor = Connector::new("stdio:")?.framer(ContentLengthFramer::new()).connect().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ContentLengthFramer {
    body: DeclaredBody,
    /// Length of the unread prefix that is known not to contain the end of the headers.
    searched: usize,
    /// The headers of an incomplete frame.
    headers: Option<Headers>,
}

#[derive(Debug, Clone, Copy)]
struct Headers {
    /// Size of the headers in bytes, with the empty line.
    size: usize,
    /// Size of the message in bytes.
    length: u64,
}

const HEADER: DecimalHeader = DecimalHeader::new(b"Content-Length: 000\r\n\r\n", b"Content-Length: ".len());
const END: &[u8] = b"\r\n\r\n";

/// Limit of the headers of a frame, in bytes.
const MAX_HEADERS: usize = 4096;

impl ContentLengthFramer {
    /// A framer without a limit until the session sets that of its [`Limits`](crate::Limits).
    pub const fn new() -> Self {
        Self { body: DeclaredBody::new(), searched: 0, headers: None }
    }

    fn find_headers(&mut self, unread: &[u8]) -> Result<Option<Headers>, FrameError> {
        if let Some(headers) = usual_headers(unread) {
            self.searched = 0;
            return Ok(Some(headers));
        }
        let within = &unread[..unread.len().min(MAX_HEADERS)];
        // The terminator may straddle the end of the part that was searched.
        let from = self.searched.saturating_sub(END.len() - 1);
        let Some(found) = memmem::find(&within[from..], END) else {
            if unread.len() >= MAX_HEADERS {
                return Err(FrameError::HeadersTooLarge { limit: MAX_HEADERS });
            }
            self.searched = unread.len();
            return Ok(None);
        };
        self.searched = 0;
        let end = from + found;
        Ok(Some(Headers { size: end + END.len(), length: length(&unread[..end])? }))
    }
}

impl Default for ContentLengthFramer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer for ContentLengthFramer {
    const OWN: bool = true;

    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        if let Some(skipped) = self.body.skip(unread) {
            return Ok(skipped);
        }
        let headers = match self.headers.take() {
            Some(headers) => headers,
            None => match self.find_headers(unread)? {
                Some(headers) => headers,
                None => return Ok(Framed::Incomplete { consumed: 0 }),
            },
        };
        let framed = self.body.frame(unread, headers.size, headers.length);
        if matches!(framed, Framed::Incomplete { .. }) {
            self.headers = Some(headers);
        }
        Ok(framed)
    }

    fn owes_more(&self) -> bool {
        self.body.owes_more()
    }

    fn begin(&self, out: &mut Vec<u8>) {
        HEADER.begin(out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        HEADER.finish(out, start);
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.body.set_limit(bytes);
    }
}

/// Fast path for the usual headers, `Content-Length` and nothing else, which need no search.
fn usual_headers(unread: &[u8]) -> Option<Headers> {
    // Any number of this many digits fits into a `u64`.
    const DIGITS: usize = 18;
    let behind = unread.strip_prefix(HEADER.prefix())?;
    let (mut digits, mut length) = (0, 0);
    for &byte in behind.iter().take(DIGITS).take_while(|byte| byte.is_ascii_digit()) {
        length = 10 * length + u64::from(byte - b'0');
        digits += 1;
    }
    let size = HEADER.prefix().len() + digits + END.len();
    (digits > 0 && behind[digits..].starts_with(END)).then_some(Headers { size, length })
}

/// The message length that the headers declare.
fn length(headers: &[u8]) -> Result<u64, FrameError> {
    let (mut length, mut rest) = (None, Some(headers));
    while let Some(lines) = rest {
        let (line, others) = match memmem::find(lines, b"\r\n") {
            Some(end) => (&lines[..end], Some(&lines[end + 2..])),
            None => (lines, None),
        };
        rest = others;
        let (name, value) = header(line).ok_or_else(|| FrameError::InvalidHeader { found: excerpt(line) })?;
        if name.eq_ignore_ascii_case(b"Content-Length") {
            if length.replace(decimal(value)?).is_some() {
                return Err(FrameError::RepeatedLength);
            }
        } else if name.eq_ignore_ascii_case(b"Content-Type") {
            check_charset(value)?;
        }
    }
    length.ok_or(FrameError::MissingLength)
}

/// Splits a header line into its name, which is a token directly followed by a colon, and its value
/// of printable characters (RFC 9110, 5.1, 5.5 and 5.6.2). The first line of a request, whose
/// target may contain a colon, is rejected, as is a folded line (RFC 9112, 5.2).
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at(memchr::memchr(b':', line)?);
    let value = &value[1..];
    let is_printable = |&byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    (!name.is_empty() && name.iter().copied().all(is_token) && value.iter().all(is_printable))
        .then_some((name, value.trim_ascii()))
}

fn check_charset(content_type: &[u8]) -> Result<(), FrameError> {
    for parameter in content_type.split(|&byte| byte == b';').skip(1) {
        let mut halves = parameter.splitn(2, |&byte| byte == b'=');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        let value = value.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        let is_utf8 = value.eq_ignore_ascii_case(b"utf-8") || value.eq_ignore_ascii_case(b"utf8");
        if name.trim_ascii().eq_ignore_ascii_case(b"charset") && !is_utf8 {
            return Err(FrameError::UnsupportedCharset { found: excerpt(value) });
        }
    }
    Ok(())
}

/// Whether `byte` may be part of a token, such as a method or a header name (RFC 9110, 5.6.2).
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::tests::{fatal_error, feed_chunks, frames};

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let bytes = "Content-Length: 7\r\n\r\n{\"a\":1}content-length:2\r\nContent-Type: \
            application/vscode-jsonrpc; charset=utf8\r\n\r\n{}CONTENT-LENGTH:  8 \r\nX!#$%&'*+-.^_`|~: y\tü\r\nEmpty:\r\nContent-Type: a;Charset=\"UTF-8\"\r\n\r\n{\"é\":2}";
        for step in 1..=bytes.len() {
            let (found, errors) = feed_chunks(ContentLengthFramer::new(), bytes.as_bytes(), step, usize::MAX);
            assert_eq!(found, ["{\"a\":1}", "{}", "{\"é\":2}"], "in pieces of {step}");
            assert_eq!(errors, []);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_dropped_and_the_next_is_intact() {
        let bytes = [
            b"Content-Length: 50\r\n\r\n" as &[u8],
            &[b'x'; 50],
            b"Content-Length: 2\r\n\r\n{}Content-Length: 11\r\n\r\n           Content-Length: 10\r\n\r\n0123456789",
        ]
        .concat();
        for step in 1..=bytes.len() {
            let (found, errors) = feed_chunks(ContentLengthFramer::new(), &bytes, step, 10);
            assert_eq!(found, ["{}", "0123456789"], "in pieces of {step}");
            assert_eq!(errors, [50, 11].map(|size| FrameError::TooLarge { size, limit: 10 }));
        }
    }

    #[test]
    fn headers_that_make_no_sense_are_named() {
        for (headers, error) in [
            ("Content-Length: -1", "`-1` is no length of a frame in bytes"),
            ("Content-Length: +1", "`+1` is no length of a frame in bytes"),
            ("Content-Length: ten", "`ten` is no length of a frame in bytes"),
            ("Content-Length:", "`` is no length of a frame in bytes"),
            (
                "Content-Length: 18446744073709551616",
                "`18446744073709551616` is no length of a frame in bytes",
            ),
            (
                "Content-Length: 1\r\nContent-Length: 1",
                "the headers of a frame have more than one Content-Length",
            ),
            ("Content-Type: text/plain", "the headers of a frame have no Content-Length"),
            ("POST /a:b HTTP/1.1\r\nContent-Length: 2", "`POST /a:b HTTP/1.1` is no header"),
            ("POST http://x/ HTTP/1.1\r\nContent-Length: 2", "`POST http://x/ HTTP/1.1` is no header"),
            ("Content-Length : 2", "`Content-Length : 2` is no header"),
            ("Content-Length\t: 2", "`Content-Length\\t: 2` is no header"),
            (" Content-Length: 2", "` Content-Length: 2` is no header"),
            ("X: y\r\n Content-Length: 2", "` Content-Length: 2` is no header"),
            ("X: y\r\n\tz:\r\nContent-Length: 2", "`\\tz:` is no header"),
            (": x\r\nContent-Length: 2", "`: x` is no header"),
            ("X(y): z\r\nContent-Length: 2", "`X(y): z` is no header"),
            ("X\u{e9}: z\r\nContent-Length: 2", "`X\\xc3\\xa9: z` is no header"),
            ("X: \0\r\nContent-Length: 2", "`X: \\x00` is no header"),
            ("X: a\u{7f}b\r\nContent-Length: 2", "`X: a\\x7fb` is no header"),
            ("Content-Length:\x0c2", "`Content-Length:\\x0c2` is no header"),
            ("X: a\rb\r\nContent-Length: 2", "`X: a\\rb` is no header"),
            ("X: a\nContent-Length: 2", "`X: a\\nContent-Length: 2` is no header"),
            ("{\"a\" 1}", "`{\\\"a\\\" 1}` is no header"),
            ("", "`` is no header"),
            (
                "Content-Type: a; charset=utf-16\r\nContent-Length: 1",
                "a frame is of the charset `utf-16`: only utf-8 is read",
            ),
        ] {
            let bytes = format!("{headers}\r\n\r\n{{}}");
            for step in [1, 3, bytes.len()] {
                let found = fatal_error(ContentLengthFramer::new(), bytes.as_bytes(), step);
                assert_eq!(found.to_string(), error, "{headers:?} in pieces of {step}");
            }
        }
    }

    #[test]
    fn headers_without_an_end_are_not_kept() {
        let bytes = vec![b'x'; 5000];
        for step in [1, 4095, 4096, 5000] {
            let error = fatal_error(ContentLengthFramer::new(), &bytes, step);
            assert_eq!(error.to_string(), "the headers of a frame have not ended within 4096 bytes");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_length_that_is_only_declared() {
        for length in [2_147_483_647, u64::MAX] {
            let mut framer = ContentLengthFramer::new();
            framer.set_limit(1000);
            let header = format!("Content-Length: {length}\r\n\r\n");
            let dropped = framer.next(header.as_bytes()).expect("a header");
            assert!(
                matches!(dropped, Framed::Oversized { limit: 1000, consumed, .. } if consumed == header.len())
            );
            assert_eq!(framer.next(&[b'x'; 64]), Ok(Framed::Dropping { consumed: 64, is_last: false }));
        }
    }

    #[test]
    fn what_is_written_begins_with_the_length_and_nothing_else() {
        for size in [0, 1, 9, 10, 99, 100, 999, 1000, 12_345] {
            let message = "x".repeat(size);
            let written = frames(&ContentLengthFramer::new(), &["before", &message]);
            let expected = format!("Content-Length: 6\r\n\r\nbeforeContent-Length: {size}\r\n\r\n{message}");
            assert_eq!(String::from_utf8(written), Ok(expected));
        }
    }
}
