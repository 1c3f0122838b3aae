//! The stream below a WebSocket, as the library wants it: `Read` and `Write` that say `WouldBlock`.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::ByteStream;

/// Reading and writing are one task's: one waker does for both.
pub(super) struct Adapter {
    io: Box<dyn ByteStream>,
    waker: Waker,
    /// How many bytes have come.
    received: u64,
}

impl Adapter {
    pub(super) fn new(io: Box<dyn ByteStream>) -> Self {
        Self { io, waker: Waker::noop().clone(), received: 0 }
    }

    /// Whom to wake when there is more to read, or to write to.
    pub(super) fn wakes(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }

    /// How many bytes have come since this was asked the last time.
    pub(super) const fn take_received(&mut self) -> u64 {
        std::mem::replace(&mut self.received, 0)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Reads for nothing. Ready when there is no more to come.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        loop {
            let mut space = ReadBuf::new(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut space) {
                Poll::Ready(Ok(())) if !space.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut Box<dyn ByteStream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        match poll(Pin::new(&mut self.io), &mut Context::from_waker(&self.waker)) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Adapter {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut space = ReadBuf::new(space);
        self.poll(|io, cx| io.poll_read(cx, &mut space))?;
        let read = space.filled().len();
        self.received += read as u64;
        Ok(read)
    }
}

impl Write for Adapter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.poll(|io, cx| io.poll_write(cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.poll(|io, cx| io.poll_flush(cx))
    }
}
