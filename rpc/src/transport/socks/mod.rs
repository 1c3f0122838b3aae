//! SOCKS proxies, versions 4, 4a and 5: connecting through one, and detecting one.
//!
//! [`Connector::proxy`](crate::Connector::proxy) and HTTP clients take a [`SocksProxy`]. Needs the
//! feature `socks`.

// The client is our own. `tokio-socks` reports neither the step at which a proxy closed, which is
// how some reject credentials, nor unknown reply codes; it takes a bound name that is not UTF-8 for
// a failure, and panics at a long name after a long user id.

mod error;
mod handshake;
mod proxy;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    Host,
    tcp::{self, TcpOptions},
};
pub(crate) use error::ByWayOf;
pub use error::{SocksError, SocksReply, SocksStep};
pub use handshake::SocksAddress;
use handshake::{RequestV4, RequestV5, SocksExchange};
use proxy::UserAndPassword;
pub use proxy::{SocksProxy, SocksUrlError, SocksVersion};

/// Connects to `host` through `proxy`, with TCP `options` for the proxy. Cancel safe.
pub(crate) async fn connect(
    proxy: &SocksProxy,
    options: &TcpOptions,
    host: &Host,
    port: u16,
) -> Result<(TcpStream, Proxied), ByWayOf> {
    connect_to_host(proxy, options, host, port)
        .await
        .map_err(|source| ByWayOf { proxy: proxy.clone(), source })
}

async fn connect_to_host(
    proxy: &SocksProxy,
    options: &TcpOptions,
    host: &Host,
    port: u16,
) -> Result<(TcpStream, Proxied), SocksError> {
    match host {
        Host::Name(name) if proxy.resolves_locally() => {
            let addresses = lookup_host((&**name, port)).await;
            let addresses = addresses.map_err(|source| SocksError::Resolve { source })?.collect();
            connect_to_one_of(addresses, proxy.version(), name, |address| {
                let (host, port) = (address.into(), address.port());
                async move { connect_to(proxy, options, &host, port).await }
            })
            .await
        }
        host => connect_to(proxy, options, host, port).await,
    }
}

async fn connect_to(
    proxy: &SocksProxy,
    options: &TcpOptions,
    host: &Host,
    port: u16,
) -> Result<(TcpStream, Proxied), SocksError> {
    let credentials = proxy.configured_credentials().pair(proxy.version());
    // An invalid request needs no connection.
    let request = SocksRequest::new(proxy.version(), host, port, credentials.as_ref())?;
    let unreachable = |source| SocksError::Unreachable { source };
    let (host, port) = proxy.address();
    let mut stream = tcp::connect(host, port, options).await.map_err(unreachable)?;
    let proxy_addr = stream.peer_addr().map_err(unreachable)?;
    let bound = request.make(&mut stream, proxy.limit()).await?;
    Ok((stream, Proxied { proxy: proxy_addr, bound }))
}

/// Requests one address of `name` after another, until the proxy connects to one.
async fn connect_to_one_of<T, C, F>(
    addresses: Vec<SocketAddr>,
    version: SocksVersion,
    name: &str,
    connect: C,
) -> Result<T, SocksError>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, SocksError>>,
{
    let mut failed = Vec::new();
    for address in addresses {
        if address.is_ipv6() && version != SocksVersion::V5 {
            continue;
        }
        match connect(address).await {
            // The failure concerns this address: another one may work.
            Err(
                error @ (SocksError::Refused(_)
                | SocksError::Host { .. }
                | SocksError::TimedOut { step: SocksStep::Request, .. }
                | SocksError::Closed { step: SocksStep::Request, .. }),
            ) => failed.push((address, error)),
            outcome => return outcome,
        }
    }
    if failed.is_empty() {
        let reason = "none of its addresses is IPv4, and it knows no other";
        return Err(SocksError::Host { version, host: name.into(), reason });
    }
    Err(SocksError::Addresses(failed))
}

/// The request in the proxy's version.
enum SocksRequest {
    V4(RequestV4),
    V5(RequestV5),
}

impl SocksRequest {
    fn new(
        version: SocksVersion,
        host: &Host,
        port: u16,
        credentials: Option<&UserAndPassword>,
    ) -> Result<Self, SocksError> {
        Ok(match version {
            SocksVersion::V4 | SocksVersion::V4a => {
                Self::V4(RequestV4::new(version, host, port, credentials)?)
            }
            SocksVersion::V5 => Self::V5(RequestV5::new(host, port, credentials)?),
        })
    }

