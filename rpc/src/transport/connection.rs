//! Connections before a session takes them over: their I/O, and the traits for accepting and
//! handshakes.
//!
//! The I/O can also report that the peer is gone while nothing is read from it.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    control::ControlFrames,
    endpoint::Endpoint,
    extensions::Extensions,
    messages::{MessageChannel, MessageFramer, MessageStream},
};
use crate::{framing::AnyFramer, jsonrpc::ErrorObject};

/// Any bidirectional byte stream.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// A byte stream that may report that its peer is gone without being read.
///
/// A session under back-pressure stops reading. A socket reports a reset only to reads and writes,
/// so it has to be polled separately.
pub(crate) trait Io: ByteStream {
    /// Whether [`poll_hang_up`](Self::poll_hang_up) reports anything. If not, the session reads
    /// ahead within bounds.
    fn reports_hang_up(&self) -> bool {
        false
    }

    /// Ready when nothing can reach the peer any more: with an error if the connection was reset,
    /// without one if the peer has closed both directions. A half-close does not count: many peers
    /// close their side after their last request.
    ///
    /// Must be polled by the task that reads, as both share a waker. It may be polled again later,
    /// with reads in between.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Pending
    }

    /// Ready when the first bytes have arrived or the peer is gone; true if there are bytes. A
    /// stream that cannot tell is ready at once. Nothing is read. To be polled by the reading task
    /// before its first read.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let _ = cx;
        Poll::Ready(true)
    }

    /// The session is about to end: only bytes already in flight are still written. Called on every
    /// turn of the session's loop until then.
    fn closes(&mut self) {}

    /// A counter that grows whenever bytes progress towards the peer. Bytes that are only buffered,
    /// as TLS does with what its socket does not take, do not count: a stream goes on accepting
    /// bytes for a while although the peer reads nothing.
    fn left(&self) -> u64;
}

impl Io for Box<dyn Io> {
    fn reports_hang_up(&self) -> bool {
        (**self).reports_hang_up()
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_hang_up(cx)
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        (**self).poll_begun(cx)
    }

    fn closes(&mut self) {
        (**self).closes();
    }

    fn left(&self) -> u64 {
        (**self).left()
    }
}

/// I/O without further information: a user's stream, a pipe, memory.
#[derive(Debug)]
pub(crate) struct Plain<T> {
    io: T,
    left: u64,
    /// The stream is buffering bytes, and may buffer what it accepts now.
    is_buffering: bool,
}

impl<T> Plain<T> {
    pub(crate) const fn new(io: T) -> Self {
        Self { io, left: 0, is_buffering: false }
    }

    fn count_written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if !self.is_buffering => self.left += bytes as u64,
            Poll::Ready(_) => {}
            // The buffer is full: once it accepts bytes again, some have progressed.
            Poll::Pending => self.is_buffering = false,
        }
        written
    }
}

impl<T: ByteStream> Io for Plain<T> {
    fn left(&self) -> u64 {
        self.left
    }
}

impl<T: ByteStream> AsyncRead for Plain<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: ByteStream> AsyncWrite for Plain<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.count_written(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.is_buffering = flushed.is_pending();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.count_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// A connection that no session has taken over yet.
pub(crate) struct Connection {
    pub(crate) io: Box<dyn Io>,
    /// Bytes already read, which followed a handshake.
    pub(crate) read: Vec<u8>,
    pub(crate) peer: Endpoint,
    /// Facts about the peer: credentials, certificates, headers.
    pub(crate) extensions: Extensions,
    /// The framing, if the transport determines it. Otherwise the session's settings do.
    pub(crate) framer: Option<Box<dyn AnyFramer>>,
    /// Control frames, for a transport that has them.
    pub(crate) control: Option<Arc<ControlFrames>>,
    pub(crate) takes: Takes,
}

/// Optional notifications that the peer has announced support for in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Takes {
    /// Subscription notices.
    pub(crate) notices: bool,
    /// Cancellation of calls.
    pub(crate) cancel: bool,
    /// The notice that this side is shutting down.
    pub(crate) closing: bool,
}

impl Connection {
    pub(crate) fn new(io: impl ByteStream, peer: Endpoint) -> Self {
        Self::over(Plain::new(io), peer)
    }

    /// Over I/O that may report that the peer is gone.
    pub(crate) fn over(io: impl Io, peer: Endpoint) -> Self {
        // The peer is shown wherever the session is.
        let peer = peer.redacted();
        Self {
            io: Box::new(io),
            read: Vec::new(),
            peer,
            extensions: Extensions::default(),
            framer: None,
            control: None,
            takes: Takes::default(),
        }
    }

    /// Over a socket, on a system where a hang-up is not detected.
    #[cfg(all(not(unix), feature = "tcp"))]
    pub(crate) fn over_socket(socket: impl ByteStream, peer: Endpoint) -> Self {
        Self::new(socket, peer)
    }

    /// Over a stream and sink of messages.
    pub(crate) fn of_messages(messages: impl MessageChannel, peer: Endpoint) -> Self {
        let framer = MessageFramer::new();
        let connection = Self::new(MessageStream::new(messages), peer);
        Self { framer: Some(Box::new(framer)), ..connection }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// A listening socket.
pub(crate) trait Socket: fmt::Debug + Send + Sync + 'static {
    /// Accepts the next peer, before any handshake. `None` when no more will come. Cancel safe.
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>>;
}

/// A handshake with an accepted peer before the first message: TLS, WebSocket.
pub(crate) trait Handshake: fmt::Debug + Send + Sync + 'static {
    /// Turns the accepted connection into one that carries messages. The future is dropped after
    /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout).
    fn shake(&self, connection: Connection) -> BoxFuture<'static, io::Result<Connection>>;

    /// Refuses a peer for lack of capacity. Answers its request with `error` and returns `None`;
    /// or, if the handshake cannot express errors, completes it and returns the connection. The
    /// caller limits the time.
    fn refuse<'a>(
        &'a self,
        connection: Connection,
        error: &'a ErrorObject,
    ) -> BoxFuture<'a, io::Result<Option<Connection>>> {
        let _ = error;
        let shaken = self.shake(connection);
        Box::pin(async { shaken.await.map(Some) })
    }
}

/// The peer's request was understood and refused. It is charged less than unreadable input.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RefusedHandshake(pub(crate) String);

/// The peer speaks another protocol, and this has been logged.
#[cfg(feature = "ws")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ForeignHandshake(pub(crate) String);

/// The error for a scheme whose feature is not enabled.
pub(crate) fn built_without(feature: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("`rpc` was built without its feature `{feature}`"))
}

/// The same for Unix sockets, which some systems lack.
#[cfg(not(all(unix, feature = "unix")))]
pub(crate) fn without_unix() -> io::Error {
    match cfg!(unix) {
        true => built_without("unix"),
        false => io::Error::new(io::ErrorKind::Unsupported, "this system is not known to have Unix sockets"),
    }
}
