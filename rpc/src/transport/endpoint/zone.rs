//! Zones of IPv6 addresses: on which of this machine's links an address is.

use std::fmt::{self, Write as _};

/// A zone of RFC 4007, section 11. It means something on this machine only, and is sent to no peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Zone {
    /// The number that the system has given the link: the scope id of a socket's address.
    Index(u32),
    /// The name of an interface. The system knows its number.
    Name(Box<str>),
}

impl Zone {
    /// As it stands behind the `%25` of a URL: RFC 6874, section 2.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_literal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~' | b'%');
        let name = percent_decoded(text).filter(|_| text.bytes().all(is_literal));
        match name.as_deref() {
            Some("") => Err("the zone behind `%25` is missing: write an interface or its number".to_owned()),
            Some(name) if name.contains(char::is_control) => Err(format!("`{text}` is no zone")),
            Some(name) if name.bytes().all(|c| c.is_ascii_digit()) => match name.parse() {
                Ok(index) => Ok(Self::Index(index)),
                Err(_) => Err(format!("the zone `{name}` is not between 0 and {}", u32::MAX)),
            },
            Some(name) => Ok(Self::Name(name.into())),
            None => Err(format!(
                "`{text}` is no zone: it has letters, digits and -._~, and anything else in percents"
            )),
        }
    }

    /// As [`parse`](Self::parse) reads it.
    pub(super) const fn in_url(&self) -> InUrl<'_> {
        InUrl(self)
    }
}

/// As RFC 4007 has it, which a URL writes otherwise.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

pub(super) struct InUrl<'a>(&'a Zone);

impl fmt::Display for InUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.to_string().bytes() {
            match byte {
                b'-' | b'.' | b'_' | b'~' => f.write_char(byte.into())?,
                byte if byte.is_ascii_alphanumeric() => f.write_char(byte.into())?,
                byte => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// RFC 3986, section 2.1. `None` where a `%` is not followed by two digits, or the result is no
/// UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}
