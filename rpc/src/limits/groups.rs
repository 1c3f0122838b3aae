//! Groups of sessions that share an account: the key of a group, and the limits of its account.

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

/// Which sessions of a server share an account, so that a peer cannot get more than its share by
/// opening many connections, or by reconnecting. Set with
/// [`ServerBuilder::groups`](crate::ServerBuilder::groups).
///
/// An account counts connections and cost:
///
/// * A peer whose group has reached its limit of [connections](Self::connections) is sent the error
///   -102 with the id null, and the connection is closed.
/// * Each charge to a session is charged to its group, too. The [cost](crate::Session::cost) of a
///   session is its own or its group's, whichever is higher. So a group is slowed down as a whole
///   and, at [`Limits::cost_hard`](crate::Limits::cost_hard), disconnected, each session at its
///   next charge. As long as the group has that cost, a peer that connects is sent the error -101
///   with the id null, and the connection is closed.
/// * The cost of a group outlives its connections. It decays like that of a session
///   ([`Limits::cost_forgiven_per_second`](crate::Limits::cost_forgiven_per_second)), once for the
///   whole group.
///
/// A peer that never sends a valid message is charged, too, so that reconnecting does not help:
///
/// | Failure | Cost |
/// |---|---|
/// | a TLS or WebSocket handshake, or the head of an HTTP/1 request, that is invalid, cut off or late | [`Limits::cost_of_unreadable`](crate::Limits::cost_of_unreadable) |
/// | a stream that opens with [another protocol](crate::framing#what-a-stream-may-not-begin-with), or whose frames are broken | the same, by the [severity](crate::framing::FrameError::severity) of the error |
/// | a WebSocket or HTTP request that was understood, and refused | [`Limits::cost_of_error`](crate::Limits::cost_of_error) |
/// | a TCP connection without a single byte, as of a port check | nothing |
///
/// The rule is that of ElectrumX's session groups, where a group's cost counts with the weight 1.
/// (The account uses the limits of the server. Limits that were changed for one session do not
/// change its group's account.)
///
/// A service that is [mounted](crate::ServerHandle::http_service) in another server sees no
/// connections. If a layer names the peer of a request, the request counts as one connection while
/// it is in flight, and its cost is charged to the peer's group; a peer over a limit is answered
/// 503 or 429. If no layer does, there is no group.
///
/// A peer without an IP address (one that was [attached](crate::ServerHandle::attach)) is in no
/// group, unless [`by`](Self::by) names one, and its connection is never refused. Once a handler
/// has authenticated a peer, it may have the session [join another
/// group](crate::Session::join_group).
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
/// By default a server has no groups: behind one proxy, or in a test on one machine, all peers
/// would be one group.
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
    /// One group for each network of peers: /24 of IPv4, /64 of IPv6 (see [`GroupKey::subnet`]).
    pub fn by_subnet() -> Self {
        Self::by(|peer| ip_of(peer).map(GroupKey::subnet))
    }

    /// One group for each IP address.
    pub fn by_address() -> Self {
        Self::by(|peer| ip_of(peer).map(GroupKey::address))
    }

    /// Groups by a function: `key` returns the group of a peer that connects, or `None` for no
    /// group, and then nothing is counted. It runs where peers are accepted, and must not block.
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

    /// Leaves peers from `network` out of every group. May be called several times.
    pub fn exempt(mut self, network: Network) -> Self {
        self.exempt.push(network);
        self
    }

    /// Leaves a peer out of every group if `is_exempt` returns true. Called again, it replaces the
    /// function before. It runs where peers are accepted, and must not block.
    pub fn exempt_if(mut self, is_exempt: impl Fn(&Endpoint) -> bool + Send + Sync + 'static) -> Self {
        self.is_exempt = Some(Arc::new(is_exempt));
        self
    }

    /// The most connections of one group; `usize::MAX` is no limit.
    ///
    /// Default: 100, a tenth of the default for the whole [server](crate::Limits::connections): a
    /// network of many people is not turned away, and no network can use up the server.
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// How many sessions' worth of cost a group may have before it is slowed down and disconnected
    /// as a whole. The cost of the group decays faster by the same factor.
    ///
    /// Default: 1: as much as one session (ElectrumX).
    ///
    /// # Panics
    ///
    /// If `sessions` is not a number greater than 0.
    pub fn allowance(mut self, sessions: f64) -> Self {
        assert!(sessions > 0.0, "an allowance of {sessions} sessions: it must be a number greater than 0");
        self.allowance = sessions;
        self
    }

    /// The most groups that are remembered, those with open connections included. Each takes about
    /// 100 bytes.
    ///
    /// When the number is reached, a quarter of them is forgotten at once: those without
    /// connections, the cheapest first. A group with connections is never forgotten; if all have
    /// some, further groups share one account until there is room.
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

/// Identifies a group: the network or the address of its peers, or a name such as a user's.
///
/// A key takes as much memory as an address, whatever it was made from: of a name only a hash is
/// kept (128 bits, keyed per process).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupKey(KeyKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum KeyKind {
    Network(Network),
    Name([u64; 2]),
    /// The key of all groups for which there is no entry left.
    Others,
}

impl GroupKey {
    pub(super) const OTHERS: Self = Self(KeyKind::Others);

    /// One address. An IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn address(ip: IpAddr) -> Self {
        Self(KeyKind::Network(Network::of(ip, 32, 128)))
    }

    /// The network that `ip` belongs to: the first 24 bits of an IPv4 address, or the first 64 bits
    /// of an IPv6 address, the least that providers assign to a customer.
    pub fn subnet(ip: IpAddr) -> Self {
        Self::subnet_of(ip, 24, 64)
    }

    /// The network that `ip` belongs to, with prefixes of the given lengths.
    pub fn subnet_of(ip: IpAddr, v4_bits: u8, v6_bits: u8) -> Self {
        Self(KeyKind::Network(Network::of(ip, v4_bits, v6_bits)))
    }

    /// Anything with a name: a user, a credential.
    pub fn name(name: impl AsRef<[u8]>) -> Self {
        // The hash keys are random: a peer cannot choose two names with one hash.
        static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
        let keys = KEYS.get_or_init(Default::default);
        Self(KeyKind::Name(keys.each_ref().map(|key| key.hash_one(name.as_ref()))))
    }
}

/// A network of IP addresses, such as `10.0.0.0/8` or `2001:db8::/32`, or a single address. A
/// network that is written as mapped into IPv6 (`::ffff:10.0.0.0/104`) is one of IPv4.
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

/// A text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no network: {reason}")]
pub struct NetworkError {
    text: String,
    reason: String,
}

impl Network {
    /// The network that `ip` belongs to, with prefixes of the given lengths. An IPv4 address that
    /// is mapped into IPv6 counts as IPv4.
    pub(super) fn of(ip: IpAddr, v4_bits: u8, v6_bits: u8) -> Self {
        let ip = ip.to_canonical();
        let prefix = if ip.is_ipv4() { v4_bits.min(32) } else { v6_bits.min(128) };
        Self { first: first(ip, prefix), prefix }
    }

    /// Returns true if `ip` belongs to this network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && first(ip, self.prefix) == self.first
    }
}

/// `ip` with all but its first `bits` bits set to 0.
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
    // A mapped address has a prefix of 96 bits. (With a shorter prefix, the first address is not a
    // mapped one.)
    if ip.is_ipv4() && written.is_ipv6() {
        prefix -= 96;
    }
    Ok(Network { first: ip, prefix })
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
