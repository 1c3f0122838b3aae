//! A connection before it is given to a session, the stream of bytes that it goes over, and what accepts and agrees on one.
//!
//! A stream also tells that its peer is gone while nothing is read from it.

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

/// Anything that bytes can be read from and written to.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// A stream of bytes that may be asked whether its peer is gone, without being read.
///
/// A session stops reading where it has enough to do. A socket whose peer has reset it says so to
/// those alone who read or write; so it has to be asked.
pub(crate) trait Io: ByteStream {
    /// Whether it can be asked. If not, what there is is read ahead, within bounds.
    fn reports_hang_up(&self) -> bool {
        false
    }

    /// Ready when nothing reaches the peer any more: with an error where the connection was reset,
    /// and without one where the peer has closed both directions. Half a close is none: many peers
    /// close their side after their last request.
    ///
    /// The task that asks must be the one that reads: it is woken in the same way. It may be asked
    /// again afterwards, and read from in between.
    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Pending
    }

    /// Ready when the peer has begun to speak, or has gone: with whether it has sent anything. A stream
    /// that cannot tell says so at once. Nothing is read; asked before the first byte is, by the task
    /// that reads.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let _ = cx;
        Poll::Ready(true)
    }

    /// The session is about to end: only what is on its way already is still written. Said again whenever the loop runs
    /// meanwhile.
    fn closes(&mut self) {}

    /// A number that grows whenever bytes have gone on towards the peer. Those that are only kept,
    /// as TLS keeps what its socket does not take, do not count: a peer that reads nothing makes a
    /// stream that still takes bytes for a while.
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

/// A stream of which nothing more is known: the user's, a pipe, memory.
#[derive(Debug)]
pub(crate) struct Plain<T> {
    io: T,
    left: u64,
    /// It has said that it keeps bytes. What it takes now it may keep, too.
    is_buffering: bool,
}

impl<T> Plain<T> {
    pub(crate) const fn new(io: T) -> Self {
        Self { io, left: 0, is_buffering: false }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if !self.is_buffering => self.left += bytes as u64,
            Poll::Ready(_) => {}
            // It is full: when it takes something again, something has left.
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
        self.wrote(written)
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
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// A connection that was made, and not yet given to a session.
pub(crate) struct Connection {
    pub(crate) io: Box<dyn Io>,
    /// What was read of it already, behind a handshake.
    pub(crate) read: Vec<u8>,
    pub(crate) peer: Endpoint,
    /// What is known of it besides: credentials, certificates, headers.
    pub(crate) extensions: Extensions,
    /// How messages are told apart, where the session's settings do not say: what carries messages brings its own.
    pub(crate) framer: Option<Box<dyn AnyFramer>>,
    /// Where the transport has control frames.
    pub(crate) control: Option<Arc<ControlFrames>>,
    pub(crate) takes: Takes,
}

/// What the peer has said in a handshake that it takes, besides what every peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Takes {
    /// Notices of its subscriptions.
    pub(crate) notices: bool,
    /// That calls to it are taken back.
    pub(crate) cancel: bool,
    /// That it is told when this side shuts down.
    pub(crate) closing: bool,
}

impl Connection {
    pub(crate) fn new(io: impl ByteStream, peer: Endpoint) -> Self {
        Self::over(Plain::new(io), peer)
    }

    /// Over what may be able to tell that the peer is gone.
    pub(crate) fn over(io: impl Io, peer: Endpoint) -> Self {
        // It is shown wherever the session is.
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

    /// Over a socket, of a system that is not known to tell that the peer is gone.
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

/// What peers arrive at.
pub(crate) trait Socket: fmt::Debug + Send + Sync + 'static {
    /// The next peer, before any handshake. `None` where nobody will come any more. Cancel safe.
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>>;
}

/// What has to be agreed on with a peer that has arrived before the first message: TLS, WebSocket.
pub(crate) trait Handshake: fmt::Debug + Send + Sync + 'static {
    /// Turns what was accepted into what messages go over. It has as long as
    /// [`Limits::handshake_timeout`](crate::Limits::handshake_timeout), and is dropped then.
    fn shake(&self, connection: Connection) -> BoxFuture<'static, io::Result<Connection>>;

    /// Tells a peer `error` for whom there is no place, in answer to what it asks, and gives nothing; or, where the handshake has no
    /// words for that, goes through it, and gives what comes behind it. Waits no longer than it is let.
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

/// What a peer has asked for was understood, and refused: it has cost less than what cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RefusedHandshake(pub(crate) String);

/// The peer speaks another protocol, and the log has that.
#[cfg(feature = "ws")]
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ForeignHandshake(pub(crate) String);

/// What is said of a scheme that this crate was built without.
pub(crate) fn built_without(feature: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("`rpc` was built without its feature `{feature}`"))
}

/// The same of Unix sockets, which not every system has.
#[cfg(not(all(unix, feature = "unix")))]
pub(crate) fn without_unix() -> io::Error {
    match cfg!(unix) {
        true => built_without("unix"),
        false => io::Error::new(io::ErrorKind::Unsupported, "this system is not known to have Unix sockets"),
    }
}
