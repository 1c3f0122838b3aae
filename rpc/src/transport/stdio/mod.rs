//! Standard input and output: of this process, and of a child process.
//!
//! # A program that serves the one that has started it
//!
//! Language servers and tools of the Model Context Protocol communicate over their standard input
//! and output. The URL is `stdio:`, for listening and for connecting. Feature `stdio`, enabled by
//! default.
//!
//! ```no_run
//! use rpc::{BindError, Router, Server, framing::ContentLengthFramer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BindError> {
//!     let server = Server::builder().service(Router::new()).framer(ContentLengthFramer::new());
//!     let server = server.bind("stdio:").await?;
//!     // Returns when the session has ended: there is no other peer.
//!     server.start().closed().await;
//!     Ok(())
//! }
//! ```
//!
//! - **Do not print** to standard output: it would end up among the messages. Log to standard
//!   error.
//! - A process has one standard input: it can be taken once, and is not given back after it was
//!   read.
//! - `main` may return although the input is still open: it is read by a detached thread. (Tokio's
//!   own standard input would keep the runtime, and so the process, alive until the next byte.)
//! - The descriptors keep their blocking mode, so that other processes that share them are not
//!   affected. Pipes, sockets, files and terminals are supported.
//! - The peer sees the end of the output when the process exits.
//!
//! # A process that is started to be talked to
//!
//! [`Connector::spawn`](crate::Connector::spawn) starts a child process, whose standard input and
//! output become the connection:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc::{CallError, CloseReason, Connector, transport::stdio::{ChildExit, ChildProcess}};
//! use tokio::process::Command;
//!
//! let session = Connector::spawn(Command::new("my-tool")).connect().await?;
//! match session.call::<Vec<String>>("tools/list", ()).await {
//!     Ok(tools) => println!("{tools:?}"),
//!     Err(CallError::Closed { reason: CloseReason::Io(error), .. })
//!         if error.get_ref().is_some_and(|error| error.is::<ChildExit>()) =>
//!     {
//!         // "the process `my-tool` has ended: exit status: 1"
//!         println!("it has failed: {error}");
//!     }
//!     Err(other) => return Err(other.into()),
//! }
//! session.close().await;
//! let process = session.extensions().get::<ChildProcess>().expect("there is one");
//! println!("{}", process.exited().await?);
//! # Ok(()) }
//! ```
//!
//! When the session ends, for whatever reason, so does the child: its standard input is closed;
//! after [`Spawn::exit_timeout`](Spawn::exit_timeout) (2 s) it is told to terminate (SIGTERM, on
//! systems with signals), after [`Spawn::terminate_timeout`](Spawn::terminate_timeout) (2 s more)
//! it is killed. `Session::close` waits for that. When the child exits, successfully or not, the
//! session ends with [`ChildExit`], which has the status, after all of its output was read. When
//! the child closes its standard output and goes on, the session ends with
//! [`CloseReason::Peer`](crate::CloseReason::Peer).
//!
//! With line framing, text lines that the child prints before its first message are ignored. If no
//! message arrives at all, the close reason shows what arrived instead:
//! [`CloseReason::WrongProtocol`](crate::CloseReason::WrongProtocol), or [`ChildExit::printed`].

mod child;
mod spawn;
mod threads;

use std::{
    io,
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

use super::{Connection, Endpoint, Socket};
pub use child::{ChildExit, ChildProcess};
pub use spawn::Spawn;
use threads::{StdinReader, StdoutWriter};

/// Whether standard input and output are in use. After a read they stay so: the reading thread may
/// hold bytes of whatever follows the connection.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// Standard input and output as one stream. At most one exists.
#[derive(Debug)]
pub(crate) struct Stdio {
    // Dropped in this order: the claim is released when neither is in use.
    input: StdinReader,
    output: StdoutWriter,
    claim: StdioClaim,
}

#[derive(Debug)]
struct StdioClaim {
    is_used: bool,
}

impl Drop for StdioClaim {
    fn drop(&mut self) {
        if !self.is_used {
            CLAIMED.store(false, Ordering::SeqCst);
        }
    }
}

impl Stdio {
    /// Takes them. The process has only one of each.
    pub(crate) fn take() -> io::Result<Self> {
        if CLAIMED.swap(true, Ordering::SeqCst) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "standard input and output are a connection already, or were one",
            ));
        }
        let claim = StdioClaim { is_used: false };
        Ok(Self { input: StdinReader::default(), output: StdoutWriter::new(), claim })
    }
}

impl AsyncRead for Stdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.claim.is_used = true;
        self.input.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.claim.is_used = true;
        self.output.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush(cx)
    }

    /// Waits until everything is written. The descriptor belongs to the process, and is closed with
    /// it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush(cx)
    }
}

/// Accepts one connection, and ends after that has ended.
#[derive(Debug)]
struct StdioListener {
    stream: Mutex<Option<OnlyStream>>,
    /// Closed when the stream, which holds the sender, is dropped.
    stream_is_used: watch::Receiver<()>,
}

/// The connection, which tells its listener when it is dropped.
#[derive(Debug)]
struct OnlyStream {
    stdio: Stdio,
    _is_used: watch::Sender<()>,
}

/// Listens on standard input and output, which have one peer.
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
