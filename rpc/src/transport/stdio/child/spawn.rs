//! How a process is started, and how much patience there is at its end.

use std::{fmt, io, process::Stdio, time::Duration};

use tokio::process::Command;

use super::{
    ChildStream,
    process::{Patience, supervise},
};
use crate::transport::{Connection, Endpoint};

/// A process to start and to talk to: see [`Connector::spawn`](crate::Connector::spawn). Most need no more than the command.
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
    /// Starts `command`, whose standard input and output become the connection, and which is killed
    /// where the runtime stops before it has ended (`kill_on_drop`). Everything else is as the
    /// command says: what it writes to standard error appears where this process's does, unless it
    /// is told otherwise.
    pub fn new(command: impl Into<Command>) -> Self {
        Self { command: command.into(), patience: Patience::default() }
    }

    /// How long the process may take to end by itself when its standard input has ended. Then it is told to, with SIGTERM where there are
    /// signals.
    ///
    /// A process that reads nothing does not come to that end. Where the session closes, and bytes wait that the process
    /// does not take, it is told to end when it has taken none for so long.
    ///
    /// Default: 2 s (MCP's specification leaves it at "a reasonable time").
    pub fn exit_timeout(mut self, timeout: Duration) -> Self {
        self.patience.exit = timeout;
        self
    }

    /// How long it may take to end when it was told to. Then it is killed. Where there are no signals it is killed at once.
    ///
    /// Default: 2 s.
    pub fn terminate_timeout(mut self, timeout: Duration) -> Self {
        self.patience.terminate = timeout;
        self
    }

    /// What is started.
    pub(crate) fn program(&self) -> String {
        self.command.as_std().get_program().to_string_lossy().into_owned()
    }

    /// Starts it; each time, another process. Must be called on a runtime, which also sees to its end.
    pub(crate) fn start(&mut self) -> io::Result<Connection> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // For a runtime that stops before the process has ended.
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

/// Without arguments and environment, where secrets are handed over.
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
