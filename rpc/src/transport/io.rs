//! The streams of bytes that sessions go over, and how a peer that is gone is noticed while nothing
//! is read from it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
    is_keeping: bool,
}

impl<T> Plain<T> {
    pub(crate) const fn new(io: T) -> Self {
        Self { io, left: 0, is_keeping: false }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if !self.is_keeping => self.left += bytes as u64,
            Poll::Ready(_) => {}
            // It is full: when it takes something again, something has left.
            Poll::Pending => self.is_keeping = false,
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
        self.is_keeping = flushed.is_pending();
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
