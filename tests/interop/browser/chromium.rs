//! Debian's Chromium, without a window, on a page that does what a test says: see robot.js. `.ci/run` installs it.
//!
//! The page connects to a server of ours that lets every page in, and is called there. So nothing but the page itself is needed to drive it.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{
    http::header::CONTENT_TYPE,
    response::Html,
    routing::{Router, get},
};
use rpc::{
    Context, Listen, Server, ServerHandle, WebAccess, rpc_service, transport::websocket::WebSocketServer,
};
use rpc_tests::Scratch;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

use crate::driven::{cannot_run, soon};

/// A page is there by then, or will not come. To start takes a second, and many where the machine has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What robot.js calls.
#[rpc_service]
trait Test {
    async fn ready(&self, #[rpc(context)] cx: &Context);
}

/// What robot.js serves.
#[rpc_service]
trait Robot {
    async fn run(&self, code: &str) -> Value;
    #[rpc(notification)]
    async fn visit(&self, url: &str);
}

/// The files that make a page a robot, to be merged into what is tested.
pub(super) fn robot<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let script = |text: &'static str| get(([(CONTENT_TYPE, "text/javascript")], text));
    Router::new()
        .route("/robot", get(Html(include_str!("robot.html"))))
        .route("/robot/robot.js", script(include_str!("robot.js")))
        .route("/robot/intruder.js", script(include_str!("intruder.js")))
        .route("/robot/socket.js", script(include_str!("../websocket/socket.mjs")))
        // The example's own.
        .route("/robot/rpc.js", script(include_str!("../../../examples/axum/rpc.js")))
}

/// A browser with one page, which is a robot.
pub(crate) struct Chromium {
    page: RobotClient,
    pages: mpsc::UnboundedReceiver<RobotClient>,
    test: ServerHandle,
    process: Process,
}

impl Chromium {
    /// Starts it on the robot's page of the server at `origin`. It takes this machine for the host `evil.example`.
    pub(crate) async fn start(origin: &str) -> Self {
        let (ready, pages) = mpsc::unbounded_channel();
        let everybody = WebAccess::new().allow_any_origin().allow_any_host();
        let everybody = WebSocketServer::new().access(everybody);
        let listen = Listen::at("ws://127.0.0.1:0").expect("a URL").websocket(everybody);
        let test = Server::builder().service(TestServer::new(Pages(ready))).bind(listen).await;
        let test = test.expect("a port is free").start();
        let process = Process::start(&robot_at(origin, &test));
        let mut pages = pages;
        let page = next(&mut pages, &process).await;
        Self { page, pages, test, process }
    }

    /// Goes to the robot's page of the server at `origin`.
    pub(crate) async fn visit(&mut self, origin: &str) {
        self.page.visit(&robot_at(origin, &self.test)).await.expect("the page is there");
        self.page = next(&mut self.pages, &self.process).await;
    }

    /// Runs JavaScript in the page, as the body of an async function. Gives `{"result": ..}`, or the `{"error": ..}` of the server's that it
    /// throws, or what else it throws as `{"thrown": ".."}`.
    pub(crate) async fn run(&self, code: &str) -> Value {
        let outcome = soon(self.page.run(code).into_future()).await;
        outcome.unwrap_or_else(|error| panic!("{code}: {error}\n{}", self.process.log()))
    }
}

fn robot_at(origin: &str, test: &ServerHandle) -> String {
    format!("{origin}/robot?{}", test.endpoint())
}

async fn next(pages: &mut mpsc::UnboundedReceiver<RobotClient>, process: &Process) -> RobotClient {
    let page = timeout(PATIENCE, pages.recv()).await;
    page.ok().flatten().unwrap_or_else(|| panic!("there is no page. {}", process.log()))
}

/// Where pages say that they are ready.
struct Pages(mpsc::UnboundedSender<RobotClient>);

impl Test for Pages {
    async fn ready(&self, cx: &Context) {
        // Nobody waits for it any more where the test is over.
        drop(self.0.send(RobotClient::from(cx.session().clone())));
    }
}

/// The process, with those that it starts, and all that it keeps on disk. It is killed with this value, and waited for.
struct Process {
    leader: Child,
    scratch: Scratch,
}

impl Process {
    fn start(url: &str) -> Self {
        let scratch = Scratch::new();
        let log = File::create(scratch.path("log")).expect("the directory is ours");
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-popup-blocking",
            ])
            .args(["--disable-quic", "--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--no-proxy-server", "--enable-logging=stderr"])
            // The authority of a test's certificates is not known to it.
            .arg("--ignore-certificate-errors")
            .arg("--host-resolver-rules=MAP evil.example 127.0.0.1")
            .arg(format!("--user-data-dir={}", scratch.path("profile").display()))
            .arg(url)
            // Not all of it is in the profile.
            .envs([("HOME", scratch.directory()), ("TMPDIR", scratch.directory())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0);
        let leader = command.spawn().unwrap_or_else(|error| cannot_run(&command, &error));
        Self { leader, scratch }
    }

    /// What pages have said on the console, errors in their scripts among it.
    fn log(&self) -> String {
        let log = fs::read(self.scratch.path("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let said: Vec<_> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        format!("Its console: {said:#?}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its own processes would go on for a moment, and write into a directory that is being removed.
        // Where it fails, they have ended by themselves.
        let _ = kill_process_group(Pid::from_child(&self.leader), Signal::KILL);
        drop(self.leader.wait());
    }
}
