//! Spawning a child process, and the byte stream to and from it.

use std::{
    fmt, io,
    pin::Pin,
    process::Stdio,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    process::{ChildStdin, ChildStdout, Command},
    sync::oneshot,
    time::{Sleep, sleep},
};

use super::child::{ChildExit, ChildProcess, Exit, Patience, supervise};
use crate::transport::{Connection, Endpoint, Io};

/// A child process to spawn: see [`Connector::spawn`](crate::Connector::spawn). Often a command is
/// enough.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use rpc::{Connector, framing::ContentLengthFramer, transport::stdio::Spawn};
/// use tokio::process::Command;
///
/// let mut command = Command::new("rust-analyzer");
/// command.current_dir("/home/ann/project");
/// let server = Spawn::new(command).exit_timeout(Duration::from_secs(10));
/// let session = Connector::spawn(server).framer(ContentLengthFramer::new()).connect().await?;
/// # let _ = session;
/// # Ok(()) }
/// ```
pub struct Spawn {
    command: Command,
    patience: Patience,
}

impl Spawn {
    /// Spawns `command` with its standard input and output as the connection. It is killed if the
    /// runtime stops before it has exited (`kill_on_drop`). Everything else is as configured in the
    /// command: its standard error is inherited unless set otherwise.
    pub fn new(command: impl Into<Command>) -> Self {
        Self { command: command.into(), patience: Patience::default() }
    }

    /// How long the child may take to exit after its standard input was closed. Then it is told to
    /// terminate, with SIGTERM on systems with signals.
    ///
    /// A child that does not read never sees the end of its input. If it accepts no bytes for this
    /// long while the session closes and bytes are unsent, it is told to terminate.
    ///
    /// Default: 2 s (the MCP specification says "a reasonable time").
    pub fn exit_timeout(mut self, timeout: Duration) -> Self {
        self.patience.exit = timeout;
        self
    }

    /// How long the child may take to exit after it was told to terminate. Then it is killed. On
    /// systems without signals it is killed at once.
    ///
    /// Default: 2 s.
    pub fn terminate_timeout(mut self, timeout: Duration) -> Self {
        self.patience.terminate = timeout;
        self
    }

    /// The program of the command.
    pub(crate) fn program(&self) -> String {
        self.command.as_std().get_program().to_string_lossy().into_owned()
    }

    /// Spawns a new child. Must be called on a runtime, which also supervises it.
    pub(crate) fn start(&mut self) -> io::Result<Connection> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // If the runtime stops before the child has exited.
        self.command.kill_on_drop(true);
        let mut child = self.command.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("its standard input and output are no pipes"));
        };
        let program = self.program();
        let (process, closing) = supervise(child, program.clone(), self.patience);
        let pipes = (stdin, stdout);
        let stream = ChildStream::new(pipes, process.clone(), program, self.patience.exit, closing);
        let connection = Connection::over(stream, Endpoint::STDIO);
        connection.extensions.insert(process);
        Ok(connection)
    }
}

/// Without arguments and environment, which may hold secrets.
impl fmt::Debug for Spawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, patience) = (self.program(), &self.patience);
        f.debug_struct("Spawn").field("program", &program).field("patience", patience).finish_non_exhaustive()
    }
}

impl From<Command> for Spawn {
    fn from(command: Command) -> Self {
        Self::new(command)
    }
}

impl From<std::process::Command> for Spawn {
    fn from(command: std::process::Command) -> Self {
        Self::new(command)
    }
}

/// Once one of input, output and process has ended: how long to wait for the others before the end
/// is reported without them.
const FOLLOWING: Duration = Duration::from_secs(1);

/// Standard input and output of a child. The stream ends with the child, even if other processes
/// keep its output open.
#[derive(Debug)]
struct ChildStream {
    /// `None` once closed.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    is_at_end: bool,
    process: ChildProcess,
    /// The exit status, once known.
    exit: Option<Exit>,
    program: String,
    /// The write error, if there was one. It is reported by the reading side after all output was
    /// read: the child may have replied before.
    broken: Option<io::Error>,
    patience: Option<Pin<Box<Sleep>>>,
    /// Bytes sent to the child.
    left: u64,
    /// While the session closes, unsent bytes are discarded after this time.
    exit_timeout: Duration,
    is_closing: bool,
    unread: Option<Pin<Box<Sleep>>>,
    has_given_up: bool,
    /// Dropped to end the child, or sent to when its time to exit by itself is over. The last
    /// field, so that its standard input is closed before.
    closing: Option<oneshot::Sender<()>>,
}

