//! The bytes of a connection, and the bodies of its answers, which say when they move.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    options::AnyBody,
    watch::{Sending, Watch},
};
use crate::transport::Io;
#[cfg(feature = "ws")]
use crate::transport::Plain;

/// The stream below, which hyper has, and which the task of the connection may ask about its peer. One
/// task does both: the lock is never waited for.
struct Shared {
    io: Mutex<Box<dyn Io>>,
    /// Whether hyper waits for something to read: then it is told what happens.
    is_awaited: AtomicBool,
}

impl Shared {
    fn io(&self) -> MutexGuard<'_, Box<dyn Io>> {
        self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the peer of a connection is gone.
pub(super) struct HangUp(Arc<Shared>);

impl HangUp {
    /// Comes before hyper's turn.
    pub(super) fn begin(&self) {
        self.0.is_awaited.store(false, Relaxed);
    }

    /// Ready when nothing reaches the peer any more, where hyper has had its turn and does not wait for
    /// bytes: it reads nothing while it has a request at hand and bytes of the next one.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.is_awaited.load(Relaxed) {
            true => Poll::Pending,
            false => self.0.io().poll_hang_up(cx),
        }
    }
}

/// A stream of bytes.
pub(super) struct Watched {
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    /// What the stream said of the bytes that have [left](Io::left) when it was last asked.
    left: u64,
    /// The watch was told that bytes wait, and not that they have left.
    is_keeping: bool,
    is_shut: bool,
}

impl Watched {
    pub(super) fn new(io: Box<dyn Io>, watch: Arc<Watch>) -> Self {
        let shared = Shared { io: Mutex::new(io), is_awaited: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), watch, left: 0, is_keeping: false, is_shut: false }
    }

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp(Arc::clone(&self.shared))
    }

    /// The stream itself, for what comes after HTTP.
    #[cfg(feature = "ws")]
    pub(super) fn into_inner(self) -> Box<dyn Io> {
        let nothing = Box::new(Plain::new(tokio::io::empty()));
        std::mem::replace(&mut *self.shared.io(), nothing)
    }

    /// Bytes wait, and the stream does not pass them on.
    fn keeps(&mut self) {
        let left = self.shared.io().left();
        self.watch.cannot_write(left != self.left);
        (self.left, self.is_keeping) = (left, true);
    }

    fn tell<'a>(
        &mut self,
        slices: impl IntoIterator<Item = &'a [u8]>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if bytes > 0 => self.watch.wrote(slices, bytes),
            Poll::Ready(_) => {}
            Poll::Pending => self.keeps(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut *self.shared.io()).poll_read(cx, buf);
        self.shared.is_awaited.store(read.is_pending(), Relaxed);
        if buf.filled().len() > before {
            self.watch.read(&buf.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.shared.io()).poll_write(cx, bytes);
        self.tell([bytes], written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.shared.io()).poll_write_vectored(cx, bytes);
        self.tell(bytes.iter().map(|slice| &**slice), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.shared.io().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.shared.io()).poll_flush(cx);
        match &flushed {
            Poll::Pending => self.keeps(),
            Poll::Ready(_) if self.is_keeping => {
                self.is_keeping = false;
                self.watch.flushed();
            }
            Poll::Ready(_) => {}
        }
        flushed
    }

    /// Closing a socket with unread bytes would have TCP throw away what the peer was told: where a request was refused unread, what still
    /// comes is read and forgotten.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut *self.shared.io()).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        if !self.watch.lingers() {
            return Poll::Ready(Ok(()));
        }
        let mut forgotten = [0; 4 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut forgotten);
            let read = Pin::new(&mut *self.shared.io()).poll_read(cx, &mut buf);
            self.shared.is_awaited.store(read.is_pending(), Relaxed);
            ready!(read)?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// The body of an answer.
pub(super) struct WatchedBody {
    body: AnyBody,
    _sending: Sending,
}

impl WatchedBody {
    pub(super) const fn new(body: AnyBody, sending: Sending) -> Self {
        Self { body, _sending: sending }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = <AnyBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
