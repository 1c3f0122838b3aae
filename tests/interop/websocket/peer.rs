//! A WebSocket of a library's, or of a page's, which a test drives by commands: see peer.py, peer.mjs and socket.mjs.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde_json::{Value, json};

use super::road::Keys;
use crate::{
    browser::{App, Chromium},
    driven::Driven,
    npm, python,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Library {
    /// The package `ws` of npm's.
    Ws,
    /// What Node.js has itself.
    Undici,
    Aiohttp,
    Websockets,
    Chromium,
}

impl Library {
    /// Those that a process of their own runs.
    pub(super) const PROCESSES: [Self; 4] = [Self::Ws, Self::Undici, Self::Aiohttp, Self::Websockets];

    /// Those that give a program all that WebSockets have: they listen, and they ping.
    pub(super) const FULL: [Self; 3] = [Self::Ws, Self::Aiohttp, Self::Websockets];

    /// Those that cut a message into fragments where they are told to.
    pub(super) const CUTTING: [Self; 2] = [Self::Ws, Self::Websockets];

    pub(super) const fn is_python(self) -> bool {
        matches!(self, Self::Aiohttp | Self::Websockets)
    }

    fn command(self, keys: &Keys) -> tokio::process::Command {
        static MODULES: OnceLock<PathBuf> = OnceLock::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/websocket");
        let mut command = if self.is_python() {
            let mut command = tokio::process::Command::new(python::interpreter());
            command.env("SSL_CERT_FILE", keys.roots()).arg(folder.join("peer.py"));
            command
        } else {
            let modules = MODULES.get_or_init(|| npm::installed("websocket", include_str!("package.json")));
            let mut command = tokio::process::Command::new("node");
            command.env("NODE_PATH", modules).env("NODE_EXTRA_CA_CERTS", keys.roots());
            command.arg(folder.join("peer.mjs"));
            command
        };
        command.arg(format!("{self:?}").to_lowercase()).arg(keys.identity());
        command
    }
}

/// It makes one connection after the other, and a command means the last. It is killed with this value.
pub(super) struct Peer {
    pub(super) library: Library,
    kind: Kind,
}

enum Kind {
    Process(Driven),
    Page { chromium: Chromium, app: App },
}

impl Peer {
    /// A process, which trusts and shows what `keys` has.
    pub(super) async fn start(library: Library, keys: &Keys) -> Self {
        let mut process = Driven::start(library.command(keys));
        assert_eq!(process.ready().await, "");
        Self { library, kind: Kind::Process(process) }
    }

    /// A page in a browser.
    pub(super) async fn browse() -> Self {
        let app = App::empty().await;
        let chromium = Chromium::start(&app.origin()).await;
        let page = Self { library: Library::Chromium, kind: Kind::Page { chromium, app } };
        page.script(SOCKET).await;
        page
    }

    /// Gives it a command, and waits for its outcome.
    pub(super) async fn run(&mut self, command: &str, args: Value) -> Value {
        let Kind::Process(process) = &mut self.kind else {
            return self.script(&format!("return peer.{command}(...{args})")).await;
        };
        let mut words = vec![json!(command)];
        words.extend_from_slice(args.as_array().expect("arguments are a list"));
        process.run(json!(words)).await
    }

    /// Runs JavaScript in the page.
    pub(super) async fn script(&self, code: &str) -> Value {
        let Kind::Page { chromium, .. } = &self.kind else { panic!("{:?} is no page", self.library) };
        let mut outcome = chromium.run(code).await;
        assert!(outcome["thrown"].is_null(), "{code}: {outcome}");
        outcome["result"].take()
    }

    /// Leaves the page for a new one.
    pub(super) async fn reload(&mut self) {
        if let Kind::Page { chromium, app } = &mut self.kind {
            chromium.visit(&app.origin()).await;
        }
        self.script(SOCKET).await;
    }

    /// Kills the process, or the whole browser.
    pub(super) async fn kill(self) {
        match self.kind {
            Kind::Process(process) => process.kill().await,
            Kind::Page { chromium, .. } => drop(chromium),
        }
    }
}

const SOCKET: &str = r#"
    const { Socket } = await import("/robot/socket.js");
    globalThis.peer = new Socket((url) => new WebSocket(url));
"#;
