//! Bodies: reading one that may be too large, and the one that is sent.

use std::{
    convert::Infallible,
    fmt,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{
    capacity::{Permits, body_bytes},
    refusal::Refusal,
};
use crate::limits::Limits;

/// The body of a response: an answer, in one piece, or nothing.
#[derive(Debug, Clone, Default)]
pub struct HttpBody(Bytes);

impl From<Bytes> for HttpBody {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Body for HttpBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// Reads a body of no more than `frame_size` bytes. One that is said to be larger is not begun, and of
/// one that turns out to be, no more is kept. What is kept of one that is not whole has a permit for
/// each byte.
pub(super) async fn read<B>(body: B, permits: Permits<'_>, limits: &Limits) -> Result<Bytes, Refusal>
where
    B: Body<Error: fmt::Display>,
{
    let limit = limits.frame_size;
    let declared = body.size_hint().lower();
    if declared > limit as u64 {
        return Err(Refusal::TooLarge { declared: Some(declared), limit });
    }
    let mut body = pin!(body);
    let mut read = Pieces { bytes: Vec::new(), limit, permits, permitted: body_bytes(limits) };
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| Refusal::Broken(error.to_string()))?;
        // Trailers say nothing to us.
        let Ok(mut data) = frame.into_data() else { continue };
        if read.bytes.is_empty() && data.remaining() <= limit && body.is_end_stream() {
            // It came in one piece: `Bytes` gives itself away.
            return Ok(data.copy_to_bytes(data.remaining()));
        }
        read.push(&mut data)?;
    }
    Ok(read.bytes.into())
}

/// What has come so far.
struct Pieces<'a> {
    bytes: Vec<u8>,
    limit: usize,
    permits: Permits<'a>,
    /// How many permits there are.
    permitted: usize,
}

impl Pieces<'_> {
    fn push(&mut self, data: &mut impl Buf) -> Result<(), Refusal> {
        let size = self.bytes.len() + data.remaining();
        if size > self.limit {
            return Err(Refusal::TooLarge { declared: None, limit: self.limit });
        }
        if size > self.bytes.capacity() {
            // Twice as much each time, and never more than may come.
            let capacity = size.max(self.bytes.capacity().saturating_mul(2)).min(self.limit);
            let (arrived, limit) = (size, self.permitted);
            let grown = self.permits.grow(capacity - self.bytes.capacity());
            grown.map_err(|scarce| Refusal::NoRoom { arrived, scarce, limit })?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            self.bytes.extend_from_slice(chunk);
            let taken = chunk.len();
            data.advance(taken);
        }
        Ok(())
    }
}
