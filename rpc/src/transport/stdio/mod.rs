//! Standard input and output: of this process, and of one that it starts.
//!
//! # A program that serves the one that has started it
//!
//! Language servers and tools of the Model Context Protocol speak over their standard input and output. The URL is `stdio:`, for listening as well
//! as for connecting. Feature `stdio`, on by default.
//!
//! ```no_run
//! use rpc::{BindError, Router, Server, framing::ContentLengthFramer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), BindError> {
//!     let server = Server::builder().service(Router::new()).framer(ContentLengthFramer::new()).bind("stdio:").await?;
//!     // Returns when the session has ended: nobody else comes this way.
//!     server.start().closed().await;
//!     Ok(())
//! }
//! ```
//!
//! - **Nothing else may be printed** to standard output: it would stand among the messages. Log to standard error.
//! - A process has one standard input: it is taken once, and not given back when it was read.
//! - `main` may return although nobody has closed the input: it is read by a thread that nobody waits for. (Tokio's own standard input would keep the
//!   runtime, and so the process, until the next byte.)
//! - The descriptors stay as they are, blocking or not: whoever shares them is not disturbed. Pipes, sockets, files and terminals will do.
//! - The peer sees the end of the output when the process ends.
//!
//! # A process that is started to be talked to
//!
//! [`Connector::spawn`](crate::Connector::spawn) starts one, and its standard input and output become the connection:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc::{CallError, CloseReason, Connector, transport::stdio::{ChildExit, ChildProcess}};
//! use tokio::process::Command;
//!
//! let session = Connector::spawn(Command::new("my-tool")).connect().await?;
//! match session.call::<Vec<String>>("tools/list", ()).await {
//!     Ok(tools) => println!("{tools:?}"),
//!     Err(CallError::Closed { reason: CloseReason::Io(error), .. }) if error.get_ref().is_some_and(|error| error.is::<ChildExit>()) => {
//!         println!("it has failed: {error}");         // "the process `my-tool` has ended: exit status: 1"
//!     }
//!     Err(other) => return Err(other.into()),
//! }
//! session.close().await;
//! let process = session.extensions().get::<ChildProcess>().expect("there is one");
//! println!("{}", process.exited().await?);
//! # Ok(()) }
//! ```
//!
//! Whatever ends the session ends the process: its standard input is closed; after [`Spawn::exit_timeout`](Spawn::exit_timeout) (2 s)
//! it is told to end (SIGTERM, where there are signals), after [`Spawn::terminate_timeout`](Spawn::terminate_timeout) (2 s more) it is
//! killed. `Session::close` waits for that. And whatever ends the process ends the session: one that fails with
//! [`ChildExit`], as one does that ends well, after everything that it has written was read: the status tells. One that closes
//! its standard output and goes on ends it with [`CloseReason::Peer`](crate::CloseReason::Peer).
//!
//! Lines of text that it prints before its first message are passed over, where messages are lines. If no message comes at all, the end of
//! the session says what came instead: [`CloseReason::WrongProtocol`](crate::CloseReason::WrongProtocol), or [`ChildExit::printed`].

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

/// Whether it is in use. Once something was read it stays so: the thread that reads has what came after the end.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// Both of them. There is one at most.
#[derive(Debug)]
pub(crate) struct Stdio {
    // Taken apart in this order: the claim is given back when neither is in use.
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
    /// Takes them, for this process has only one of each.
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

    /// Waits until everything is written. The descriptor is the process's, and is closed when that ends.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_flush(cx)
    }
}

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
