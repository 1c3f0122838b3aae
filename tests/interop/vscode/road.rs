//! The ways in which we are connected with Node.js, and what a test has in its hands then.

use rpc::{
    Cancellation, Connector, Limits, Listen, Server, ServerHandle, Session, framing::ContentLengthFramer,
};
use serde_json::{Value, json};

use super::{
    node,
    work::{MyWork, WorkServer},
};
use crate::{
    driven::{Driven, soon},
    service::{CalcServer, MyCalc},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    /// We start it, and talk over its standard input and output.
    WeSpawn,
    /// It starts a program of ours, and talks over that one's standard input and output.
    NodeSpawns,
    WeConnect,
    NodeConnects,
}

impl Road {
    pub(super) const ALL: [Self; 4] = [Self::WeSpawn, Self::NodeSpawns, Self::WeConnect, Self::NodeConnects];

    pub(super) async fn open(self) -> Ends {
        println!("{self:?}");
        match self {
            Self::WeSpawn => {
                let session = connect(Connector::spawn(node::peer(&["stdio"]))).await;
                Ends { session: Some(session), node: None, _server: None }
            }
            Self::NodeSpawns => {
                let mut node = Driven::start(node::peer(&["spawn", env!("CARGO_BIN_EXE_interop-program")]));
                node.ready().await;
                Ends { session: None, node: Some(node), _server: None }
            }
            Self::WeConnect => {
                let mut node = Driven::start(node::peer(&["serve"]));
                let url = format!("tcp://127.0.0.1:{}", node.ready().await);
                let session = connect(Connector::new(&url).expect("a URL")).await;
                Ends { session: Some(session), node: Some(node), _server: None }
            }
            Self::NodeConnects => {
                let server = serve().await;
                let port = server.endpoint().port().expect("a TCP port").to_string();
                let mut node = Driven::start(node::peer(&["connect", &port]));
                node.ready().await;
                // Whoever was answered has been accepted.
                assert_eq!(node.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
                let session = server.sessions().pop();
                Ends { session, node: Some(node), _server: Some(server) }
            }
        }
    }
}

async fn connect(connector: Connector) -> Session {
    let connector = connector
        .framer(ContentLengthFramer::new())
        .cancellation(Cancellation::LSP)
        .limits(Limits::server())
        .service(CalcServer::new(MyCalc::default()))
        .service(WorkServer::new(MyWork::default()));
    soon(connector.connect()).await.expect("Node.js is there")
}

async fn serve() -> ServerHandle {
    let server = Server::builder()
        .cancellation(Cancellation::LSP)
        .service(CalcServer::new(MyCalc::default()))
        .service(WorkServer::new(MyWork::default()));
    let at = Listen::at("tcp://127.0.0.1:0").expect("a URL").framer(ContentLengthFramer::new());
    server.bind(at).await.expect("a free port").start()
}

/// A connection that is there.
pub(super) struct Ends {
    /// Where it is in this process.
    pub(super) session: Option<Session>,
    /// Where its standard input and output are not the connection.
    pub(super) node: Option<Driven>,
    _server: Option<ServerHandle>,
}

impl Ends {
    /// Gives Node.js a command, and waits for what comes of it.
    pub(super) async fn run(&mut self, command: Value) -> Value {
        match (&mut self.node, &self.session) {
            (Some(node), _) => node.run(command).await,
            (None, Some(session)) => {
                soon(session.call("drive", (command,)).into_future()).await.expect("Node.js obeys")
            }
            (None, None) => unreachable!("there is one of them at least"),
        }
    }

    /// Lets Node.js call us.
    pub(super) async fn node_calls(&mut self, method: &str, params: Value) -> Value {
        self.run(json!(["request", method, params])).await
    }

    /// What Node.js has taken of a kind, once that is `count` of them at least.
    pub(super) async fn taken(&mut self, kind: &str, count: usize) -> Value {
        soon(async {
            loop {
                let taken = self.run(json!(["taken"])).await[kind].take();
                if taken.as_array().is_some_and(|taken| taken.len() >= count) {
                    return taken;
                }
            }
        })
        .await
    }

    /// Lets us call Node.js: from a handler, for which Node.js asks.
    pub(super) async fn we_call(&mut self, method: &str, params: Value) -> Value {
        self.node_calls("relay", json!([method, params])).await
    }
}
