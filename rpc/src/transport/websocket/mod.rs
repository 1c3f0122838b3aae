//! WebSocket: messages over a stream that began as a request of HTTP, as RFC 6455 has it.
//!
//! The frames are `tungstenite`'s. Here are the handshakes of both sides, over any stream of bytes, and what a session needs besides:
//! limits that may change, pings, and why the connection has ended.

pub(crate) mod accept;
mod adapter;
mod by_hand;
mod connect;
mod cut;
mod ending;
mod error;
mod head;
mod notices;
mod options;
mod refusal;
mod socket;

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
};

use tungstenite::protocol::Role;

pub(crate) use accept::handshake;
#[cfg(feature = "http")]
pub(crate) use accept::{Agreed, agree, is_asked_for, upgraded};
pub use by_hand::WebSocket;
pub use error::WebSocketError;
pub use options::{SubProtocol, WebSocketClient, WebSocketServer};
#[cfg(feature = "http")]
pub(crate) use refusal::Refusal;

use super::{Connection, Control, Io, MessageFramer, MessageLimit, MessageStream, Net};
use socket::Socket;

/// The client's handshake, as one of the steps of connecting.
pub(crate) async fn connect(
    connection: Connection,
    net: &Net,
    options: &WebSocketClient,
) -> io::Result<Connection> {
    let connected = connect::connect(connection, &net.told_authority(), &net.path, options).await;
    connected.map_err(io::Error::other)
}

/// What is below is asked.
impl Io for MessageStream<Socket> {
    fn reports_hang_up(&self) -> bool {
        self.get_ref().io().reports_hang_up()
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io_mut().poll_hang_up(cx)
    }

    fn left(&self) -> u64 {
        self.get_ref().io().left()
    }
}

/// Messages over what the handshake was made over. `read` is what came behind the peer's handshake.
fn open(connection: Connection, role: Role, read: Vec<u8>, binary: bool) -> Connection {
    let (limit, control) = (MessageLimit::default(), Arc::new(Control::default()));
    let socket = Socket::new(connection.io, role, read, binary, limit.clone(), Arc::clone(&control));
    Connection {
        io: Box::new(MessageStream::new(socket)),
        framer: Some(Box::new(MessageFramer::new(limit))),
        control: Some(control),
        ..connection
    }
}
