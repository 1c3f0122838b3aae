//! Sockets that report a hang-up while they are not read.

use std::{
    io,
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    time::{Sleep, sleep},
};

use super::{
    connection::{ByteStream, Connection, Io},
    endpoint::Endpoint,
};

impl Connection {
    /// Over a socket that reports that the peer is gone.
    pub(crate) fn over_socket(socket: impl StreamSocket, peer: Endpoint) -> Self {
        Self::over(SocketIo::new(socket), peer)
    }
}

/// Polling interval for a socket whose peer has closed its direction: the system sends no further
/// event.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// Common interface of tokio's stream sockets.
pub(crate) trait StreamSocket: ByteStream + AsFd {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Current readiness.
    fn ready_now(&self) -> Ready;

    /// Clears read readiness, so that the next event is reported.
    fn forget_readable(&self);

    /// The pending error of the socket, if there is one.
    fn take_error(&self) -> io::Result<Option<io::Error>>;

    /// See [`Io::poll_begun`].
    fn poll_begun(&self, cx: &mut Context<'_>) -> Poll<bool>;
}

macro_rules! stream_socket {
    ($socket:ty, $poll_begun:expr) => {
        impl StreamSocket for $socket {
            fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_read_ready(cx)
            }

            fn ready_now(&self) -> Ready {
                let any = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
                self.ready(any).now_or_never().and_then(Result::ok).unwrap_or(Ready::EMPTY)
            }

            fn forget_readable(&self) {
                // Tokio clears readiness only after a `WouldBlock`.
                let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                drop(self.try_io(Interest::READABLE, nothing));
            }

            fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }

            fn poll_begun(&self, cx: &mut Context<'_>) -> Poll<bool> {
                $poll_begun(self, cx)
            }
        }
    };
}

#[cfg(feature = "tcp")]
stream_socket!(tokio::net::TcpStream, |socket: &Self, cx: &mut Context<'_>| {
    let peeked = socket.poll_peek(cx, &mut ReadBuf::new(&mut [0]));
    peeked.map(|peeked| peeked.is_ok_and(|bytes| bytes > 0))
});
// Tokio cannot peek at Unix sockets, and no handshake precedes the first message on them.
#[cfg(feature = "unix")]
stream_socket!(tokio::net::UnixStream, |_: &Self, _: &mut Context<'_>| Poll::Ready(true));

/// A socket that reports a hang-up.
#[derive(Debug)]
struct SocketIo<S> {
    socket: S,
    /// Read readiness was cleared although bytes may be unread: the system is asked before tokio.
    forgotten: bool,
    /// Polling timer, while the peer has closed its direction and there are no events.
    again: Option<Pin<Box<Sleep>>>,
    /// Bytes accepted by the system.
    left: u64,
}

impl<S> SocketIo<S> {
    const fn new(socket: S) -> Self {
        Self { socket, forgotten: false, again: None, left: 0 }
    }
}

impl<S: StreamSocket> SocketIo<S> {
    fn count_written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.left += bytes as u64;
        }
        written
    }

    /// Reads bytes whose readiness was cleared. `None` if there are none.
    #[cold]
    fn read_forgotten(&mut self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        loop {
            return match rustix::io::read(&self.socket, buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    Some(Ok(()))
                }
                Err(rustix::io::Errno::INTR) => continue,
                // Tokio reports whatever arrives from now on.
                Err(rustix::io::Errno::AGAIN) => {
                    self.forgotten = false;
                    None
                }
                Err(error) => Some(Err(error.into())),
            };
        }
    }
}

impl<S: StreamSocket> Io for SocketIo<S> {
    fn reports_hang_up(&self) -> bool {
        true
    }

    fn poll_hang_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let now = self.socket.ready_now();
            if now.is_error() || (now.is_read_closed() && now.is_write_closed()) {
                return Poll::Ready(self.socket.take_error().and_then(|error| error.map_or(Ok(()), Err)));
            }
            if now.is_read_closed() {
                let again = self.again.get_or_insert_with(|| Box::pin(sleep(ASKED_EVERY)));
                ready!(again.as_mut().poll(cx));
                self.again = None;
                continue;
            }
            self.forgotten = true;
            self.socket.forget_readable();
            ready!(self.socket.poll_read_ready(cx))?;
        }
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.socket.poll_begun(cx)
    }

    fn left(&self) -> u64 {
        self.left
    }
}

impl<S: StreamSocket> AsyncRead for SocketIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.forgotten
            && let Some(read) = self.read_forgotten(buffer)
        {
            return Poll::Ready(read);
        }
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: StreamSocket> AsyncWrite for SocketIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.count_written(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.count_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
