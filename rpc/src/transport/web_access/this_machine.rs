//! Whether a peer is on this machine.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::OnceLock,
};

/// Of a connection whose two ends have one address: in its extensions.
pub(crate) struct FromItself;

/// Whether `ip` is one of this machine's addresses: only to those can a socket be bound. A few
/// microseconds, for addresses that are no loopback address.
pub(crate) fn has_address(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || (binding_tells(ip) && can_bind(ip))
}

fn can_bind(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && UdpSocket::bind((ip, 0)).is_ok()
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
            !documentation.into_iter().all(|ip| can_bind(Ipv4Addr::from(ip).into()))
        }),
        IpAddr::V6(_) => *V6.get_or_init(|| {
            let documentation = [[0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x3fff, 0, 0, 0, 0, 0, 0, 1]];
            !documentation.into_iter().all(|ip| can_bind(Ipv6Addr::from(ip).into()))
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
            assert_eq!(has_address(ip.parse().unwrap()), is_ours, "{ip}");
        }
    }

    /// The system sends by an address of its own to whatever is not on this machine. Nothing is
    /// sent: connecting a UDP socket only chooses.
    #[test]
    fn the_address_that_packets_leave_by_is_this_machines() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        if socket.connect("203.0.113.7:9").is_ok() {
            let ours = socket.local_addr().unwrap().ip();
            assert!(has_address(ours), "{ours}");
            let IpAddr::V4(ours) = ours else { panic!("{ours}") };
            assert!(has_address(ours.to_ipv6_mapped().into()), "{ours}");
        }
    }
}
