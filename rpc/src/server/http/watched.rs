//! The bytes of a connection, and the bodies of its answers, which say when they move.

use std::{
    io,
    pin::Pin,
    sync::Arc,
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

/// A stream of bytes.
pub(super) struct Watched {
    io: Box<dyn Io>,
    watch: Arc<Watch>,
    /// The stream has taken bytes that have not left, and may take more of them: TLS does.
    is_unflushed: bool,
    is_shut: bool,
}

impl Watched {
    pub(super) const fn new(io: Box<dyn Io>, watch: Arc<Watch>) -> Self {
        Self { io, watch, is_unflushed: false, is_shut: false }
    }

    /// The stream itself, for what comes after HTTP.
    #[cfg(feature = "ws")]
    pub(super) fn into_inner(self) -> Box<dyn Io> {
        self.io
    }

    fn tell<'a>(
        &mut self,
        slices: impl IntoIterator<Item = &'a [u8]>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) if bytes > 0 => self.watch.wrote(slices, bytes, !self.is_unflushed),
            Poll::Pending => {
                // It is full: what it takes from now on has made something else leave.
                self.is_unflushed = false;
                self.watch.cannot_write();
            }
            Poll::Ready(_) => {}
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.read(&buf.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.tell([bytes], written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.tell(bytes.iter().map(|slice| &**slice), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        match &flushed {
            Poll::Pending => {
                self.is_unflushed = true;
                self.watch.cannot_write();
            }
            Poll::Ready(_) if self.is_unflushed => {
                self.is_unflushed = false;
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
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        if !self.watch.lingers() {
            return Poll::Ready(Ok(()));
        }
        let mut forgotten = [0; 4 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut forgotten);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
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
