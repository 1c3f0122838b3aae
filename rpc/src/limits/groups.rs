//! Groups of sessions that share an account: which they are, and by which rules.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::{Arc, OnceLock},
};

use crate::transport::Endpoint;

type KeyOf = Arc<dyn Fn(&Endpoint) -> Option<GroupKey> + Send + Sync>;
type IsExempt = Arc<dyn Fn(&Endpoint) -> bool + Send + Sync>;

/// Which sessions of a server share an account, so that neither many connections nor new ones get a peer more than its share: set with
/// [`ServerBuilder::groups`](crate::ServerBuilder::groups).
///
/// An account counts connections and cost:
///
/// * A peer whose group has as many [connections](Self::connections) as it may have is sent an error, -102 with the id null, and the
///   connection is closed.
/// * Whatever is charged to a session is charged to its group, too. The [cost](crate::Session::cost) of a session is its own or its
///   group's, whichever is higher; so a group as a whole is slowed down and, at [`Limits::cost_hard`](crate::Limits::cost_hard),
///   disconnected, each session when it is next charged. While its group is there, a peer that connects is sent -101 with the id null,
///   and the connection is closed.
/// * What a group has cost outlives its connections, and is forgiven as a session's is
///   ([`Limits::cost_forgiven_per_second`](crate::Limits::cost_forgiven_per_second)), once for the whole group.
///
/// A peer that never comes to a message is charged for that, so that it does not help to connect again:
///
/// | What fails | Cost |
/// |---|---|
/// | a handshake of TLS or WebSocket, the head of a request of HTTP/1: it is none, it is cut, or it has not ended in time | [`Limits::cost_of_unreadable`](crate::Limits::cost_of_unreadable) |
/// | a stream that opens with [another protocol](crate::framing#what-a-stream-may-not-begin-with), or whose frames are broken | the same, by the [severity](crate::framing::FrameError::severity) of what is wrong |
/// | a request of WebSocket or HTTP that was understood, and refused | [`Limits::cost_of_error`](crate::Limits::cost_of_error) |
/// | a TCP connection over which nothing comes at all, as of one that looks whether the server is there | nothing |
///
/// The rule is that of ElectrumX's session groups, where a group's cost counts with the weight 1. (The numbers are those of the server's
/// limits; those that are changed for one session do not change its group's account.)
///
/// A service that is [mounted](crate::ServerHandle::http_service) in another server sees no connections. Where a layer tells the peer of a
/// request, that counts as a connection while it is worked on, and its cost is its group's; a peer that is over a limit is
/// answered 503 or 429. Where none tells, there is no group.
///
/// A peer without an IP address (one that was [attached](crate::ServerHandle::attach)) is in no group, unless [`by`](Self::by) names one,
/// and is never one connection too many. Once it is known who a peer is, a handler may have its session
/// [join another group](crate::Session::join_group).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Groups, Server};
///
/// let groups = Groups::by_subnet().connections(20).exempt("10.0.0.0/8".parse()?);
/// let server = Server::builder().service(()).groups(groups).bind("tcp://127.0.0.1:0").await?;
/// # Ok(()) }
/// ```
///
/// A server has no groups unless it is told to: where all peers come through one proxy, or from one machine as in a test, they would all
/// be one peer.
#[derive(Clone)]
pub struct Groups {
    key_of: KeyOf,
    exempt: Vec<Network>,
    is_exempt: Option<IsExempt>,
    pub(super) connections: usize,
    pub(super) entries: usize,
    pub(super) allowance: f64,
}

impl Groups {
    /// One group for each network that peers come from: /24 of IPv4, /64 of IPv6 (see [`GroupKey::subnet`]).
    pub fn by_subnet() -> Self {
        Self::by(|peer| ip_of(peer).map(GroupKey::subnet))
    }

    /// One group for each address that peers come from.
    pub fn by_address() -> Self {
        Self::by(|peer| ip_of(peer).map(GroupKey::address))
    }

    /// The group that `key` names for a peer that connects. `None` is none, and then nothing is counted. It runs where peers are accepted,
    /// and must not block.
    ///
    /// ```
    /// use rpc::{GroupKey, Groups};
    ///
    /// // A provider gives a whole /56 to a customer.
    /// let groups = Groups::by(|peer| Some(GroupKey::subnet_of(peer.socket_addr()?.ip(), 24, 56)));
    /// ```
    pub fn by(key: impl Fn(&Endpoint) -> Option<GroupKey> + Send + Sync + 'static) -> Self {
        Self {
            key_of: Arc::new(key),
            exempt: Vec::new(),
            is_exempt: None,
            connections: 100,
            entries: 10_000,
            allowance: 1.0,
        }
    }

    /// Leaves peers from `network` out. May be called several times.
    pub fn exempt(mut self, network: Network) -> Self {
        self.exempt.push(network);
        self
    }

    /// Leaves peers out of which `is_exempt` says so. Of several, the last one counts. It runs where peers are accepted, and must not block.
    pub fn exempt_if(mut self, is_exempt: impl Fn(&Endpoint) -> bool + Send + Sync + 'static) -> Self {
        self.is_exempt = Some(Arc::new(is_exempt));
        self
    }

