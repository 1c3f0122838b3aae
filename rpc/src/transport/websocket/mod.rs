//! WebSocket (RFC 6455): messages over a stream that starts as an HTTP request.
//!
//! The frames are in `framing`. This module has the handshakes of both sides, over any byte stream,
//! and the adapters between frames and a session: its framer, and the stream that sends control
//! frames.

mod accept;
mod connect;
mod head;
mod options;
mod stream;

use std::io;

use super::{ByteStream, Connection, Endpoint, Kind, Net};
pub(crate) use accept::handshake;
#[cfg(feature = "http")]
pub(crate) use accept::{Agreed, agree, is_asked_for, upgraded};
#[cfg(feature = "http")]
pub(crate) use head::{Refusal, of_session};
pub use options::{SubProtocol, WebSocketClient, WebSocketError, WebSocketServer};

/// Performs the client's handshake, as a step of connecting.
pub(crate) async fn connect(
    connection: Connection,
    net: &Net,
    options: &WebSocketClient,
) -> io::Result<Connection> {
    let connected = connect::connect(connection, &net.told_authority(), &net.path, options).await;
    connected.map_err(io::Error::other)
}

/// A WebSocket over a user-supplied stream: a Unix socket, an SSH channel, a connection accepted
/// elsewhere in the program. Over TCP, use the URLs `ws://` and `wss://`.
///
/// ```
/// use rpc::transport::websocket::{WebSocket, WebSocketClient, WebSocketServer};
/// use rpc::{Connector, Endpoint, Server};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().service(()).build()?.start();
/// let (here, there) = rpc::transport::memory(4096);
/// let accepting = tokio::spawn(async move {
///     let websocket = WebSocket::accept(there, &WebSocketServer::new()).await?;
///     Ok::<_, std::io::Error>(server.attach_websocket(websocket))
/// });
///
/// let url: Endpoint = "ws://localhost/v1".parse()?;
/// let websocket = WebSocket::connect(here, &url, &WebSocketClient::new()).await?;
/// let session = Connector::over_websocket(websocket).connect().await?;
/// # let _ = session;
/// # accepting.await??;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WebSocket(pub(crate) Connection);

impl WebSocket {
    /// Performs the client's handshake over `io`. The URL provides the request target and the
    /// `Host`.
    ///
    /// Without a time limit: see [`tokio::time::timeout`]. Cancel safe: dropping the future drops
    /// the stream.
    ///
    /// # Errors
    ///
    /// When the server refuses, or is not a WebSocket server.
    pub async fn connect(
        io: impl ByteStream,
        url: &Endpoint,
        options: &WebSocketClient,
    ) -> Result<Self, WebSocketError> {
        let (host, target) = match url.kind() {
            Kind::Net(net) => (net.told_authority(), &*net.path),
            _ => ("localhost".to_owned(), "/"),
        };
        let connection = Connection::new(io, url.clone());
        Ok(Self(connect::connect(connection, &host, target, options).await?))
    }

    /// Performs the server's handshake over `io`. Every path is served, and every `Host` is
    /// accepted: the application knows who can reach its stream.
    ///
    /// Without a time limit: see [`tokio::time::timeout`]. Cancel safe: dropping the future drops
    /// the stream.
    ///
    /// # Errors
    ///
    /// When the request does not ask for a WebSocket, or `options` deny it: it was answered, and
    /// the error contains the answer.
    pub async fn accept(io: impl ByteStream, options: &WebSocketServer) -> io::Result<Self> {
        let connection = Connection::new(io, Endpoint::MEMORY);
        Ok(Self(accept::accept(connection, options, None).await?))
    }
}
