//! Origin of a request, its host, and whether it comes from this machine.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::OnceLock,
};

use http::{HeaderMap, HeaderValue, Version, header, request::Parts, uri::Authority};

use crate::transport::{
    Scheme,
    endpoint::{Endpoint, Host, host_and_port},
};

/// Why a request is denied, as told to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The host is invalid: 400.
    Malformed(String),
    /// The host or the origin is not allowed: 403.
    Forbidden(String),
}

impl Denied {
    pub(super) fn malformed(reason: &str) -> Self {
        Self::Malformed(reason.to_owned())
    }
}

/// A host with an optional port: of a `Host` header, an `:authority`, or an allowed name.
/// Normalized for comparison: names in lower case, addresses parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostAndPort {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

impl HostAndPort {
    /// A value that no request has.
    pub(super) fn unmatchable() -> Self {
        Self { host: Host::Name("".into()), port: None }
    }

    /// Parses a host and a port, which may be empty: RFC 3986, section 3.2.2 and 3.2.3.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix(':').unwrap_or(text).to_ascii_lowercase();
        match host_and_port("http", &text)? {
            (Some(Host::Zoned(_)), _) => {
                Err("a zone means something on the machine of the client only (RFC 6874, section 4)"
                    .to_owned())
            }
            (Some(host), port) => Ok(Self { host, port }),
            (None, _) => Err("the host is missing".to_owned()),
        }
    }

    /// Whether it resolves without a name server.
    pub(super) fn needs_no_name_server(&self) -> bool {
        match &self.host {
            Host::V4(_) | Host::V6(_) | Host::Zoned(_) => true,
            Host::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }
}

impl std::fmt::Display for HostAndPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.host.in_url())?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The host that a request names: that of its target, if there is one (`:authority`, the absolute
/// form), otherwise the `Host` header.
///
/// # Errors
///
/// When there is more than one `Host`, when it is not text or differs from the `:authority`, and
/// when an HTTP/1.1 request has none, whatever its target: RFC 9112, section 3.2, and RFC 9113,
/// section 8.3.1.
pub(super) fn host_of(request: &Parts) -> Result<Option<&str>, Denied> {
    let authority = request.uri.authority().map(Authority::as_str);
    let Some(host) = sole_host(&request.headers)? else {
        return match request.version {
            Version::HTTP_11 => Err(Denied::malformed("the Host header is missing")),
            _ => Ok(authority),
        };
    };
    let host = host.to_str().map_err(|_| Denied::malformed("the Host header is no text"))?;
    match authority {
        None => Ok(Some(host)),
        Some(authority) if request.version == Version::HTTP_2 && !host.eq_ignore_ascii_case(authority) => {
            let (host, authority) = (host.escape_debug(), authority.escape_debug());
            Err(Denied::Malformed(format!("the Host `{host}` is not the :authority, `{authority}`")))
        }
        // The target takes precedence, but an invalid `Host` is rejected nevertheless.
        Some(authority) => named(host).map(|_| Some(authority)),
    }
}

/// Parses the host and port of a request.
pub(super) fn named(text: &str) -> Result<HostAndPort, Denied> {
    HostAndPort::parse(text).map_err(|reason| {
        Denied::Malformed(format!(
            "`{}` is not what a server is called: {}",
            text.escape_debug(),
            reason.escape_debug()
        ))
    })
}

fn sole_host(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Denied> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err(Denied::malformed("there is more than one Host header")),
        (host, _) => Ok(host),
    }
}

/// The scheme of a server's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageScheme {
    Http,
    Https,
}

