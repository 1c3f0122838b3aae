//! From a host to its addresses.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
};

use tokio::net::lookup_host;

use crate::transport::{Host, endpoint::Zone};

/// All addresses of `host`, as the system knows them: one where it is an address.
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

    // Any socket will do: it is how the kernel is asked (netdevice(7)).
    let asked = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    asked
        .and_then(|socket| name_to_index(socket, interface))
        .map_err(|error| unknown(interface, &error.into()))
}

/// `getaddrinfo` knows the names of interfaces, of link-local addresses at least: RFC 3493, section
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
