//! The stream below a WebSocket: bytes as they come, and control frames between those that leave.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    framing::websocket::{Close, Control, FrameWriter},
    transport::{CloseFrame, ControlFrames, Io},
};

/// Whole frames are written to it, and it puts its own between them.
pub(super) struct WebSocketStream {
    io: Box<dyn Io>,
    control: Arc<ControlFrames>,
    writer: FrameWriter,
    /// Control frames that have not left.
    waiting: Vec<u8>,
    /// How many bytes are still to come of the frame that was written last: they may not stand within it.
    rest_of_frame: usize,
    /// Nothing follows a close frame.
    has_closed: bool,
}

impl WebSocketStream {
    pub(super) fn new(io: Box<dyn Io>, writer: FrameWriter, control: Arc<ControlFrames>) -> Self {
        Self { io, control, writer, waiting: Vec::new(), rest_of_frame: 0, has_closed: false }
    }

    /// Whether a ping or a pong is to leave.
    fn has_waiting(&mut self) -> bool {
        // One after the other: a peer that pings and does not read has no more than its last ping kept.
        if self.waiting.is_empty() && self.control.is_due() && !self.has_closed {
            self.take_pings();
        }
        !self.waiting.is_empty()
    }

    #[cold]
    fn take_pings(&mut self) {
        let (ping, pong) = self.control.take_pings();
        if let Some(payload) = pong {
            self.writer.control(&mut self.waiting, Control::Pong(&payload));
        }
        if ping {
            self.writer.control(&mut self.waiting, Control::Ping);
        }
        self.control.sends(self.waiting.len());
    }

    /// Of `bytes`, so many were taken.
    fn wrote(&mut self, bytes: &[u8], written: usize) {
        self.rest_of_frame = match written == bytes.len() {
            true => 0,
            false => self.writer.rest_of_frame(bytes, self.rest_of_frame, written),
        };
    }

    /// Writes what leaves before `bytes`, and they in the same write.
    #[cold]
    fn poll_write_waiting(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.rest_of_frame > 0 {
            let rest = &bytes[..self.rest_of_frame.min(bytes.len())];
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            self.rest_of_frame -= written;
            return Poll::Ready(Ok(written));
        }
        loop {
            let slices = [IoSlice::new(&self.waiting), IoSlice::new(bytes)];
            let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices))?;
            if written == 0 {
                return Poll::Ready(Ok(0));
            }
            let of_bytes = written.saturating_sub(self.waiting.len());
            self.waiting.drain(..written - of_bytes);
            if self.waiting.is_empty() {
                // It is rarely needed.
                self.waiting = Vec::new();
            }
            if of_bytes > 0 {
                self.wrote(bytes, of_bytes);
                return Poll::Ready(Ok(of_bytes));
            }
            if self.waiting.is_empty() {
                return Pin::new(&mut *self).poll_write(cx, bytes);
            }
        }
    }

    /// Writes what leaves behind everything else.
    #[cold]
    fn poll_write_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.drain(..written);
        }
        self.waiting = Vec::new();
        Poll::Ready(Ok(()))
    }
}

impl Io for WebSocketStream {
    fn reports_hang_up(&self) -> bool {
        self.io.reports_hang_up()
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_hang_up(cx)
    }

    fn left(&self) -> u64 {
        self.io.left()
    }
}

impl AsyncRead for WebSocketStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for WebSocketStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.has_waiting() {
            return self.poll_write_waiting(cx, bytes);
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.wrote(bytes, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.rest_of_frame == 0 {
            while this.has_waiting() {
                ready!(this.poll_write_last(cx))?;
            }
            if let Some(CloseFrame { code, reason }) = this.control.take_close() {
                this.writer.control(&mut this.waiting, Control::Close(&Close { code, reason }));
                this.has_closed = true;
                ready!(this.poll_write_last(cx))?;
            }
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
