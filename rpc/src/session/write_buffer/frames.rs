//! A message and the marks of its framing, appended together or not at all.

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

/// Appends what `write` writes, within a frame.
pub(crate) fn put_framed<R, E>(
    framer: &dyn AnyFramer,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<R, E>,
) -> Result<R, Unsent<R, E>> {
    let start = out.len();
    framer.begin(out);
    let outcome = match write(out) {
        Ok(written) => match framer.finish(out, start) {
            Ok(()) => return Ok(written),
            Err(error) => Err(Unsent::Unframed(written, error)),
        },
        Err(error) => Err(Unsent::Unwritten(error)),
    };
    out.truncate(start);
    outcome
}

/// What became of an error in the place of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the log is to say why"]
pub(crate) enum Refusal {
    /// The peer is told.
    Told,
    /// No error fits into a frame either.
    Untold,
}

impl Refusal {
    pub(crate) const fn is_told(self) -> bool {
        matches!(self, Self::Told)
    }

    /// Apart from [`put_refusal`], which may be called under a lock.
    #[cold]
    pub(crate) fn log(self, error: &FrameError) {
        match self {
            Self::Told => {
                tracing::debug!(rpc.system.name = "jsonrpc", error = %brief(error), "a reply does not fit into a frame");
            }
            Self::Untold => {
                tracing::error!(
                    rpc.system.name = "jsonrpc", error = %brief(error),
                    "a request is not answered: no error fits into a frame"
                );
            }
        }
    }
}

/// Appends an error in the place of a reply that does not fit into a frame: the request is answered
/// in any case, unless no error fits either.
#[cold]
pub(crate) fn put_refusal(
    framer: &dyn AnyFramer,
    out: &mut Vec<u8>,
    version: Version,
    id: Id<'_>,
    error: &FrameError,
) -> Refusal {
    let told = ErrorObject::new(ErrorCode::INTERNAL_ERROR, format!("the reply cannot be sent: {error}"));
    // The id is the peer's, and may be what is too long.
    for id in [id, Id::NULL] {
        let put = put_framed(framer, out, |out| {
            version.put_error(out, id, &told);
            Ok::<_, std::convert::Infallible>(())
        });
        if put.is_ok() {
            return Refusal::Told;
        }
    }
    Refusal::Untold
}
