//! Protocols recognised by their first bytes: line-based ones (a client's request, a server's
//! greeting), and TLS.

use std::ops::RangeInclusive;

use crate::framing::is_token;

/// How well bytes match another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProtocolMatch {
    /// They belong to the protocol of this name.
    Certain(&'static str),
    /// They may belong to one.
    Possible,
    None,
}

impl ProtocolMatch {
    /// Combines two matches: a certain one wins over a possible one.
    fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Certain(_) => self,
            Self::Possible => match other() {
                Self::None => Self::Possible,
                other => other,
            },
            Self::None => other(),
        }
    }
}

/// Matches the first bytes of a stream against all known protocols. `text` is `bytes` without
/// leading blanks. `is_all`: no more bytes will arrive.
pub(super) fn fit(bytes: &[u8], text: &[u8], is_all: bool) -> ProtocolMatch {
    tls(bytes).or_else(|| FirstLine::first(text, is_all).fit())
}

type BytePattern = [RangeInclusive<u8>; 7];

const ANY: RangeInclusive<u8> = 0..=255;

/// The first bytes of TLS. As an eight-byte length they exceed 1 TiB; as one of one, two or four
/// bytes they are not followed by the start of a message.
const PATTERNS: [BytePattern; 4] = [
    // A handshake record with a `ClientHello` of less than 64 KiB (RFC 8446, 5.1 and 4).
    [22..=22, 3..=3, 0..=4, ANY, ANY, 1..=1, 0..=0],
    // An alert record: a server's answer to something it does not understand (RFC 8446, 6).
    [21..=21, 3..=3, 0..=4, 0..=0, 2..=2, 1..=2, ANY],
    // A hello in an SSL 2.0 record, for versions 2.0 and 3.x, with at least one cipher (RFC 5246,
    // E.2). The second byte of a real one is too large to be a line break.
    [0x80..=0x83, 0x1c..=255, 1..=1, 0..=0, 2..=2, ANY, 1..=255],
    [0x80..=0x83, 0x1c..=255, 1..=1, 3..=3, 0..=4, ANY, 1..=255],
];

fn tls(bytes: &[u8]) -> ProtocolMatch {
    let fits = |pattern: &&BytePattern| pattern.iter().zip(bytes).all(|(range, byte)| range.contains(byte));
    match PATTERNS.iter().find(fits) {
        Some(pattern) if bytes.len() >= pattern.len() => ProtocolMatch::Certain("TLS"),
        Some(_) => ProtocolMatch::Possible,
        None => ProtocolMatch::None,
    }
}

/// Number of bytes of a line that are examined. A request with a longer target is recognised by its
/// start.
const LONGEST: usize = 1024;

/// Methods of HTTP/0.9 and its imitations, which have no version after the target.
const METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];

/// Text before the version at the end of a request line.
const VERSIONED: [(&[u8], &str); 4] =
    [(b"HTTP/", "HTTP"), (b"RTSP/", "RTSP"), (b"SIP/", "SIP"), (b"ICAP/", "ICAP")];

/// First commands of mail, file transfer and chat clients.
const COMMANDS: [(&[u8], &str); 28] = [
    (b"HELO", "SMTP"),
    (b"EHLO", "SMTP"),
    (b"LHLO", "SMTP"),
    (b"MAIL", "SMTP"),
    (b"RCPT", "SMTP"),
    (b"DATA", "SMTP"),
    (b"RSET", "SMTP"),
    (b"NOOP", "SMTP"),
    (b"QUIT", "SMTP"),
    (b"VRFY", "SMTP"),
    (b"EXPN", "SMTP"),
    (b"HELP", "SMTP"),
    (b"AUTH", "SMTP"),
    (b"BDAT", "SMTP"),
    (b"STARTTLS", "SMTP"),
    (b"APOP", "POP3"),
    (b"CAPA", "POP3"),
    (b"STLS", "POP3"),
    (b"STAT", "POP3"),
    (b"USER", "FTP or POP3"),
    (b"PASS", "FTP or POP3"),
    (b"FEAT", "FTP"),
    (b"SYST", "FTP"),
    (b"PASV", "FTP"),
    (b"EPSV", "FTP"),
    (b"PORT", "FTP"),
    (b"NICK", "IRC"),
    (b"JOIN", "IRC"),
];

/// Starts of a server's line that are followed by a digit.
const VERSIONS: [(&[u8], &str); 3] = [(b"HTTP/", "HTTP"), (b"SSH-", "SSH"), (b"RFB ", "RFB")];

/// Starts of a server's line that are followed by a word.
const STATES: [(&[u8], &str); 5] = [
    (b"* OK ", "IMAP"),
    (b"* BYE ", "IMAP"),
    (b"* PREAUTH ", "IMAP"),
    (b"+OK ", "POP3"),
    (b"-ERR ", "POP3 or Redis"),
];

/// Reply codes of the greetings and refusals of SMTP, FTP and NNTP servers, followed by a word.
const CODES: [&[u8]; 16] = [
    b"120 ", b"120-", b"200 ", b"200-", b"201 ", b"201-", b"220 ", b"220-", b"400 ", b"400-", b"421 ",
    b"421-", b"502 ", b"502-", b"554 ", b"554-",
];

/// The first line of a stream, or its start.
#[derive(Debug, Clone, Copy)]
struct FirstLine<'a> {
    text: &'a [u8],
    state: LineState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineState {
    /// The line is complete.
    Whole,
    /// More of the line may arrive.
    Begun,
    /// The line is longer than the examined part.
    Long,
}

