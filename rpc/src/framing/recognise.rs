//! The framings of this crate by name, and detection of the framing of a stream by its first bytes.
//! A peer with another framing is told so at once, rather than after a timeout for the frame that
//! its first bytes seem to begin.
//!
//! Only JSON-RPC is recognised here: other protocols are detected first (`transport::opening`).

use std::any::Any;

use serde::de::IgnoredAny;

use super::{
    content_length::{ContentLengthFramer, is_token},
    delimited::{JsonFramer, NewlineFramer},
    framer::{AnyFramer, is_far_over},
    length_prefixed::{
        ByteOrder::{self, Big, Little},
        LengthPrefix, LengthPrefixedFramer, NetstringFramer,
    },
};

/// A framing of this crate that carries JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Lines,
    Values,
    Headers,
    Netstrings,
    Lengths(LengthPrefix),
}

/// Each framing with the name of its protocol and the code that makes its framer.
const NAMES: [(Framing, &str, &str); 11] = [
    (Framing::Lines, "JSON-RPC in lines", "NewlineFramer::new()"),
    (Framing::Values, "JSON-RPC in values without separators", "JsonFramer::new()"),
    (Framing::Headers, "JSON-RPC behind `Content-Length` headers", "ContentLengthFramer::new()"),
    (Framing::Netstrings, "JSON-RPC in netstrings", "NetstringFramer::new()"),
    (lengths(1, Big), "JSON-RPC behind lengths of 1 byte", "LengthPrefixedFramer::u8()"),
    (lengths(2, Big), "JSON-RPC behind lengths of 2 bytes", "LengthPrefixedFramer::u16_be()"),
    (
        lengths(2, Little),
        "JSON-RPC behind little-endian lengths of 2 bytes",
        "LengthPrefixedFramer::u16_le()",
    ),
    (lengths(4, Big), "JSON-RPC behind lengths of 4 bytes", "LengthPrefixedFramer::u32_be()"),
    (
        lengths(4, Little),
        "JSON-RPC behind little-endian lengths of 4 bytes",
        "LengthPrefixedFramer::u32_le()",
    ),
    (lengths(8, Big), "JSON-RPC behind lengths of 8 bytes", "LengthPrefixedFramer::u64_be()"),
    (
        lengths(8, Little),
        "JSON-RPC behind little-endian lengths of 8 bytes",
        "LengthPrefixedFramer::u64_le()",
    ),
];

const fn lengths(width: usize, order: ByteOrder) -> Framing {
    Framing::Lengths(LengthPrefix { width, order })
}

impl Framing {
    /// The framing of a framer, if it belongs to this crate.
    fn of(framer: &dyn Any) -> Option<Self> {
        if framer.is::<NewlineFramer>() {
            Some(Self::Lines)
        } else if framer.is::<JsonFramer>() {
            Some(Self::Values)
        } else if framer.is::<ContentLengthFramer>() {
            Some(Self::Headers)
        } else if framer.is::<NetstringFramer>() {
            Some(Self::Netstrings)
        } else {
            framer.downcast_ref().map(|framer: &LengthPrefixedFramer| Self::Lengths(framer.prefix()))
        }
    }

    /// The framing whose protocol has this name.
    pub(crate) fn called(protocol: &str) -> Option<Self> {
        NAMES.iter().find(|(_, name, _)| *name == protocol).map(|(framing, ..)| *framing)
    }

    /// The name of its protocol.
    pub(crate) fn protocol(self) -> &'static str {
        self.names().0
    }

    /// The code that makes its framer.
    pub(crate) fn in_code(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        let found = NAMES.iter().find(|(framing, ..)| *framing == self);
        found.map_or(("JSON-RPC", "a framer"), |(_, name, code)| (*name, *code))
    }

    /// A framer of this framing.
    pub(crate) fn framer(self) -> Box<dyn AnyFramer> {
        match self {
            Self::Lines => Box::new(NewlineFramer::new()),
            Self::Values => Box::new(JsonFramer::new()),
            Self::Headers => Box::new(ContentLengthFramer::new()),
            Self::Netstrings => Box::new(NetstringFramer::new()),
            Self::Lengths(lengths) => Box::new(LengthPrefixedFramer::of(lengths)),
        }
    }
}

impl LengthPrefix {
    /// All binary lengths; of two with the same width, the more common order first.
    fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().filter_map(|(framing, ..)| match framing {
            Framing::Lengths(lengths) => Some(*lengths),
            _ => None,
        })
    }
}

impl dyn AnyFramer {
    /// Which framing of this crate it is, if it carries JSON-RPC.
    pub(crate) fn framing(&self) -> Option<Framing> {
        self.as_any().and_then(Framing::of)
    }
}

/// Undecided bytes are held back up to this size; beyond it the expected framing is assumed.
const HELD: usize = 1024;

