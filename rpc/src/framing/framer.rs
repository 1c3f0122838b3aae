//! What a framer is, what it finds, and what can be wrong with a stream of frames.

use std::{any::Any, fmt, ops::Range};

use bytes::Bytes;

use crate::jsonrpc::shown::escaped;

/// Finds frames in a stream of bytes and marks them in what is sent.
///
/// Every session has a framer of its own, made by cloning. A framer of yours is a few lines:
///
/// ```
/// use rpc::framing::{FrameError, Framed, Framer};
///
/// /// Frames end with a NUL byte.
/// #[derive(Debug, Clone, Default)]
/// struct NulFramer;
///
/// impl Framer for NulFramer {
///     fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
///         Ok(match unread.iter().position(|&byte| byte == 0) {
///             Some(end) => Framed::Frame { frame: 0..end, consumed: end + 1 },
///             None => Framed::Incomplete { consumed: 0 },
///         })
///     }
///
///     fn finish(&self, out: &mut Vec<u8>, _start: usize) -> Result<(), FrameError> {
///         out.push(0);
///         Ok(())
///     }
/// }
///
/// let mut out = b"{}".to_vec();
/// NulFramer.finish(&mut out, 0).unwrap();
/// assert_eq!(NulFramer.next(&out).unwrap(), Framed::Frame { frame: 0..2, consumed: 3 });
/// ```
pub trait Framer: Clone + fmt::Debug + Send + Sync + 'static {
    /// Whether it runs no code but this crate's: then it may be used under a session's lock.
    #[doc(hidden)]
    const OWN: bool = false;

    /// Looks for the next frame in the bytes that were read and not yet consumed.
    ///
    /// The bytes that were not consumed stand at the front of the next call, so a framer may remember how far it has looked. A frame
    /// that has to wait is [put back](Self::put_back) and asked for again: it is found again.
    ///
    /// # Errors
    ///
    /// Where the stream cannot be made sense of from here on: the session ends with the error.
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError>;

    /// The frame that was given last has to wait: the next call gives it again.
    ///
    /// Its bytes were not consumed, so a framer that finds it in them has nothing to do. One that [decodes](Framed::Decoded) has.
    fn put_back(&mut self) {}

    /// The frame that was given last has been dealt with. Called for those that were
    /// [decoded](Framed::Decoded): what was kept so that it could be put back may go.
    fn taken(&mut self) {}

    /// Whether more has to come of a frame that was [dropped](Framed::Dropped), though none of its
    /// bytes is unread: the message behind a header, a mark at its end. Asked when a frame was dropped,
    /// or the last part of one, so that the rest has no more time than
    /// [`Limits::frame_timeout`](crate::Limits::frame_timeout).
    fn owes_more(&self) -> bool {
        false
    }

    /// The stream has ended, in good order, behind bytes in which [`next`](Self::next) finds no whole
    /// frame: where the message stands in them if nothing but the mark at its end is missing. It is
    /// handled if it is a whole object or array of JSON, and passed over if not, or where messages are
    /// no JSON-RPC.
    ///
    /// Default: `None`. A framing that says how long a frame is knows that this one was cut.
    fn last(&self, unread: &[u8]) -> Option<Range<usize>> {
        let _ = unread;
        None
    }

    /// Called before a message is appended to `out`: a framer with a header of fixed size makes room for it.
    fn begin(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Called when a message stands in `out`; `start` is where `begin` was called.
    ///
    /// # Errors
    ///
    /// Where the message does not fit into a frame. It is cut off again: a call ends with the error, and a reply becomes a short error.
    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError>;

    /// The size in bytes over which a frame is dropped: [`Limits::frame_size`](crate::Limits::frame_size), before anything is read, and again
    /// when it changes while the session is open. See [`guide::limits`](crate::guide::limits#frames-over-the-limit).
    fn set_limit(&mut self, bytes: usize) {
        let _ = bytes;
    }
}

