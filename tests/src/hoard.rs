//! A stream that keeps bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// A stream that takes what it cannot pass on yet, as TLS does: up to 64 KiB.
#[derive(Debug)]
pub struct Hoard {
    io: DuplexStream,
    kept: Vec<u8>,
}

impl Hoard {
    /// Over `io`, and empty.
    pub const fn new(io: DuplexStream) -> Self {
        Self { io, kept: Vec::new() }
    }

    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let passed = ready!(Pin::new(&mut self.io).poll_write(cx, &self.kept))?;
            self.kept.drain(..passed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Hoard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Hoard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let passed = self.poll_pass_on(cx)?;
        let taken = bytes.len().min((64 << 10) - self.kept.len());
        if taken == 0 && passed.is_pending() {
            return Poll::Pending;
        }
        self.kept.extend_from_slice(&bytes[..taken]);
        let _may_wait = self.poll_pass_on(cx)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_pass_on(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