/// Larger numbers are not considered lengths: text read as binary gives those.
const LONGEST: u64 = 1 << 28;

/// Verdict on the first bytes of a stream, given the expected framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// They may belong to it.
    Fitting,
    /// More bytes are needed.
    Undecided,
    /// They belong to another framing.
    Other(Framing),
    /// They belong to no known framing, and cannot belong to the expected one.
    Nothing,
}

/// How well bytes match a framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FramingMatch {
    Certain(Framing),
    Possible,
    None,
}

impl Framing {
    /// Judges the first bytes of a stream, which are not only blanks, for frames of at most `limit`
    /// bytes. `is_all`: no more bytes will arrive.
    pub(crate) fn judge(self, bytes: &[u8], limit: usize, is_all: bool) -> Beginning {
        let beginning = match self {
            Self::Lines | Self::Values => self.judge_values(bytes, is_all),
            Self::Headers => judge_headers(bytes),
            Self::Netstrings => judge_netstrings(bytes),
            Self::Lengths(lengths) => judge_lengths(lengths, bytes, limit),
        };
        match beginning {
            Beginning::Undecided if is_all || bytes.len() >= HELD => Beginning::Fitting,
            decided => decided,
        }
    }

    /// The framing that the first bytes of a stream belong to, if they match one.
    #[cfg(any(feature = "http", feature = "tls-no-provider", feature = "ws", test))]
    pub(crate) fn seen_in(bytes: &[u8]) -> Option<Self> {
        let text = bytes.trim_ascii_start();
        [lines(text), headers(text), netstrings(text), length_prefix(bytes)].into_iter().find_map(|fit| {
            match fit {
                FramingMatch::Certain(framing) => Some(framing),
                FramingMatch::Possible | FramingMatch::None => None,
            }
        })
    }

    fn judge_values(self, bytes: &[u8], is_all: bool) -> Beginning {
        let text = bytes.trim_ascii_start();
        if text.first().is_none_or(|&first| begins_message(first)) {
            return Beginning::Fitting;
        }
        let end = memchr::memchr(b'\n', text);
        let line = &text[..end.unwrap_or(text.len())];
        match certain_of([headers(text), netstrings(text), length_prefix(bytes)]) {
            FramingMatch::Certain(other) => Beginning::Other(other),
            FramingMatch::Possible if end.is_none() && !is_all => Beginning::Undecided,
            // JSON values that are not messages get an error reply instead.
            _ if self == Self::Lines && begins_value(text[0]) => match end.is_some() || is_all {
                true if serde_json::from_slice::<IgnoredAny>(line).is_ok() => Beginning::Fitting,
                true => Beginning::Nothing,
                false => Beginning::Undecided,
            },
            _ => Beginning::Nothing,
        }
    }
}

/// The first certain match, or whether any is possible.
fn certain_of<const N: usize>(fits: [FramingMatch; N]) -> FramingMatch {
    let certain = fits.into_iter().find(|fit| matches!(fit, FramingMatch::Certain(_)));
    certain.unwrap_or(if fits.contains(&FramingMatch::Possible) {
        FramingMatch::Possible
    } else {
        FramingMatch::None
    })
}

fn judge_headers(bytes: &[u8]) -> Beginning {
    let text = bytes.trim_ascii_start();
    match certain_of([opened(text), netstrings(text), length_prefix(bytes)]) {
        FramingMatch::Certain(other) => return Beginning::Other(other),
        FramingMatch::Possible | FramingMatch::None => {}
    }
    // A header name is a token directly followed by a colon.
    match bytes.iter().find(|&&byte| !is_token(byte)) {
        None => Beginning::Undecided,
        Some(b':') => Beginning::Fitting,
        Some(_) if length_prefix(bytes) == FramingMatch::Possible => Beginning::Undecided,
        Some(_) => Beginning::Nothing,
    }
}

fn judge_netstrings(bytes: &[u8]) -> Beginning {
    let text = bytes.trim_ascii_start();
    match certain_of([opened(text), headers(text), length_prefix(bytes)]) {
        FramingMatch::Certain(other) => return Beginning::Other(other),
        FramingMatch::Possible | FramingMatch::None => {}
    }
    match bytes.iter().find(|byte| !byte.is_ascii_digit()) {
        None => Beginning::Undecided,
        Some(b':') if bytes[0] != b':' => Beginning::Fitting,
        Some(_)
            if headers(text) == FramingMatch::Possible || length_prefix(bytes) == FramingMatch::Possible =>
        {
            Beginning::Undecided
        }
        Some(_) => Beginning::Nothing,
    }
}

