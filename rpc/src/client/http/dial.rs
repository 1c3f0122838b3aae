//! How connections to the server are made, as hyper asks for them.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{HttpClientError, url::Target};
use crate::transport::{ByteStream, tcp};

/// Makes connections to one server, whatever it is asked for: a client has only one.
#[derive(Clone)]
pub(super) struct Dial {
    how: How,
    timeout: Duration,
}

/// Why there is no connection. It reaches the caller as it was, past hyper.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct NotOpened(pub(super) Arc<io::Error>);

/// Makes one connection.
pub(super) type Open = dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> + Send + Sync;

#[derive(Clone)]
enum How {
    Tcp { host: Arc<str>, port: u16 },
    With(Arc<Open>),
}

impl Dial {
    pub(super) fn to(target: &Target, timeout: Duration) -> Result<Self, HttpClientError> {
        if target.tls {
            let reason = "TLS is not available".to_owned();
            return Err(HttpClientError::Url { url: target.shown.clone(), reason });
        }
        Ok(Self { how: How::Tcp { host: target.host.as_str().into(), port: target.port }, timeout })
    }

    pub(super) fn with(open: Arc<Open>, timeout: Duration) -> Self {
        Self { how: How::With(open), timeout }
    }

    async fn open(self) -> io::Result<Box<dyn ByteStream>> {
        match self.how {
            How::Tcp { host, port } => Ok(Box::new(tcp::connect(&host, port).await?)),
            How::With(open) => open().await,
        }
    }
}

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<Stream>;
    type Error = NotOpened;
    type Future = BoxFuture<'static, Result<TokioIo<Stream>, NotOpened>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotOpened>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (dial, after) = (self.clone(), self.timeout);
        Box::pin(async move {
            let opened = tokio::time::timeout(after, dial.open()).await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {after:?}")))
            });
            opened.map(|io| TokioIo::new(Stream(io))).map_err(|error| NotOpened(error.into()))
        })
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A connection, as hyper wants to know it.
pub(super) struct Stream(Box<dyn ByteStream>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

// hyper's client wants one type that it can ask about the connection.
impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
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
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
