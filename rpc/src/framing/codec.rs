//! `tokio-util` codecs as framers.

use std::{error::Error, fmt, marker::PhantomData};

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::framer::{FrameError, Framed, Framer};
use crate::jsonrpc::chain;

/// Any `tokio-util` type that is both a [`Decoder`] and an [`Encoder`]: existing framings, and
/// those that keep state or produce other bytes than the stream holds (compressed, encrypted,
/// escaped).
///
/// Compared with a [`Framer`], each message is copied on the way in and on the way out. A decoder
/// error ends the session. The session drops a frame over the limit, and counts it as an error,
/// once it is decoded. Give the codec a limit of its own too: an incomplete frame is buffered up to
/// twice the session's limit, and a decoder may reserve what an untrusted peer declares.
/// [`LengthDelimitedCodec`](tokio_util::codec::LengthDelimitedCodec) does so up to its
/// `max_frame_length` (8 MiB unless set). Memory reserved beyond the received bytes is released at
/// once.
///
/// Bytes that the decoder still buffers when the stream ends are dropped: `decode_eof` is not
/// called.
///
/// The decoder keeps its state between frames. The encoder is cloned for each message, so it must
/// be stateless.
///
/// ```
/// use rpc::{Connector, framing::CodecFramer};
/// use tokio_util::codec::LengthDelimitedCodec;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (here, _there) = rpc::transport::memory(64);
/// let codec = LengthDelimitedCodec::builder().length_field_type::<u16>().little_endian().new_codec();
/// let session = Connector::over(here).framer(CodecFramer::new(codec)).connect().await?;
/// # Ok(()) }
/// ```
pub struct CodecFramer<C, M = Bytes> {
    codec: C,
    /// Bytes that the decoder has not consumed.
    buffer: BytesMut,
    /// The decoder returned a frame and was not called again since, so it may have more.
    has_more: bool,
    /// The last frame, kept until it is taken, and how many unread bytes the decoder had consumed
    /// by then.
    last: Option<(Bytes, usize)>,
    put_back: bool,
    limit: usize,
    messages: PhantomData<fn(M)>,
}

impl<C> CodecFramer<C> {
    /// For a codec that encodes [`Bytes`].
    pub fn new(codec: C) -> Self {
        Self::over(codec)
    }
}

impl<C> CodecFramer<C, String> {
    /// For a codec that encodes a [`String`], as [`LinesCodec`](tokio_util::codec::LinesCodec)
    /// does.
    pub fn text(codec: C) -> Self {
        Self::over(codec)
    }
}

impl<C, M> CodecFramer<C, M> {
    fn over(codec: C) -> Self {
        Self {
            codec,
            buffer: BytesMut::new(),
            has_more: false,
            last: None,
            put_back: false,
            limit: usize::MAX,
            messages: PhantomData,
        }
    }
}

impl<C, M> CodecFramer<C, M> {
    /// Releases memory that was reserved only because the peer declared a length.
    fn give_back(&mut self) {
        if self.buffer.capacity() > 2 * self.buffer.len() + SPARE {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }
}

/// Spare buffer capacity that a decoder may keep, in bytes.
const SPARE: usize = 64 << 10;

/// Allowance for framing overhead around a message, in bytes, whatever the limit.
const OVERHEAD: usize = 4096;

impl<C, M> Framer for CodecFramer<C, M>
where
    C: Decoder<Item: Into<Bytes>, Error: Error> + Encoder<M, Error: Error> + Clone + Send + Sync + 'static,
    M: From<OutgoingMessage> + 'static,
{
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        // While the decoder may have more frames, one of its bytes is reported as unread, so that
        // the session calls again.
        let known = usize::from(self.has_more);
        if std::mem::take(&mut self.put_back)
            && let Some((frame, taken)) = self.last.clone()
        {
            return Ok(Framed::Decoded { frame, consumed: taken - 1 });
        }
        self.last = None;
        self.buffer.extend_from_slice(&unread[known..]);
        self.has_more = false;
        let decoded = self.codec.decode(&mut self.buffer);
        let decoded = decoded.map_err(|error| FrameError::Invalid(chain(&error).to_string()))?;
        let Some(frame) = decoded else {
            if self.buffer.len() > self.limit.saturating_mul(2).saturating_add(OVERHEAD) {
                return Err(FrameError::TooLarge { size: self.buffer.len(), limit: self.limit });
            }
            self.give_back();
            let consumed = unread.len();
            // A decoder may be inside a frame of which it buffers nothing. That is not visible from
            // here.
            return Ok(match self.buffer.is_empty() {
                true => Framed::Between { consumed },
                false => Framed::Incomplete { consumed },
            });
        };
        let frame: Bytes = frame.into();
        self.has_more = true;
        let consumed = unread.len() - 1;
        self.last = Some((frame.clone(), unread.len()));
        Ok(Framed::Decoded { frame, consumed })
    }

    fn put_back(&mut self) {
        self.put_back = true;
    }

    fn taken(&mut self) {
        self.last = None;
    }

    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        let mut encoded = BytesMut::new();
        let message = OutgoingMessage(out[start..].to_vec());
        let outcome = self.codec.clone().encode(message.into(), &mut encoded);
        outcome.map_err(|error| FrameError::Invalid(chain(&error).to_string()))?;
        out.truncate(start);
        out.extend_from_slice(&encoded);
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }
}