    /// Requests the connection within `limit`. Returns the address that the proxy connects from;
    /// from then on `io` carries the host's bytes.
    async fn make<S>(&self, io: &mut S, limit: Option<Duration>) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut exchange = self.exchange(io);
        let Some(limit) = limit else { return self.make_in(&mut exchange).await };
        let made = timeout(limit, self.make_in(&mut exchange)).await;
        made.unwrap_or_else(|_| Err(SocksError::TimedOut { step: exchange.step(), limit }))
    }

    /// Whether a proxy of this version answers. Any valid answer counts, including a refusal.
    async fn is_answered<S: AsyncRead + AsyncWrite + Unpin>(&self, io: &mut S) -> bool {
        let mut exchange = self.exchange(io);
        match self {
            Self::V4(request) => request.is_answered(&mut exchange).await,
            Self::V5(request) => request.is_answered(&mut exchange).await,
        }
    }

    async fn make_in<S>(&self, exchange: &mut SocksExchange<'_, S>) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::V4(request) => request.make(exchange).await,
            Self::V5(request) => request.make(exchange).await,
        }
    }

    const fn exchange<'a, S: AsyncRead + AsyncWrite + Unpin>(&self, io: &'a mut S) -> SocksExchange<'a, S> {
        let first = match self {
            Self::V4(_) => SocksStep::Request,
            Self::V5(_) => SocksStep::Greeting,
        };
        SocksExchange::new(io, first)
    }
}

/// The proxy of a session: see [`Session::extensions`](crate::Session::extensions).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, transport::socks::{Proxied, SocksProxy}};
///
/// let session = Connector::new("tcp://example.org:50001")?.proxy(SocksProxy::tor()).connect().await?;
/// let proxied = session.extensions().get::<Proxied>().expect("it goes through a proxy");
/// println!("{} by way of {}, which connects from {}", session.peer(), proxied.proxy, proxied.bound);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxied {
    /// The address of the proxy that answered, among those of its name.
    pub proxy: SocketAddr,

    /// The address that the proxy connects from, as it says. Many send `0.0.0.0:0` instead.
    pub bound: SocksAddress,
}

/// Versions in the order of detection, each with a host to request (aiorpcX). Version 5 is
/// recognised by its answer to the greeting, without a request.
const TRIES: [(SocksVersion, &str, u16); 3] = [
    (SocksVersion::V5, "www.apple.com", 80),
    (SocksVersion::V4a, "www.apple.com", 80),
    (SocksVersion::V4, "8.8.8.8", 53),
];

/// Time limit for each version.
const DETECT_TIMEOUT: Duration = Duration::from_secs(10);

impl SocksProxy {
    /// Detects the proxy at `host`, a name or an address (IPv6 without brackets), and `port`, and
    /// the newest version that it supports: 5, 4a and 4 are tried in this order, each with its own
    /// connection, for up to 10 s.
    ///
    /// Any valid answer counts, including a refusal: a detected proxy need not work. One that
    /// demands [`credentials`](Self::credentials) is detected, too, without sending any. A version
    /// 4 proxy that takes the special address of 4a for an unreachable one is detected as 4a.
    ///
    /// Versions 4a and 4 have no greeting, so the proxy is asked to connect to `www.apple.com:80`
    /// and to `8.8.8.8:53`; if it does, the connection is closed at once. Cancel safe.
    ///
    /// ```no_run
    /// # async fn example() {
    /// use rpc::transport::socks::SocksProxy;
    ///
    /// // Tor, and Tor Browser.
    /// let proxy = SocksProxy::detect_on("127.0.0.1", [9050, 9150]).await.map(SocksProxy::random_credentials);
    /// # let _ = proxy; }
    /// ```
    pub async fn detect(host: &str, port: u16) -> Option<Self> {
        let host = host.parse().map_or_else(|_| Host::parse(host), |ip: IpAddr| Ok(ip.into())).ok()?;
        let options = TcpOptions::default();
        let version = version_spoken(|| tcp::connect(&host, port, &options)).await?;
        Some(Self::at(version, host, port))
    }

    /// The first proxy [detected](Self::detect) on `host`, at one of `ports`.
    pub async fn detect_on(host: &str, ports: impl IntoIterator<Item = u16>) -> Option<Self> {
        for port in ports {
            if let Some(proxy) = Self::detect(host, port).await {
                return Some(proxy);
            }
        }
        None
    }
}

async fn version_spoken<S, C, F>(connect: C) -> Option<SocksVersion>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Fn() -> F,
    F: Future<Output = io::Result<S>>,
{
    for (version, host, port) in TRIES {
        let host = Host::parse(host).expect("it is a name or an address");
        let request = SocksRequest::new(version, &host, port, None).ok()?;
        // Nothing listens there, in whatever version.
        let mut stream = connect().await.ok()?;
        if timeout(DETECT_TIMEOUT, request.is_answered(&mut stream)).await == Ok(true) {
            return Some(version);
        }
    }
    None
}

#[cfg(test)]
mod detect_tests;
#[cfg(test)]
mod tests;
