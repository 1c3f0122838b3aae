//! The stream inside TLS, and the recorder of a peer's first bytes for handshake errors.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls;

use super::{certificates::PeerCertificates, error::TlsError};
use crate::transport::{ByteStream, Foreign, Io, Start};

/// A stream after the handshake. Shutdown sends `close_notify`; a peer that closes without it is at
/// its end, too.
pub(super) struct TlsStream<IO>(pub(super) tokio_rustls::TlsStream<RecordedIo<IO>>);

impl<IO: ByteStream> TlsStream<IO> {
    pub(super) fn new(inner: impl Into<tokio_rustls::TlsStream<RecordedIo<IO>>>) -> Self {
        Self(inner.into())
    }

    /// The certificates presented by the peer, if any.
    pub(super) fn peer_certificates(&self) -> Option<PeerCertificates> {
        PeerCertificates::new(self.0.get_ref().1.peer_certificates())
    }

    /// The negotiated ALPN protocol, if protocols were offered.
    #[cfg(feature = "http")]
    pub(super) fn agreed_protocol(&self) -> Option<AgreedProtocol> {
        self.0.get_ref().1.alpn_protocol().map(|protocol| AgreedProtocol(protocol.to_vec()))
    }
}

/// Delegates to the stream below: if that is broken, so is this.
impl<IO: Io> Io for TlsStream<IO> {
    fn reports_hang_up(&self) -> bool {
        self.0.get_ref().0.reports_hang_up()
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.get_mut().0.poll_hang_up(cx)
    }

    fn left(&self) -> u64 {
        self.0.get_ref().0.left()
    }
}

impl<IO: ByteStream> AsyncRead for TlsStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll_read(cx, buffer)) {
            // rustls reports a close without `close_notify` this way: see the module.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(explained(error)),
            Ok(()) => Ok(()),
        })
    }
}

/// Converts rustls errors, so that they are explained.
fn explained(error: io::Error) -> io::Error {
    match error.downcast::<rustls::Error>() {
        Ok(error) => TlsError::of_rustls("the peer".to_owned(), error).into(),
        Err(error) => error,
    }
}

impl<IO: ByteStream> AsyncWrite for TlsStream<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

impl<IO> fmt::Debug for TlsStream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

/// The negotiated ALPN protocol, in the extensions of a connection.
#[cfg(feature = "http")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgreedProtocol(pub(crate) Vec<u8>);

/// A stream that records the first bytes that are read from it.
#[derive(Debug)]
pub(super) struct RecordedIo<IO> {
    io: IO,
    start: Start,
}

impl<IO> RecordedIo<IO> {
    pub(super) const fn new(io: IO) -> Self {
        Self { io, start: Start::new() }
    }

    /// Identifies their protocol.
    pub(super) fn protocol(&self) -> Foreign {
        self.start.seen()
    }

    pub(super) fn into_inner(self) -> IO {
        self.io
    }
}

impl<IO: ByteStream> AsyncRead for RecordedIo<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        if !this.start.is_full() {
            this.start.add(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: ByteStream> AsyncWrite for RecordedIo<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: Io> Io for RecordedIo<IO> {
    fn reports_hang_up(&self) -> bool {
        self.io.reports_hang_up()
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_hang_up(cx)
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.io.poll_begun(cx)
    }

    fn closes(&mut self) {
        self.io.closes();
    }

    fn left(&self) -> u64 {
        self.io.left()
    }
}
