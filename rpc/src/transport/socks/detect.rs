//! Whether there is a proxy, and which version it speaks.

use std::{io, net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{SocksProxy, SocksVersion, connect::Request};
use crate::transport::{
    Host,
    tcp::{self, TcpOptions},
};

/// In the order in which they are tried, each with a host that it can be asked for (aiorpcX). Version 5 is known by its answer to the greeting, and
/// nothing is asked for.
const TRIES: [(SocksVersion, &str, u16); 3] = [
    (SocksVersion::V5, "www.apple.com", 80),
    (SocksVersion::V4a, "www.apple.com", 80),
    (SocksVersion::V4, "8.8.8.8", 53),
];

/// How long each version has to answer.
const LIMIT: Duration = Duration::from_secs(10);

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
        let request = Request::new(version, &host, port, None).ok()?;
        // Where nobody listens, no other version will be spoken.
        let mut stream = connect().await.ok()?;
        if timeout(LIMIT, request.is_answered(&mut stream)).await == Ok(true) {
            return Some(version);
        }
    }
    None
}

#[cfg(test)]
#[path = "detect_tests.rs"]
mod tests;
