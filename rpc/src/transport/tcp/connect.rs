//! From a host and a port to a connection.

use std::{io, net::SocketAddr};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{TcpOptions, options::prepare, race::race, resolve::resolve};
use crate::transport::Host;

/// Connects to `host`: to the address that it is, or to whichever address of the name answers first.
///
/// Names are asked of the system, which has both families in one answer: there is nothing of RFC 8305 to do about answers that come one by
/// one. Cancel safe.
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
