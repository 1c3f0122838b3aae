//! WebSocket: messages over a stream that began as a request of HTTP, as RFC 6455 has it.
//!
//! The frames are in `framing`. Here are the handshakes of both sides, over any stream of bytes, and what joins the frames to a session: its
//! framer, and the stream that control frames leave by.

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

/// The client's handshake, as one of the steps of connecting.
pub(crate) async fn connect(
    connection: Connection,
    net: &Net,
    options: &WebSocketClient,
) -> io::Result<Connection> {
    let connected = connect::connect(connection, &net.told_authority(), &net.path, options).await;
    connected.map_err(io::Error::other)
}

/// A WebSocket over a stream of yours: a Unix socket, a channel of SSH, a connection that some other part of the program has accepted. For TCP there are
/// the URLs `ws://` and `wss://`.
///
/// ```
/// use rpc::{Connector, Endpoint, Server, transport::websocket::{WebSocket, WebSocketClient, WebSocketServer}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().service(()).build()?.start();
/// let (here, there) = rpc::transport::memory(4096);
/// let accepting = tokio::spawn(async move {
///     Ok::<_, std::io::Error>(server.attach_websocket(WebSocket::accept(there, &WebSocketServer::new()).await?))
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
    /// Makes the client's handshake over `io`. The URL says what the request asks for, and which `Host` it names.
    ///
    /// There is no limit on the time: see [`tokio::time::timeout`]. Cancel safe: dropping the future drops the stream.
    ///
    /// # Errors
    ///
    /// Where the server does not want to, or is none of WebSocket's.
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

    /// Makes the server's handshake over `io`. Every path is served, and no `Host` is asked for a name of this machine's: who reaches a stream
    /// of yours is for you to know.
    ///
    /// There is no limit on the time: see [`tokio::time::timeout`]. Cancel safe: dropping the future drops the stream.
    ///
    /// # Errors
    ///
    /// Where what comes is no request for a WebSocket, or not one that `options` let in: it was answered, and the error says how.
    pub async fn accept(io: impl ByteStream, options: &WebSocketServer) -> io::Result<Self> {
        let connection = Connection::new(io, Endpoint::MEMORY);
        Ok(Self(accept::accept(connection, options, None).await?))
    }
}
