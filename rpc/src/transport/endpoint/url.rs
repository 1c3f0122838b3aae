//! Parsing endpoint URLs. An error names the invalid part.

use std::{borrow::Cow, fmt, path::Path};

use super::host::{Host, Zone};
use crate::{jsonrpc::shown::escaped, transport::redact::is_scheme};

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Net(Net),
    /// The path of a socket; one that begins with `@` has no file. Empty for an unnamed peer.
    Unix(Box<Path>),
    Stdio,
    /// A name; none for the peer of a connection that was not made by URL.
    Memory(Option<Box<str>>),
}

/// A network endpoint.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Net {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// The path with its slash and query; empty if the scheme has none.
    pub(crate) path: Box<str>,
}

/// The schemes of network endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Tcp,
    Tls,
    Ws,
    Wss,
    Http,
    Https,
}

impl Kind {
    pub(super) const fn as_net(&self) -> Option<&Net> {
        match self {
            Self::Net(net) => Some(net),
            _ => None,
        }
    }

    /// The whole URL, which may hold a key.
    pub(super) const fn whole(&self) -> Whole<'_> {
        Whole(self)
    }
}

impl Scheme {
    const ALL: [Self; 6] = [Self::Tcp, Self::Tls, Self::Ws, Self::Wss, Self::Http, Self::Https];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The default port.
    const fn port(self) -> Option<u16> {
        match self {
            Self::Tcp | Self::Tls => None,
            Self::Ws | Self::Http => Some(80),
            Self::Wss | Self::Https => Some(443),
        }
    }

    pub(super) const fn has_path(self) -> bool {
        !matches!(self, Self::Tcp | Self::Tls)
    }
}

impl Net {
    /// Host and port in URL notation, without the default port.
    fn authority(&self) -> String {
        let Self { scheme, host, port, .. } = self;
        let host = host.in_url();
        if scheme.port() == Some(*port) { host.to_string() } else { format!("{host}:{port}") }
    }

    /// The same for the `Host` header: without the zone.
    #[cfg(any(feature = "http", feature = "ws"))]
    pub(crate) fn told_authority(&self) -> String {
        Self { host: self.host.without_zone(), ..self.clone() }.authority()
    }

    /// The whole URL as sent to a server: without the zone.
    #[cfg(feature = "http")]
    pub(crate) fn told_url(&self) -> String {
        format!("{}://{}{}", self.scheme.name(), self.told_authority(), self.path)
    }

    /// The only path that a listener here serves, without the query, which is the client's. `None`
    /// for every path.
    #[cfg(any(feature = "http", feature = "ws"))]
    pub(crate) fn served_path(&self) -> Option<&str> {
        self.path.split('?').next().filter(|path| !matches!(*path, "" | "/"))
    }

    /// Scheme, host and port.
    pub(crate) fn server(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority())
    }

    /// The same, with `/…` for a path or a query.
    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if matches!(&*self.path, "" | "/") { &*self.path } else { "/…" };
        write!(f, "{}{more}", self.server())
    }
}

/// Displays the whole URL, in the form that is parsed.
pub(super) struct Whole<'a>(&'a Kind);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Net(net) => write!(f, "{}{}", net.server(), net.path),
            Kind::Unix(path) => write!(f, "unix:{}", path.display()),
            Kind::Stdio => f.write_str("stdio:"),
            Kind::Memory(name) => write!(f, "memory:{}", name.as_deref().unwrap_or_default()),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Kind, String> {
    match SplitUrl::of(text)? {
        SplitUrl::Local(kind) => Ok(kind),
        SplitUrl::Net(None, _) => {
            Err("the scheme is missing: write SCHEME://HOST:PORT, for example with tcp or tls".to_owned())
        }
        SplitUrl::Net(Some(scheme), rest) => {
            let UrlParts { host, port, path } = UrlParts::of(scheme, rest)?;
            let host = host.ok_or("the host is missing")?;
            let Some(port) = port.or(scheme.port()) else {
                let scheme = scheme.name();
                return Err(format!("the port is missing: write {scheme}://{}:PORT", host.in_url()));
            };
            Ok(Kind::Net(Net { scheme, host, port, path: path.into() }))
        }
    }
}

pub(super) fn parse_or<'a>(text: &str, mut defaults: impl Iterator<Item = &'a Kind>) -> Result<Kind, String> {
    let (scheme, rest) = match SplitUrl::of(text)? {
        SplitUrl::Local(kind) => return Ok(kind),
        SplitUrl::Net(scheme, rest) => (scheme, rest),
    };
    let default = match scheme {
        None => defaults.next(),
        Some(scheme) => defaults.find(|default| default.as_net().is_some_and(|net| net.scheme == scheme)),
    };
    let (scheme, default) = match (scheme, default) {
        (Some(scheme), None) => (scheme, None),
        (None, None) => return Err("the scheme is missing, and there is no default".to_owned()),
        (_, Some(default)) => match default.as_net() {
            Some(net) => (net.scheme, Some(net)),
            None if rest.is_empty() => return Ok(default.clone()),
            None => {
                let default = escaped(default.whole());
                return Err(format!("the scheme is missing, and the default, `{default}`, has no host"));
            }
        },
    };
    let UrlParts { host, port, path } = UrlParts::of(scheme, rest)?;
    let host =
        host.or_else(|| Some(default?.host.clone())).ok_or("the host is missing, and has no default")?;
    let port = port.or_else(|| Some(default?.port)).or(scheme.port());
    let port = port.ok_or("the port is missing, and has no default")?;
    Ok(Kind::Net(Net { scheme, host, port, path: path.into() }))
}

