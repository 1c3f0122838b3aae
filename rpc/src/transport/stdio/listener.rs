//! Listening at standard input: one peer is there, and no other one comes.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

use super::Stdio;
use crate::transport::{Connection, Endpoint, Socket};

/// Gives the one connection away, and ends when that has ended.
#[derive(Debug)]
struct StdioListener {
    stream: Mutex<Option<OnlyStream>>,
    /// Its sender is dropped with the stream.
    stream_is_used: watch::Receiver<()>,
}

/// The connection, which tells its listener when it is gone.
#[derive(Debug)]
struct OnlyStream {
    stdio: Stdio,
    _is_used: watch::Sender<()>,
}

/// Takes standard input and output for the one peer that is there.
pub(crate) fn listen() -> io::Result<Box<dyn Socket>> {
    let (is_used, stream_is_used) = watch::channel(());
    let stream = OnlyStream { stdio: Stdio::take()?, _is_used: is_used };
    Ok(Box::new(StdioListener { stream: Mutex::new(Some(stream)), stream_is_used }))
}

impl Socket for StdioListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>> {
        Box::pin(async {
            let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(stream) = stream {
                return Ok(Some(Connection::new(stream, Endpoint::STDIO)));
            }
            let mut is_used = self.stream_is_used.clone();
            while is_used.changed().await.is_ok() {}
            Ok(None)
        })
    }
}

impl AsyncRead for OnlyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdio).poll_read(cx, buf)
    }
}

impl AsyncWrite for OnlyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdio).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdio).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdio).poll_shutdown(cx)
    }
}
