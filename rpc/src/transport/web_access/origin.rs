//! Where a request comes from, and what it calls the server: host, origin, machine.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::OnceLock,
};

use http::{HeaderMap, HeaderValue, Version, header, request::Parts, uri::Authority};

use crate::transport::{
    Scheme,
    endpoint::{Endpoint, Host, host_and_port},
};

/// Why a request may not come in, for the peer to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// What it calls the server is nothing that a server can be called: 400.
    Malformed(String),
    /// It is not among those that are let in: 403.
    Forbidden(String),
}

impl Denied {
    pub(super) fn malformed(reason: &str) -> Self {
        Self::Malformed(reason.to_owned())
    }
}

/// A host and a port, which may be missing: of a `Host` header, an `:authority`, or a name that is
/// allowed. What means the same is equal: names in lower case, addresses as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostAndPort {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
}

impl HostAndPort {
    /// What no request calls a server.
    pub(super) fn nothing() -> Self {
        Self { host: Host::Name("".into()), port: None }
    }

    /// RFC 3986, section 3.2.2 and 3.2.3: a host, and a port, which may be empty.
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

    /// Whether no name server has a say in where it leads.
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

/// The text of what a request calls the server: its target where that names one (`:authority`, the
/// absolute form), else the `Host` header.
///
/// # Errors
///
/// Where there is more than one `Host`, it is no text, or it is another one than the `:authority`;
/// where a request of HTTP/1.1 has none, whatever its target says: RFC 9112, section 3.2, and RFC
/// 9113, section 8.3.1.
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
        // The target counts, and what cannot be right is refused all the same.
        Some(authority) => named(host).map(|_| Some(authority)),
    }
}

/// The same, as a host and a port.
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

/// How pages of a server are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageScheme {
    Http,
    Https,
}

impl PageScheme {
    /// Of a listener at `endpoint`, or of one that a peer came to which is there. `None` where it
    /// does not say: what carries the bytes may have a proxy before it.
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

    /// Where none is written.
    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A scheme, a host and a port, which are compared: RFC 6454, section 5. What means the same is
/// equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Web(PageScheme, Host, u16),
    /// `null`, `file://`, those of extensions: in lower case.
    Other(String),
}

impl Origin {
    /// As a browser serialises it (RFC 6454, section 6.1), or a person, who may add a slash.
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

    /// Whether it is that of a server which a request calls `server`, and whose pages are fetched
    /// by `own`, as far as that is known.
    pub(super) fn is_of(&self, server: &HostAndPort, own: Option<PageScheme>) -> bool {
        let Self::Web(scheme, host, port) = self else { return false };
        own.is_none_or(|own| own == *scheme)
            && *host == server.host
            && *port == server.port.unwrap_or(scheme.port())
    }
}

/// Of a connection whose two ends have one address: in its extensions.
pub(crate) struct FromItself;

/// Whether a peer's address is one of this machine's: only to those can a socket be bound. A few
/// microseconds, for addresses that are no loopback address.
pub(crate) fn has_address(peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    ip.is_loopback() || (binding_tells(ip) && can_bind(ip, zone_of(peer)))
}

/// No link-local address can be bound to without its zone.
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

/// A system may let sockets be bound to addresses of others (`net.ipv4.ip_nonlocal_bind` of Linux):
/// then it lets them be bound to all of those that are for documentation, too (RFC 5737, RFC 3849,
/// RFC 9637).
fn binding_tells(ip: IpAddr) -> bool {
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

    /// The system sends by an address of its own to whatever is not on this machine. Nothing is
    /// sent: connecting a UDP socket only chooses.
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
