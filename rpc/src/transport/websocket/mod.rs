//! WebSocket: messages over a stream that began as a request of HTTP, as RFC 6455 has it.
//!
//! The frames are in `framing`. Here are the handshakes of both sides, over any stream of bytes, and what joins the frames to a session: its
//! framer, and the stream that control frames leave by.

pub(crate) mod accept;
mod by_hand;
mod connect;
mod error;
mod framer;
mod head;
mod notices;
mod options;
mod refusal;
mod stream;

use std::{io, sync::Arc};

pub(crate) use accept::handshake;
#[cfg(feature = "http")]
pub(crate) use accept::{Agreed, agree, is_asked_for, upgraded};
pub use by_hand::WebSocket;
pub use error::WebSocketError;
#[cfg(feature = "http")]
pub(crate) use head::of_session;
pub use options::{SubProtocol, WebSocketClient, WebSocketServer};
#[cfg(feature = "http")]
pub(crate) use refusal::Refusal;

use super::{Connection, ControlFrames, Net};
use crate::framing::websocket::{FrameReader, FrameWriter, Role};
use framer::WebSocketFramer;
use stream::WebSocketStream;

/// The client's handshake, as one of the steps of connecting.
pub(crate) async fn connect(
    connection: Connection,
    net: &Net,
    options: &WebSocketClient,
) -> io::Result<Connection> {
    let connected = connect::connect(connection, &net.told_authority(), &net.path, options).await;
    connected.map_err(io::Error::other)
}

/// What the handshake was made over, with frames. `read` is what came behind the peer's handshake.
fn open(connection: Connection, role: Role, read: Vec<u8>, binary: bool) -> Connection {
    let (control, writer) = (Arc::new(ControlFrames::default()), FrameWriter::new(role, binary));
    let stream = WebSocketStream::new(connection.io, writer, Arc::clone(&control));
    let framer = WebSocketFramer::new(FrameReader::new(role), writer, Arc::clone(&control));
    Connection {
        io: Box::new(stream),
        read,
        framer: Some(Box::new(framer)),
        control: Some(control),
        ..connection
    }
}
