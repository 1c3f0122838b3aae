//! The outbox: messages that wait for the loop, in the order in which they were appended.
//!
//! No user code runs under the session's lock. With a user's framer, handles frame their messages
//! before they append them, and the loop frames the session's own messages after it has taken them.

use std::ops::Range;

use super::{
    effects::Effects,
    write_buffer::{Frames, Position, RefusedReply, Unsent, WriteBuffer},
};
use crate::{
    framing::{AnyFramer, FrameError},
    jsonrpc::{Id, RequestId, shown::brief, version::Version},
};

/// The end of the write buffer that handles append to.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) frames: Frames,
    framing: OutboxFraming,
    /// The number of chunks that were taken from it.
    pub(super) chunks: u32,
}

/// The time at which messages are framed.
#[derive(Debug)]
enum OutboxFraming {
    /// When they are appended.
    Now(Box<dyn AnyFramer>),
    /// By the loop, since the framer is the user's: these messages are not framed yet.
    Later(Vec<Unframed>),
}

/// A message that is not framed yet.
#[derive(Debug)]
struct Unframed {
    message: Range<usize>,
    kind: MessageKind,
}

/// Decides what is done if the message does not fit into a frame.
#[derive(Debug)]
enum MessageKind {
    /// The request is answered with an error.
    Reply(RequestId),
    /// The item is left out, and that is logged.
    Item,
    Notice,
}

/// A chunk that the loop has to frame.
#[derive(Debug)]
pub(crate) struct ToFrame {
    bytes: Vec<u8>,
    unframed: Vec<Unframed>,
}

impl Outbox {
    pub(crate) fn new(framer: &dyn AnyFramer) -> Self {
        let framing = match framer.is_own() {
            true => OutboxFraming::Now(framer.cloned()),
            false => OutboxFraming::Later(Vec::new()),
        };
        Self { frames: Frames::new(), framing, chunks: 0 }
    }

    /// Appends one message. With a user's framer, an error of the framing shows only later.
    #[inline]
    pub(crate) fn notice<R, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<R, E>,
    ) -> Result<R, Unsent<R, E>> {
        let start = self.begin();
        let written = match write(&mut self.frames.bytes) {
            Ok(written) => written,
            Err(error) => {
                self.frames.bytes.truncate(start);
                return Err(Unsent::Unwritten(error));
            }
        };
        match self.end(start, || MessageKind::Notice) {
            Ok(()) => Ok(written),
            Err(error) => Err(Unsent::Unframed(written, error)),
        }
    }

    /// Appends a message that is framed already.
    pub(crate) fn framed(&mut self, message: &[u8]) {
        self.frames.bytes.extend_from_slice(message);
        self.frames.count += 1;
    }

    /// Appends the reply to the request `id`. A reply that does not fit into a frame is replaced by
    /// an error.
    pub(crate) fn reply(
        &mut self,
        version: Version,
        id: Id<'_>,
        effects: &mut Effects,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.begin();
        write(&mut self.frames.bytes);
        match &mut self.framing {
            OutboxFraming::Now(framer) => {
                let refused = |refusal: RefusedReply| effects.later(move || refusal.log());
                self.frames.end_reply(&**framer, start, version, id, refused);
            }
            OutboxFraming::Later(unframed) => {
                let message = start..self.frames.bytes.len();
                leave_unframed(unframed, message, MessageKind::Reply(id.to_owned()));
            }
        }
    }

    /// Appends an item of a subscription. An item that does not fit into a frame is left out, since
    /// no call waits for it.
    pub(crate) fn item(&mut self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.begin();
        write(&mut self.frames.bytes);
        if let Err(error) = self.end(start, || MessageKind::Item) {
            effects.later(move || log_item(&error));
        }
    }

    /// The position of the message that is appended next.
    pub(in crate::session) fn position(&self) -> Position {
        // Framing makes messages longer, so before it only the chunk of a message is known.
        let offset = match &self.framing {
            OutboxFraming::Now(_) => u32::try_from(self.frames.bytes.len()).unwrap_or(0),
            OutboxFraming::Later(_) => 0,
        };
        Position { chunk: self.chunks, offset }
    }

    pub(crate) const fn len(&self) -> usize {
        self.frames.bytes.len()
    }

    /// Moves everything to the end of `buffer`, as one chunk, or returns what has to be framed
    /// first. If that buffer is empty, the two swap their memory.
    pub(crate) fn take_into(&mut self, buffer: &mut WriteBuffer) -> Option<ToFrame> {
        self.chunks = self.chunks.wrapping_add(1);
        buffer.begin_chunk();
        buffer.frames.count += std::mem::take(&mut self.frames.count);
        if let OutboxFraming::Later(unframed) = &mut self.framing
            && !unframed.is_empty()
        {
            let (bytes, unframed) = (std::mem::take(&mut self.frames.bytes), std::mem::take(unframed));
            return Some(ToFrame { bytes, unframed });
        }
        if buffer.frames.bytes.is_empty() {
            std::mem::swap(&mut buffer.frames.bytes, &mut self.frames.bytes);
        } else {
            buffer.frames.bytes.append(&mut self.frames.bytes);
        }
        None
    }

    /// Frees memory that only large messages needed.
    pub(crate) fn trim(&mut self) {
        self.frames.trim();
    }

    #[inline]
    fn begin(&mut self) -> usize {
        match &self.framing {
            OutboxFraming::Now(framer) => self.frames.begin(&**framer),
            OutboxFraming::Later(_) => self.frames.bytes.len(),
        }
    }

    #[inline]
    fn end(&mut self, start: usize, kind: impl FnOnce() -> MessageKind) -> Result<(), FrameError> {
        match &mut self.framing {
            OutboxFraming::Now(framer) => self.frames.end(&**framer, start),
            OutboxFraming::Later(unframed) => {
                leave_unframed(unframed, start..self.frames.bytes.len(), kind());
                Ok(())
            }
        }
    }
}

#[cold]
fn leave_unframed(unframed: &mut Vec<Unframed>, message: Range<usize>, kind: MessageKind) {
    unframed.push(Unframed { message, kind });
}

impl ToFrame {
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the framed chunk to the buffer that it was taken for. Runs user code.
    pub(crate) fn frame_into(self, buffer: &mut WriteBuffer, version: Version) {
        let WriteBuffer { frames, framer, .. } = buffer;
        let mut at = 0;
        for Unframed { message, kind } in self.unframed {
            // Messages of handles are framed and counted already.
            frames.bytes.extend_from_slice(&self.bytes[at..message.start]);
            at = message.end;
            let start = frames.begin(&**framer);
            frames.bytes.extend_from_slice(&self.bytes[message]);
            match kind {
                MessageKind::Reply(id) => {
                    id.with(|id| frames.end_reply(&**framer, start, version, id, RefusedReply::log));
                }
                MessageKind::Item => {
                    if let Err(error) = frames.end(&**framer, start) {
                        log_item(&error);
                    }
                }
                MessageKind::Notice => {
                    if let Err(error) = frames.end(&**framer, start) {
                        log_notice(&error);
                    }
                }
            }
        }
        frames.bytes.extend_from_slice(&self.bytes[at..]);
    }
}

#[cold]
fn log_item(error: &FrameError) {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(error), "an item of a subscription was left out");
}

#[cold]
fn log_notice(error: &FrameError) {
    tracing::error!(rpc.system.name = "jsonrpc", error = %brief(error), "a message does not fit into a frame");
}
