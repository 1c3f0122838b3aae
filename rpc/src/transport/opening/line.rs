//! Protocols of lines: the request of a client, and the greeting of a server.

use super::Fit;
use crate::framing::is_token;

/// How much of a line is looked at, in bytes. A request for a longer target is known by its start.
const LONGEST: usize = 1024;

/// The methods with which HTTP/0.9 and its imitations ask: without a version behind the target.
const METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];

/// What stands before the version at the end of a request.
const VERSIONED: [(&[u8], &str); 4] =
    [(b"HTTP/", "HTTP"), (b"RTSP/", "RTSP"), (b"SIP/", "SIP"), (b"ICAP/", "ICAP")];

/// The commands that clients of mail, files and chats begin with.
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

/// What the line of a server begins with, a digit behind it.
const VERSIONS: [(&[u8], &str); 3] = [(b"HTTP/", "HTTP"), (b"SSH-", "SSH"), (b"RFB ", "RFB")];

/// What the line of a server begins with, a word behind it.
const STATES: [(&[u8], &str); 5] = [
    (b"* OK ", "IMAP"),
    (b"* BYE ", "IMAP"),
    (b"* PREAUTH ", "IMAP"),
    (b"+OK ", "POP3"),
    (b"-ERR ", "POP3 or Redis"),
];

/// The replies with which a server of SMTP, FTP or NNTP greets, or turns away; a word is behind
/// them.
const CODES: [&[u8]; 16] = [
    b"120 ", b"120-", b"200 ", b"200-", b"201 ", b"201-", b"220 ", b"220-", b"400 ", b"400-", b"421 ",
    b"421-", b"502 ", b"502-", b"554 ", b"554-",
];

/// The first line of a stream, or as much of it as has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    text: &'a [u8],
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is all there.
    Whole,
    /// More of it will come.
    Begun,
    /// It is longer than what is looked at.
    Long,
}

impl<'a> Line<'a> {
    /// Of what comes first, which is no blank. `is_all` is true where no more will come.
    pub(super) fn first(bytes: &'a [u8], is_all: bool) -> Self {
        let start = &bytes[..bytes.len().min(LONGEST)];
        match memchr::memchr(b'\n', start) {
            Some(end) => Self { text: start[..end].trim_ascii_end(), state: State::Whole },
            None if bytes.len() >= LONGEST => Self { text: start, state: State::Long },
            None if is_all => Self { text: start.trim_ascii_end(), state: State::Whole },
            None => Self { text: start, state: State::Begun },
        }
    }

    pub(super) fn fit(self) -> Fit {
        self.of_server().or_else(|| self.of_client())
    }

    fn of_server(self) -> Fit {
        let versions =
            VERSIONS.iter().map(|(word, name)| self.begins(word, |byte| byte.is_ascii_digit(), name));
        let states = STATES.iter().map(|(word, name)| self.begins(word, begins_word, name));
        let codes = CODES.iter().map(|code| self.begins(code, begins_word, "SMTP or FTP"));
        versions.chain(states).chain(codes).fold(Fit::None, |fit, other| fit.or_else(|| other))
    }

    /// Whether the line begins with `word`, and behind it stands what `next` says.
    fn begins(self, word: &[u8], next: fn(u8) -> bool, protocol: &'static str) -> Fit {
        let behind = match self.text.strip_prefix(word) {
            Some(behind) => behind,
            None if word.starts_with(self.text) => return self.may_go_on(),
            None => return Fit::None,
        };
        match behind.first() {
            None if self.state == State::Begun => Fit::Possible,
            byte => {
                if next(byte.copied().unwrap_or(b'\n')) {
                    Fit::Certain(protocol)
                } else {
                    Fit::None
                }
            }
        }
    }

    fn of_client(self) -> Fit {
        let end = self.text.iter().position(|&byte| !is_token(byte)).unwrap_or(self.text.len());
        let (first, behind) = self.text.split_at(end);
        let rest = behind.trim_ascii_start();
        match behind.first() {
            _ if first.is_empty() => Fit::None,
            None if self.state == State::Whole => command(first),
            Some(&byte) if !is_blank(byte) => Fit::None,
            _ if rest.is_empty() => self.may_go_on(),
            _ => self.of_words(first, rest),
        }
    }

    /// A word, and what follows it.
    fn of_words(self, first: &[u8], rest: &[u8]) -> Fit {
        let is_target = is_target(rest) || first.eq_ignore_ascii_case(b"CONNECT");
        // Where the word was a length, a message begins here.
        if !is_target && !begins_word(rest[0]) {
            return Fit::None;
        }
        match self.state {
            State::Whole => match versioned(rest) {
                Fit::None if is_target && METHODS.iter().any(|method| first.eq_ignore_ascii_case(method)) => {
                    Fit::Certain("HTTP")
                }
                Fit::None => command(first),
                request => request,
            },
            State::Long if is_target => Fit::Certain("HTTP"),
            State::Begun if is_target || rest.iter().all(|&byte| begins_word(byte) || is_blank(byte)) => {
                Fit::Possible
            }
            State::Begun | State::Long => Fit::None,
        }
    }

    const fn may_go_on(self) -> Fit {
        if matches!(self.state, State::Begun) { Fit::Possible } else { Fit::None }
    }
}

/// Whether a line ends in the version of a protocol. A line of JSON does not: it would have to be
/// within a string there.
fn versioned(line: &[u8]) -> Fit {
    let last = line.rsplit(|&byte| is_blank(byte)).next().unwrap_or_default();
    let is_of = |(name, _): &&(&[u8], &str)| {
        let start = last.split_at_checked(name.len());
        start.is_some_and(|(start, version)| {
            start.eq_ignore_ascii_case(name)
                && version.first().is_some_and(u8::is_ascii_digit)
                && version.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.')
        })
    };
    VERSIONED.iter().find(is_of).map_or(Fit::None, |(_, protocol)| Fit::Certain(protocol))
}

fn command(word: &[u8]) -> Fit {
    let known = COMMANDS.iter().find(|(command, _)| word.eq_ignore_ascii_case(command));
    known.map_or(Fit::None, |(_, protocol)| Fit::Certain(protocol))
}

/// Whether it begins as the target of a request does: a path, an asterisk, or the scheme of a URI
/// (RFC 9112, 3.2).
fn is_target(rest: &[u8]) -> bool {
    let end =
        rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')));
    match (rest, end.and_then(|end| rest.get(end))) {
        ([b'/', ..] | [b'*'] | [b'*', b' ', ..], _) => true,
        ([first, ..], Some(b':')) => first.is_ascii_alphabetic(),
        _ => false,
    }
}

/// What a word begins with that stands behind another one. A message of JSON-RPC does not begin so.
const fn begins_word(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'{' | b'[' | b'"')
}

const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}
