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

mod binary;
mod line;

use crate::framing::excerpt;
use line::Line;

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
            Fit::Certain(protocol) => Self::Foreign(Foreign { protocol, found: excerpt(text) }),
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
