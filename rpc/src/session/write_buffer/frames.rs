//! Messages between the marks of their framing, appended as a whole or not at all.

use crate::{
    framing::{AnyFramer, FrameError},
    jsonrpc::{ErrorCode, ErrorObject, Id, shown::brief, version::Version},
};

/// Why nothing was appended.
#[derive(Debug)]
pub(crate) enum Unsent<R, E> {
    /// It could not be written.
    Unwritten(E),
    /// It was written, which gave an `R`, and does not fit into a frame.
    Unframed(R, FrameError),
}

/// Appends the message that `write` writes, in a frame; nothing if it does not fit into one.
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

/// Ends the frame that begins at `start`, or cuts it off.
#[inline]
fn finish(framer: &dyn AnyFramer, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
    framer.finish(out, start).inspect_err(|_| out.truncate(start))
}

/// Framed messages, one behind another.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) bytes: Vec<u8>,
    /// How many messages were appended. It is the owner's to start again.
    pub(super) count: u64,
}

impl Frames {
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }

    /// Begins a message, and gives where. It is written behind the bytes; then it is ended, or cut
    /// off at its start.
    #[inline]
    pub(super) fn begin(&mut self, framer: &dyn AnyFramer) -> usize {
        let start = self.bytes.len();
        framer.begin(&mut self.bytes);
        start
    }

    /// Ends the message that was begun at `start`. Nothing is left of one that does not fit into a
    /// frame.
    #[inline]
    pub(super) fn end(&mut self, framer: &dyn AnyFramer, start: usize) -> Result<(), FrameError> {
        finish(framer, &mut self.bytes, start)?;
        self.count += 1;
        Ok(())
    }

    /// Ends the reply to the request `id`, begun at `start`. In the place of one that does not fit
    /// into a frame stands an error: every request is answered, unless no error fits either.
    /// `refused` is told, and logs it where no lock is held.
    #[inline]
    pub(super) fn end_reply(
        &mut self,
        framer: &dyn AnyFramer,
        start: usize,
        version: Version,
        id: Id<'_>,
        refused: impl FnOnce(Refusal),
    ) {
        if let Err(error) = self.end(framer, start) {
            refused(self.refuse(framer, version, id, error));
        }
    }

    #[cold]
    fn refuse(&mut self, framer: &dyn AnyFramer, version: Version, id: Id<'_>, error: FrameError) -> Refusal {
        let told = ErrorObject::new(ErrorCode::INTERNAL_ERROR, format!("the reply cannot be sent: {error}"));
        // The id is the peer's choice: it may be the part that is too long.
        let is_told = [id, Id::NULL].into_iter().any(|id| {
            let start = self.begin(framer);
            version.put_error(&mut self.bytes, id, &told);
            self.end(framer, start).is_ok()
        });
        Refusal { is_told, error }
    }

    /// Gives back the memory of a buffer that is empty.
    pub(super) fn trim(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}

/// A reply did not fit into a frame.
#[derive(Debug)]
#[must_use = "the log is to say why"]
pub(super) struct Refusal {
    /// Whether the peer was sent an error instead.
    is_told: bool,
    error: FrameError,
}

impl Refusal {
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
