//! Adapts streams of messages to byte streams, so that one session loop serves both.
//!
//! Between the loop and such a transport each message is preceded by its length. The lengths are
//! internal: they are removed before a message is sent, and added to a received one.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::framing::{AnyFramer, DeclaredBody, FrameError, Framed};

/// The length before each message: eight bytes, big-endian.
const PREFIX: usize = 8;

/// Larger buffers are not kept for the next write.
const LARGE: usize = 64 << 10;

/// The error type of a user's stream or sink.
type BoxError = Box<dyn Error + Send + Sync>;

/// A bidirectional channel of whole messages: `Stream<Item = Result<Bytes, E>> + Sink<Bytes>`. Any
/// error type that can be boxed will do.
///
/// Each item is one message without framing. A message over
/// [`Limits::frame_size`](crate::Limits::frame_size) is dropped and counted as an error, and a
/// request is answered, as in a byte stream. Messages that are ready together are sent together,
/// before one flush.
///
/// ```
/// use bytes::Bytes;
/// use futures::{StreamExt, channel::mpsc};
/// use rpc::{Connector, Context, ErrorObject, Params, Router, Server, transport::join_messages};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (to_server, from_client) = mpsc::channel::<Bytes>(16);
/// let (to_client, from_server) = mpsc::channel::<Bytes>(16);
/// // A channel of this kind does not fail to give what it has.
/// let of_server = join_messages(from_client.map(Ok::<_, mpsc::SendError>), to_client);
/// let of_client = join_messages(from_server.map(Ok::<_, mpsc::SendError>), to_server);
///
/// let router = Router::new().method("add", async |params: Params, _: Context| {
///     let (a, b): (i64, i64) = params.parse()?;
///     Ok::<_, ErrorObject>(a + b)
/// });
/// let server = Server::builder().service(router).build()?.start();
/// server.attach_messages(of_server);
/// let session = Connector::over_messages(of_client).connect().await?;
/// assert_eq!(session.call::<i64>("add", (1, 2)).await?, 3);
/// # Ok(()) }
/// ```
pub trait MessageChannel:
    Stream<Item = Result<Bytes, Self::ReadError>> + Sink<Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
    /// Error of the stream.
    type ReadError: Into<BoxError>;
}

impl<S, E> MessageChannel for S
where
    S: Stream<Item = Result<Bytes, E>> + Sink<Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    E: Into<BoxError>,
{
    type ReadError = E;
}

/// A stream and a sink of messages, joined by [`join_messages`].
#[derive(Debug)]
pub struct JoinedMessages<I, O> {
    stream: I,
    sink: O,
}

/// Joins a stream and a sink of messages: a [`MessageChannel`] if both are of
/// [`Bytes`](bytes::Bytes).
pub const fn join_messages<I, O>(stream: I, sink: O) -> JoinedMessages<I, O> {
    JoinedMessages { stream, sink }
}

impl<I: Stream + Unpin, O: Unpin> Stream for JoinedMessages<I, O> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Pin::new(&mut self.stream).poll_next(cx)
    }
}

impl<I: Unpin, O: Sink<M> + Unpin, M> Sink<M> for JoinedMessages<I, O> {
    type Error = O::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        Pin::new(&mut self.sink).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: M) -> Result<(), O::Error> {
        Pin::new(&mut self.sink).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        Pin::new(&mut self.sink).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), O::Error>> {
        Pin::new(&mut self.sink).poll_close(cx)
    }
}

/// The internal framing of a [`MessageStream`].
#[derive(Debug)]
pub(crate) struct MessageFramer {
    message: DeclaredBody,
}

impl MessageFramer {
    pub(crate) const fn new() -> Self {
        Self { message: DeclaredBody::new() }
    }
}

impl AnyFramer for MessageFramer {
    fn is_own(&self) -> bool {
        true
    }

    fn next(&mut self, unread: &mut [u8]) -> Result<Framed, FrameError> {
        if let Some(skipped) = self.message.skip(unread) {
            return Ok(skipped);
        }
        let Some(length) = unread.first_chunk::<PREFIX>() else {
            return Ok(Framed::Incomplete { consumed: 0 });
        };
        Ok(self.message.frame(unread, PREFIX, u64::from_be_bytes(*length)))
    }

