//! A proxy that does as it is told. Other tests go by way of it too.

use std::{future::pending, net::SocketAddr};

use rpc::transport::socks::SocksProxy;
use rpc_tests::soon;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What it does next.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Reads these bytes, and no others.
    Hears(Vec<u8>),
    /// Reads so many bytes, whichever they are.
    HearsAny(usize),
    Says(Vec<u8>),
    /// Closes the connection in good order.
    Closes,
    /// Resets the connection.
    Resets,
    /// Connects to this address, and passes on what comes from either side.
    Relays(SocketAddr),
    /// Says nothing more, and does not close.
    Idles,
}

pub(crate) fn hears(bytes: impl AsRef<[u8]>) -> Act {
    Act::Hears(bytes.as_ref().to_vec())
}

pub(crate) fn says(bytes: impl AsRef<[u8]>) -> Act {
    Act::Says(bytes.as_ref().to_vec())
}

/// What one of version 5 does that is asked for a name, and has connected to `addr` for it.
pub(crate) fn relays(name: &str, addr: SocketAddr) -> [Act; 6] {
    let length = u8::try_from(name.len()).expect("a short name");
    [
        hears([5, 1, 0]),
        says([5, 0]),
        // Behind the name comes the port.
        hears([&[5, 1, 0, 3, length][..], name.as_bytes()].concat()),
        Act::HearsAny(2),
        says([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        Act::Relays(addr),
    ]
}

/// A proxy for as many connections as it has scripts, one after another.
pub(crate) struct Script {
    pub(super) addr: SocketAddr,
    played: JoinHandle<Vec<Vec<u8>>>,
}

impl Script {
    pub(crate) async fn of<const N: usize>(acts: [Act; N]) -> Self {
        Self::each([acts.to_vec()]).await
    }

    pub(super) async fn each(scripts: impl IntoIterator<Item = Vec<Act>>) -> Self {
        let scripts: Vec<_> = scripts.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        let played = tokio::spawn(async move {
            let mut heard = Vec::new();
            for acts in scripts {
                let (mut io, _) = listener.accept().await.expect("somebody connects");
                heard.push(play(&mut io, acts).await);
            }
            heard
        });
        Self { addr, played }
    }

    /// The proxy that this is, by the scheme of its URL.
    pub(crate) fn proxy(&self, scheme: &str) -> SocksProxy {
        SocksProxy::new(&format!("{scheme}://{}", self.addr)).expect("a URL")
    }

    /// What it has heard over each connection. It has played to the end of all scripts, and everything was as told.
    pub(super) async fn played(self) -> Vec<Vec<u8>> {
        soon(self.played).await.expect("the other side keeps to the script")
    }
}

async fn play(io: &mut TcpStream, acts: Vec<Act>) -> Vec<u8> {
    let mut heard = Vec::new();
    for act in acts {
        match act {
            Act::Hears(expected) => {
                let mut bytes = vec![0; expected.len()];
                io.read_exact(&mut bytes).await.expect("the other side goes on");
                assert_eq!(bytes, expected, "the proxy heard something else");
                heard.extend(bytes);
            }
            Act::HearsAny(length) => {
                let mut bytes = vec![0; length];
                io.read_exact(&mut bytes).await.expect("the other side goes on");
                heard.extend(bytes);
            }
            Act::Says(bytes) => io.write_all(&bytes).await.expect("the other side is there"),
            Act::Closes => break,
            Act::Resets => io.set_zero_linger().expect("a socket"),
            Act::Relays(addr) => {
                let mut host = TcpStream::connect(addr).await.expect("the host listens");
                // Whichever side ends it.
                drop(copy_bidirectional(io, &mut host).await);
            }
            Act::Idles => pending().await,
        }
    }
    heard
}
