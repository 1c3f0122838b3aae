//! A child process: how it is ended, and how it has ended.

use std::{
    fmt, io,
    pin::pin,
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Either, Shared, select},
};
use tokio::{
    process::{Child, ChildStderr},
    sync::oneshot,
    time::timeout,
};

use crate::jsonrpc::shown::{brief, escaped};

/// The child process at the other end of a session made with
/// [`Connector::spawn`](crate::Connector::spawn), in its [extensions](crate::Session::extensions).
/// Clones refer to the same process.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Connector, transport::stdio::ChildProcess};
/// use tokio::process::Command;
///
/// let session = Connector::spawn(Command::new("my-tool")).connect().await?;
/// let process = session.extensions().get::<ChildProcess>().expect("there is one");
/// session.close().await;
/// let status = process.exited().await?;
/// println!("it has ended: {status}");
/// # Ok(()) }
/// ```
///
/// Closing the session closes the standard input of the child, and waits for its exit (at most for
/// [`Limits::close_timeout`](crate::Limits::close_timeout)). The child is given time to exit, then
/// terminated, then killed: see [`Spawn`](super::Spawn). The same happens in the background when
/// the session ends in another way. No zombies remain. If the runtime stops before that, the child
/// is killed.
///
/// Processes that the child has started are not affected.
#[derive(Clone)]
pub struct ChildProcess {
    id: u32,
    program: Arc<str>,
    exit: Shared<BoxFuture<'static, Exit>>,
    stderr: Arc<Mutex<Option<ChildStderr>>>,
}

/// The exit status, or why it is unknown.
pub(super) type Exit = Result<ExitStatus, Arc<io::Error>>;

/// The child exited before the session ended, successfully or not.
///
/// The [`CloseReason::Io`](crate::CloseReason::Io) of such a session contains it:
///
/// ```
/// use rpc::{CloseReason, transport::stdio::ChildExit};
///
/// fn exit_code(reason: &CloseReason) -> Option<i32> {
///     let CloseReason::Io(error) = reason else { return None };
///     error.get_ref()?.downcast_ref::<ChildExit>()?.status.code()
/// }
/// # let exit = exit_code(&CloseReason::Peer);
/// # assert_eq!(exit, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the process `{program}` has ended: {status}{}", printed_note(.printed))]
#[non_exhaustive]
pub struct ChildExit {
    /// The program.
    pub program: String,
    /// The exit status.
    pub status: ExitStatus,
    /// The start of its standard output, escaped, at most 40 bytes, if no message was in it.
    pub printed: Option<String>,
}

fn printed_note(text: &Option<String>) -> String {
    match text {
        Some(text) => format!(". It has written no JSON-RPC, but what begins with `{}`", escaped(text)),
        None => String::new(),
    }
}

impl ChildProcess {
    /// The process id, which is meaningless after the exit.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The program, as in its command.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Waits for the exit, and returns the status. It does not cause the exit: closing the session
    /// does. Cancel safe.
    ///
    /// # Errors
    ///
    /// When the system does not report the status (as for a program that ignores SIGCHLD), or the
    /// runtime that supervised the child has stopped.
    pub async fn exited(&self) -> io::Result<ExitStatus> {
        self.exit.clone().await.map_err(|error| io::Error::new(error.kind(), error))
    }

    /// The status if the child has exited, without waiting; `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.exit.clone().now_or_never()?.ok()
    }

    /// Takes its standard error, if the command has set it to
    /// [`Stdio::piped`](std::process::Stdio::piped). Available once. It has to be read
    /// continuously: a child whose standard error is not read blocks after some 64 KiB.
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Must not be polled again after it was ready.
    pub(super) fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        self.exit.poll_unpin(cx)
    }
}

impl fmt::Debug for ChildProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildProcess")
            .field("id", &self.id)
            .field("program", &self.program)
            .field("exit_status", &self.exit_status())
            .finish()
    }
}

/// How long a child may take to exit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// After its standard input was closed.
    pub(super) exit: Duration,
    /// After it was told to terminate.
    pub(super) terminate: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { exit: Duration::from_secs(2), terminate: Duration::from_secs(2) }
    }
}

/// Supervises `child` in a task, which ends it once the sender is dropped (its standard input must
/// be closed by then), unless it exits before. A message says that its time to exit by itself is
/// over.
pub(super) fn supervise(
    mut child: Child,
    program: String,
    patience: Patience,
) -> (ChildProcess, oneshot::Sender<()>) {
    let id = child.id().unwrap_or_default();
    let name = Arc::from(&*program);
    let (closing, closed) = oneshot::channel::<()>();
    let stderr = Arc::new(Mutex::new(child.stderr.take()));
    let task = tokio::spawn(async move {
        let ended = match select(pin!(child.wait()), closed).await {
            Either::Left((exit, _)) => Ok(exit),
            Either::Right((closed, _)) => Err(closed),
        };
        let exit = match ended {
            Ok(exit) => exit,
            // The time to exit by itself is over.
            Err(Ok(())) => end(&mut child, Patience { exit: Duration::ZERO, ..patience }).await,
            Err(Err(_)) => end(&mut child, patience).await,
        };
        tracing::debug!(rpc.system.name = "jsonrpc", process.pid = id, program = %brief(&program), ?exit, "a process has ended");
        exit
    });
    let exit = task.map(|ended| match ended {
        Ok(exit) => exit.map_err(Arc::new),
        Err(error) => Err(Arc::new(io::Error::other(error))),
    });
    (ChildProcess { id, program: name, exit: exit.boxed().shared(), stderr }, closing)
}

async fn end(child: &mut Child, patience: Patience) -> io::Result<ExitStatus> {
    if let Ok(exit) = timeout(patience.exit, child.wait()).await {
        return exit;
    }
    if terminate(child)
        && let Ok(exit) = timeout(patience.terminate, child.wait()).await
    {
        return exit;
    }
    child.start_kill()?;
    child.wait().await
}

/// Tells the child to terminate. Returns false if the system has no way to.
#[cfg(unix)]
fn terminate(child: &Child) -> bool {
    use rustix::process::{Pid, Signal, kill_process};

    // The id is not reused until the child was waited for.
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    id.is_some_and(|id| kill_process(id, Signal::TERM).is_ok())
}

#[cfg(not(unix))]
fn terminate(_: &Child) -> bool {
    false
}
