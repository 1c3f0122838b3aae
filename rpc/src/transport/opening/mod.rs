//! What the first bytes of a stream say of the language that the peer speaks.
//!
//! A web page can have its browser post to any port without asking, and what it posts holds
//! messages of its choice. So a stream that opens as another protocol does ends before a frame of
//! it is handled, whatever the framing.
//!
//! Nothing counts as another protocol here that can be the beginning of a message of JSON-RPC
//! behind a length of up to eight bytes: where a length happens to read like a word, the brace
//! behind it tells. (A bare `QUIT` is SMTP all the same. As a length it would announce more than a
//! GiB, of which the first byte is a line break.)

mod advice;
mod binary;
mod line;
mod log;
#[cfg(any(feature = "http", feature = "tls-no-provider"))]
mod start;

use crate::{
    framing::{Framing, excerpt},
    jsonrpc::shown::escaped,
};
#[cfg(feature = "ws")]
use advice::advice_to_client;
use advice::{BINARY, TEXT};
pub(crate) use advice::{ECHO, Expected, advice};
use line::Line;
pub(crate) use log::log_foreign;
#[cfg(any(feature = "http", feature = "tls-no-provider"))]
pub(crate) use start::Start;

/// What is known of a stream by its first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It is no other protocol that is known here.
    Ours,
    /// There are blanks only. They are no message, and anything may follow them.
    Blank,
    /// It may become another protocol: the next bytes tell.
    Undecided,
    /// It is another protocol.
    Foreign(Foreign),
}

/// Another protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// What it is called.
    pub(crate) protocol: &'static str,
    /// The start of what came, escaped.
    pub(crate) found: String,
}

impl Foreign {
    /// What the first bytes of a stream look like, where it is known that they are not what was
    /// expected.
    #[cfg(any(feature = "http", feature = "tls-no-provider", feature = "ws"))]
    pub(crate) fn seen_in(bytes: &[u8]) -> Self {
        if let Opening::Foreign(foreign) = Opening::of(bytes, true) {
            return foreign;
        }
        match Framing::seen_in(bytes) {
            Some(framing) => Self::of(framing.protocol(), bytes),
            None => Self::unknown(bytes),
        }
    }

    /// Bytes of no protocol that is known here.
    pub(crate) fn unknown(bytes: &[u8]) -> Self {
        let start = &bytes[..bytes.len().min(SHOWN)];
        let is_text = start.iter().all(|byte| !byte.is_ascii_control() || byte.is_ascii_whitespace());
        Self::of(if is_text { TEXT } else { BINARY }, bytes)
    }

    pub(crate) fn of(protocol: &'static str, bytes: &[u8]) -> Self {
        Self { protocol, found: excerpt(bytes) }
    }

    /// Whether it is what a client begins with: a server that greets, or refuses, is not answered.
    pub(crate) fn asks(&self) -> bool {
        match self.protocol {
            "HTTP" => !self.found.starts_with("HTTP/"),
            "TLS" => !self.found.starts_with("\\x15"),
            protocol => Framing::called(protocol).is_some(),
        }
    }

    /// What a client of another protocol is told in place of the answer to the handshake of a WebSocket.
    #[cfg(feature = "ws")]
    pub(crate) fn told_to_client(&self) -> String {
        let advice = advice_to_client(self.protocol);
        format!("it began with `{}`, which looks like {}. {advice}", self.found, self.protocol)
    }

    /// What came, what it looks like, and what to do, in place of what was expected.
    #[cfg(any(feature = "http", feature = "ws"))]
    pub(crate) fn told(&self, expected: Expected) -> impl std::fmt::Display {
        told(expected, self.protocol, &self.found)
    }
}

/// How much of a stream is looked at to tell text from other data, in bytes.
const SHOWN: usize = 40;

/// The same, of what is known of a [`Foreign`].
pub(crate) fn told(expected: Expected, protocol: &str, found: &str) -> String {
    let advice = advice(expected, protocol, found);
    let found = escaped(found);
    match protocol {
        _ if expected != Expected::Messages => {
            format!("it began with `{found}`, which looks like {protocol}. {advice}")
        }
        ECHO => format!(
            "the peer sends back what it is sent, and answers nothing: it began with `{found}`. {advice}"
        ),
        TEXT | BINARY => {
            format!("the peer sends {protocol} that is no JSON-RPC: it began with `{found}`. {advice}")
        }
        _ => format!("the peer speaks {protocol}, and this side does not: it began with `{found}`. {advice}"),
    }
}

impl Opening {
    /// Judges a stream by its first bytes. `is_all` is true where no more will come: what looks
    /// like the beginning of a line is a line.
    pub(crate) fn of(bytes: &[u8], is_all: bool) -> Self {
        let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        let text = &bytes[blanks..];
        if text.is_empty() {
            return Self::Blank;
        }
        match binary::fit(bytes).or_else(|| Line::first(text, is_all).fit()) {
            Fit::Certain(protocol) => Self::Foreign(Foreign::of(protocol, text)),
            Fit::Possible if !is_all => Self::Undecided,
            Fit::Possible | Fit::None => Self::Ours,
        }
    }
}

/// How well bytes fit to another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// They are of the protocol of this name.
    Certain(&'static str),
    /// They may become so.
    Possible,
    None,
}

impl Fit {
    /// This or that. What is certain goes before what is possible.
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

#[cfg(test)]
mod tests;