impl PageScheme {
    /// The scheme for a listener at `endpoint`, or for its peers. `None` if it is unknown: a plain
    /// stream may be behind a proxy.
    pub(crate) fn of(endpoint: &Endpoint) -> Option<Self> {
        match endpoint.as_net()?.scheme {
            Scheme::Http | Scheme::Ws => Some(Self::Http),
            Scheme::Https | Scheme::Wss | Scheme::Tls => Some(Self::Https),
            Scheme::Tcp => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The default port.
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// An origin: scheme, host and port (RFC 6454, section 5), normalized for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Web(PageScheme, Host, u16),
    /// `null`, `file://`, those of browser extensions, in lower case.
    Other(String),
}

impl Origin {
    /// Parses an origin as serialized by a browser (RFC 6454, section 6.1), or written by a person.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        Self::of_web(&text).unwrap_or(Self::Other(text))
    }

    fn of_web(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme =
            [PageScheme::Http, PageScheme::Https].into_iter().find(|known| known.name() == scheme)?;
        let HostAndPort { host, port } = HostAndPort::parse(authority).ok()?;
        Some(Self::Web(scheme, host, port.unwrap_or(scheme.port())))
    }

    /// Whether this is the origin of a server that a request names `server`, with pages of the
    /// scheme `own`, if known.
    pub(super) fn is_of(&self, server: &HostAndPort, own: Option<PageScheme>) -> bool {
        let Self::Web(scheme, host, port) = self else { return false };
        own.is_none_or(|own| own == *scheme)
            && *host == server.host
            && *port == server.port.unwrap_or(scheme.port())
    }
}

/// Marks a connection whose two ends have the same address, in its extensions.
pub(crate) struct FromItself;

/// Whether the peer's address belongs to this machine: a socket can be bound to no other. Takes a
/// few microseconds, except for loopback addresses.
pub(crate) fn has_address(peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    ip.is_loopback() || (bind_is_conclusive(ip) && can_bind(ip, zone_of(peer)))
}

/// Binding to a link-local address requires its zone.
const fn zone_of(peer: SocketAddr) -> u32 {
    match peer {
        SocketAddr::V6(peer) => peer.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

fn can_bind(ip: IpAddr, zone: u32) -> bool {
    let mut address = SocketAddr::new(ip, 0);
    if let SocketAddr::V6(address) = &mut address {
        address.set_scope_id(zone);
    }
    !ip.is_unspecified() && !ip.is_multicast() && UdpSocket::bind(address).is_ok()
}

/// A system may allow binding to foreign addresses (`net.ipv4.ip_nonlocal_bind` of Linux),
/// recognised by the addresses reserved for documentation (RFC 5737, RFC 3849, RFC 9637).
fn bind_is_conclusive(ip: IpAddr) -> bool {
    static V4: OnceLock<bool> = OnceLock::new();
    static V6: OnceLock<bool> = OnceLock::new();
    match ip {
        IpAddr::V4(_) => *V4.get_or_init(|| {
            let documentation = [[192, 0, 2, 1], [198, 51, 100, 1], [203, 0, 113, 1]];
            !documentation.into_iter().all(|ip| can_bind(Ipv4Addr::from(ip).into(), 0))
        }),
        IpAddr::V6(_) => *V6.get_or_init(|| {
            let documentation = [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x3fff, 0, 0, 0, 0, 0, 0, 1]];
            !documentation.into_iter().all(|ip| can_bind(Ipv6Addr::from(ip).into(), 0))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_this_machines_and_documentation_addresses_are_not() {
        for (ip, is_ours) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("203.0.113.7", false),
            ("::ffff:203.0.113.7", false),
            ("2001:db8::7", false),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
        ] {
            assert_eq!(has_address((ip.parse::<IpAddr>().unwrap(), 0).into()), is_ours, "{ip}");
        }
    }

    /// For destinations outside this machine the system selects one of its own addresses as the
    /// source. Connecting a UDP socket only does that, and sends nothing.
    #[test]
    fn the_address_that_packets_leave_by_is_this_machines() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("203.0.113.7:9").is_ok() {
            let ours = socket.local_addr().unwrap().ip();
            assert!(has_address((ours, 0).into()), "{ours}");
            let IpAddr::V4(ours) = ours else { panic!("{ours}") };
            assert!(has_address((ours.to_ipv6_mapped(), 0).into()), "{ours}");
        }
    }
}
