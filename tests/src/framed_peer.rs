//! A peer played by hand, over any framing.

use std::time::Duration;

use rpc::framing::{Framed, Framer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};

use crate::frames::framed;

/// The other end of a session, in memory. For paused time.
#[derive(Debug)]
pub struct FramedPeer<F> {
    io: DuplexStream,
    framer: F,
    unread: Vec<u8>,
}

impl<F: Framer> FramedPeer<F> {
    /// At the end of `io`.
    pub fn new(io: DuplexStream, framer: F) -> Self {
        Self { io, framer, unread: Vec::new() }
    }

    /// A message as it stands on the wire.
    pub fn framed(&self, message: &str) -> Vec<u8> {
        framed(&self.framer, &[message])
    }

    /// Sends bytes as they are, in pieces that are read one by one.
    pub async fn write(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            // A session that has ended takes no more.
            if self.io.write_all(piece).await.is_err() {
                return;
            }
            crate::settled().await;
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &str) {
        let bytes = self.framed(message);
        self.write(&bytes, usize::MAX).await;
    }

    /// The next message; `None` at the end of the stream.
    pub async fn message(&mut self) -> Option<String> {
        let patience = Duration::from_secs(100 * 3600);
        loop {
            let given = match self.unread.is_empty() {
                true => Framed::Incomplete { consumed: 0 },
                false => self.framer.next(&self.unread).expect("what is sent makes sense"),
            };
            let (message, consumed) = match given {
                Framed::Frame { frame, consumed } => (Some(self.unread[frame].to_vec()), consumed),
                Framed::Decoded { frame, consumed } => (Some(frame.to_vec()), consumed),
                Framed::Between { consumed } | Framed::Incomplete { consumed } => (None, consumed),
                other => panic!("without a limit: {other:?}"),
            };
            self.unread.drain(..consumed);
            if let Some(message) = message {
                return Some(String::from_utf8(message).expect("what is sent is UTF-8"));
            }
            if consumed == 0 || self.unread.is_empty() {
                let read = timeout(patience, self.io.read_buf(&mut self.unread)).await;
                if read.expect("something arrives").unwrap_or(0) == 0 {
                    assert!(self.unread.len() < 2, "the stream ends within a message");
                    return None;
                }
            }
        }
    }

    /// Nothing comes, however long one waits.
    pub async fn expect_silence(&mut self) {
        if let Ok(message) = timeout(Duration::from_millis(500), self.message()).await {
            panic!("not silent: {message:?}");
        }
    }

    /// Ends this direction; the other one stays open.
    pub async fn finish(&mut self) {
        self.io.shutdown().await.expect("the session is there");
    }
}
