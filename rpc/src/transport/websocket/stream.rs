//! Adapters between frames and a session: the stream, which sends control frames between data
//! frames, and the framer.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    framing::{
        AnyFramer, FrameError, Framed,
        websocket::{
            ClosePayload, ControlFrame, EarlyControl, FrameEvent, FrameReader, FrameWriter, Role, Violation,
        },
    },
    transport::{CloseFrame, Connection, ControlFrames, Io},
};

/// The connection after the handshake, with frames. `read` are bytes that followed the peer's
/// handshake.
pub(super) fn open(connection: Connection, role: Role, read: Vec<u8>, binary: bool) -> Connection {
    let (control, writer) = (Arc::new(ControlFrames::default()), FrameWriter::new(role, binary));
    let stream = WebSocketStream::new(connection.io, writer, Arc::clone(&control));
    let framer = WebSocketFramer::new(FrameReader::new(role), writer, Arc::clone(&control));
    Connection {
        io: Box::new(stream),
        read,
        framer: Some(Box::new(framer)),
        control: Some(control),
        ..connection
    }
}

/// Accepts whole data frames, and sends control frames between them.
struct WebSocketStream {
    io: Box<dyn Io>,
    control: Arc<ControlFrames>,
    writer: FrameWriter,
    /// Encoded control frames that are not sent yet.
    waiting: Vec<u8>,
    /// Unsent bytes of the current data frame. A control frame must not be sent before they are.
    rest_of_frame: usize,
    /// A close frame was sent: nothing may follow it.
    has_closed: bool,
}

impl WebSocketStream {
    fn new(io: Box<dyn Io>, writer: FrameWriter, control: Arc<ControlFrames>) -> Self {
        Self { io, control, writer, waiting: Vec::new(), rest_of_frame: 0, has_closed: false }
    }

    /// Whether a ping or a pong is to be sent.
    fn has_waiting(&mut self) -> bool {
        // One at a time: for a peer that sends pings and does not read, only the last ping is kept.
        if self.waiting.is_empty() && self.control.is_due() && !self.has_closed {
            self.take_pings();
        }
        !self.waiting.is_empty()
    }

    #[cold]
    fn take_pings(&mut self) {
        let (ping, pong) = self.control.take_pings();
        if let Some(payload) = pong {
            self.writer.control(&mut self.waiting, ControlFrame::Pong(&payload));
        }
        if ping {
            self.writer.control(&mut self.waiting, ControlFrame::Ping);
        }
        self.control.count_sent(self.waiting.len());
    }

    /// Records that `written` of `bytes` were accepted.
    fn record_written(&mut self, bytes: &[u8], written: usize) {
        self.rest_of_frame = match written == bytes.len() {
            true => 0,
            false => self.writer.rest_of_frame(bytes, self.rest_of_frame, written),
        };
    }

