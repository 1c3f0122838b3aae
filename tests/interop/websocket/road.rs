//! How a peer and this side come to be connected by a WebSocket, and what a test has in its hands then.

use std::{fs, path::PathBuf};

use rpc::{
    Connector, Context, ErrorObject, HttpOptions, Limits, Listen, Params, Router, Server, ServerHandle,
    Session, WebAccess, transport::websocket::WebSocketServer,
};
use rpc_tests::{Authority, Gate, Issued, Scratch, waiting};
use serde_json::{Value, json};

use super::peer::{Library, Peer};
use crate::driven::soon;

/// One authority's certificates, and the files in which processes find them.
pub(super) struct Keys {
    authority: Authority,
    ours: Issued,
    files: Scratch,
}

impl Keys {
    pub(super) fn new() -> Self {
        let (authority, files) = (Authority::new(), Scratch::new());
        let [ours, theirs] = [(); 2].map(|()| authority.issue(&["127.0.0.1"]));
        let keys = Self { authority, ours, files };
        let identity = theirs.certificate.pem() + &theirs.key.serialize_pem();
        fs::write(keys.roots(), keys.authority.pem()).expect("the directory is ours");
        fs::write(keys.identity(), identity).expect("the directory is ours");
        keys
    }

    /// What peers trust.
    pub(super) fn roots(&self) -> PathBuf {
        self.files.path("roots.pem")
    }

    /// What peers show where they listen.
    pub(super) fn identity(&self) -> PathBuf {
        self.files.path("identity.pem")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    /// The peer connects to where we listen for nothing else.
    Ws,
    Wss,
    /// The peer connects to a server of HTTP.
    Http,
    Https,
    /// We connect.
    Served,
    ServedSecurely,
}

impl Road {
    /// Where the peer connects.
    pub(super) const CLIENTS: [Self; 4] = [Self::Ws, Self::Wss, Self::Http, Self::Https];

    pub(super) const fn is_secure(self) -> bool {
        matches!(self, Self::Wss | Self::Https | Self::ServedSecurely)
    }

    /// How a URL of the side that listens begins.
    const fn scheme(self) -> &'static str {
        match self {
            Self::Ws | Self::Served => "ws",
            Self::Wss | Self::ServedSecurely => "wss",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Those on which a peer of this kind can be met.
    pub(super) fn of(peer: &Peer) -> Vec<Self> {
        match peer.library {
            Library::Chromium | Library::Undici => Self::CLIENTS.to_vec(),
            _ => Self::CLIENTS.into_iter().chain([Self::Served, Self::ServedSecurely]).collect(),
        }
    }

    /// Few of them, with and without TLS, our servers' two kinds, and both directions among them.
    pub(super) fn some(peer: &Peer) -> Vec<Self> {
        let some = [Self::Ws, Self::Https, Self::Served];
        Self::of(peer).into_iter().filter(|road| some.contains(road)).collect()
    }

    /// Connects `peer`, and has our side held to `limits`.
    pub(super) async fn open(self, peer: &mut Peer, keys: &Keys, limits: Limits) -> Ends {
        println!("{:?} {self:?}", peer.library);
        let gate = Gate::closed();
        if !Self::CLIENTS.contains(&self) {
            let port = peer.run("listen", json!([self.is_secure()])).await;
            let session = self.connect(&port, keys, &gate, limits).await;
            peer.run("accepted", json!([])).await;
            return Ends { session, gate, server: None };
        }
        let server = self.serve(keys, &gate, limits).await;
        let scheme = if self.is_secure() { "wss" } else { "ws" };
        let port = server.endpoint().port().expect("a TCP port");
        peer.run("open", json!([format!("{scheme}://127.0.0.1:{port}/")])).await;
        // It is a session's when it is answered.
        assert_eq!(peer.run("echo", json!(["", 1])).await, true);
        let session = server.sessions().pop().expect("the peer has one");
        Ends { session, gate, server: Some(server) }
    }

    /// A server of ours that lets the pages of every origin in.
    async fn serve(self, keys: &Keys, gate: &Gate, limits: Limits) -> ServerHandle {
        let any = WebAccess::new().allow_any_origin().allow_any_host();
        let listen = Listen::at(&format!("{}://127.0.0.1:0", self.scheme())).expect("a URL");
        let listen = match self {
            Self::Http | Self::Https => listen.http(HttpOptions::new().access(any)),
            _ => listen.websocket(WebSocketServer::new().access(any)),
        };
        let listen = if self.is_secure() { listen.tls(keys.ours.server()) } else { listen };
        let builder = Server::builder().service(service(gate)).limits(limits);
        builder.bind(listen).await.expect("a free port").start()
    }

    /// A session of ours with the peer that listens at `port`.
    async fn connect(self, port: &Value, keys: &Keys, gate: &Gate, limits: Limits) -> Session {
        let connector = Connector::new(&format!("{}://127.0.0.1:{port}/", self.scheme())).expect("a URL");
        let connector = if self.is_secure() { connector.tls(keys.authority.trusted()) } else { connector };
        soon(connector.service(service(gate)).limits(limits).connect()).await.expect("the peer listens")
    }
}

/// What we serve: `echo`, `wait`, which is held at `gate`, and `long`, which gives as long a text.
pub(super) fn service(gate: &Gate) -> Router {
    waiting(gate).method("long", async |params: Params, _: Context| {
        let (size,): (usize,) = params.parse()?;
        Ok::<_, ErrorObject>("x".repeat(size))
    })
}

/// A connection that is there.
pub(super) struct Ends {
    /// Where it is in this process.
    pub(super) session: Session,
    /// Where our handlers of `wait` are held.
    pub(super) gate: Gate,
    /// It is dropped, and so ends, with this value.
    pub(super) server: Option<ServerHandle>,
}

impl Ends {
    /// How many sessions the server still counts.
    pub(super) fn counted(&self) -> usize {
        self.server.as_ref().map_or(0, |server| server.sessions().len())
    }

    /// Whether it works, in both directions.
    pub(super) async fn work(&self, peer: &mut Peer) {
        assert_eq!(peer.run("echo", json!(["λ", 3])).await, true);
        let echo = soon(self.session.call::<[String; 1]>("echo", ("λ",)).into_future()).await;
        assert_eq!(echo.expect("answered"), ["λ"]);
    }
}

/// Nothing but what happens to the connection ends anything here.
pub(super) fn patient() -> Limits {
    let mut limits = Limits::public();
    limits.call_timeout = None;
    limits.request_timeout = None;
    limits.close_timeout = None;
    limits
}
