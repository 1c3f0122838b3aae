//! What a peer has said first, for the error of a handshake that has failed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::{ByteStream, Foreign, Io, Start};

/// A stream that keeps the first bytes that are read from it.
#[derive(Debug)]
pub(super) struct FirstBytes<IO> {
    io: IO,
    start: Start,
}

impl<IO> FirstBytes<IO> {
    pub(super) const fn new(io: IO) -> Self {
        Self { io, start: Start::new() }
    }

    /// What they look like.
    pub(super) fn seen(&self) -> Foreign {
        self.start.seen()
    }

    pub(super) fn into_inner(self) -> IO {
        self.io
    }
}

impl<IO: ByteStream> AsyncRead for FirstBytes<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        if !this.start.is_full() {
            this.start.add(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: ByteStream> AsyncWrite for FirstBytes<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: Io> Io for FirstBytes<IO> {
    fn reports_hang_up(&self) -> bool {
        self.io.reports_hang_up()
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_hang_up(cx)
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.io.poll_begun(cx)
    }

    fn closes(&mut self) {
        self.io.closes();
    }

    fn left(&self) -> u64 {
        self.io.left()
    }
}
