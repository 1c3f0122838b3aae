//! `tungstenite`, over a connection in memory.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use tungstenite::{
    Error, Message, WebSocket,
    error::ProtocolError::ResetWithoutClosingHandshake,
    protocol::{CloseFrame, Role, WebSocketConfig},
};

/// A connection whose other end is filled and emptied by hand.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// What comes, in pieces.
    pub(super) incoming: VecDeque<Vec<u8>>,
    /// Whether nothing comes behind that.
    pub(super) has_ended: bool,
    pub(super) written: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.incoming.front_mut() else {
            return if self.has_ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        };
        let size = piece.len().min(space.len());
        space[..size].copy_from_slice(&piece[..size]);
        piece.drain(..size);
        if piece.is_empty() {
            self.incoming.pop_front();
        }
        Ok(size)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One side of a WebSocket, with limits on a message and on a frame.
pub(super) fn library(is_server: bool, message: Option<usize>, frame: usize) -> WebSocket<Wire> {
    let role = if is_server { Role::Server } else { Role::Client };
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .max_message_size(message)
        .max_frame_size(Some(frame));
    WebSocket::from_raw_socket(Wire::default(), role, Some(config))
}

/// What the library says of something that came.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closed(Option<CloseFrame>),
    /// The stream has ended, where it may or not.
    Ended,
    /// The peer broke a rule, for which it is told this code.
    Broken(u16),
}

/// The next thing that the library says; `None` where it waits for more.
pub(super) fn next(library: &mut WebSocket<Wire>) -> Option<Said> {
    Some(match library.read() {
        Ok(Message::Text(text)) => Said::Message(text.as_bytes().to_vec()),
        Ok(Message::Binary(bytes)) => Said::Message(bytes.to_vec()),
        Ok(Message::Ping(bytes)) => Said::Ping(bytes.to_vec()),
        Ok(Message::Pong(bytes)) => Said::Pong(bytes.to_vec()),
        Ok(Message::Close(frame)) => Said::Closed(frame),
        Ok(Message::Frame(frame)) => panic!("a frame is not read: {frame}"),
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
        Err(Error::Protocol(ResetWithoutClosingHandshake) | Error::ConnectionClosed) => Said::Ended,
        Err(Error::Protocol(_)) => Said::Broken(1002),
        Err(Error::Utf8(_)) => Said::Broken(1007),
        Err(Error::Capacity(_)) => Said::Broken(1009),
        Err(error) => panic!("{error}"),
    })
}
