//! A listener that has no room for another peer.

use std::{fmt, net::SocketAddr, pin::Pin};

use futures::{FutureExt, future::join_all};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A queue of peers that nobody takes out of, and that is full, so that the next one gets no answer at all.
pub struct FullListener {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Pin<Box<dyn Future<Output = ()>>>,
}

impl FullListener {
    /// On a port of its own, on this machine.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port is free");
        let listener = socket.listen(1).expect("it is bound");
        let address = listener.local_addr().expect("it is bound");
        let connecting = join_all((0..16).map(move |_| TcpStream::connect(address)));
        let mut waiting: Pin<Box<dyn Future<Output = ()>>> = Box::pin(connecting.map(drop));
        assert!(waiting.as_mut().now_or_never().is_none(), "most of them find no room");
        Self { address, _listener: listener, _waiting: waiting }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for FullListener {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FullListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FullListener").field("address", &self.address).finish_non_exhaustive()
    }
}