/// What a framer found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// A frame, as a range of the bytes it was given, of which the first `consumed` are done with.
    Frame {
        /// Where the message stands.
        frame: Range<usize>,
        /// How many bytes are done with, the frame's own included.
        consumed: usize,
    },
    /// A frame that does not stand in the stream as it is: compressed, escaped. The session drops one that is over the limit.
    Decoded {
        /// The message.
        frame: Bytes,
        /// How many bytes are done with. None of them may be the last one of those that were given while there is more to decode of
        /// them: who has given everything is not asked again before something arrives.
        consumed: usize,
    },
    /// Nothing to give for the first `consumed` bytes, and no frame is under way behind them: blank lines.
    Between {
        /// How many bytes are done with. Where it is 0 the framer waits for more, and that has as much time as it takes.
        consumed: usize,
    },
    /// A frame is under way: it has to be whole within [`Limits::frame_timeout`](crate::Limits::frame_timeout). The first `consumed`
    /// bytes are done with.
    Incomplete {
        /// How many bytes are done with.
        consumed: usize,
    },
    /// The header of a frame says that it is too large. The frame is not kept: its parts follow, as [`Dropping`](Self::Dropping).
    ///
    /// Its sender is answered, where it is a request. One that is more than sixteen times as large as may be ends the session.
    Oversized {
        /// How large it says that it is, in bytes. More than 0.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
        /// How many bytes are done with: the header, and no part of the frame.
        consumed: usize,
    },
    /// A frame is under way that is not kept, being too large: the first `consumed` bytes are a part of it, the first one or the next.
    /// Should it turn out to be the reply to a call of ours, the call ends with an error; a request is answered with one.
    Dropping {
        /// How many bytes are done with: at least one.
        consumed: usize,
        /// Whether it is the last part, for a frame whose header has said that it is [too large](Self::Oversized).
        is_last: bool,
    },
    /// A frame was dropped: all of it, or what is left of one that was [being dropped](Self::Dropping) without a header.
    Dropped {
        /// Why.
        error: FrameError,
        /// How many bytes are done with.
        consumed: usize,
    },
}

/// A frame over so many times the limit is not waited for.
const FAR_OVER: usize = 16;

/// Whether a frame of so many bytes is not passed over any more, but ends the session, or the exchange over HTTP.
pub(crate) const fn is_far_over(size: usize, limit: usize) -> bool {
    size > limit.saturating_mul(FAR_OVER)
}

/// A framer whose type is forgotten: what sessions hold.
pub(crate) trait AnyFramer: fmt::Debug + Send + Sync {
    /// Whether it runs no code of the user's.
    fn is_own(&self) -> bool;
    /// The bytes may be changed where they stand: a mask is taken off.
    fn next(&mut self, unread: &mut [u8]) -> Result<Framed, FrameError>;
    fn put_back(&mut self);
    fn taken(&mut self) {}

    fn owes_more(&self) -> bool {
        false
    }

    fn last(&self, unread: &[u8]) -> Option<Range<usize>> {
        let _ = unread;
        None
    }

    fn begin(&self, out: &mut Vec<u8>);
    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError>;
    fn set_limit(&mut self, bytes: usize);
    fn cloned(&self) -> Box<dyn AnyFramer>;

    /// One that takes apart what this one has put together.
    fn of_sent(&self) -> Box<dyn AnyFramer> {
        self.cloned()
    }

    /// The concrete framer, to tell which one it is. `None` for those that only one transport has.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// Whether a peer that speaks another protocol has been found out before the first frame.
    fn is_handshaken(&self) -> bool {
        false
    }

    /// How many bytes of a frame that is not whole are kept here, besides those that are unread.
    fn kept(&self) -> usize {
        0
    }

    /// What is wrong with the frame that was given last, where it claims to be text and is not UTF-8. It is asked when
    /// the application's own reader has found that out, or does not look.
    fn not_text(&mut self, frame: &[u8]) -> Option<FrameError> {
        let _ = frame;
        None
    }

    /// Looks for control frames among bytes that are not taken yet, for lack of a permit or of room: a ping is answered. Whether the peer has
    /// closed; that counts as taken.
    fn look_ahead(&mut self, unread: &[u8]) -> bool {
        let _ = unread;
        false
    }

    /// Whether frames can still be told apart behind an error.
    fn is_in_step(&self) -> bool {
        false
    }
}

impl Clone for Box<dyn AnyFramer> {
    fn clone(&self) -> Self {
        self.cloned()
    }
}

