//! URLs of endpoints to connect to or listen at.

mod host;
#[cfg(test)]
mod tests;
mod url;

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::redact::shown;
use crate::jsonrpc::shown::escaped;
#[cfg(feature = "socks")]
pub(crate) use host::percent_decoded;
#[cfg(feature = "tcp")]
pub(crate) use host::{Host, Zone};
#[cfg(any(feature = "http", feature = "socks", feature = "ws"))]
pub(crate) use url::host_and_port;
pub(crate) use url::{Kind, Net, Scheme};

/// A parsed URL: where a server listens, where a client connects, or where a peer is.
///
/// | URL | what it names |
/// |---|---|
/// | `tcp://HOST:PORT` | TCP |
/// | `tls://HOST:PORT` | TLS over TCP |
/// | `ws://HOST[:PORT][/PATH]`, `wss://…` | WebSocket; port 80, or 443 with TLS |
/// | `http://HOST[:PORT][/PATH]`, `https://…` | HTTP; port 80, or 443 with TLS |
/// | `unix:PATH`, `unix:///PATH` | a Unix socket; `unix:@NAME` has no file (Linux) |
/// | `stdio:` | this process's standard input and output |
/// | `memory:NAME` | a place within this process |
///
/// A host is a name as in RFC 1123 (underscores are allowed), an IPv4 address of four decimal
/// numbers, or an IPv6 address in brackets. A host that ends in a number is an IPv4 address or an
/// error, never a name (WHATWG URL, section 3.5): resolvers take `0x7f000001` and `127.1` for
/// 127.0.0.1.
///
/// An IPv6 address may have a zone, the link it is on: `[fe80::1%25eth0]` (RFC 6874), an interface
/// by its name or its number (`%252`). Connecting and listening fail if this machine has no
/// interface of that name; on Windows only numbers may be known. The zone is not sent to the peer,
/// neither in `Host` nor by TLS.
///
/// The features of the crate decide whether a scheme can be used, when a client connects or
/// listens.
///
/// ```
/// use rpc::Endpoint;
///
/// let endpoint: Endpoint = "tcp://[::1]:50001".parse().unwrap();
/// assert_eq!(endpoint.port(), Some(50001));
/// assert_eq!(endpoint.to_string(), "tcp://[::1]:50001");
///
/// let error = "tcp://localhost".parse::<Endpoint>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`tcp://localhost` is no endpoint: the port is missing: write tcp://localhost:PORT"
/// );
/// ```
///
/// # What is shown
///
/// Paths and queries of URLs may hold keys (`wss://node.example/v1/KEY`). Wherever this library
/// shows a URL, of any client or server, it shows scheme, host and port, and `/…` for the rest:
///
/// - in every error, and in the endpoints that errors hold;
/// - in every log event, and with [`Session::peer`](crate::Session::peer);
/// - in `Debug`, always.
///
/// `Display` shows all of an endpoint that was parsed or made by the application, and of a
/// [server's](crate::ServerHandle::endpoint): it can be used to connect. [`url`](Self::url) always
/// returns the whole URL, and [`redacted`](Self::redacted) makes an endpoint whose `Display`
/// follows the rule.
///
/// ```
/// use rpc::Endpoint;
///
/// let endpoint: Endpoint = "wss://node.example/v1?key=secret".parse().unwrap();
/// assert_eq!(endpoint.to_string(), "wss://node.example/v1?key=secret");
/// assert_eq!(format!("{endpoint:?}"), r#"Endpoint("wss://node.example/…")"#);
///
/// let redacted = endpoint.redacted();
/// assert_eq!(redacted.to_string(), "wss://node.example/…");
/// assert_eq!(redacted.url(), "wss://node.example/v1?key=secret");
/// ```
///
/// The same applies to other secrets: values of headers that the application sets, sub-protocols of
/// WebSocket that it offers, credentials of HTTP and of proxies, and private keys appear in no
/// error, no log event and no `Debug` output. If a server repeats them in the text of a refusal,
/// `…` replaces them.
#[derive(Clone)]
pub struct Endpoint {
    kind: Kind,
    /// Whether `Display` is redacted. It does not affect equality.
    is_redacted: bool,
}

/// A text that is not a valid endpoint. Possible secrets in it are [not
/// shown](Endpoint#what-is-shown).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no endpoint: {}", escaped(.text), escaped(.reason))]
pub struct EndpointError {
    text: String,
    reason: String,
}

impl Endpoint {
    /// The peer of an in-process connection.
    pub(crate) const MEMORY: Self = Self { kind: Kind::Memory(None), is_redacted: false };

    /// Standard input and output, of this process or of a child.
    #[cfg(feature = "stdio")]
    pub(crate) const STDIO: Self = Self::of(Kind::Stdio);

    const fn of(kind: Kind) -> Self {
        Self { kind, is_redacted: false }
    }

    /// A TCP address.
    pub fn tcp(addr: SocketAddr) -> Self {
        Self::net(Scheme::Tcp, addr)
    }

