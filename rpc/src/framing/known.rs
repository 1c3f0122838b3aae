//! The framings of this crate, by name and by what a stream of them begins with.

use std::any::Any;

use super::{
    AnyFramer, ContentLengthFramer, JsonFramer, LengthPrefixedFramer, NetstringFramer, NewlineFramer,
};

/// A framing of this crate that carries JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Lines,
    Values,
    Headers,
    Netstrings,
    Lengths(Lengths),
}

/// Lengths in binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// In bytes: 1, 2, 4 or 8.
    pub(super) width: usize,
    /// Whether the least significant byte comes first.
    pub(super) is_little: bool,
}

/// Each framing, what a stream of it is called, and how its framer is made.
const NAMES: [(Framing, &str, &str); 11] = [
    (Framing::Lines, "JSON-RPC in lines", "NewlineFramer::new()"),
    (Framing::Values, "JSON-RPC in values without separators", "JsonFramer::new()"),
    (Framing::Headers, "JSON-RPC behind `Content-Length` headers", "ContentLengthFramer::new()"),
    (Framing::Netstrings, "JSON-RPC in netstrings", "NetstringFramer::new()"),
    (lengths(1, false), "JSON-RPC behind lengths of 1 byte", "LengthPrefixedFramer::u8()"),
    (lengths(2, false), "JSON-RPC behind lengths of 2 bytes", "LengthPrefixedFramer::u16_be()"),
    (lengths(2, true), "JSON-RPC behind little-endian lengths of 2 bytes", "LengthPrefixedFramer::u16_le()"),
    (lengths(4, false), "JSON-RPC behind lengths of 4 bytes", "LengthPrefixedFramer::u32_be()"),
    (lengths(4, true), "JSON-RPC behind little-endian lengths of 4 bytes", "LengthPrefixedFramer::u32_le()"),
    (lengths(8, false), "JSON-RPC behind lengths of 8 bytes", "LengthPrefixedFramer::u64_be()"),
    (lengths(8, true), "JSON-RPC behind little-endian lengths of 8 bytes", "LengthPrefixedFramer::u64_le()"),
];

const fn lengths(width: usize, is_little: bool) -> Framing {
    Framing::Lengths(Lengths { width, is_little })
}

impl Framing {
    /// That of a framer, if it is one of this crate's.
    pub(super) fn of(framer: &dyn Any) -> Option<Self> {
        if framer.is::<NewlineFramer>() {
            Some(Self::Lines)
        } else if framer.is::<JsonFramer>() {
            Some(Self::Values)
        } else if framer.is::<ContentLengthFramer>() {
            Some(Self::Headers)
        } else if framer.is::<NetstringFramer>() {
            Some(Self::Netstrings)
        } else {
            framer.downcast_ref().map(|framer: &LengthPrefixedFramer| Self::Lengths(framer.lengths()))
        }
    }

    /// The one whose streams are called so.
    pub(crate) fn called(protocol: &str) -> Option<Self> {
        NAMES.iter().find(|(_, name, _)| *name == protocol).map(|(framing, ..)| *framing)
    }

    /// What a stream of it is called.
    pub(crate) fn protocol(self) -> &'static str {
        self.names().0
    }

    /// How its framer is made, in code.
    pub(crate) fn in_code(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        let found = NAMES.iter().find(|(framing, ..)| *framing == self);
        found.map_or(("JSON-RPC", "a framer"), |(_, name, code)| (*name, *code))
    }

    /// Its framer.
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

impl Lengths {
    /// Each of them; of two of a width, the one of which more is in use first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().filter_map(|(framing, ..)| match framing {
            Framing::Lengths(lengths) => Some(*lengths),
            _ => None,
        })
    }

    /// The least number that may stand at the front of `bytes`: the number itself, once all of it is
    /// there.
    pub(super) fn least(self, bytes: &[u8]) -> u64 {
        let prefix = &bytes[..bytes.len().min(self.width)];
        let mut number = [0; 8];
        if self.is_little {
            number[..prefix.len()].copy_from_slice(prefix);
            u64::from_le_bytes(number)
        } else {
            let from = 8 - self.width;
            number[from..from + prefix.len()].copy_from_slice(prefix);
            u64::from_be_bytes(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_names_of_its_own_and_its_own_framer() {
        for (framing, protocol, code) in NAMES {
            assert_eq!(framing.framer().framing(), Some(framing));
            assert_eq!(Framing::called(protocol), Some(framing));
            assert_eq!((framing.protocol(), framing.in_code()), (protocol, code));
        }
        assert_eq!(Framing::called("HTTP"), None);
    }
}
