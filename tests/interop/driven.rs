//! A process that a test drives: a command a line, which is JSON, and what comes of it, likewise.

use std::{fmt::Display, io, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// No test waits for anything that takes long: what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// It dies with this value.
pub(crate) struct Driven {
    process: Child,
    commands: ChildStdin,
    outcomes: Lines<BufReader<ChildStdout>>,
}

impl Driven {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| cannot_run(command.as_std(), &error));
        let commands = process.stdin.take().expect("it is piped");
        let outcomes = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, commands, outcomes }
    }

    /// What follows READY on the first line.
    pub(crate) async fn ready(&mut self) -> String {
        let line = self.line().await;
        line.strip_prefix("READY").unwrap_or_else(|| panic!("not ready: {line}")).trim().to_owned()
    }

    /// Gives a command, which is JSON, and waits for its outcome.
    pub(crate) async fn run(&mut self, command: impl Display) -> Value {
        self.begin(command).await;
        self.outcome().await
    }

    /// Gives a command whose outcome is asked for later.
    pub(crate) async fn begin(&mut self, command: impl Display) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("it reads commands");
    }

    pub(crate) async fn outcome(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Kills the process: its side of the connection ends without a word.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.expect("it was running");
    }

    async fn line(&mut self) -> String {
        let line = soon(self.outcomes.next_line()).await;
        line.expect("its output is text").expect("it is still there: its own words are above")
    }
}

/// What must not hang, and would if it were broken.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it ends in time")
}

/// Runs a command that gets something ready.
pub(crate) fn run(command: &mut std::process::Command) {
    let status = command.status().unwrap_or_else(|error| cannot_run(command, &error));
    assert!(status.success(), "{command:?}: {status}");
}

pub(crate) fn cannot_run(command: &std::process::Command, error: &io::Error) -> ! {
    panic!(
        "cannot run {:?}, which the tests with real peers need, and `.ci/run` installs: {error}",
        command.get_program()
    )
}
