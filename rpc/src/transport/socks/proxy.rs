//! Which proxy is asked, and how.

use std::{fmt, net::Ipv4Addr, str::FromStr, time::Duration};

use super::{
    SocksUrlError,
    credentials::{Credentials, Pair},
    url,
};
use crate::transport::Host;

/// A SOCKS proxy to connect by way of: see [`Connector::proxy`](crate::Connector::proxy).
///
/// ```
/// use rpc::transport::socks::{SocksProxy, SocksVersion};
///
/// let proxy = SocksProxy::new("socks5://ann:secret@127.0.0.1:1080")?;
/// assert_eq!(proxy.version(), SocksVersion::V5);
/// // What is shown never has a password in it.
/// assert_eq!(proxy.to_string(), "socks5://127.0.0.1:1080");
/// assert!(!format!("{proxy:?}").contains("secret"));
/// # Ok::<(), rpc::transport::socks::SocksUrlError>(())
/// ```
///
/// Names are resolved by the proxy, unless it is told [otherwise](Self::resolve_locally).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocksProxy {
    version: SocksVersion,
    host: Host,
    port: u16,
    credentials: Credentials,
    resolves_locally: bool,
    timeout: Option<Duration>,
}

/// A version of the SOCKS protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SocksVersion {
    /// Version 4: IPv4 addresses only, and a user without a password.
    V4,
    /// Version 4a: version 4, and names.
    V4a,
    /// Version 5 (RFC 1928): IPv4, IPv6 and names, and a user with a password (RFC 1929).
    V5,
}

impl SocksProxy {
    /// The proxy that a URL names: `socks5://HOST:PORT`, `socks4a://…` or `socks4://…`, with `USER:PASSWORD@` before the host where the proxy
    /// wants them. Without a port, it is 1080. Bytes that have a meaning in a URL, such as `@`, `:` or `%`, are written `%40`.
    ///
    /// Other programs read more into the scheme: for curl, `socks5` and `socks4` resolve names locally, and `socks5h` and `socks4a` have the proxy
    /// do it. Here the proxy does in any case; `socks5h` is `socks5`.
    ///
    /// # Errors
    ///
    /// Where the URL is wrong. The error does not show the user and the password.
    pub fn new(url: &str) -> Result<Self, SocksUrlError> {
        url::parse(url)
    }

    /// The proxy of a Tor that runs on this machine, at its usual port: `127.0.0.1:9050`, with credentials that are made up for each connection. By
    /// its default settings Tor takes another way through its network for each, so that nobody sees that two connections come from one program.
    ///
    /// The port of Tor Browser is 9150: `SocksProxy::new("socks5://127.0.0.1:9150")?.random_credentials()`.
    pub fn tor() -> Self {
        Self::at(SocksVersion::V5, Host::V4(Ipv4Addr::LOCALHOST), 9050).random_credentials()
    }

    pub(super) fn at(version: SocksVersion, host: Host, port: u16) -> Self {
        Self { version, host, port, credentials: Credentials::None, resolves_locally: false, timeout: None }
    }

    /// Logs in at the proxy. Default: those of the URL, or none.
    ///
    /// Versions 4 and 4a have a user and no password. One that is not empty ends in
    /// [`SocksError::Credentials`](super::SocksError::Credentials) before the proxy is connected to.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Credentials::Given(Pair { user: user.into(), password: password.into() });
        self
    }

    /// Logs in with a user and a password that are made up for each connection, of 32 random bytes each: Tor keeps connections with different
    /// credentials apart (`IsolateSOCKSAuth`). Other proxies know no such users, of course. Versions 4 and 4a have a user only.
    #[must_use]
    pub fn random_credentials(mut self) -> Self {
        self.credentials = Credentials::Random;
        self
    }

    /// Resolves names on this machine, and asks the proxy for their addresses, one after the other. So version 4 gets to names; but who
    /// answers for names, and who listens to that, learns where the connection goes.
    ///
    /// Default: the proxy resolves names.
    #[must_use]
    pub fn resolve_locally(mut self) -> Self {
        self.resolves_locally = true;
        self
    }

    /// How long the proxy has to connect once it is connected to, for each address that it is asked for. It ends with
    /// [`SocksError::TimedOut`](super::SocksError::TimedOut).
    ///
    /// Default: as long as all of connecting has by [`Limits::handshake_timeout`](crate::Limits::handshake_timeout). Tor itself gives up
    /// after two minutes.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The version that is spoken to it.
    pub const fn version(&self) -> SocksVersion {
        self.version
    }

    /// Its host: a name, or an address (IPv6 without brackets, a zone behind `%`).
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(super) const fn place(&self) -> (&Host, u16) {
        (&self.host, self.port)
    }

    pub(super) const fn how_to_log_in(&self) -> &Credentials {
        &self.credentials
    }

    pub(super) const fn resolves_locally(&self) -> bool {
        self.resolves_locally
    }

    pub(super) const fn limit(&self) -> Option<Duration> {
        self.timeout
    }
}

impl FromStr for SocksProxy {
    type Err = SocksUrlError;

    fn from_str(url: &str) -> Result<Self, SocksUrlError> {
        Self::new(url)
    }
}

/// A URL, without the credentials.
impl fmt::Display for SocksProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, host, port, .. } = self;
        write!(f, "socks{version}://{}:{port}", host.in_url())
    }
}

impl fmt::Display for SocksVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "4",
            Self::V4a => "4a",
            Self::V5 => "5",
        })
    }
}