    /// Writes the control frames before `bytes`, and both in one write.
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
                // Released, since it is rarely needed.
                self.waiting = Vec::new();
            }
            if of_bytes > 0 {
                self.record_written(bytes, of_bytes);
                return Poll::Ready(Ok(of_bytes));
            }
            if self.waiting.is_empty() {
                return Pin::new(&mut *self).poll_write(cx, bytes);
            }
        }
    }

    /// Writes the control frames at the end of a flush.
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
        self.record_written(bytes, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.rest_of_frame == 0 {
            while this.has_waiting() {
                ready!(this.poll_write_last(cx))?;
            }
            if let Some(CloseFrame { code, reason }) = this.control.take_close() {
                this.writer.control(&mut this.waiting, ControlFrame::Close(&ClosePayload { code, reason }));
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

/// Passes messages to the session, and control frames to the stream.
#[derive(Debug)]
struct WebSocketFramer {
    reader: FrameReader,
    writer: FrameWriter,
    control: Arc<ControlFrames>,
    /// Whether frame boundaries are still known after a violation.
    in_step: bool,
}

impl WebSocketFramer {
    const fn new(reader: FrameReader, writer: FrameWriter, control: Arc<ControlFrames>) -> Self {
        Self { reader, writer, control, in_step: true }
    }

    /// The state after a control frame: inside a fragmented message, or between messages.
    fn after_control(&self, consumed: usize) -> Framed {
        match self.reader.is_within_message(&[]) {
            true => Framed::Incomplete { consumed },
            false => Framed::Between { consumed },
        }
    }

    #[cold]
    fn fail(&mut self, violation: Violation) -> FrameError {
        self.in_step = violation.in_step;
        self.control.fail(CloseFrame { code: violation.code, reason: violation.reason() });
        violation.error
    }

    #[cold]
    fn handle_control(&self, read: FrameEvent, unread: &[u8]) -> Framed {
        let consumed = match read {
            FrameEvent::Ping { payload, consumed } => {
                self.control.pong(&unread[payload]);
                consumed
            }
            FrameEvent::Close { close: ClosePayload { code, reason }, consumed } => {
                self.control.received_close(CloseFrame { code, reason });
                consumed
            }
            FrameEvent::Pong { consumed } | FrameEvent::Fragment { consumed } => consumed,
            FrameEvent::Joined { message, consumed } => return Framed::Decoded { frame: message, consumed },
            FrameEvent::Message { message, consumed } => return Framed::Frame { frame: message, consumed },
            FrameEvent::Partial => {
                return match self.reader.is_within_message(unread) {
                    true => Framed::Incomplete { consumed: 0 },
                    false => Framed::Between { consumed: 0 },
                };
            }
        };
        self.after_control(consumed)
    }
}

impl AnyFramer for WebSocketFramer {
    fn is_own(&self) -> bool {
        true
    }

    fn next(&mut self, unread: &mut [u8]) -> Result<Framed, FrameError> {
        match self.reader.next(unread) {
            Ok(FrameEvent::Message { message, consumed }) => Ok(Framed::Frame { frame: message, consumed }),
            Ok(read) => Ok(self.handle_control(read, unread)),
            Err(violation) => Err(self.fail(violation)),
        }
    }

    fn put_back(&mut self) {
        self.reader.put_back();
    }

    fn taken(&mut self) {
        self.reader.taken();
    }

    fn begin(&self, out: &mut Vec<u8>) {
        self.writer.begin(out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        self.writer.finish(out, start);
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.reader.set_limit(bytes);
    }

    fn cloned(&self) -> Box<dyn AnyFramer> {
        Box::new(WebSocketWriter(self.writer))
    }

    fn is_handshaken(&self) -> bool {
        true
    }

    fn kept(&self) -> usize {
        self.reader.kept()
    }

    fn not_text(&mut self, frame: &[u8]) -> Option<FrameError> {
        if !self.reader.is_unchecked_text() {
            return None;
        }
        let error = std::str::from_utf8(frame).err()?;
        Some(self.fail(Violation::text(error)))
    }

    fn look_ahead(&mut self, unread: &[u8]) -> bool {
        while let Some(ahead) = self.reader.look_ahead(unread) {
            match ahead {
                EarlyControl::Ping(payload) => self.control.pong(&payload),
                EarlyControl::Close(ClosePayload { code, reason }) => {
                    self.control.received_close(CloseFrame { code, reason });
                    return true;
                }
            }
        }
        false
    }

    fn is_in_step(&self) -> bool {
        self.in_step
    }
}

/// The framer of a session's copies, which only write. Each session has two, so it is kept small.
#[derive(Debug)]
struct WebSocketWriter(FrameWriter);

impl AnyFramer for WebSocketWriter {
    fn is_own(&self) -> bool {
        true
    }

    fn next(&mut self, _: &mut [u8]) -> Result<Framed, FrameError> {
        Err(FrameError::Invalid("this framer only writes".to_owned()))
    }

    fn put_back(&mut self) {}

    fn begin(&self, out: &mut Vec<u8>) {
        self.0.begin(out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        self.0.finish(out, start);
        Ok(())
    }

    fn set_limit(&mut self, _: usize) {}

    fn cloned(&self) -> Box<dyn AnyFramer> {
        Box::new(Self(self.0))
    }

    fn of_sent(&self) -> Box<dyn AnyFramer> {
        let reader = FrameReader::new(self.0.role().other());
        Box::new(WebSocketFramer::new(reader, self.0, Arc::default()))
    }
}
