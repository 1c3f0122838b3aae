//! SOCKS proxies, versions 4, 4a and 5: asking one to connect to somebody, and finding out whether there is one.
//!
//! [`Connector::proxy`](crate::Connector::proxy) takes a [`SocksProxy`], and so does an HTTP client. Needs the feature `socks`.

// The client of the protocol is our own: `tokio-socks` tells neither at which step a proxy has hung up, which is how some refuse credentials,
// nor the code of a reply that it does not know; it takes a bound name that is not UTF-8 for a failure, and panics at a long name after a
// long user id.

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

/// Connects to `host` by way of `proxy`, which is connected to as `options` say. Cancel safe.
pub(crate) async fn connect(
    proxy: &SocksProxy,
    options: &TcpOptions,
    host: &Host,
    port: u16,
) -> Result<(TcpStream, Proxied), ByWayOf> {
    to_host(proxy, options, host, port).await.map_err(|source| ByWayOf { proxy: proxy.clone(), source })
}

async fn to_host(
    proxy: &SocksProxy,
    options: &TcpOptions,
    host: &Host,
    port: u16,
) -> Result<(TcpStream, Proxied), SocksError> {
    match host {
        Host::Name(name) if proxy.resolves_locally() => {
            let addresses = lookup_host((&**name, port)).await;
            let addresses = addresses.map_err(|source| SocksError::Resolve { source })?.collect();
            to_one_of(addresses, proxy.version(), name, |address| {
                let (host, port) = (address.into(), address.port());
                async move { to(proxy, options, &host, port).await }
            })
            .await
        }
        host => to(proxy, options, host, port).await,
    }
}

async fn to(
    proxy: &SocksProxy,
    options: &TcpOptions,
    host: &Host,
    port: u16,
) -> Result<(TcpStream, Proxied), SocksError> {
    let credentials = proxy.configured_credentials().pair(proxy.version());
    // What cannot be said at all needs no connection.
    let request = SocksRequest::new(proxy.version(), host, port, credentials.as_ref())?;
    let unreachable = |source| SocksError::Unreachable { source };
    let (host, port) = proxy.address();
    let mut stream = tcp::connect(host, port, options).await.map_err(unreachable)?;
    let proxy_addr = stream.peer_addr().map_err(unreachable)?;
    let bound = request.make(&mut stream, proxy.limit()).await?;
    Ok((stream, Proxied { proxy: proxy_addr, bound }))
}

/// Asks for one address of `name` after the other, until the proxy connects to one.
async fn to_one_of<T, C, F>(
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
            // It is about this address: another one may do.
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

/// What a proxy is asked for, in its version.
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

    /// Asks the proxy to connect, within `limit`. The answer is where it connects from, and what `io` carries from then on is the host's.
    async fn make<S>(&self, io: &mut S, limit: Option<Duration>) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut exchange = self.exchange(io);
        let Some(limit) = limit else { return self.make_in(&mut exchange).await };
        let made = timeout(limit, self.make_in(&mut exchange)).await;
        made.unwrap_or_else(|_| Err(SocksError::TimedOut { step: exchange.step(), limit }))
    }

    /// Whether a proxy of this version is there: anything that it answers by the protocol will do, a refusal too.
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

/// What a session knows about the proxy that it goes through: see [`Session::extensions`](crate::Session::extensions).
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
    /// The address of the proxy that answered, of those that its name has.
    pub proxy: SocketAddr,

    /// Where the proxy says that it connects from. Many do not say, and answer `0.0.0.0:0`.
    pub bound: SocksAddress,
}

/// In the order in which they are tried, each with a host that it can be asked for (aiorpcX). Version 5 is known by its answer to the greeting, and
/// nothing is asked for.
const TRIES: [(SocksVersion, &str, u16); 3] = [
    (SocksVersion::V5, "www.apple.com", 80),
    (SocksVersion::V4a, "www.apple.com", 80),
    (SocksVersion::V4, "8.8.8.8", 53),
];

/// How long each version has to answer.
const DETECT_TIMEOUT: Duration = Duration::from_secs(10);

impl SocksProxy {
    /// The proxy at `host`, which is a name or an address (IPv6 without brackets), and `port`, if there is one, in the newest version that it speaks: 5, 4a and 4 are tried in this order, each with a
    /// connection of its own, for up to 10 s.
    ///
    /// Anything that it answers by the protocol counts, be it a refusal: a proxy that is found need not work. One that wants
    /// [`credentials`](Self::credentials) is found too, and is told none. A proxy of version 4 that takes the address of 4a for one it cannot
    /// reach is found as 4a.
    ///
    /// As versions 4a and 4 have no greeting, the proxy is asked to connect to `www.apple.com:80` and to `8.8.8.8:53`, and if it does, the
    /// connection is closed at once. Cancel safe.
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

    /// The first proxy that is [found](Self::detect) on `host`, of those that might be at `ports`.
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
        // Where nobody listens, no other version will be spoken.
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
