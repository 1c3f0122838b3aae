//! What stands between a client and a server of TCP, and can break the connection as networks do.

use std::net::SocketAddr;

use rpc::Endpoint;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes the bytes of one connection on, whatever they are: those of TLS and WebSocket, too.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    does: watch::Sender<Does>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    Pass,
    EndStream,
    Reset,
}

impl Relay {
    /// Stands before the server that listens at `endpoint`.
    pub async fn before(endpoint: &Endpoint) -> Self {
        let server = endpoint.socket_addr().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let addr = listener.local_addr().expect("it has one");
        let (does, told) = watch::channel(Does::Pass);
        let task = tokio::spawn(async move {
            let (client, _) = listener.accept().await.expect("a client");
            let server = TcpStream::connect(server).await.expect("the server listens");
            pass(client, server, told).await;
        });
        Self { addr, does, task }
    }

    /// The port to connect to.
    pub const fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The server sees the client's end of the stream; the other direction stays open.
    pub fn end_stream(&self) {
        self.does.send_replace(Does::EndStream);
    }

    /// The server's connection is reset.
    pub async fn reset(self) {
        self.does.send_replace(Does::Reset);
        self.task.await.expect("no panic");
    }
}

async fn pass(client: TcpStream, server: TcpStream, mut told: watch::Receiver<Does>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut until_reset = told.clone();
    let up = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            tokio::select! {
                read = from_client.read(&mut bytes) => match read {
                    Ok(read @ 1..) => to_server.write_all(&bytes[..read]).await.expect("the server is there"),
                    _ => break,
                },
                () = reaches(&mut told, Does::EndStream) => break,
            }
        }
        to_server.shutdown().await.ok();
        std::future::pending::<()>().await;
    };
    let down = async {
        copy(&mut from_server, &mut to_client).await.ok();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        () = reaches(&mut until_reset, Does::Reset) => {}
    }
    reset(&from_server.reunite(to_server).expect("they belong together"));
}

async fn reaches(told: &mut watch::Receiver<Does>, what: Does) {
    if told.wait_for(|does| *does >= what).await.is_err() {
        // The test has dropped it.
        std::future::pending::<()>().await;
    }
}

/// Has a connection be reset when it is dropped.
pub fn reset(stream: &TcpStream) {
    stream.set_zero_linger().expect("a socket");
}
