//! The write buffer of a session: framed messages that wait to be written, and the position of the
//! writing.
//!
//! It has two ends. Handles append to an [`Outbox`](super::outbox::Outbox), under the lock of the
//! session. The loop writes from a [`WriteBuffer`], which no other task touches: handlers that
//! finish in place append their replies to it without a lock. Whenever it has capacity, the loop
//! moves the content of the outbox to its own end: that is one chunk.
//!
//! They are two types over one core, [`Frames`]: only the loop's end is written from, and only in
//! the outbox may a message be framed later than it was appended.

use crate::{
    framing::{AnyFramer, FrameError},
    jsonrpc::{ErrorCode, ErrorObject, Id, shown::brief, version::Version},
};

/// Written bytes are removed if they are more than this, and more than half of the buffer.
const MUCH: usize = 64 << 10;

/// The bytes that the loop writes to the transport.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    pub(super) frames: Frames,
    pub(super) framer: Box<dyn AnyFramer>,
    /// The number of bytes that were written.
    written: usize,
    /// The number of bytes that were logged, if messages are logged.
    shown: usize,
    chunks: Chunks,
}

impl WriteBuffer {
    pub(crate) const fn new(framer: Box<dyn AnyFramer>) -> Self {
        Self { frames: Frames::new(), framer, written: 0, shown: 0, chunks: Chunks::new() }
    }

    /// The bytes that were not written yet.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.frames.bytes[self.written..]
    }

    /// The transport has accepted the next `bytes` bytes.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        let all = self.frames.bytes.len();
        self.chunks.advance(bytes, self.written == all);
        if self.written == all {
            self.frames.bytes.clear();
            (self.written, self.shown) = (0, 0);
        } else if self.written > MUCH && self.written > all / 2 {
            self.drop_written();
        }
    }

    /// Starts the next chunk: messages appended from here on belong to it.
    pub(super) fn begin_chunk(&mut self) {
        self.drop_written();
        self.chunks.begin(self.frames.bytes.len());
    }

    fn drop_written(&mut self) {
        self.frames.bytes.drain(..self.written);
        self.shown = self.shown.saturating_sub(self.written);
        self.written = 0;
    }

    /// The number of messages that were appended, written or not.
    pub(crate) const fn messages(&self) -> u64 {
        self.frames.count
    }

    /// Begins a reply. The caller writes it behind the returned bytes, and then either
    /// [ends](Self::end_reply) or [takes back](Self::take_back_reply) the reply. Returns its start,
    /// too.
    ///
    /// Three methods in place of one that takes a closure: handlers are generic, and these are
    /// compiled once.
    pub(crate) fn begin_reply(&mut self) -> (usize, &mut Vec<u8>) {
        let start = self.frames.begin(&*self.framer);
        (start, &mut self.frames.bytes)
    }

    /// Ends the reply to the request `id` that began at `start`. A reply that does not fit into a
    /// frame is replaced by an error.
    pub(crate) fn end_reply(&mut self, start: usize, version: Version, id: Id<'_>) {
        self.frames.end_reply(&*self.framer, start, version, id, RefusedReply::log);
    }

    /// Removes the reply that began at `start`.
    pub(crate) fn take_back_reply(&mut self, start: usize) {
        self.frames.bytes.truncate(start);
    }

    /// Appends bytes that are no message to the peer's framer. No message may follow.
    pub(crate) fn last_word(&mut self, bytes: &[u8]) {
        self.frames.bytes.extend_from_slice(bytes);
        self.shown = self.frames.bytes.len();
    }

    /// The unwritten bytes that were not logged yet, and a framer that splits them into messages.
    #[cold]
    pub(crate) fn take_unshown(&mut self) -> (Box<dyn AnyFramer>, &[u8]) {
        let from = std::mem::replace(&mut self.shown, self.frames.bytes.len()).max(self.written);
        let mut framer = self.framer.of_sent();
        framer.set_limit(usize::MAX);
        (framer, &self.frames.bytes[from..])
    }

    /// The capacity in bytes.
    pub(crate) const fn capacity(&self) -> usize {
        self.frames.bytes.capacity()
    }

    /// Frees memory that only large messages needed.
    pub(crate) fn trim(&mut self) {
        self.frames.trim();
    }

    /// Whether the first byte of a message from the outbox was written.
    pub(super) fn has_written(&self, message: Position) -> bool {
        self.chunks.has_written(message)
    }
}

/// The position of a message from the outbox: its chunk, and its offset in bytes within the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    pub(super) chunk: u32,
    pub(super) offset: u32,
}

/// The positions of the chunks among the bytes that are written. Replies of the loop stand between
/// them.
#[derive(Debug)]
struct Chunks {
    /// The number of chunks so far.
    count: u32,
    /// The bytes written since the session began, of chunks and of replies.
    written: u64,
    /// The starts of the chunks that may not be written in full, on the same scale. The last one is
    /// chunk `count - 1`.
    starts: Vec<u64>,
}

