//! Resolving a host, and connecting to its addresses.

use std::{
    error::Error,
    fmt, io,
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};

use super::options::{TcpOptions, prepare};
use crate::{
    jsonrpc::chain,
    transport::endpoint::{Host, Zone},
};

/// Connects to `host`, or to whichever of its addresses answers first.
///
/// The system resolves names and returns both families at once, so RFC 8305's rules about late
/// answers do not apply. Cancel safe.
pub(crate) async fn connect(host: &Host, port: u16, options: &TcpOptions) -> io::Result<TcpStream> {
    let mut addresses = resolve(host, port).await?;
    if let (false, &[address]) = (matches!(host, Host::Name(_)), &addresses[..]) {
        return connect_to(address, options).await;
    }
    if let Some(local) = options.local_address {
        addresses.retain(|address| address.is_ipv6() == local.is_ipv6());
        if addresses.is_empty() {
            let problem = format!("it has no address that can be connected to from {local}");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, problem));
        }
    }
    Ok(race(addresses, |address| connect_to(address, options)).await?)
}

async fn connect_to(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    if let Some(local) = options.local_address {
        socket.bind(SocketAddr::new(local, 0)).map_err(|error| {
            io::Error::new(error.kind(), format!("it cannot be connected to from {local}: {error}"))
        })?;
    }
    let stream = match options.connect_timeout {
        None => socket.connect(address).await,
        Some(limit) => timeout(limit, socket.connect(address)).await.unwrap_or_else(|_| {
            let problem = format!("no answer within {limit:?} (`connect_timeout`)");
            Err(io::Error::new(io::ErrorKind::TimedOut, problem))
        }),
    }?;
    prepare(&stream, options)?;
    Ok(stream)
}

/// Why none of the addresses of a name could be connected to: the addresses tried, each with its
/// error.
///
/// It is inside the `io::Error` of [`ConnectError::Io`](crate::ConnectError::Io), whose kind is
/// that of the last attempt:
///
/// ```no_run
/// # async fn example() {
/// use rpc::{ConnectError, transport::tcp::ConnectAttempts};
///
/// if let Err(ConnectError::Io { source, .. }) = rpc::connect("tcp://example.org:50001").await {
///     let attempts = source.get_ref().and_then(|error| error.downcast_ref::<ConnectAttempts>());
///     for (address, error) in attempts.into_iter().flat_map(ConnectAttempts::iter) {
///         println!("{address}: {error}");
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct ConnectAttempts {
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl ConnectAttempts {
    /// In the order of the attempts.
    const fn new(attempts: Vec<(SocketAddr, io::Error)>) -> Self {
        Self { attempts }
    }

    /// The addresses with their errors, in the order of the attempts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SocketAddr, &io::Error)> {
        self.attempts.iter().map(|(address, error)| (*address, error))
    }
}

impl From<ConnectAttempts> for io::Error {
    fn from(attempts: ConnectAttempts) -> Self {
        match attempts.attempts.last() {
            Some((_, last)) => Self::new(last.kind(), attempts),
            None => Self::new(io::ErrorKind::NotFound, attempts),
        }
    }
}

impl fmt::Display for ConnectAttempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts.is_empty() {
            return f.write_str("it has no address");
        }
        for (place, (address, error)) in self.attempts.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {}", chain(error))?;
        }
        Ok(())
    }
}

/// Without a source: an error has at most one, and all attempts are equal. The text has them all.
impl Error for ConnectAttempts {}

/// How long to wait for an address before the next one is tried: RFC 8305, section 5, "Connection
/// Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first of `addresses` that answers ("happy eyeballs", RFC 8305). `connect` makes
/// one connection.
///
/// They are tried in order, alternating between the families. The next attempt starts when the
/// previous one has failed, or has not finished within 250 ms; earlier attempts go on. After the
/// first success the others are dropped.
///
/// Cancel safe: dropping the future drops all attempts.
async fn race<S, C, F>(addresses: Vec<SocketAddr>, connect: C) -> Result<S, ConnectAttempts>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>>,
{
    let addresses = interleaved(addresses);
    let mut to_try = addresses.iter().enumerate();
    let mut under_way = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some((place, &address)) = to_try.next() {
            let attempt = connect(address);
            under_way.push(async move { (place, address, attempt.await) });
        }
        let ended = if to_try.len() == 0 {
            under_way.next().await
        } else {
            // On a timeout or a failure the next address is tried.
            let Ok(ended) = timeout(ATTEMPT_DELAY, under_way.next()).await else { continue };
            ended
        };
        match ended {
            Some((_, _, Ok(connected))) => return Ok(connected),
            Some((place, address, Err(error))) => failed.push((place, address, error)),
            None => break,
        }
    }
    failed.sort_unstable_by_key(|(place, ..)| *place);
    Err(ConnectAttempts::new(failed.into_iter().map(|(_, address, error)| (address, error)).collect()))
}

/// Each address once, alternating between IPv6 and IPv4 while there are both: RFC 8305, section 4.
/// It starts with the family of the first address, as the system orders them by RFC 6724: IPv4 on a
/// machine without IPv6.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first_is_v6) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let total = addresses.len();
    let (ours, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut in_turn = Vec::with_capacity(total);
    loop {
        let round = [ours.next(), others.next()];
        if round == [None, None] {
            return in_turn;
        }
        for address in round.into_iter().flatten() {
            if !in_turn.contains(&address) {
                in_turn.push(address);
            }
        }
    }
}

/// All addresses of `host` from the system's resolver, or the one that it is.
pub(super) async fn resolve(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Some(address) = host.at_port(port) {
        return Ok(vec![address]);
    }
    if let Host::Zoned(zoned) = host
        && let (ip, Zone::Name(interface)) = &**zoned
    {
        let index = index_of(*ip, interface).await?;
        return Ok(vec![SocketAddrV6::new(*ip, port, 0, index).into()]);
    }
    Ok(lookup_host((host.to_string(), port)).await?.collect())
}

fn unknown(interface: &str, error: &io::Error) -> io::Error {
    let problem = format!(
        "the zone `{interface}` is no network interface of this machine ({error}): its number can be written, too"
    );
    io::Error::new(io::ErrorKind::AddrNotAvailable, problem)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
async fn index_of(_: Ipv6Addr, interface: &str) -> io::Result<u32> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice::name_to_index, socket_with};

    // Any socket can be used for the query (netdevice(7)).
    let asked = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    asked
        .and_then(|socket| name_to_index(socket, interface))
        .map_err(|error| unknown(interface, &error.into()))
}

/// `getaddrinfo` resolves interface names, at least for link-local addresses: RFC 3493, section
/// 6.1, and RFC 4007, section 11.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
async fn index_of(ip: Ipv6Addr, interface: &str) -> io::Result<u32> {
    let found = lookup_host((format!("{ip}%{interface}"), 0)).await;
    let found = found.map_err(|error| unknown(interface, &error))?.find_map(|address| match address {
        SocketAddr::V6(address) if address.scope_id() != 0 => Some(address.scope_id()),
        _ => None,
    });
    found.ok_or_else(|| unknown(interface, &io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests;
