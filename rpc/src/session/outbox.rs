//! Messages that wait for the loop, in the order in which they were appended.
//!
//! Under the session's lock no code of the user's runs. Where the framer is the user's, handles
//! frame their messages before they append them; what the session itself appends is framed by the
//! loop, when it has taken it.

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
    /// How many chunks were taken from it.
    pub(super) chunks: u32,
}

/// When messages are framed.
#[derive(Debug)]
enum OutboxFraming {
    /// As they are appended.
    Now(Box<dyn AnyFramer>),
    /// By the loop, since the framer is the user's: these are not framed yet.
    Later(Vec<Unframed>),
}

/// A message that is not framed yet.
#[derive(Debug)]
struct Unframed {
    message: Range<usize>,
    kind: MessageKind,
}

/// Decides what happens to a message that does not fit into a frame.
#[derive(Debug)]
enum MessageKind {
    /// The request is answered with an error.
    Reply(RequestId),
    /// It is left out, and the log says so.
    Item,
    Notice,
}

/// A chunk that the loop frames.
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

    /// Appends one message, unless `write` fails or it does not fit into a frame. Where the framer
    /// is the user's, that is found out later.
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

    /// Appends a message that was framed already.
    pub(crate) fn framed(&mut self, message: &[u8]) {
        self.frames.bytes.extend_from_slice(message);
        self.frames.count += 1;
    }

    /// Appends the reply to the request `id`. One that does not fit into a frame becomes an error.
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

    /// Appends an item of a subscription. One that does not fit into a frame is left out: no call
    /// waits for it.
    pub(crate) fn item(&mut self, effects: &mut Effects, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.begin();
        write(&mut self.frames.bytes);
        if let Err(error) = self.end(start, || MessageKind::Item) {
            effects.later(move || log_item(&error));
        }
    }

    /// Where the message will stand that is appended next.
    pub(in crate::session) fn position(&self) -> Position {
        // OutboxFraming makes messages longer: before it, no more is known of a message than its chunk.
        let offset = match &self.framing {
            OutboxFraming::Now(_) => u32::try_from(self.frames.bytes.len()).unwrap_or(0),
            OutboxFraming::Later(_) => 0,
        };
        Position { chunk: self.chunks, offset }
    }

    pub(crate) const fn len(&self) -> usize {
        self.frames.bytes.len()
    }

    /// Moves everything to the end of `buffer`, as one chunk; or gives what is to be framed first.
    /// Where that buffer is empty, the two only exchange their memory.
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

    /// Gives back memory that only large messages needed.
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

    /// Appends the chunk to the buffer that it was taken for, framed. This runs code of the user's.
    pub(crate) fn frame_into(self, buffer: &mut WriteBuffer, version: Version) {
        let WriteBuffer { frames, framer, .. } = buffer;
        let mut at = 0;
        for Unframed { message, kind } in self.unframed {
            // Handles have framed theirs, which are counted.
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
