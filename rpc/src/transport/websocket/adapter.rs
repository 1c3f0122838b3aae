//! The stream below a WebSocket, as the library wants it: `Read` and `Write` that say `WouldBlock`.

use std::{
    cell::Cell,
    io::{self, Read, Write},
    ops::Range,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::cut::Cutter;
use crate::transport::Io;

/// How much is read from the stream at once. The library reads less at a time, because it clears what it reads into.
const CHUNK: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reading and writing are one task's: one waker does for both.
pub(super) struct Adapter {
    io: Box<dyn Io>,
    waker: Waker,
    /// The thread's buffer, as long as there is something in it that was not asked for.
    buffer: Vec<u8>,
    unread: Range<usize>,
    cutter: Cutter,
    /// How many bytes have come.
    received: u64,
}

impl Adapter {
    /// `read` is what was read of the stream already.
    pub(super) fn new(io: Box<dyn Io>, read: Vec<u8>) -> Self {
        let (waker, unread) = (Waker::noop().clone(), 0..read.len());
        Self { io, waker, buffer: read, unread, cutter: Cutter::new(), received: 0 }
    }

    /// The size in bytes over which a frame is refused.
    pub(super) const fn set_limit(&mut self, bytes: usize) {
        self.cutter.set_limit(bytes);
    }

    /// Whom to wake when there is more to read, or to write to.
    pub(super) fn wakes(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }

    /// How many bytes have come since this was asked the last time.
    pub(super) const fn take_received(&mut self) -> u64 {
        std::mem::replace(&mut self.received, 0)
    }

    /// The stream below.
    pub(super) const fn io(&self) -> &dyn Io {
        &*self.io
    }

    pub(super) const fn io_mut(&mut self) -> &mut dyn Io {
        &mut *self.io
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

    /// Reads once.
    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = BUFFER.take();
        buffer.resize(CHUNK, 0);
        let mut space = ReadBuf::new(&mut buffer);
        let outcome = self.poll(|io, cx| io.poll_read(cx, &mut space));
        let read = space.filled().len();
        if outcome.is_err() {
            BUFFER.set(buffer);
            return outcome;
        }
        self.received += read as u64;
        (self.buffer, self.unread) = (buffer, 0..read);
        Ok(())
    }

    fn poll<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut Box<dyn Io>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        match poll(Pin::new(&mut self.io), &mut Context::from_waker(&self.waker)) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Read for Adapter {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.unread.is_empty() {
                self.fill()?;
                if self.unread.is_empty() {
                    BUFFER.set(std::mem::take(&mut self.buffer));
                    return Ok(0);
                }
            }
            let (taken, given) = self.cutter.pass(&self.buffer[self.unread.clone()], space);
            self.unread.start += taken;
            if self.unread.is_empty() {
                BUFFER.set(std::mem::take(&mut self.buffer));
            }
            // There may be no more than the beginning of a head.
            if given > 0 || space.is_empty() {
                return Ok(given);
            }
        }
    }
}

impl Write for Adapter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.poll(|io, cx| io.poll_write(cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.poll(AsyncWrite::poll_flush)
    }
}
