//! The process itself: how it is ended, and how it has ended.

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

/// The process at the other end of a session that was made with [`Connector::spawn`](crate::Connector::spawn), to be found among its
/// [extensions](crate::Session::extensions). Clones are the same process.
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
/// Closing the session closes the process's standard input, and waits until the process has ended (though not longer than
/// [`Limits::close_timeout`](crate::Limits::close_timeout)). It is given time for that, then told to end, then killed: see
/// [`Spawn`](super::Spawn). The same happens, with nobody waiting, when the session ends in another way. No zombies are left. Where the
/// runtime stops before all that, it is killed.
///
/// Processes that it has started itself are its own affair.
#[derive(Clone)]
pub struct ChildProcess {
    id: u32,
    program: Arc<str>,
    exit: Shared<BoxFuture<'static, Exit>>,
    stderr: Arc<Mutex<Option<ChildStderr>>>,
}

/// The end of a process, or why it is not known.
pub(super) type Exit = Result<ExitStatus, Arc<io::Error>>;

/// A process ended although the session had not: well, or not.
///
/// It is what the [`CloseReason::Io`](crate::CloseReason::Io) of such a session holds:
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
#[error("the process `{program}` has ended: {status}{}", what_it_printed(.printed))]
#[non_exhaustive]
pub struct ChildExit {
    /// What was started.
    pub program: String,
    /// How it ended.
    pub status: ExitStatus,
    /// The start of what it has written to its standard output, escaped, where no message was among
    /// it: at most 40 bytes.
    pub printed: Option<String>,
}

fn what_it_printed(text: &Option<String>) -> String {
    match text {
        Some(text) => format!(". It has written no JSON-RPC, but what begins with `{}`", escaped(text)),
        None => String::new(),
    }
}

impl ChildProcess {
    /// Its number in the system, which means nothing any more when it has ended.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What was started, as its command says.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Waits until it has ended, and says how. It does not make it end: closing the session does. Cancel safe.
    ///
    /// # Errors
    ///
    /// Where the system does not say how it ended (a program that ignores SIGCHLD is not told), or the runtime that saw to it has stopped.
    pub async fn exited(&self) -> io::Result<ExitStatus> {
        self.exit.clone().await.map_err(|error| io::Error::new(error.kind(), error))
    }

    /// The same, for now: `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.exit.clone().now_or_never()?.ok()
    }

    /// What it writes to standard error, to be read, where its command says [`Stdio::piped`](std::process::Stdio::piped) of that: once, and
    /// by somebody who goes on reading. A process whose standard error nobody reads is stuck when it has written some 64 KiB.
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Not to be polled again when it is ready.
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

/// How long a process may take to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// By itself.
    pub(super) exit: Duration,
    /// When it was told to.
    pub(super) terminate: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { exit: Duration::from_secs(2), terminate: Duration::from_secs(2) }
    }
}

/// Sees to the end of `child`, in a task: it is due when it has ended by itself, or when the sender is dropped (its standard input must be
/// closed by then). What is sent says that its time to end by itself is over.
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
            // It had its time to end by itself.
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

/// Whether there is a way to, short of killing it.
#[cfg(unix)]
fn terminate(child: &Child) -> bool {
    use rustix::process::{Pid, Signal, kill_process};

    // As long as it was not waited for, the number is nobody else's.
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    id.is_some_and(|id| kill_process(id, Signal::TERM).is_ok())
}

#[cfg(not(unix))]
fn terminate(_: &Child) -> bool {
    false
}
