//! From a proxy, a host and a port to a connection.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    ByWayOf, Proxied, SocksAddress, SocksError, SocksProxy, SocksStep, SocksVersion, credentials::Pair,
    talk::Talk, v4, v5,
};
use crate::transport::{
    Host,
    tcp::{self, TcpOptions},
};

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
    let credentials = proxy.how_to_log_in().pair(proxy.version());
    // What cannot be said at all needs no connection.
    let request = Request::new(proxy.version(), host, port, credentials.as_ref())?;
    let unreachable = |source| SocksError::Unreachable { source };
    let (host, port) = proxy.place();
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
pub(super) enum Request {
    V4(v4::Request),
    V5(v5::Request),
}

impl Request {
    pub(super) fn new(
        version: SocksVersion,
        host: &Host,
        port: u16,
        credentials: Option<&Pair>,
    ) -> Result<Self, SocksError> {
        Ok(match version {
            SocksVersion::V4 | SocksVersion::V4a => {
                Self::V4(v4::Request::new(version, host, port, credentials)?)
            }
            SocksVersion::V5 => Self::V5(v5::Request::new(host, port, credentials)?),
        })
    }

    /// Asks the proxy to connect, within `limit`. The answer is where it connects from, and what `io` carries from then on is the host's.
    pub(super) async fn make<S>(
        &self,
        io: &mut S,
        limit: Option<Duration>,
    ) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut talk = self.talk(io);
        let Some(limit) = limit else { return self.make_in(&mut talk).await };
        let made = timeout(limit, self.make_in(&mut talk)).await;
        made.unwrap_or_else(|_| Err(SocksError::TimedOut { step: talk.step(), limit }))
    }

    /// Whether a proxy of this version is there: anything that it answers by the protocol will do, a refusal too.
    pub(super) async fn is_answered<S: AsyncRead + AsyncWrite + Unpin>(&self, io: &mut S) -> bool {
        let mut talk = self.talk(io);
        match self {
            Self::V4(request) => request.is_answered(&mut talk).await,
            Self::V5(request) => request.is_answered(&mut talk).await,
        }
    }

    async fn make_in<S>(&self, talk: &mut Talk<'_, S>) -> Result<SocksAddress, SocksError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::V4(request) => request.make(talk).await,
            Self::V5(request) => request.make(talk).await,
        }
    }

    const fn talk<'a, S: AsyncRead + AsyncWrite + Unpin>(&self, io: &'a mut S) -> Talk<'a, S> {
        let first = match self {
            Self::V4(_) => SocksStep::Request,
            Self::V5(_) => SocksStep::Greeting,
        };
        Talk::new(io, first)
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
