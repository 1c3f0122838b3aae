//! A stream that takes and gives as few bytes at a time as it is told.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that is cut in pieces of given sizes, over and over. A size of 0 makes whoever reads or writes wait for its next turn.
#[derive(Debug)]
pub struct Choppy<T> {
    io: T,
    /// Each direction goes through the sizes by itself: were they shared, one of the two might always meet the 0.
    reads: Sizes,
    writes: Sizes,
}

#[derive(Debug, Clone)]
struct Sizes {
    sizes: Vec<usize>,
    next: usize,
}

impl<T> Choppy<T> {
    /// Cuts `io`. One of the sizes must not be 0, or nothing ever moves; without any, it is not cut.
    pub fn new(io: T, sizes: Vec<usize>) -> Self {
        let sizes = Sizes { sizes, next: 0 };
        Self { io, reads: sizes.clone(), writes: sizes }
    }
}

impl Sizes {
    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<usize> {
        let Some(at) = self.next.checked_rem(self.sizes.len()) else { return Poll::Ready(usize::MAX) };
        self.next = at + 1;
        match self.sizes[at] {
            0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            size => Poll::Ready(size),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Choppy<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let size = ready!(self.reads.poll_next(cx)).min(buf.remaining());
        let mut piece = vec![0; size];
        let mut read = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        buf.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Choppy<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let size = ready!(self.writes.poll_next(cx)).min(bytes.len());
        Pin::new(&mut self.io).poll_write(cx, &bytes[..size])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