    fn put_back(&mut self) {}

    fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; PREFIX]);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        let length = (out.len() - start - PREFIX) as u64;
        out[start..start + PREFIX].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.message.set_limit(bytes);
    }

    fn cloned(&self) -> Box<dyn AnyFramer> {
        Box::new(Self { message: self.message.clone() })
    }

    fn is_handshaken(&self) -> bool {
        true
    }
}

/// A message channel as a byte stream.
pub(crate) struct MessageStream<S> {
    messages: S,
    /// The unread part of the length of the last message.
    prefix: [u8; PREFIX],
    prefix_left: usize,
    /// The unread part of the last message.
    message: Bytes,
    /// End of the stream, or its error, found while reading ahead after a message.
    end: Option<io::Result<()>>,
    /// Outgoing messages are split off it.
    out: BytesMut,
}

impl<S> MessageStream<S> {
    pub(crate) fn new(messages: S) -> Self {
        Self {
            messages,
            prefix: [0; PREFIX],
            prefix_left: 0,
            message: Bytes::new(),
            end: None,
            out: BytesMut::new(),
        }
    }

    /// Copies as much of the last message as fits.
    fn fill(&mut self, buf: &mut ReadBuf<'_>) {
        let taken = self.prefix_left.min(buf.remaining());
        let start = PREFIX - self.prefix_left;
        buf.put_slice(&self.prefix[start..start + taken]);
        self.prefix_left -= taken;
        if self.prefix_left == 0 {
            let taken = self.message.len().min(buf.remaining());
            buf.put_slice(&self.message[..taken]);
            self.message.advance(taken);
            if self.message.is_empty() {
                // Releases its memory.
                self.message = Bytes::new();
            }
        }
    }

    const fn has_rest(&self) -> bool {
        self.prefix_left > 0 || !self.message.is_empty()
    }
}

impl<S, E> AsyncRead for MessageStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<BoxError>,
{
    /// Reads as many messages as are ready and fit.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        loop {
            if this.has_rest() {
                this.fill(buf);
            }
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let is_first = buf.filled().len() == before;
            let end: io::Result<()> = match this.end.take() {
                Some(end) => end,
                None => match Pin::new(&mut this.messages).poll_next(cx) {
                    Poll::Pending if is_first => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(())),
                    Poll::Ready(Some(Ok(message))) => {
                        this.prefix = (message.len() as u64).to_be_bytes();
                        this.prefix_left = PREFIX;
                        this.message = message;
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => Err(io_error(error)),
                    Poll::Ready(None) => Ok(()),
                },
            };
            if is_first {
                // An ended stream must not be polled again, so its end is remembered for the next
                // read.
                this.end = Some(Ok(()));
                return Poll::Ready(end);
            }
            this.end = Some(end);
            return Poll::Ready(Ok(()));
        }
    }
}

impl<S> AsyncWrite for MessageStream<S>
where
    S: Sink<Bytes, Error: Into<BoxError>> + Unpin,
{
    /// Accepts whole messages only, never a part of one, and flushes them together.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let mut taken = 0;
        while let Some((length, rest)) = buf[taken..].split_first_chunk::<PREFIX>() {
            let length = usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let Some(message) = rest.get(..length) else { break };
            match Pin::new(&mut this.messages).poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(io_error(error))),
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
            this.out.extend_from_slice(message);
            let message = this.out.split().freeze();
            Pin::new(&mut this.messages).start_send(message).map_err(io_error)?;
            taken += PREFIX + length;
        }
        if this.out.capacity() > LARGE {
            this.out = BytesMut::new();
        }
        if taken == 0 {
            let error = "whole messages are written here, each behind its length";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, error)));
        }
        match Pin::new(&mut this.messages).poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(io_error(error))),
            // The session awaits completion with `poll_flush`.
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.messages).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.messages).poll_close(cx).map_err(io_error)
    }
}

/// An I/O error is passed through.
fn io_error(error: impl Into<BoxError>) -> io::Error {
    let error: BoxError = error.into();
    match error.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(error) => io::Error::other(error),
    }
}

impl<S> fmt::Debug for MessageStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream").finish_non_exhaustive()
    }
}
