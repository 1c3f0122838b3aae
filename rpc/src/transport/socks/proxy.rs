//! Which proxy is asked, and how: its URL, and the credentials that it is told.

use std::{fmt, net::Ipv4Addr, str::FromStr, time::Duration};

use crate::transport::{
    endpoint::{Host, host_and_port, percent_decoded},
    redact::shown,
};

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
        parse(url)
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
        self.credentials =
            Credentials::Given(UserAndPassword { user: user.into(), password: password.into() });
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

    pub(super) const fn address(&self) -> (&Host, u16) {
        (&self.host, self.port)
    }

    pub(super) const fn configured_credentials(&self) -> &Credentials {
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

/// The port of SOCKS, by its entry at IANA.
const DEFAULT_PORT: u16 = 1080;

/// A text that names no SOCKS proxy. What in it may be secret is
/// [not shown](crate::Endpoint#what-is-shown).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no SOCKS proxy: {reason}")]
pub struct SocksUrlError {
    shown: Box<str>,
    reason: Box<str>,
}

fn parse(url: &str) -> Result<SocksProxy, SocksUrlError> {
    parts(url).map_err(|reason| SocksUrlError { shown: shown(url).into(), reason: reason.into() })
}

fn parts(url: &str) -> Result<SocksProxy, String> {
    let (scheme, rest) = url.split_once("://").ok_or("the scheme is missing: write socks5://HOST:PORT")?;
    let version = match scheme {
        "socks4" => SocksVersion::V4,
        "socks4a" => SocksVersion::V4a,
        "socks5" | "socks5h" => SocksVersion::V5,
        // It may be anything, a password too.
        _ => return Err("the scheme is unknown: socks5, socks4a and socks4 are known".to_owned()),
    };
    let (credentials, authority) = match rest.rsplit_once('@') {
        Some((credentials, authority)) => (Some(credentials), authority),
        None => (None, rest),
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#']) {
        return Err("a proxy has no path, and something stands behind the host".to_owned());
    }
    let (host, port) = host_and_port(scheme, authority)?;
    let host = host.ok_or("the host is missing")?;
    let proxy = SocksProxy::at(version, host, port.unwrap_or(DEFAULT_PORT));
    let Some(credentials) = credentials else { return Ok(proxy) };
    let (user, password) = match credentials.split_once(':') {
        Some(_) if version != SocksVersion::V5 => {
            return Err(format!("version {version} has no password: write {scheme}://USER@HOST:PORT"));
        }
        Some((user, password)) => (user, password),
        None if version == SocksVersion::V5 => {
            return Err(format!("the password is missing: write {scheme}://USER:PASSWORD@HOST:PORT"));
        }
        None => (credentials, ""),
    };
    let decoded = |part: &str, name| {
        percent_decoded(part)
            .ok_or_else(|| format!("in the {name}, % is not followed by two hexadecimal digits of UTF-8"))
    };
    Ok(proxy.credentials(&decoded(user, "user")?, &decoded(password, "password")?))
}

/// What random credentials are made of: as many random bytes for the user and for the password, written as hexadecimal digits (aiorpcX).
const RANDOM_BYTES: usize = 32;

/// How credentials are come by. What it shows of itself never has a password in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Credentials {
    #[default]
    None,
    Given(UserAndPassword),
    /// Others for each connection.
    Random,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UserAndPassword {
    pub(super) user: Box<str>,
    pub(super) password: Box<str>,
}

impl Credentials {
    /// For one connection. A password is made up only where there are some.
    pub(super) fn pair(&self, version: SocksVersion) -> Option<UserAndPassword> {
        let password = || if version == SocksVersion::V5 { random() } else { Box::default() };
        match self {
            Self::None => None,
            Self::Given(pair) => Some(pair.clone()),
            Self::Random => Some(UserAndPassword { user: random(), password: password() }),
        }
    }
}

fn random() -> Box<str> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Given(pair) => pair.fmt(f),
            Self::Random => f.write_str("Random"),
        }
    }
}

impl fmt::Debug for UserAndPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAndPassword").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
