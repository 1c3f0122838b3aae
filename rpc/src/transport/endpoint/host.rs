//! Host names and addresses, and zones of IPv6 addresses.

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Name(Box<str>),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// An IPv6 address with a zone. Boxed because it is rare, and hosts are part of errors.
    Zoned(Box<(Ipv6Addr, Zone)>),
}

impl Host {
    /// The socket address, if it needs no lookup.
    pub(crate) fn at_port(&self, port: u16) -> Option<SocketAddr> {
        match self {
            Self::V4(ip) => Some((*ip, port).into()),
            Self::V6(ip) => Some((*ip, port).into()),
            Self::Zoned(zoned) => match **zoned {
                (ip, Zone::Index(index)) => Some(SocketAddrV6::new(ip, port, 0, index).into()),
                (_, Zone::Name(_)) => None,
            },
            Self::Name(_) => None,
        }
    }

    /// The name of the host as sent to a peer, without the zone, which only this machine knows: RFC
    /// 6874, section 4.
    #[cfg(any(feature = "http", feature = "tls-no-provider", feature = "ws"))]
    pub(crate) fn without_zone(&self) -> Self {
        match self {
            Self::Zoned(zoned) => Self::V6(zoned.0),
            host => host.clone(),
        }
    }

    /// Formats the host for a URL.
    pub(crate) const fn in_url(&self) -> HostInUrl<'_> {
        HostInUrl(self)
    }

    /// Parses a name as in RFC 1123 (with underscores, which real names have), or an IPv4 address
    /// of four decimal numbers. Other notations (`0x7f000001`, `127.1`, `0177.0.0.1`) are rejected:
    /// a resolver would take them for an address, and a check of names would not.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::V4(ip));
        }
        if text.is_empty() {
            return Err("the host is missing".to_owned());
        }
        let label_is_fine = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > 253 || !name.split('.').all(label_is_fine) {
            return Err(format!("`{text}` is no host name"));
        }
        if ends_in_a_number(name) {
            return Err(format!(
                "`{text}` is no IPv4 address, and what ends in a number is no name: write an address as \
                 four decimal numbers from 0 to 255, without zeros before them and a dot behind them, as \
                 in 127.0.0.1"
            ));
        }
        Ok(Self::Name(text.into()))
    }
}

/// Whether the last label of `name` is a decimal or hexadecimal number: such a name can only be an
/// IPv4 address ("ends in a number checker" of the WHATWG URL standard, section 3.5).
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|c| c.is_ascii_hexdigit()),
        None => last.bytes().all(|c| c.is_ascii_digit()),
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(*address.ip()),
            SocketAddr::V6(address) => match address.scope_id() {
                0 => Self::V6(*address.ip()),
                index => Self::Zoned(Box::new((*address.ip(), Zone::Index(index)))),
            },
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(ip) => ip.fmt(f),
            Self::V6(ip) => ip.fmt(f),
            Self::Zoned(zoned) => write!(f, "{}%{}", zoned.0, zoned.1),
        }
    }
}

pub(crate) struct HostInUrl<'a>(&'a Host);

/// RFC 3986, section 3.2.2, and RFC 6874, section 2.
impl fmt::Display for HostInUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::V6(ip) => write!(f, "[{ip}]"),
            Host::Zoned(zoned) => write!(f, "[{}%25{}]", zoned.0, zoned.1.in_url()),
            host => host.fmt(f),
        }
    }
}

/// A zone (RFC 4007, section 11). It is local to this machine, and is sent to no peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Zone {
    /// The scope id: the number of the link in this system.
    Index(u32),
    /// The name of an interface, to be looked up in the system.
    Name(Box<str>),
}

impl Zone {
    /// Parses the part after `%25` in a URL: RFC 6874, section 2.
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

    /// Formats the zone for a URL, as [`parse`](Self::parse) reads it.
    pub(super) const fn in_url(&self) -> ZoneInUrl<'_> {
        ZoneInUrl(self)
    }
}

/// The notation of RFC 4007, which differs from that of a URL.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

pub(super) struct ZoneInUrl<'a>(&'a Zone);

impl fmt::Display for ZoneInUrl<'_> {
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

/// Decodes percent-encoding (RFC 3986, section 2.1). `None` if a `%` is not followed by two digits,
/// or the result is not UTF-8.
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
