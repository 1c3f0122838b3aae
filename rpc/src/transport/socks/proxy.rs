//! The configuration of a proxy: its URL, and the credentials for it.

use std::{fmt, net::Ipv4Addr, str::FromStr, time::Duration};

use crate::transport::{
    endpoint::{Host, host_and_port, percent_decoded},
    redact::shown,
};

/// A SOCKS proxy to connect through: see [`Connector::proxy`](crate::Connector::proxy).
///
/// ```
/// use rpc::transport::socks::{SocksProxy, SocksVersion};
///
/// let proxy = SocksProxy::new("socks5://ann:secret@127.0.0.1:1080")?;
/// assert_eq!(proxy.version(), SocksVersion::V5);
/// // Neither `Display` nor `Debug` shows the password.
/// assert_eq!(proxy.to_string(), "socks5://127.0.0.1:1080");
/// assert!(!format!("{proxy:?}").contains("secret"));
/// # Ok::<(), rpc::transport::socks::SocksUrlError>(())
/// ```
///
/// The proxy resolves names, [unless configured otherwise](Self::resolve_locally).
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
    /// Version 4a: version 4 with names.
    V4a,
    /// Version 5 (RFC 1928): IPv4, IPv6 and names, and a user with a password (RFC 1929).
    V5,
}

impl SocksProxy {
    /// The proxy of a URL: `socks5://HOST:PORT`, `socks4a://…` or `socks4://…`, with
    /// `USER:PASSWORD@` before the host if the proxy requires credentials. Default port: 1080.
    /// Characters that are special in a URL, such as `@`, `:` or `%`, are percent-encoded.
    ///
    /// Other programs distinguish where names are resolved: for curl, `socks5` and `socks4` resolve
    /// names locally, `socks5h` and `socks4a` on the proxy. Here the proxy resolves names in any
    /// case; `socks5h` equals `socks5`.
    ///
    /// # Errors
    ///
    /// When the URL is invalid. The error does not show the credentials.
    pub fn new(url: &str) -> Result<Self, SocksUrlError> {
        parse(url)
    }

    /// The proxy of a local Tor at its default port, `127.0.0.1:9050`, with random credentials for
    /// each connection. With its default settings Tor uses separate circuits for them, so that the
    /// connections cannot be linked to each other.
    ///
    /// The port of Tor Browser is 9150:
    /// `SocksProxy::new("socks5://127.0.0.1:9150")?.random_credentials()`.
    pub fn tor() -> Self {
        Self::at(SocksVersion::V5, Host::V4(Ipv4Addr::LOCALHOST), 9050).random_credentials()
    }

    pub(super) fn at(version: SocksVersion, host: Host, port: u16) -> Self {
        Self { version, host, port, credentials: Credentials::None, resolves_locally: false, timeout: None }
    }

    /// Authenticates with these credentials. Default: those of the URL, or none.
    ///
    /// Versions 4 and 4a have a user and no password. A password that is not empty ends in
    /// [`SocksError::Credentials`](super::SocksError::Credentials) before connecting to the proxy.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials =
            Credentials::Given(UserAndPassword { user: user.into(), password: password.into() });
        self
    }

    /// Authenticates with a random user and password for each connection, of 32 random bytes each:
    /// Tor isolates connections with different credentials (`IsolateSOCKSAuth`). Other proxies will
    /// reject them. Versions 4 and 4a have a user only.
    #[must_use]
    pub fn random_credentials(mut self) -> Self {
        self.credentials = Credentials::Random;
        self
    }

    /// Resolves names on this machine, and asks the proxy for one address after another. It makes
    /// names available with version 4, but reveals the destination to the name servers and to
    /// whoever observes the lookup.
    ///
    /// Default: the proxy resolves names.
    #[must_use]
    pub fn resolve_locally(mut self) -> Self {
        self.resolves_locally = true;
        self
    }

    /// Time limit for the proxy to connect to one address, once the connection to the proxy is
    /// made. Afterwards the attempt ends with
    /// [`SocksError::TimedOut`](super::SocksError::TimedOut).
    ///
    /// Default: only [`Limits::handshake_timeout`](crate::Limits::handshake_timeout), which covers
    /// all of connecting. Tor itself gives up after two minutes.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The version to use.
    pub const fn version(&self) -> SocksVersion {
        self.version
    }

    /// The host: a name, or an address (IPv6 without brackets, a zone after `%`).
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port.
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

/// The URL, without the credentials.
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

/// Default port of SOCKS, as registered with IANA.
const DEFAULT_PORT: u16 = 1080;

/// A text that is not the URL of a SOCKS proxy. Possible secrets in it are [not
/// shown](crate::Endpoint#what-is-shown).
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
        // Not shown: it may be anything, including a password.
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

/// Length of a random user and password in bytes, before hexadecimal encoding (aiorpcX).
const RANDOM_BYTES: usize = 32;

/// Where credentials come from. `Debug` never shows a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Credentials {
    #[default]
    None,
    Given(UserAndPassword),
    /// New ones for each connection.
    Random,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UserAndPassword {
    pub(super) user: Box<str>,
    pub(super) password: Box<str>,
}

impl Credentials {
    /// Credentials for one connection. A password is generated only for versions that have one.
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
