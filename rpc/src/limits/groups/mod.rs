//! Groups of sessions that share an account: by which rules, and the arithmetic of it. No clock and no lock in here.

mod accounts;
mod key;
mod network;

use std::{fmt, net::IpAddr, sync::Arc};

pub(crate) use accounts::{Accounts, OverLimit, Rules};
pub use key::GroupKey;
pub use network::{Network, NetworkError};

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
    connections: usize,
    entries: usize,
    allowance: f64,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Endpoint {
        Endpoint::tcp((ip.parse::<IpAddr>().unwrap(), 50_001).into())
    }

    #[test]
    fn peers_of_one_network_are_one_group() {
        let (subnets, addresses) = (Groups::by_subnet(), Groups::by_address());
        for (one, other, same_subnet, same_address) in [
            ("192.0.2.1", "192.0.2.1", true, true),
            ("192.0.2.1", "::ffff:192.0.2.1", true, true),
            ("192.0.2.1", "192.0.2.2", true, false),
            ("192.0.2.1", "192.0.3.1", false, false),
            ("2001:db8::1", "2001:db8::2", true, false),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false, false),
        ] {
            let [one, other] = [one, other].map(peer);
            assert_eq!(subnets.key(&one) == subnets.key(&other), same_subnet, "{one} and {other}");
            assert_eq!(addresses.key(&one) == addresses.key(&other), same_address, "{one} and {other}");
        }
    }

    #[test]
    fn who_is_exempt_or_has_no_address_is_in_no_group() {
        let groups = Groups::by_subnet()
            .exempt("10.0.0.0/8".parse().unwrap())
            .exempt("::1".parse().unwrap())
            .exempt_if(|peer| peer.port() == Some(1));
        for ip in ["10.1.2.3", "::ffff:10.1.2.3", "::1"] {
            assert_eq!(groups.key(&peer(ip)), None, "{ip}");
        }
        assert_eq!(groups.key(&Endpoint::MEMORY), None);
        assert_eq!(groups.key(&Endpoint::tcp(([192, 0, 2, 1], 1).into())), None);
        assert!(groups.key(&peer("192.0.2.1")).is_some());
        let named = Groups::by(|_| Some(GroupKey::name("all")));
        assert_eq!(named.key(&Endpoint::MEMORY), Some(GroupKey::name("all")));
    }
}
