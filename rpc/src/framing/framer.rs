//! The framer traits, their result, and framing errors.

use std::{any::Any, fmt, ops::Range};

use bytes::Bytes;

use crate::jsonrpc::shown::escaped;

/// Finds frames in a byte stream, and adds the framing to outgoing messages.
///
/// Each session clones a framer for itself. A custom framer takes a few lines:
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
    /// Whether only code of this crate runs in it, so that it may be called under the session's
    /// lock.
    #[doc(hidden)]
    const OWN: bool = false;

    /// Looks for the next frame in the bytes that were read and not consumed.
    ///
    /// Unconsumed bytes are at the front of the next call, so a framer may remember how far it has
    /// searched. A frame that cannot be handled yet is [put back](Self::put_back) and has to be
    /// found again by the next call.
    ///
    /// # Errors
    ///
    /// When framing is lost and the stream cannot be resynchronized: the session ends with the
    /// error.
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError>;

    /// The last frame cannot be handled yet: the next call must return it again.
    ///
    /// Its bytes were not consumed, so a framer that finds it in them has nothing to do. One that
    /// [decodes](Framed::Decoded) has to keep it.
    fn put_back(&mut self) {}

    /// The last frame has been handled. Called for [decoded](Framed::Decoded) frames: a copy kept
    /// for [`put_back`](Self::put_back) may be dropped.
    fn taken(&mut self) {}

    /// Whether a [dropped](Framed::Dropped) frame is still incomplete although no byte of it is
    /// unread: the body after a header, or a trailing delimiter, has not arrived. Called after a
    /// frame, or the last part of one, was dropped, so that the rest is subject to
    /// [`Limits::frame_timeout`](crate::Limits::frame_timeout).
    fn owes_more(&self) -> bool {
        false
    }

    /// The stream has ended cleanly, and [`next`](Self::next) finds no complete frame in `unread`:
    /// the range of the message if only the final delimiter is missing. The message is handled if
    /// it is a complete JSON object or array. Otherwise, or if messages are not JSON-RPC, it is
    /// ignored.
    ///
    /// Default: `None`. Length-prefixed framings know that the frame was truncated.
    fn last(&self, unread: &[u8]) -> Option<Range<usize>> {
        let _ = unread;
        None
    }

    /// Called before a message is appended to `out`: a framer with a fixed-size header reserves
    /// space for it.
    fn begin(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Called once the message is in `out`; `start` is the position at which `begin` was called.
    ///
    /// # Errors
    ///
    /// When the message does not fit into a frame. It is removed again: a call ends with the error,
    /// and a reply becomes a short error reply.
    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError>;

    /// Sets the size in bytes over which a frame is dropped:
    /// [`Limits::frame_size`](crate::Limits::frame_size). Called before anything is read, and again
    /// when the limit changes in an open session. See
    /// [`guide::limits`](crate::guide::limits#frames-over-the-limit).
    fn set_limit(&mut self, bytes: usize) {
        let _ = bytes;
    }
}

/// The result of [`Framer::next`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// A frame, as a range of the given bytes, of which the first `consumed` are used up.
    Frame {
        /// The range of the message.
        frame: Range<usize>,
        /// Number of consumed bytes, including the frame.
        consumed: usize,
    },
    /// A frame whose message differs from the bytes in the stream: compressed, escaped. The session
    /// drops one that is over the limit.
    Decoded {
        /// The message.
        frame: Bytes,
        /// Number of consumed bytes. While more frames can be decoded from the given bytes, the
        /// last of them must not be consumed: without unread bytes, the framer is not called again
        /// until more arrive.
        consumed: usize,
    },
    /// The first `consumed` bytes hold no frame, such as blank lines, and no frame has begun after
    /// them.
    Between {
        /// Number of consumed bytes. If it is 0 the framer waits for more, without a timeout.
        consumed: usize,
    },
    /// An incomplete frame. It must be complete within
    /// [`Limits::frame_timeout`](crate::Limits::frame_timeout). The first `consumed` bytes are used
    /// up.
    Incomplete {
        /// Number of consumed bytes.
        consumed: usize,
    },
    /// The header declares a size over the limit. The frame is not buffered: its parts follow as
    /// [`Dropping`](Self::Dropping).
    ///
    /// A request is answered with an error. A frame of more than sixteen times the limit ends the
    /// session.
    Oversized {
        /// The declared size in bytes. More than 0.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
        /// Number of consumed bytes: the header, and no part of the frame.
        consumed: usize,
    },
    /// Part of a frame that is over the limit and is not buffered: the first `consumed` bytes. If
    /// the frame turns out to be the reply to a call, the call ends with an error; a request is
    /// answered with one.
    Dropping {
        /// Number of consumed bytes: at least one.
        consumed: usize,
        /// Whether this is the last part of a frame that was declared [too large](Self::Oversized).
        is_last: bool,
    },
    /// A frame was dropped: all of it, or the rest of one that was [being dropped](Self::Dropping)
    /// without a header.
    Dropped {
        /// The reason.
        error: FrameError,
        /// Number of consumed bytes.
        consumed: usize,
    },
}