    /// A Unix socket. The path need not be UTF-8.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::of(Kind::Unix(path.into().into()))
    }

    pub(crate) fn net(scheme: Scheme, addr: SocketAddr) -> Self {
        let path = if scheme.has_path() { "/" } else { "" };
        Self::of(Kind::Net(Net { scheme, host: addr.into(), port: addr.port(), path: path.into() }))
    }

    /// The same endpoint, whose `Display` shows scheme, host and port, and `/…` for a path or a
    /// query: see [What is shown](#what-is-shown).
    #[must_use]
    pub fn redacted(self) -> Self {
        Self { is_redacted: true, ..self }
    }

    /// The whole URL, with path and query, which may hold a key.
    pub fn url(&self) -> String {
        self.kind.whole().to_string()
    }

    /// The same endpoint at another address: that of a name, or the port that replaced 0.
    #[cfg(feature = "tcp")]
    pub(crate) fn at(&self, addr: SocketAddr) -> Self {
        match &self.kind {
            Kind::Net(net) => Self {
                kind: Kind::Net(Net { host: addr.into(), port: addr.port(), ..net.clone() }),
                is_redacted: self.is_redacted,
            },
            _ => self.clone(),
        }
    }

    /// A peer that connected here from `addr`.
    #[cfg(feature = "tcp")]
    pub(crate) fn of_peer(&self, addr: SocketAddr) -> Self {
        match &self.kind {
            Kind::Net(Net { scheme, .. }) => Self::of(Kind::Net(Net {
                scheme: *scheme,
                host: addr.into(),
                port: addr.port(),
                path: "".into(),
            })),
            _ => Self::tcp(addr),
        }
    }

    /// Parses `text`, and takes missing parts from `defaults`: the scheme from the first one, host
    /// and port from the one with the same scheme. The scheme, and either or both parts of
    /// `[HOST][:PORT]`, may be missing.
    ///
    /// ```
    /// use rpc::Endpoint;
    ///
    /// let defaults = ["tls://electrum.example.org:50002", "tcp://localhost:50001"];
    /// let defaults = defaults.map(|url| url.parse().unwrap());
    /// let parse = |text| Endpoint::parse_or(text, &defaults).unwrap().to_string();
    /// assert_eq!(parse("other.example.org"), "tls://other.example.org:50002");
    /// assert_eq!(parse("tcp://"), "tcp://localhost:50001");
    /// assert_eq!(parse("tcp://:4000"), "tcp://localhost:4000");
    /// assert_eq!(parse(""), "tls://electrum.example.org:50002");
    /// ```
    ///
    /// # Errors
    ///
    /// When the text is invalid, or a missing part has no default.
    pub fn parse_or(text: &str, defaults: &[Self]) -> Result<Self, EndpointError> {
        let defaults = defaults.iter().map(Self::kind);
        url::parse_or(text, defaults).map(Self::of).map_err(|reason| EndpointError::new(text, reason))
    }

    /// The scheme of the URL: `tcp`, `tls`, `ws`, `wss`, `http`, `https`, `unix`, `stdio` or
    /// `memory`.
    pub const fn scheme(&self) -> &'static str {
        match &self.kind {
            Kind::Net(net) => net.scheme.name(),
            Kind::Unix(_) => "unix",
            Kind::Stdio => "stdio",
            Kind::Memory(_) => "memory",
        }
    }

    /// The host, if there is one: an IPv6 address without brackets, a zone after `%`
    /// (`fe80::1%eth0`).
    pub fn host(&self) -> Option<String> {
        self.as_net().map(|net| net.host.to_string())
    }

    /// The port, if there is one. A server that was bound to port 0 shows the assigned port.
    pub const fn port(&self) -> Option<u16> {
        match &self.kind {
            Kind::Net(net) => Some(net.port),
            _ => None,
        }
    }

    /// The socket address, if the host is an IP address. `None` for a name, or for a zone that is
    /// an interface name, which only the system can look up.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let net = self.as_net()?;
        net.host.at_port(net.port)
    }

    /// The path of a Unix socket, or the request target with its query for a URL of HTTP or
    /// WebSocket.
    ///
    /// ```
    /// let endpoint: rpc::Endpoint = "wss://example.org/v1?key=abc".parse().unwrap();
    /// assert_eq!(endpoint.path().unwrap().to_str(), Some("/v1?key=abc"));
    /// ```
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Net(net) if !net.path.is_empty() => Some(Path::new(&*net.path)),
            Kind::Unix(path) if !path.as_os_str().is_empty() => Some(path),
            _ => None,
        }
    }

    pub(crate) const fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) const fn as_net(&self) -> Option<&Net> {
        self.kind.as_net()
    }
}

impl EndpointError {
    fn new(text: &str, reason: String) -> Self {
        Self { text: shown(text), reason }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Net(net) if self.is_redacted => net.show(f),
            _ => escaped(self.kind.whole()).fmt(f),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.clone().redacted().to_string()).finish()
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Endpoint {}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        url::parse(text).map(Self::of).map_err(|reason| EndpointError::new(text, reason))
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: &str) -> Result<Self, EndpointError> {
        text.parse()
    }
}
