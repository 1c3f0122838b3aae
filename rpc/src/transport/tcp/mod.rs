//! TCP.

use std::io;

use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};

use super::{Connection, Endpoint, Net, Socket};

/// Connects to the first address of the host that answers.
pub(crate) async fn connect(net: &Net) -> io::Result<TcpStream> {
    prepared(TcpStream::connect((net.host.to_string(), net.port)).await?)
}

#[derive(Debug)]
struct TcpSocket {
    listener: TcpListener,
    /// Whose scheme the peers' endpoints have.
    endpoint: Endpoint,
}

/// Listens at the first address of the host that can be bound. Gives the endpoint with the address and the port that it has become.
pub(crate) async fn listen(endpoint: &Endpoint, net: &Net) -> io::Result<(Box<dyn Socket>, Endpoint)> {
    let listener = TcpListener::bind((net.host.to_string(), net.port)).await?;
    let endpoint = endpoint.at(listener.local_addr()?);
    Ok((Box::new(TcpSocket { listener, endpoint: endpoint.clone() }), endpoint))
}

impl Socket for TcpSocket {
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>> {
        Box::pin(async {
            let (stream, peer) = self.listener.accept().await?;
            // What is wrong with this one is wrong with no other.
            let stream =
                prepared(stream).map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error))?;
            Ok(Some(Connection::new(stream, self.endpoint.of_peer(peer))))
        })
    }
}

/// Messages are gathered before they are written: the kernel has no reason to hold them back.
fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}