/// A frame of more than this many times the limit is not skipped.
const FAR_OVER: usize = 16;

/// Whether a frame of `size` bytes ends the session, or the HTTP exchange, instead of being
/// skipped.
pub(crate) const fn is_far_over(size: usize, limit: usize) -> bool {
    size > limit.saturating_mul(FAR_OVER)
}

/// Object-safe [`Framer`], as sessions hold it.
pub(crate) trait AnyFramer: fmt::Debug + Send + Sync {
    /// Whether no user code runs in it.
    fn is_own(&self) -> bool;
    /// May modify the bytes in place: a WebSocket mask is removed.
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

    /// A framer that reads the frames that this one writes.
    fn of_sent(&self) -> Box<dyn AnyFramer> {
        self.cloned()
    }

    /// The concrete framer, for downcasts. `None` for a framer that belongs to one transport.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// Whether a handshake has already ruled out a peer of another protocol.
    fn is_handshaken(&self) -> bool {
        false
    }

    /// Bytes of an incomplete frame that are buffered here, in addition to the unread ones.
    fn kept(&self) -> usize {
        0
    }

    /// The error of the last frame if it is marked as text and is not UTF-8. Called when the
    /// application's own reader has found that out, or does not check.
    fn not_text(&mut self, frame: &[u8]) -> Option<FrameError> {
        let _ = frame;
        None
    }

    /// Looks for control frames among bytes that are not consumed for lack of a permit or of
    /// capacity, and answers a ping. Returns whether the peer has closed; that frame counts as
    /// consumed.
    fn look_ahead(&mut self, unread: &[u8]) -> bool {
        let _ = unread;
        false
    }

    /// Whether frame boundaries are still known after an error.
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

/// A framing error: bytes that are not a frame, or a message that fits into none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame exceeds [`Limits::frame_size`](crate::Limits) or, for an outgoing one, the largest
    /// size that the framing can express.
    #[error("a frame of {size} bytes or more is over the limit of {limit} bytes")]
    TooLarge {
        /// The declared size, or the number of bytes received when the frame was given up.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The headers have not ended within the limit.
    #[error("the headers of a frame have not ended within {limit} bytes")]
    HeadersTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A header line is malformed.
    #[error("`{}` is no header", escaped(.found))]
    InvalidHeader {
        /// The start of the line.
        found: String,
    },
    /// The length of a frame is not a number.
    #[error("`{}` is no length of a frame in bytes", escaped(.found))]
    InvalidLength {
        /// The start of it.
        found: String,
    },
    /// `Content-Length` is missing.
    #[error("the headers of a frame have no Content-Length")]
    MissingLength,
    /// `Content-Length` is repeated.
    #[error("the headers of a frame have more than one Content-Length")]
    RepeatedLength,
    /// The message is not UTF-8 by its declared charset.
    #[error("a frame is of the charset `{}`: only utf-8 is read", escaped(.found))]
    UnsupportedCharset {
        /// The declared charset.
        found: String,
    },
    /// Unexpected bytes.
    #[error("{expected} was expected, and `{}` came", escaped(.found))]
    Unexpected {
        /// The expected input.
        expected: &'static str,
        /// The start of the received bytes.
        found: String,
    },
    /// The magic of another network, or none at all.
    #[error("a message begins with `{}`, and not with `{}`", escaped(.found), escaped(.expected))]
    WrongMagic {
        /// The magic of this network.
        expected: String,
        /// The received magic.
        found: String,
    },
    /// A payload exceeds the limit of its command.
    #[error("the payload of `{}`, {size} bytes, is over the limit of {limit} bytes", escaped(.command))]
    PayloadTooLarge {
        /// The command.
        command: String,
        /// Size of the payload in bytes.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The checksum is wrong: the message was damaged in transit.
    #[error("the checksum of `{}` is {found:08x}: its payload has {expected:08x}", escaped(.command))]
    WrongChecksum {
        /// The command.
        command: String,
        /// The checksum of the received payload.
        expected: u32,
        /// The checksum in the header.
        found: u32,
    },
    /// The stream violates the framing.
    #[error("the stream is broken: {}", escaped(.0))]
    Invalid(String),
}

impl FrameError {
    /// How severe the error is relative to unreadable input: the peer is charged this fraction of
    /// [`Limits::cost_of_unreadable`](crate::Limits::cost_of_unreadable). It is 1, but 0.5 for a
    /// payload over the limit of its command and 0.1 for a wrong checksum: 1,000, 500 and 100
    /// unless set (aiorpcX).
    pub const fn severity(&self) -> f64 {
        match self {
            Self::WrongChecksum { .. } => 0.1,
            Self::PayloadTooLarge { .. } => 0.5,
            _ => 1.0,
        }
    }
}

/// The escaped start of received bytes, for a log or an error.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 40;
    let start = bytes[..bytes.len().min(LONGEST)].escape_ascii().to_string();
    if bytes.len() > LONGEST { start + "…" } else { start }
}
