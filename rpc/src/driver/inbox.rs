//! The bytes that were read and not yet taken apart.
//!
//! A session that waits holds no buffer: it reads into one that every thread has, and keeps only what is left of an
//! incomplete frame. That is what makes ten thousand idle connections cheap.

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

/// How much is read at once.
const READ_CHUNK: usize = 64 << 10;

/// The beginning of a frame up to this size is copied from read to read; a longer one is read where it is kept.
const SMALL_REST: usize = 4 << 10;

/// How much is read ahead of what is taken apart, where a stream cannot be asked whether its peer is
/// gone.
const MAX_READ_AHEAD: usize = 64 << 10;

/// How many times a session reads at its end, at most.
const MAX_DISCARDED: usize = 64;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// The beginning of a frame.
    rest: Vec<u8>,
    /// How many bytes were read and not asked for since.
    last_read: usize,
    /// Whether the stream was found to have ended.
    has_ended: bool,
}

/// Bytes being taken apart. They go back to the inbox with [`Inbox::keep`].
#[derive(Debug)]
pub(super) struct Unread {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the buffer is the thread's.
    is_thread_buffer: bool,
}

impl Unread {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// A framer may change them where they stand.
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
    /// What was read by others already is the first that is taken apart.
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
            // Doubling costs less than it saves, and no more than what has arrived.
            self.rest.reserve(self.rest.len().max(READ_CHUNK));
        }
        let read = ready!(tokio_util::io::poll_read_buf(Pin::new(io), cx, &mut self.rest))?;
        self.last_read += read;
        self.has_ended = read == 0;
        Poll::Ready(Ok((read > 0).then(|| self.unread())))
    }

    /// Reads without anything being taken apart, so that the end of the stream or an error is found:
    /// up to [`AHEAD`] bytes. Ready when something was read, or the end was found; what was read is in
    /// the [rest](Self::rest).
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

    /// Whether the end of the stream was found.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// How many bytes were read since this was asked.
    pub(super) const fn take_last_read(&mut self) -> usize {
        std::mem::replace(&mut self.last_read, 0)
    }

    /// Reads what has arrived, for nothing: closing a socket with unread bytes has TCP throw away what the peer was sent last.
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

    /// Reads for nothing. Ready when there is no more to come.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>, io: &mut Box<dyn Io>) -> Poll<io::Result<()>> {
        self.rest = Vec::new();
        while let Some(mut unread) = ready!(self.poll_read(cx, io))? {
            unread.consume(unread.bytes().len());
            self.keep(unread);
        }
        Poll::Ready(Ok(()))
    }

    /// What was kept, without reading.
    pub(super) fn unread(&mut self) -> Unread {
        let buffer = std::mem::take(&mut self.rest);
        Unread { start: 0, end: buffer.len(), buffer, is_thread_buffer: false }
    }

    /// Takes back what is left.
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

    /// The beginning of a frame whose end has not come.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// How many bytes of an incomplete frame are kept.
    pub(super) const fn len(&self) -> usize {
        self.rest.len()
    }

    /// The bytes of memory that are kept.
    pub(super) fn capacity(&self) -> usize {
        self.rest.capacity()
    }

    /// Gives back memory that only a large frame needed.
    pub(super) fn trim(&mut self) {
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }
}

/// What is remembered until it is settled what the peer speaks.
#[derive(Debug, Default)]
pub(super) struct OpeningState {
    /// The start of what this side has sent.
    pub(super) sent_prefix: Vec<u8>,
    /// The first line of text that was passed over.
    pub(super) skipped_text: Option<Box<Foreign>>,
}

/// A frame that is being dropped.
#[derive(Debug, Default)]
pub(super) struct Oversized {
    pub(super) skim: Skim,
    /// What its header says, in bytes.
    pub(super) declared: Option<usize>,
    /// Whether it is a message that a framer has decoded, and not a part of the stream.
    pub(super) is_decoded: bool,
    /// Whether it was answered, or is not answered whatever follows.
    pub(super) is_settled: bool,
}
