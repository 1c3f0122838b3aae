//! The URLs that name where to connect and where to listen.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// Where a server listens, where a client connects, or where a peer is: a parsed URL.
///
/// ```
/// use rpc::Endpoint;
///
/// let endpoint: Endpoint = "tcp://[::1]:50001".parse().unwrap();
/// assert_eq!(endpoint.port(), Some(50001));
/// assert_eq!(endpoint.to_string(), "tcp://[::1]:50001");
///
/// let error = "tcp://localhost".parse::<Endpoint>().unwrap_err();
/// assert_eq!(error.to_string(), "`tcp://localhost` is no endpoint: the port is missing: write tcp://localhost:PORT");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Tcp { host: Host, port: u16 },
    Memory,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Name(Box<str>),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// A text that names no place to connect to or to listen at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no endpoint: {reason}")]
pub struct EndpointError {
    text: String,
    reason: String,
}

impl Endpoint {
    /// The other end of a connection within the process.
    pub(crate) const MEMORY: Self = Self(Kind::Memory);

    /// A TCP address.
    pub fn tcp(addr: SocketAddr) -> Self {
        let host = match addr {
            SocketAddr::V4(v4) => Host::V4(*v4.ip()),
            SocketAddr::V6(v6) => Host::V6(*v6.ip()),
        };
        Self(Kind::Tcp { host, port: addr.port() })
    }

    /// The scheme of the URL: `tcp`, or `memory`.
    pub const fn scheme(&self) -> &'static str {
        match self.0 {
            Kind::Tcp { .. } => "tcp",
            Kind::Memory => "memory",
        }
    }

    /// The host as written (an IPv6 address without brackets), where there is one.
    pub fn host(&self) -> Option<String> {
        match &self.0 {
            Kind::Tcp { host, .. } => Some(host.to_string()),
            Kind::Memory => None,
        }
    }

    /// The port, where there is one. A server that was bound to port 0 shows the port it was given.
    pub const fn port(&self) -> Option<u16> {
        match self.0 {
            Kind::Tcp { port, .. } => Some(port),
            Kind::Memory => None,
        }
    }

    /// The address, where the host is an IP address and not a name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp { host: Host::V4(ip), port } => Some(SocketAddr::from((*ip, *port))),
            Kind::Tcp { host: Host::V6(ip), port } => Some(SocketAddr::from((*ip, *port))),
            _ => None,
        }
    }

    pub(crate) const fn kind(&self) -> &Kind {
        &self.0
    }
}

#[cfg(feature = "socks")]
impl EndpointError {
    /// What is wrong, without the text.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp { host: Host::V6(ip), port } => write!(f, "tcp://[{ip}]:{port}"),
            Kind::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Kind::Memory => f.write_str("memory:"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(ip) => ip.fmt(f),
            Self::V6(ip) => ip.fmt(f),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        parse(text).map_err(|reason| EndpointError { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Endpoint, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("the scheme is missing: write tcp://HOST:PORT".to_owned());
    };
    if scheme != "tcp" {
        return Err(format!("unknown scheme `{scheme}`: tcp is known"));
    }
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
            let ip = ip.parse().map_err(|_| format!("`{ip}` is no IPv6 address"))?;
            (Host::V6(ip), port.strip_prefix(':'))
        }
        None => match rest.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err(format!("an IPv6 address stands in brackets: write {scheme}://[ADDRESS]:PORT"));
            }
            Some((host, port)) => (host_of(host)?, Some(port)),
            None => (host_of(rest)?, None),
        },
    };
    let host_end = rest.find(']').map_or(rest.len(), |bracket| bracket + 1);
    let port =
        port.ok_or_else(|| format!("the port is missing: write {scheme}://{}:PORT", &rest[..host_end]))?;
    let port = match port.bytes().all(|c| c.is_ascii_digit()) {
        true => port.parse().map_err(|_| format!("the port `{port}` is not between 0 and 65535"))?,
        false => return Err(format!("the port `{port}` is no number between 0 and 65535")),
    };
    Ok(Endpoint(Kind::Tcp { host, port }))
}

/// A name as RFC 1123 allows it (with underscores, which real names have), or an IPv4 address.
fn host_of(text: &str) -> Result<Host, String> {
    if let Ok(ip) = text.parse() {
        return Ok(Host::V4(ip));
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
    // A name of digits and dots would be taken for an address by some resolvers.
    if name.bytes().all(|c| c.is_ascii_digit() || c == b'.') {
        return Err(format!("`{text}` is no IPv4 address"));
    }
    Ok(Host::Name(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_parsed_prints_the_same() {
        for url in [
            "tcp://127.0.0.1:0",
            "tcp://[::1]:65535",
            "tcp://localhost:80",
            "tcp://my_host.example.org:50001",
        ] {
            assert_eq!(url.parse::<Endpoint>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn the_error_names_the_part_that_is_wrong() {
        for (url, reason) in [
            ("localhost:80", "the scheme is missing"),
            ("gopher://x:1", "unknown scheme `gopher`"),
            ("tcp://localhost", "the port is missing: write tcp://localhost:PORT"),
            ("tcp://[::1]", "the port is missing: write tcp://[::1]:PORT"),
            ("tcp://:80", "the host is missing"),
            ("tcp://x:99999", "the port `99999` is not between 0 and 65535"),
            ("tcp://x:", "is not between 0 and 65535"),
            ("tcp://x:8o", "is no number between 0 and 65535"),
            ("tcp://::1:80", "stands in brackets"),
            ("tcp://[::1:80", "bracket of the IPv6 address is not closed"),
            ("tcp://[zz]:80", "`zz` is no IPv6 address"),
            ("tcp://-x:80", "`-x` is no host name"),
            ("tcp://a b:80", "`a b` is no host name"),
            ("tcp://1.2.3.400:80", "`1.2.3.400` is no IPv4 address"),
        ] {
            let error = url.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