impl<'a> FirstLine<'a> {
    /// The first line of `bytes`, which do not start with a blank. `is_all`: no more bytes will
    /// arrive.
    fn first(bytes: &'a [u8], is_all: bool) -> Self {
        let start = &bytes[..bytes.len().min(LONGEST)];
        match memchr::memchr(b'\n', start) {
            Some(end) => Self { text: start[..end].trim_ascii_end(), state: LineState::Whole },
            None if bytes.len() >= LONGEST => Self { text: start, state: LineState::Long },
            None if is_all => Self { text: start.trim_ascii_end(), state: LineState::Whole },
            None => Self { text: start, state: LineState::Begun },
        }
    }

    fn fit(self) -> ProtocolMatch {
        self.of_server().or_else(|| self.of_client())
    }

    fn of_server(self) -> ProtocolMatch {
        let versions =
            VERSIONS.iter().map(|(word, name)| self.begins(word, |byte| byte.is_ascii_digit(), name));
        let states = STATES.iter().map(|(word, name)| self.begins(word, begins_word, name));
        let codes = CODES.iter().map(|code| self.begins(code, begins_word, "SMTP or FTP"));
        versions.chain(states).chain(codes).fold(ProtocolMatch::None, |fit, other| fit.or_else(|| other))
    }

    /// Whether the line starts with `word`, followed by a byte that `next` accepts.
    fn begins(self, word: &[u8], next: fn(u8) -> bool, protocol: &'static str) -> ProtocolMatch {
        let behind = match self.text.strip_prefix(word) {
            Some(behind) => behind,
            None if word.starts_with(self.text) => return self.if_incomplete(),
            None => return ProtocolMatch::None,
        };
        match behind.first() {
            None if self.state == LineState::Begun => ProtocolMatch::Possible,
            byte => {
                if next(byte.copied().unwrap_or(b'\n')) {
                    ProtocolMatch::Certain(protocol)
                } else {
                    ProtocolMatch::None
                }
            }
        }
    }

    fn of_client(self) -> ProtocolMatch {
        let end = self.text.iter().position(|&byte| !is_token(byte)).unwrap_or(self.text.len());
        let (first, behind) = self.text.split_at(end);
        let rest = behind.trim_ascii_start();
        match behind.first() {
            _ if first.is_empty() => ProtocolMatch::None,
            None if self.state == LineState::Whole => command(first),
            Some(&byte) if !is_blank(byte) => ProtocolMatch::None,
            _ if rest.is_empty() => self.if_incomplete(),
            _ => self.of_words(first, rest),
        }
    }

    /// Matches a line of a first word and a rest.
    fn of_words(self, first: &[u8], rest: &[u8]) -> ProtocolMatch {
        let is_target = is_target(rest) || first.eq_ignore_ascii_case(b"CONNECT");
        // If the first word were a length, a message would start here.
        if !is_target && !begins_word(rest[0]) {
            return ProtocolMatch::None;
        }
        match self.state {
            LineState::Whole => match versioned(rest) {
                ProtocolMatch::None
                    if is_target && METHODS.iter().any(|method| first.eq_ignore_ascii_case(method)) =>
                {
                    ProtocolMatch::Certain("HTTP")
                }
                ProtocolMatch::None => command(first),
                request => request,
            },
            LineState::Long if is_target => ProtocolMatch::Certain("HTTP"),
            LineState::Begun if is_target || rest.iter().all(|&byte| begins_word(byte) || is_blank(byte)) => {
                ProtocolMatch::Possible
            }
            LineState::Begun | LineState::Long => ProtocolMatch::None,
        }
    }

    const fn if_incomplete(self) -> ProtocolMatch {
        if matches!(self.state, LineState::Begun) { ProtocolMatch::Possible } else { ProtocolMatch::None }
    }
}

/// Whether a line ends in the version of a protocol. In a line of JSON that could only be inside a
/// string.
fn versioned(line: &[u8]) -> ProtocolMatch {
    let last = line.rsplit(|&byte| is_blank(byte)).next().unwrap_or_default();
    let is_of = |(name, _): &&(&[u8], &str)| {
        let start = last.split_at_checked(name.len());
        start.is_some_and(|(start, version)| {
            start.eq_ignore_ascii_case(name)
                && version.first().is_some_and(u8::is_ascii_digit)
                && version.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.')
        })
    };
    VERSIONED.iter().find(is_of).map_or(ProtocolMatch::None, |(_, protocol)| ProtocolMatch::Certain(protocol))
}

fn command(word: &[u8]) -> ProtocolMatch {
    let known = COMMANDS.iter().find(|(command, _)| word.eq_ignore_ascii_case(command));
    known.map_or(ProtocolMatch::None, |(_, protocol)| ProtocolMatch::Certain(protocol))
}

/// Whether `rest` starts like a request target: a path, an asterisk, or the scheme of a URI (RFC
/// 9112, 3.2).
fn is_target(rest: &[u8]) -> bool {
    let end =
        rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')));
    match (rest, end.and_then(|end| rest.get(end))) {
        ([b'/', ..] | [b'*'] | [b'*', b' ', ..], _) => true,
        ([first, ..], Some(b':')) => first.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Whether a byte may start a further word. A JSON-RPC message does not start with one.
const fn begins_word(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'{' | b'[' | b'"')
}

const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}
