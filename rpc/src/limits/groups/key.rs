//! What the sessions of a group have in common.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::OnceLock,
};

use super::network::Network;

/// What the sessions of a group have in common: where they come from, or who they are.
///
/// It takes as much memory as an address, whatever it was made from: of a name only a hash is kept (128 bits, under keys of this process).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupKey(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Network(Network),
    Name([u64; 2]),
    /// Those for whom there is no entry any more.
    Others,
}

impl GroupKey {
    pub(super) const OTHERS: Self = Self(Kind::Others);

    /// One address. An address of IPv4 that is mapped into IPv6 is one of IPv4.
    pub fn address(ip: IpAddr) -> Self {
        Self(Kind::Network(Network::of(ip, 32, 128)))
    }

    /// The network that `ip` belongs to: the first 24 bits of an address of IPv4, 64 of one of IPv6, which is what providers give to one
    /// customer at least.
    pub fn subnet(ip: IpAddr) -> Self {
        Self::subnet_of(ip, 24, 64)
    }

    /// The network that `ip` belongs to, of so many bits.
    pub fn subnet_of(ip: IpAddr, v4_bits: u8, v6_bits: u8) -> Self {
        Self(Kind::Network(Network::of(ip, v4_bits, v6_bits)))
    }

    /// Something with a name: a user, a credential.
    pub fn name(name: impl AsRef<[u8]>) -> Self {
        // Nobody can choose two names that are taken for one: the keys are random.
        static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
        let keys = KEYS.get_or_init(Default::default);
        Self(Kind::Name(keys.each_ref().map(|key| key.hash_one(name.as_ref()))))
    }
}