/// An outgoing message, converted to the codec's item type.
#[doc(hidden)]
#[derive(Debug)]
pub struct OutgoingMessage(Vec<u8>);

impl From<OutgoingMessage> for Bytes {
    fn from(message: OutgoingMessage) -> Self {
        message.0.into()
    }
}

impl From<OutgoingMessage> for String {
    /// This crate writes JSON, which is UTF-8: the lossy branch is for other users of the framer.
    fn from(message: OutgoingMessage) -> Self {
        Self::from_utf8(message.0)
            .unwrap_or_else(|error| Self::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl<C: Clone, M> Clone for CodecFramer<C, M> {
    fn clone(&self) -> Self {
        Self {
            codec: self.codec.clone(),
            buffer: self.buffer.clone(),
            last: self.last.clone(),
            messages: PhantomData,
            ..*self
        }
    }
}

impl<C, M> fmt::Debug for CodecFramer<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodecFramer").field("codec", &std::any::type_name::<C>()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::codec::{LengthDelimitedCodec, LinesCodec};

    use super::*;
    use crate::framing::tests::{fatal_error, feed_chunks, frames};

    /// A codec that consumes everything it is given, then returns each line twice.
    #[derive(Clone, Default)]
    struct Twice(Vec<Bytes>);

    impl Decoder for Twice {
        type Item = Bytes;
        type Error = std::io::Error;

        fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, Self::Error> {
            while let Some(end) = memchr::memchr(b'\n', bytes) {
                let line = bytes.split_to(end + 1).freeze().slice(..end);
                self.0.extend([line.clone(), line]);
            }
            Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
        }
    }

    impl Encoder<Bytes> for Twice {
        type Error = std::io::Error;

        fn encode(&mut self, message: Bytes, out: &mut BytesMut) -> Result<(), Self::Error> {
            out.extend_from_slice(&message);
            out.extend_from_slice(b"\n");
            Ok(())
        }
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let messages = ["{}", "[1,2,3]", "{\"é\":2}"];
        let lengths = CodecFramer::new(LengthDelimitedCodec::new());
        let (delimited, lines) =
            (frames(&lengths, &messages), frames(&CodecFramer::text(LinesCodec::new()), &messages));
        assert!(delimited.starts_with(b"\0\0\0\x02{}\0\0\0\x07["));
        assert!(lines.starts_with(b"{}\n["));
        for step in 1..=delimited.len() {
            let (found, errors) = feed_chunks(lengths.clone(), &delimited, step, usize::MAX);
            assert_eq!(
                (found, errors),
                (messages.map(str::to_owned).to_vec(), vec![]),
                "in pieces of {step}"
            );
            let (found, errors) = feed_chunks(CodecFramer::text(LinesCodec::new()), &lines, step, usize::MAX);
            assert_eq!(
                (found, errors),
                (messages.map(str::to_owned).to_vec(), vec![]),
                "in pieces of {step}"
            );
        }
    }

    #[test]
    fn a_codec_may_give_more_than_it_takes() {
        let framer = CodecFramer::new(Twice::default());
        let bytes = frames(&framer, &["{}", "[]"]);
        for step in 1..=bytes.len() {
            let (found, _) = feed_chunks(framer.clone(), &bytes, step, usize::MAX);
            assert_eq!(found, ["{}", "{}", "[]", "[]"], "in pieces of {step}");
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_given_to_the_session_which_drops_it() {
        let framer = CodecFramer::new(LengthDelimitedCodec::new());
        let bytes = frames(&framer, &["0123456789x", "{}"]);
        for step in 1..=bytes.len() {
            let (found, errors) = feed_chunks(framer.clone(), &bytes, step, 10);
            assert_eq!((found, errors), (vec!["0123456789x".to_owned(), "{}".to_owned()], vec![]));
        }
    }

    #[test]
    fn memory_for_a_length_that_is_only_declared_is_given_back() {
        let mut framer = CodecFramer::new(LengthDelimitedCodec::new());
        for piece in [&b"\0\x7f\xff\xff"[..], &[b'x'; 1000], &[b'x'; 100_000]] {
            framer.next(piece).expect("a beginning");
            assert!(framer.buffer.capacity() < 2 * (101_004 + SPARE), "{} bytes", framer.buffer.capacity());
        }
    }

    #[test]
    fn what_the_codec_refuses_ends_the_session() {
        let codec = LengthDelimitedCodec::builder().max_frame_length(100).new_codec();
        let error = fatal_error(CodecFramer::new(codec.clone()), b"\0\0\0\x65", 1);
        assert_eq!(error.to_string(), "the stream is broken: frame size too big");
        let mut out = vec![b'x'; 101];
        CodecFramer::new(codec).finish(&mut out, 0).expect_err("it is too long");
    }

    #[test]
    fn a_frame_that_never_ends_is_not_kept() {
        let mut framer = CodecFramer::text(LinesCodec::new());
        framer.set_limit(1000);
        let fed = (0..1000).take_while(|_| framer.next(&[b'x'; 100]).is_ok()).count();
        assert!(fed <= (2 * 1000 + OVERHEAD) / 100, "{fed} times 100 bytes");
    }
}
