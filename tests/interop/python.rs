//! A Python process with `aiorpcx` in it, driven line by line. See peer.py for what it understands.
//!
//! The interpreter is the one that the environment variable `RPC_INTEROP_PYTHON` names, else one of our own in
//! `target/interop/venv`, which is made and given `aiorpcx` and the WebSocket libraries when it is first needed.

use std::{
    ffi::OsStr,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use rpc::Endpoint;
use serde_json::{Value, json};

pub(crate) use crate::driven::soon;
use crate::driven::{Driven, run};

/// What is to be installed, and the start of its version.
const PACKAGES: [(&str, &str); 3] = [("aiohttp", "3.14."), ("aiorpcx", "0.25."), ("websockets", "17.")];

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
pub(crate) struct Python(Driven);

impl Python {
    /// A client of the server that listens at `url`.
    pub(crate) async fn connect(url: &Endpoint, spoken: Spoken) -> Self {
        Self::connect_with(url, spoken, &[]).await
    }

    /// The same, with options of peer.py.
    pub(crate) async fn connect_with(url: &Endpoint, spoken: Spoken, options: &[&OsStr]) -> Self {
        let mut python = Self::start(&[spoken.class(), "connect", &url.to_string()], options);
        assert_eq!(python.ready().await, "");
        python
    }

    /// A server, and its URL.
    pub(crate) async fn serve(spoken: Spoken) -> (Self, String) {
        Self::serve_with("tcp://127.0.0.1:0", spoken, &[]).await
    }

    /// The same at `url`, with options of peer.py.
    pub(crate) async fn serve_with(url: &str, spoken: Spoken, options: &[&OsStr]) -> (Self, String) {
        let mut python = Self::start(&[spoken.class(), "serve", url], options);
        let url = python.ready().await;
        (python, url)
    }

    fn start(args: &[&str], options: &[&OsStr]) -> Self {
        let mut command = tokio::process::Command::new(interpreter());
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/peer.py")).args(args).args(options);
        Self(Driven::start(command))
    }

    /// What it was told by notifications, once that is `count` of them at least.
    pub(crate) async fn noted(&mut self, count: usize) -> Vec<Value> {
        soon(async {
            loop {
                match self.run(json!(["on_notes"])).await {
                    Value::Array(noted) if noted.len() >= count => return noted,
                    _ => {}
                }
            }
        })
        .await
    }

    /// How many errors it says that we have made. Its account is nearly empty without any.
    pub(crate) async fn errors(&mut self) -> u64 {
        let charged = self.run(json!(["charged"])).await;
        let (Some(errors), Some(cost)) = (charged[0].as_u64(), charged[1].as_f64()) else {
            panic!("no account: {charged}");
        };
        assert_eq!(errors > 0, cost > 1.0, "{charged}");
        errors
    }

    /// Kills the process: its side of the connection ends without a word.
    pub(crate) async fn kill(self) {
        self.0.kill().await;
    }
}

impl Deref for Python {
    type Target = Driven;

    fn deref(&self) -> &Driven {
        &self.0
    }
}

impl DerefMut for Python {
    fn deref_mut(&mut self) -> &mut Driven {
        &mut self.0
    }
}

/// The interpreter, with all packages that the tests need.
pub(crate) fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| match std::env::var_os("RPC_INTEROP_PYTHON") {
        Some(python) => python.into(),
        None => own_interpreter(),
    })
}

fn own_interpreter() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/venv");
    let python = venv.join("bin/python");
    let wanted = PACKAGES.map(|(name, version)| format!("assert version('{name}').startswith('{version}')"));
    let check = format!("from importlib.metadata import version; {}", wanted.join("; "));
    let is_ready = Command::new(&python).args(["-c", &check]).stderr(Stdio::null()).status();
    if !is_ready.is_ok_and(|status| status.success()) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
        let wanted = PACKAGES.map(|(name, version)| format!("{name}=={version}*"));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(wanted));
    }
    python
}