    /// How many connections a group may have; `usize::MAX` is no limit.
    ///
    /// Default: 100, a tenth of what the [server](crate::Limits::connections) may have by default: a network that many people share is
    /// not turned away, and none can have the server for itself.
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// How many times the cost of one session a group may have, before it is slowed down and disconnected as one. It is forgiven as many
    /// times as fast.
    ///
    /// Default: 1: as much as one session (ElectrumX).
    ///
    /// # Panics
    ///
    /// Where `sessions` is no number greater than 0.
    pub fn allowance(mut self, sessions: f64) -> Self {
        assert!(sessions > 0.0, "an allowance of {sessions} sessions: it must be a number greater than 0");
        self.allowance = sessions;
        self
    }

    /// How many groups are remembered, those with connections included: about 100 bytes each.
    ///
    /// When it is reached, those without connections that have cost least are forgotten, a quarter of the number at once. One with
    /// connections never is: where all have some, further groups share one account until there is room.
    ///
    /// Default: 10,000: ten times the connections that a server may have by default.
    pub fn entries(mut self, most: usize) -> Self {
        self.entries = most;
        self
    }

    /// The group of a peer that connects.
    pub(crate) fn key(&self, peer: &Endpoint) -> Option<GroupKey> {
        let in_exempt = |ip| self.exempt.iter().any(|network| network.contains(ip));
        if ip_of(peer).is_some_and(in_exempt) || self.is_exempt.as_ref().is_some_and(|is| is(peer)) {
            return None;
        }
        (self.key_of)(peer)
    }
}

fn ip_of(peer: &Endpoint) -> Option<IpAddr> {
    Some(peer.socket_addr()?.ip())
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("exempt", &self.exempt)
            .field("connections", &self.connections)
            .field("entries", &self.entries)
            .field("allowance", &self.allowance)
            .finish_non_exhaustive()
    }
}

/// What the sessions of a group have in common: where they come from, or who they are.
///
/// It takes as much memory as an address, whatever it was made from: of a name only a hash is kept (128 bits, under keys of this process).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupKey(KeyKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum KeyKind {
    Network(Network),
    Name([u64; 2]),
    /// Those for whom there is no entry any more.
    Others,
}

impl GroupKey {
    pub(super) const OTHERS: Self = Self(KeyKind::Others);

    /// One address. An address of IPv4 that is mapped into IPv6 is one of IPv4.
    pub fn address(ip: IpAddr) -> Self {
        Self(KeyKind::Network(Network::of(ip, 32, 128)))
    }

    /// The network that `ip` belongs to: the first 24 bits of an address of IPv4, 64 of one of IPv6, which is what providers give to one
    /// customer at least.
    pub fn subnet(ip: IpAddr) -> Self {
        Self::subnet_of(ip, 24, 64)
    }

    /// The network that `ip` belongs to, of so many bits.
    pub fn subnet_of(ip: IpAddr, v4_bits: u8, v6_bits: u8) -> Self {
        Self(KeyKind::Network(Network::of(ip, v4_bits, v6_bits)))
    }

    /// Something with a name: a user, a credential.
    pub fn name(name: impl AsRef<[u8]>) -> Self {
        // Nobody can choose two names that are taken for one: the keys are random.
        static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
        let keys = KEYS.get_or_init(Default::default);
        Self(KeyKind::Name(keys.each_ref().map(|key| key.hash_one(name.as_ref()))))
    }
}

/// A network of IP addresses, as `10.0.0.0/8`, `2001:db8::/32`, or one address. It is a network of IPv4 where it is written as one that is
/// mapped into IPv6 (`::ffff:10.0.0.0/104`).
///
/// ```
/// use rpc::Network;
///
/// let network: Network = "10.0.0.0/8".parse().unwrap();
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
///
/// let error = "10.0.0.1/8".parse::<Network>().unwrap_err();
/// assert_eq!(error.to_string(), "`10.0.0.1/8` is no network: the first address of that size is 10.0.0.0");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no network: {reason}")]
pub struct NetworkError {
    text: String,
    reason: String,
}

impl Network {
    /// The network that `ip` belongs to, of so many bits. An address of IPv4 that is mapped into IPv6 is one of IPv4.
    pub(super) fn of(ip: IpAddr, v4_bits: u8, v6_bits: u8) -> Self {
        let ip = ip.to_canonical();
        let prefix = if ip.is_ipv4() { v4_bits.min(32) } else { v6_bits.min(128) };
        Self { first: first(ip, prefix), prefix }
    }

    /// Whether `ip` belongs to it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && first(ip, self.prefix) == self.first
    }
}

/// `ip` with nothing but its first bits.
fn first(ip: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        parse(text).map_err(|reason| NetworkError { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Network, String> {
    let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
    let written: IpAddr = ip.parse().map_err(|_| format!("`{ip}` is no IP address"))?;
    let width: u8 = if written.is_ipv4() { 32 } else { 128 };
    let mut prefix = match prefix {
        None => width,
        Some(bits) => bits
            .parse()
            .ok()
            .filter(|bits| *bits <= width)
            .ok_or_else(|| format!("`{bits}` is no number of bits between 0 and {width}"))?,
    };
    if first(written, prefix) != written {
        return Err(format!("the first address of that size is {}", first(written, prefix)));
    }
    let ip = written.to_canonical();
    // Mapped: the first 96 bits are those of the mapping. (With fewer, the first address is not a mapped one.)
    if ip.is_ipv4() && written.is_ipv6() {
        prefix -= 96;
    }
    Ok(Network { first: ip, prefix })
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
