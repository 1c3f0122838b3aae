//! Whether a peer is on this machine.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::OnceLock,
};

/// Of a connection whose two ends have one address: in its extensions.
pub(crate) struct FromItself;

/// Whether a peer's address is one of this machine's: only to those can a socket be bound. A few
/// microseconds, for addresses that are no loopback address.
pub(crate) fn has_address(peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    ip.is_loopback() || (binding_tells(ip) && can_bind(ip, zone_of(peer)))
}

/// No link-local address can be bound to without its zone.
const fn zone_of(peer: SocketAddr) -> u32 {
    match peer {
        SocketAddr::V6(peer) => peer.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

fn can_bind(ip: IpAddr, zone: u32) -> bool {
    let mut address = SocketAddr::new(ip, 0);
    if let SocketAddr::V6(address) = &mut address {
        address.set_scope_id(zone);
    }
    !ip.is_unspecified() && !ip.is_multicast() && UdpSocket::bind(address).is_ok()
}

/// A system may let sockets be bound to addresses of others (`net.ipv4.ip_nonlocal_bind` of Linux):
/// then it lets them be bound to all of those that are for documentation, too (RFC 5737, RFC 3849,
/// RFC 9637).
fn binding_tells(ip: IpAddr) -> bool {
    static V4: OnceLock<bool> = OnceLock::new();
    static V6: OnceLock<bool> = OnceLock::new();
    match ip {
        IpAddr::V4(_) => *V4.get_or_init(|| {
            let documentation = [[192, 0, 2, 1], [198, 51, 100, 1], [203, 0, 113, 1]];
            !documentation.into_iter().all(|ip| can_bind(Ipv4Addr::from(ip).into(), 0))
        }),
        IpAddr::V6(_) => *V6.get_or_init(|| {
            let documentation = [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x3fff, 0, 0, 0, 0, 0, 0, 1]];
            !documentation.into_iter().all(|ip| can_bind(Ipv6Addr::from(ip).into(), 0))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_this_machines_and_documentation_addresses_are_not() {
        for (ip, is_ours) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("203.0.113.7", false),
            ("::ffff:203.0.113.7", false),
            ("2001:db8::7", false),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
        ] {
            assert_eq!(has_address((ip.parse::<IpAddr>().unwrap(), 0).into()), is_ours, "{ip}");
        }
    }

    /// The system sends by an address of its own to whatever is not on this machine. Nothing is
    /// sent: connecting a UDP socket only chooses.
    #[test]
    fn the_address_that_packets_leave_by_is_this_machines() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("203.0.113.7:9").is_ok() {
            let ours = socket.local_addr().unwrap().ip();
            assert!(has_address((ours, 0).into()), "{ours}");
            let IpAddr::V4(ours) = ours else { panic!("{ours}") };
            assert!(has_address((ours.to_ipv6_mapped(), 0).into()), "{ours}");
        }
    }
}