/// A URL split after the scheme, or a local endpoint.
enum SplitUrl<'a> {
    Local(Kind),
    Net(Option<Scheme>, &'a str),
}

impl<'a> SplitUrl<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let lower = scheme.to_ascii_lowercase();
            if lower == "unix" {
                return unix(rest).map(Self::Local);
            }
            let known = Scheme::ALL.into_iter().find(|known| known.name() == lower);
            return match known {
                Some(known) => Ok(Self::Net(Some(known), rest)),
                None if matches!(&*lower, "stdio" | "memory") => Err(format!(
                    "`{lower}` has no host: write {lower}:{}",
                    if lower == "stdio" { "" } else { "NAME" }
                )),
                None if !is_scheme(scheme) => {
                    Err("what stands before `://` is no scheme, as tcp or wss are".to_owned())
                }
                None => Err(format!(
                    "unknown scheme `{scheme}`: tcp, tls, ws, wss, http, https, unix, stdio and memory are known"
                )),
            };
        }
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match scheme.to_ascii_lowercase().as_str() {
            "unix" => unix(rest).map(Self::Local),
            "stdio" if rest.is_empty() => Ok(Self::Local(Kind::Stdio)),
            "stdio" => Err(format!("nothing stands behind `stdio:`, and here it is `{rest}`")),
            "memory" if rest.is_empty() => Err("the name is missing: write memory:NAME".to_owned()),
            "memory" => Ok(Self::Local(Kind::Memory(Some(rest.into())))),
            _ => Ok(Self::Net(None, text)),
        }
    }
}

fn unix(path: &str) -> Result<Kind, String> {
    match path {
        "" | "@" => Err("the path is missing: write unix:PATH".to_owned()),
        path if path.contains('\0') => Err("the path has a NUL in it".to_owned()),
        path => Ok(Kind::Unix(Path::new(path).into())),
    }
}

/// The parts after the scheme, if present.
struct UrlParts<'a> {
    host: Option<Host>,
    port: Option<u16>,
    path: Cow<'a, str>,
}

impl<'a> UrlParts<'a> {
    fn of(scheme: Scheme, rest: &'a str) -> Result<Self, String> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let credentials =
            || "a user and a password do not belong into it: they are given where one connects".to_owned();
        if authority.contains('@') {
            return Err(credentials());
        }
        // If the part before a slash is not a host, and an `@` follows, it is a password that
        // contains a slash.
        let (host, port) = host_and_port(scheme.name(), authority)
            .map_err(|reason| if path.contains('@') { credentials() } else { reason })?;
        let path = match (path, scheme.has_path()) {
            ("" | "/", false) => "".into(),
            (_, false) => {
                return Err(format!("`{}` has no path, and something stands behind the port", scheme.name()));
            }
            ("", true) => "/".into(),
            (path, true) => target(path)?,
        };
        Ok(Self { host, port, path })
    }
}

/// Checks a request target, which is sent over HTTP as is.
fn target(path: &str) -> Result<Cow<'_, str>, String> {
    if path.contains('#') {
        return Err("what stands behind `#` would never be sent".to_owned());
    }
    if let Some(odd) = path.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!("{odd:?} cannot stand in the path: write it in percents, as in %20"));
    }
    // An empty path is sent as `/` (RFC 9112, 3.2.1, and RFC 6455, 3).
    Ok(if path.starts_with('/') { path.into() } else { format!("/{path}").into() })
}

/// Parses `[HOST][:PORT]`. Missing parts are `None`.
pub(crate) fn host_and_port(scheme: &str, authority: &str) -> Result<(Option<Host>, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
            let host = v6(ip)?;
            match (port, port.strip_prefix(':')) {
                ("", _) => (Some(host), None),
                (_, Some(port)) => (Some(host), Some(port)),
                _ => return Err(format!("`{port}` stands where `:PORT` should")),
            }
        }
        None => match authority.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err(format!("an IPv6 address stands in brackets: write {scheme}://[ADDRESS]:PORT"));
            }
            Some(("", port)) => (None, Some(port)),
            Some((host, port)) => (Some(Host::parse(host)?), Some(port)),
            None if authority.is_empty() => (None, None),
            None => (Some(Host::parse(authority)?), None),
        },
    };
    Ok((host, port.map(port_of).transpose()?))
}

/// Parses an IPv6 address with an optional zone, as in brackets (RFC 6874, section 2).
fn v6(text: &str) -> Result<Host, String> {
    let (ip, zone) = text.split_once('%').map_or((text, None), |(ip, zone)| (ip, Some(zone)));
    let ip = ip.parse().map_err(|_| format!("`{text}` is no IPv6 address"))?;
    let Some(zone) = zone else { return Ok(Host::V6(ip)) };
    match zone.strip_prefix("25") {
        Some(zone) => Ok(Host::Zoned(Box::new((ip, Zone::parse(zone)?)))),
        None => Err(format!("before the zone of an IPv6 address stands `%25`: write [{ip}%25{zone}]")),
    }
}

fn port_of(text: &str) -> Result<u16, String> {
    match text.bytes().all(|c| c.is_ascii_digit()) {
        true => text.parse().map_err(|_| format!("the port `{text}` is not between 0 and 65535")),
        false => Err(format!("the port `{text}` is no number between 0 and 65535")),
    }
}
