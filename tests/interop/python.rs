//! A Python process with `aiorpcx` in it, driven line by line. See peer.py for what it understands.
//!
//! The interpreter is the one that the environment variable `RPC_INTEROP_PYTHON` names, else one of our own in
//! `target/interop/venv`, which is made and given `aiorpcx` when it is first needed.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

/// No test waits for anything that takes long: what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What aiorpcX speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    V1,
    V2,
    Loose,
    AutoDetect,
}

impl Spoken {
    /// The class that does.
    const fn class(self) -> &'static str {
        match self {
            Self::V1 => "JSONRPCv1",
            Self::V2 => "JSONRPCv2",
            Self::Loose => "JSONRPCLoose",
            Self::AutoDetect => "JSONRPCAutoDetect",
        }
    }
}

/// One Python process. It dies with this value.
pub(crate) struct Python {
    process: Child,
    commands: ChildStdin,
    outcomes: Lines<BufReader<ChildStdout>>,
}

impl Python {
    /// A client of the server that listens at `port`.
    pub(crate) async fn connect(port: u16, spoken: Spoken) -> Self {
        let mut python = Self::start(&[spoken.class(), "connect", &port.to_string()]);
        assert_eq!(python.line().await, "READY");
        python
    }

    /// A server, and its URL.
    pub(crate) async fn serve(spoken: Spoken) -> (Self, String) {
        let mut python = Self::start(&[spoken.class(), "serve"]);
        let ready = python.line().await;
        let port = ready.strip_prefix("READY ").unwrap_or_else(|| panic!("not ready: {ready}"));
        let url = format!("tcp://127.0.0.1:{port}");
        (python, url)
    }

    /// A client of the server at `url`, over WebSocket.
    pub(crate) async fn connect_ws(url: &str) -> Self {
        let mut python = Self::start(&[Spoken::V2.class(), "connect_ws", url]);
        assert_eq!(python.line().await, "READY");
        python
    }

    /// A server over WebSocket, and its URL.
    pub(crate) async fn serve_ws() -> (Self, String) {
        let mut python = Self::start(&[Spoken::V2.class(), "serve_ws"]);
        let ready = python.line().await;
        let port = ready.strip_prefix("READY ").unwrap_or_else(|| panic!("not ready: {ready}"));
        let url = format!("ws://127.0.0.1:{port}/");
        (python, url)
    }

    fn start(args: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/peer.py");
        let mut process = tokio::process::Command::new(interpreter())
            .arg(script)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the interpreter starts");
        let commands = process.stdin.take().expect("it is piped");
        let outcomes = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, commands, outcomes }
    }

    /// Gives a command, which is JSON, and waits for its outcome.
    pub(crate) async fn run(&mut self, command: impl Display) -> Value {
        self.begin(command).await;
        self.outcome().await
    }

    /// Gives a command whose outcome is asked for later.
    pub(crate) async fn begin(&mut self, command: impl Display) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("Python reads commands");
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
        let line = timeout(PATIENCE, self.outcomes.next_line()).await.expect("Python answers in time");
        line.expect("its output is text").expect("Python is still there: its own words are above")
    }
}

/// What must not hang, and would if it were broken.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it ends in time")
}

fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| match std::env::var_os("RPC_INTEROP_PYTHON") {
        Some(python) => python.into(),
        None => own_interpreter(),
    })
}

fn own_interpreter() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/venv");
    let python = venv.join("bin/python");
    let check = "from importlib.metadata import version; assert version('aiorpcx').startswith('0.25.'); version('websockets')";
    let is_ready = Command::new(&python).args(["-c", check]).stderr(Stdio::null()).status();
    if !is_ready.is_ok_and(|status| status.success()) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "aiorpcx==0.25.*", "websockets"]));
    }
    python
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
