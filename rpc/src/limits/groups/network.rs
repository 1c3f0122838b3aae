//! Networks of IP addresses, and which one an address belongs to.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

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
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_belongs_to_the_network_of_its_first_bits() {
        for (address, v4_bits, v6_bits, network) in [
            ("192.0.2.77", 24, 64, "192.0.2.0/24"),
            ("192.0.2.77", 32, 64, "192.0.2.77/32"),
            ("192.0.2.77", 0, 64, "0.0.0.0/0"),
            ("192.0.2.77", 20, 64, "192.0.0.0/20"), // 2 is 0000 0010: all of it after the first 4 bits
            ("::ffff:192.0.2.77", 24, 64, "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", 24, 64, "2001:db8:1:2::/64"),
            ("2001:db8:1:2:3:4:5:6", 24, 128, "2001:db8:1:2:3:4:5:6/128"),
            ("2001:db8:1:2:3:4:5:6", 24, 0, "::/0"),
            ("2001:db8:1:2:3:4:5:6", 99, 255, "2001:db8:1:2:3:4:5:6/128"),
        ] {
            assert_eq!(Network::of(ip(address), v4_bits, v6_bits).to_string(), network);
        }
    }

    #[test]
    fn a_network_contains_what_begins_like_it_and_nothing_else() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "::1", "10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(ip(inside)), "{network}: {inside}");
            assert!(!network.contains(ip(outside)), "{network}: {outside}");
        }
    }

    #[test]
    fn the_error_names_the_part_that_is_wrong() {
        for (text, reason) in [
            ("localhost/8", "`localhost` is no IP address"),
            ("10.0.0.0/33", "`33` is no number of bits between 0 and 32"),
            ("::/129", "`129` is no number of bits between 0 and 128"),
            ("10.0.0.0/", "`` is no number of bits"),
            ("2001:db8::1/32", "the first address of that size is 2001:db8::"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
