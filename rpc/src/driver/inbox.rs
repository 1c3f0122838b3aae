//! State of the receiving side that knows nothing of the loop: bytes received and not processed,
//! the evidence about the protocol of the peer, and an oversized frame.
//!
//! An idle session holds no read buffer. It reads into a buffer of the thread, and keeps only the
//! start of an incomplete frame. That keeps ten thousand idle connections cheap.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead as _, ReadBuf};

use crate::{
    jsonrpc::Skim,
    transport::{Foreign, Io},
};

/// Size of one read, in bytes.
const READ_CHUNK: usize = 64 << 10;

/// The start of a frame up to this size, in bytes, is copied to the thread's buffer at each read. A
/// longer one stays in a buffer of its own, and reads append to it.
const SMALL_REST: usize = 4 << 10;

/// Maximum number of bytes read ahead while processing is blocked, to notice that the peer is gone.
const MAX_READ_AHEAD: usize = 64 << 10;

/// Maximum number of reads whose bytes are discarded when the session ends.
const MAX_DISCARDED: usize = 64;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes received and not yet processed.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// The start of an incomplete frame.
    rest: Vec<u8>,
    /// Bytes read since [`take_last_read`](Self::take_last_read).
    last_read: usize,
    /// The stream has ended.
    has_ended: bool,
}

/// Bytes being processed. [`Inbox::keep`] takes back the rest.
#[derive(Debug)]
pub(super) struct Unread {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The buffer belongs to the thread, and returns to it.
    is_thread_buffer: bool,
}

impl Unread {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// For framers that decode in place.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    pub(super) const fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

impl Inbox {
    /// An inbox that begins with bytes that were read during the handshake.
    pub(super) fn holding(read: &[u8]) -> Self {
        Self { rest: read.to_vec(), last_read: read.len(), has_ended: false }
    }

    /// Reads once. `None` is the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Box<dyn Io>,
    ) -> Poll<io::Result<Option<Unread>>> {
        if self.rest.len() > SMALL_REST {
            return self.poll_read_more(cx, io);
        }
        let mut buffer = BUFFER.take();
        buffer.resize(READ_CHUNK, 0);
        let rest = self.rest.len();
        buffer[..rest].copy_from_slice(&self.rest);
        let mut space = ReadBuf::new(&mut buffer[rest..]);
        let polled = Pin::new(io).poll_read(cx, &mut space);
        let read = space.filled().len();
        if !matches!(polled, Poll::Ready(Ok(()))) || read == 0 {
            BUFFER.set(buffer);
            self.has_ended = matches!(polled, Poll::Ready(Ok(())));
            return polled.map_ok(|()| None);
        }
        self.rest.clear();
        self.last_read += read;
        Poll::Ready(Ok(Some(Unread { buffer, start: 0, end: rest + read, is_thread_buffer: true })))
    }

    fn poll_read_more(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Box<dyn Io>,
    ) -> Poll<io::Result<Option<Unread>>> {
        if self.rest.capacity() - self.rest.len() < READ_CHUNK {
            // Doubling bounds the copies, and the buffer by twice what the peer has sent.
            self.rest.reserve(self.rest.len().max(READ_CHUNK));
        }
        let read = ready!(tokio_util::io::poll_read_buf(Pin::new(io), cx, &mut self.rest))?;
        self.last_read += read;
        self.has_ended = read == 0;
        Poll::Ready(Ok((read > 0).then(|| self.unread())))
    }

    /// Reads ahead without processing, up to [`MAX_READ_AHEAD`] bytes, so that the end of the
    /// stream or an error is noticed. Ready when bytes were read, which are then in
    /// [`rest`](Self::rest), or when the stream has ended.
    pub(super) fn poll_read_ahead(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Box<dyn Io>,
    ) -> Poll<io::Result<()>> {
        if self.has_ended || self.rest.len() >= MAX_READ_AHEAD {
            return Poll::Pending;
        }
        if let Some(unread) = ready!(self.poll_read_more(cx, io))? {
            self.keep(unread);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the stream has ended.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The number of bytes read since the last call.
    pub(super) const fn take_last_read(&mut self) -> usize {
        std::mem::replace(&mut self.last_read, 0)
    }

    /// Reads and discards what has arrived. Closing a TCP socket with unread bytes would discard
    /// the data sent last.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>, io: &mut Box<dyn Io>) {
        let mut buffer = BUFFER.take();
        buffer.resize(READ_CHUNK, 0);
        for _ in 0..MAX_DISCARDED {
            let mut space = ReadBuf::new(&mut buffer);
            match Pin::new(&mut *io).poll_read(cx, &mut space) {
                Poll::Ready(Ok(())) if !space.filled().is_empty() => {}
                _ => break,
            }
        }
        BUFFER.set(buffer);
    }

    /// Reads and discards until the stream ends.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>, io: &mut Box<dyn Io>) -> Poll<io::Result<()>> {
        self.rest = Vec::new();
        while let Some(mut unread) = ready!(self.poll_read(cx, io))? {
            unread.consume(unread.bytes().len());
            self.keep(unread);
        }
        Poll::Ready(Ok(()))
    }

    /// The kept bytes, without a read.
    pub(super) fn unread(&mut self) -> Unread {
        let buffer = std::mem::take(&mut self.rest);
        Unread { start: 0, end: buffer.len(), buffer, is_thread_buffer: false }
    }

    /// Takes back the unprocessed rest.
    pub(super) fn keep(&mut self, unread: Unread) {
        let Unread { mut buffer, start, end, is_thread_buffer } = unread;
        if is_thread_buffer {
            self.rest.extend_from_slice(&buffer[start..end]);
            BUFFER.set(buffer);
        } else {
            buffer.drain(..start);
            self.rest = buffer;
        }
    }

    /// The start of an incomplete frame.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Number of kept bytes.
    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Allocated memory, in bytes.
    pub(super) fn capacity(&self) -> usize {
        self.rest.capacity()
    }

    /// Frees the buffer of a large frame that was processed.
    pub(super) fn trim(&mut self) {
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }
}

/// Evidence kept until the protocol of the peer is known.
#[derive(Debug, Default)]
pub(super) struct OpeningState {
    /// The first bytes sent by this side, to recognise an echo.
    pub(super) sent_prefix: Vec<u8>,
    /// The first skipped line of text.
    pub(super) skipped_text: Option<Box<Foreign>>,
}

/// An oversized frame whose bytes are being discarded.
#[derive(Debug, Default)]
pub(super) struct Oversized {
    pub(super) skim: Skim,
    /// Size that the header of the frame declares, in bytes.
    pub(super) declared: Option<usize>,
    /// The frame is a message decoded by the framer, and not part of the stream.
    pub(super) is_decoded: bool,
    /// The frame was answered, or is known to need no answer.
    pub(super) is_settled: bool,
}