fn judge_lengths(expected: LengthPrefix, bytes: &[u8], limit: usize) -> Beginning {
    let others = || {
        let text = bytes.trim_ascii_start();
        certain_of([lines(text), headers(text), netstrings(text), length_prefix(bytes)])
    };
    let size = usize::try_from(expected.least(bytes)).unwrap_or(usize::MAX);
    let is_far_over = is_far_over(size, limit);
    let Some(behind) = bytes.get(expected.width..) else {
        // An incomplete length may already be known to be too large.
        return match others() {
            FramingMatch::None if is_far_over => Beginning::Nothing,
            _ => Beginning::Undecided,
        };
    };
    let first = behind.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
    match first {
        // An empty frame is valid, and one over the limit is skipped as it arrives.
        None if size == 0 || (behind.is_empty() && size > limit) => return Beginning::Fitting,
        None if size <= limit => return Beginning::Undecided,
        Some(first) if size > 0 && begins_message(first) && !is_far_over => return Beginning::Fitting,
        _ => {}
    }
    match others() {
        FramingMatch::Certain(other) if other != Framing::Lengths(expected) => Beginning::Other(other),
        FramingMatch::Certain(_) => Beginning::Fitting,
        FramingMatch::Possible => Beginning::Undecided,
        FramingMatch::None if size == 0 || (size > limit && !is_far_over) => Beginning::Fitting,
        FramingMatch::None => Beginning::Nothing,
    }
}

/// The first byte of a JSON-RPC message: a byte order mark may precede it.
const fn begins_message(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | 0xef)
}

/// The first byte of any other JSON value.
const fn begins_value(byte: u8) -> bool {
    matches!(byte, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
}

/// A message without a prefix, where nothing else starts with its first byte.
const fn opened(text: &[u8]) -> FramingMatch {
    if matches!(text, [b'{' | b'[', ..]) { FramingMatch::Certain(Framing::Lines) } else { FramingMatch::None }
}

/// The first two characters of a message without a prefix.
const fn begins_with_message(text: &[u8]) -> bool {
    matches!(
        text,
        [b'{', b'"' | b'}' | b' ' | b'\t' | b'\r' | b'\n', ..]
            | [b'[', b'{' | b']' | b' ' | b'\t' | b'\r' | b'\n', ..]
    )
}

/// Whether a line ends within the first `length` bytes.
fn ends_line(bytes: &[u8], length: u64) -> bool {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    memchr::memchr(b'\n', &bytes[..bytes.len().min(length)]).is_some()
}

/// A message without a prefix.
const fn lines(text: &[u8]) -> FramingMatch {
    if begins_with_message(text) {
        FramingMatch::Certain(Framing::Lines)
    } else if matches!(text, [b'{' | b'[']) {
        FramingMatch::Possible
    } else {
        FramingMatch::None
    }
}

/// A known header name and a colon.
fn headers(text: &[u8]) -> FramingMatch {
    let fits = ["Content-Length:", "Content-Type:"].map(|header| {
        let length = text.len().min(header.len());
        match text[..length].eq_ignore_ascii_case(&header.as_bytes()[..length]) {
            true if length == header.len() => FramingMatch::Certain(Framing::Headers),
            true if length > 0 => FramingMatch::Possible,
            _ => FramingMatch::None,
        }
    });
    certain_of(fits)
}

/// A decimal length, a colon, and a message.
fn netstrings(text: &[u8]) -> FramingMatch {
    const MAX_DIGITS: usize = 20;
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match &text[digits..] {
        _ if digits == 0 || digits > MAX_DIGITS => FramingMatch::None,
        [] | [b':'] => FramingMatch::Possible,
        [b':', b'{' | b'[', ..] => FramingMatch::Certain(Framing::Netstrings),
        _ => FramingMatch::None,
    }
}

/// A binary length and a message. Of the two byte orders, the one that gives the smaller number.
fn length_prefix(bytes: &[u8]) -> FramingMatch {
    let (mut found, mut is_possible) = (None::<(u64, LengthPrefix)>, false);
    for lengths in LengthPrefix::all() {
        let least = lengths.least(bytes);
        match bytes.get(lengths.width..) {
            _ if least >= LONGEST => {}
            None => is_possible = true,
            _ if least < 2 => {}
            Some([] | [b'{' | b'[']) => is_possible = true,
            // A message written on one line does not contain a line break.
            Some(behind) if !begins_with_message(behind) || ends_line(behind, least) => {}
            Some(_) => {
                let is_better =
                    |&(length, other): &(u64, LengthPrefix)| (lengths.width, least) < (other.width, length);
                if found.as_ref().is_none_or(is_better) {
                    found = Some((least, lengths));
                }
            }
        }
    }
    match found {
        Some((_, lengths)) => FramingMatch::Certain(Framing::Lengths(lengths)),
        None if is_possible => FramingMatch::Possible,
        None => FramingMatch::None,
    }
}

#[cfg(test)]
mod tests;