impl Chunks {
    const fn new() -> Self {
        Self { count: 0, written: 0, starts: Vec::new() }
    }

    /// Begins a chunk behind `unwritten` bytes.
    fn begin(&mut self, unwritten: usize) {
        self.count = self.count.wrapping_add(1);
        self.starts.push(self.written + unwritten as u64);
    }

    /// `bytes` more were written; `all` is true if nothing is left behind them.
    fn advance(&mut self, bytes: usize, all: bool) {
        self.written += bytes as u64;
        if all {
            self.starts.clear();
        } else if let Some(current) = self.starts.iter().rposition(|start| *start <= self.written) {
            // This chunk is being written, and those before it are done.
            self.starts.drain(..current);
        }
    }

    fn has_written(&self, Position { chunk, offset }: Position) -> bool {
        // The number of chunks after it. A message that is still in the outbox is ahead of all
        // chunks.
        let behind = self.count.wrapping_sub(chunk).wrapping_sub(1);
        if behind > u32::MAX / 2 {
            return false;
        }
        let known = self.starts.len().checked_sub(1 + behind as usize);
        known.is_none_or(|at| self.written > self.starts[at] + u64::from(offset))
    }
}

/// The reason why a message was not appended.
#[derive(Debug)]
pub(crate) enum Unsent<R, E> {
    /// Writing it failed.
    Unwritten(E),
    /// It was written, with the result `R`, and does not fit into a frame.
    Unframed(R, FrameError),
}

/// Appends the message that `write` writes, in a frame, or nothing if it does not fit into one.
pub(crate) fn put_framed(
    framer: &dyn AnyFramer,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), FrameError> {
    let start = out.len();
    framer.begin(out);
    write(out);
    finish(framer, out, start)
}

/// Ends the frame that begins at `start`, or removes it.
#[inline]
fn finish(framer: &dyn AnyFramer, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
    framer.finish(out, start).inspect_err(|_| out.truncate(start))
}

/// Framed messages, one behind another.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    /// The number of messages that were appended. The owner resets it.
    pub(super) count: u64,
}

impl Frames {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }

    /// Begins a message, and returns its start. The message is written behind the bytes, and then
    /// ended, or truncated to its start.
    #[inline]
    pub(super) fn begin(&mut self, framer: &dyn AnyFramer) -> usize {
        let start = self.bytes.len();
        framer.begin(&mut self.bytes);
        start
    }

    /// Ends the message that began at `start`, and removes it if it does not fit into a frame.
    #[inline]
    pub(super) fn end(&mut self, framer: &dyn AnyFramer, start: usize) -> Result<(), FrameError> {
        finish(framer, &mut self.bytes, start)?;
        self.count += 1;
        Ok(())
    }

    /// Ends the reply to the request `id` that began at `start`. A reply that does not fit into a
    /// frame is replaced by an error, so that every request is answered, unless the error does not
    /// fit either. `refused` is called for logging outside all locks.
    #[inline]
    pub(super) fn end_reply(
        &mut self,
        framer: &dyn AnyFramer,
        start: usize,
        version: Version,
        id: Id<'_>,
        refused: impl FnOnce(RefusedReply),
    ) {
        if let Err(error) = self.end(framer, start) {
            refused(self.refuse(framer, version, id, error));
        }
    }

    #[cold]
    fn refuse(
        &mut self,
        framer: &dyn AnyFramer,
        version: Version,
        id: Id<'_>,
        error: FrameError,
    ) -> RefusedReply {
        let told = ErrorObject::new(ErrorCode::INTERNAL_ERROR, format!("the reply cannot be sent: {error}"));
        // The id is the peer's choice: it may be the part that is too long.
        let is_told = [id, Id::NULL].into_iter().any(|id| {
            let start = self.begin(framer);
            version.put_error(&mut self.bytes, id, &told);
            self.end(framer, start).is_ok()
        });
        RefusedReply { is_told, error }
    }

    /// Frees the memory of an empty buffer.
    pub(super) fn trim(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}

/// A reply that does not fit into a frame.
#[derive(Debug)]
#[must_use = "the log is to say why"]
pub(super) struct RefusedReply {
    /// Whether the peer was sent an error instead.
    is_told: bool,
    error: FrameError,
}

impl RefusedReply {
    #[cold]
    pub(super) fn log(self) {
        let error = brief(&self.error);
        if self.is_told {
            tracing::debug!(rpc.system.name = "jsonrpc", %error, "a reply does not fit into a frame");
        } else {
            tracing::error!(
                rpc.system.name = "jsonrpc", %error,
                "a request is not answered: no error fits into a frame"
            );
        }
    }
}

#[cfg(test)]
mod tests;