impl ChildStream {
    fn new(
        (stdin, stdout): (ChildStdin, ChildStdout),
        process: ChildProcess,
        program: String,
        exit_timeout: Duration,
        closing: oneshot::Sender<()>,
    ) -> Self {
        Self {
            stdin: Some(stdin),
            stdout,
            is_at_end: false,
            process,
            exit: None,
            program,
            broken: None,
            patience: None,
            left: 0,
            exit_timeout,
            is_closing: false,
            unread: None,
            has_given_up: false,
            closing: Some(closing),
        }
    }

    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.exit.is_none() {
            self.exit = Some(ready!(self.process.poll_exit(cx)));
        }
        Poll::Ready(())
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.patience.get_or_insert_with(|| Box::pin(sleep(FOLLOWING))).as_mut().poll(cx)
    }

    /// Ready when the child has read nothing for too long while the session closes. Its time to
    /// exit by itself is then over, too, and it is told to terminate.
    fn poll_give_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_closing {
            return Poll::Pending;
        }
        let exit_timeout = self.exit_timeout;
        ready!(self.unread.get_or_insert_with(|| Box::pin(sleep(exit_timeout))).as_mut().poll(cx));
        self.has_given_up = true;
        self.stdin = None;
        if let Some(closing) = self.closing.take() {
            // Without a supervisor there is no child any more.
            let _ = closing.send(());
        }
        Poll::Ready(())
    }

    /// Reports the end of the stream, if there is one, when no more output is available.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let has_ended = self.poll_exit(cx).is_ready();
        if !has_ended && !self.is_at_end && self.broken.is_none() {
            return Poll::Pending;
        }
        // If the child has exited and its output has not ended, another process holds it, or its
        // last bytes are in flight.
        if !(self.is_at_end && has_ended) {
            ready!(self.poll_patience(cx));
        }
        let was_at_end = std::mem::replace(&mut self.is_at_end, true);
        Poll::Ready(match (&self.exit, self.broken.take()) {
            (Some(Ok(status)), _) if !status.success() => {
                let exit = ChildExit { program: self.program.clone(), status: *status, printed: None };
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, exit))
            }
            (None, Some(error)) if !was_at_end => Err(error),
            _ => Ok(()),
        })
    }
}

impl AsyncRead for ChildStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_at_end {
            let before = buf.filled().len();
            match Pin::new(&mut this.stdout).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() == before => this.is_at_end = true,
                Poll::Pending => {}
                outcome => return outcome,
            }
        }
        this.poll_end(cx)
    }
}

impl AsyncWrite for ChildStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.has_given_up {
            return Poll::Ready(Ok(buf.len()));
        }
        let Some(stdin) = &mut this.stdin else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if this.broken.is_none() {
            match Pin::new(stdin).poll_write(cx, buf) {
                Poll::Pending => ready!(this.poll_give_up(cx)),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    this.broken = Some(error);
                    // The reading side now has an error to report.
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(outcome) => {
                    this.unread = None;
                    this.left += outcome.as_ref().map_or(0, |&bytes| bytes as u64);
                    return Poll::Ready(outcome);
                }
            }
        }
        // Discards the bytes: the child does not read.
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Closes the standard input of the child, and waits for its exit.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.stdin = None;
        this.closing = None;
        // The child may block on its output until it is read.
        let mut space = [0; 4096];
        while !this.is_at_end {
            let mut unread = ReadBuf::new(&mut space);
            let read = Pin::new(&mut this.stdout).poll_read(cx, &mut unread);
            match read {
                Poll::Pending => break,
                Poll::Ready(outcome) => this.is_at_end = outcome.is_err() || unread.filled().is_empty(),
            }
        }
        this.poll_exit(cx).map(Ok)
    }
}

impl Io for ChildStream {
    fn closes(&mut self) {
        self.is_closing = true;
    }

    fn left(&self) -> u64 {
        self.left
    }
}