impl<F: Framer> AnyFramer for F {
    fn is_own(&self) -> bool {
        F::OWN
    }

    fn next(&mut self, unread: &mut [u8]) -> Result<Framed, FrameError> {
        Framer::next(self, unread)
    }

    fn put_back(&mut self) {
        Framer::put_back(self);
    }

    fn taken(&mut self) {
        Framer::taken(self);
    }

    fn owes_more(&self) -> bool {
        Framer::owes_more(self)
    }

    fn last(&self, unread: &[u8]) -> Option<Range<usize>> {
        Framer::last(self, unread)
    }

    fn begin(&self, out: &mut Vec<u8>) {
        Framer::begin(self, out);
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        Framer::finish(self, out, start)
    }

    fn set_limit(&mut self, bytes: usize) {
        Framer::set_limit(self, bytes);
    }

    fn cloned(&self) -> Box<dyn AnyFramer> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// Bytes that are no frame, or a message that fits into none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is larger than [`Limits::frame_size`](crate::Limits), or, on the way out, than the framing can say.
    #[error("a frame of {size} bytes or more is over the limit of {limit} bytes")]
    TooLarge {
        /// How large it says it is, or how much of it had arrived when it was given up, in bytes.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// Headers do not end.
    #[error("the headers of a frame have not ended within {limit} bytes")]
    HeadersTooLarge {
        /// How many bytes they may have.
        limit: usize,
    },
    /// A line among the headers is none.
    #[error("`{}` is no header", escaped(.found))]
    InvalidHeader {
        /// The start of it.
        found: String,
    },
    /// What should say how long a frame is does not.
    #[error("`{}` is no length of a frame in bytes", escaped(.found))]
    InvalidLength {
        /// The start of it.
        found: String,
    },
    /// There is no `Content-Length` among the headers.
    #[error("the headers of a frame have no Content-Length")]
    MissingLength,
    /// There is more than one `Content-Length` among the headers.
    #[error("the headers of a frame have more than one Content-Length")]
    RepeatedLength,
    /// The message is not in UTF-8.
    #[error("a frame is of the charset `{}`: only utf-8 is read", escaped(.found))]
    UnsupportedCharset {
        /// What it says it is.
        found: String,
    },
    /// Something stands where nothing but something else may stand.
    #[error("{expected} was expected, and `{}` came", escaped(.found))]
    Unexpected {
        /// What may stand there.
        expected: &'static str,
        /// The start of what came.
        found: String,
    },
    /// A message of another network, or of no network at all.
    #[error("a message begins with `{}`, and not with `{}`", escaped(.found), escaped(.expected))]
    WrongMagic {
        /// The network's own.
        expected: String,
        /// What came.
        found: String,
    },
    /// A payload is larger than its command may have.
    #[error("the payload of `{}`, {size} bytes, is over the limit of {limit} bytes", escaped(.command))]
    PayloadTooLarge {
        /// What the message is.
        command: String,
        /// Its size, in bytes.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A message was damaged on its way.
    #[error("the checksum of `{}` is {found:08x}: its payload has {expected:08x}", escaped(.command))]
    WrongChecksum {
        /// What the message is.
        command: String,
        /// What the payload that came has.
        expected: u32,
        /// What the header says.
        found: u32,
    },
    /// The stream does not follow the rules of the framing.
    #[error("the stream is broken: {}", escaped(.0))]
    Invalid(String),
}

impl FrameError {
    /// How bad the error is, next to input that cannot be read at all: what it costs the peer is this part of
    /// [`Limits::cost_of_unreadable`](crate::Limits::cost_of_unreadable). 1, but 0.5 for a payload over the limit of its command and 0.1
    /// for a wrong checksum: 1,000, 500 and 100 unless set (aiorpcX).
    pub const fn severity(&self) -> f64 {
        match self {
            Self::WrongChecksum { .. } => 0.1,
            Self::PayloadTooLarge { .. } => 0.5,
            _ => 1.0,
        }
    }
}

/// The start of what came, for a log.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 40;
    let start = bytes[..bytes.len().min(LONGEST)].escape_ascii().to_string();
    if bytes.len() > LONGEST { start + "…" } else { start }
}
