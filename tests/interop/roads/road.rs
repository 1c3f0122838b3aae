//! A way to be connected with Python, in either direction, and the two ends of a connection.

use std::{ffi::OsStr, fs, path::PathBuf};

use rpc::{
    Connector, Listen, Server, ServerHandle, Session,
    transport::tls::{TlsClient, TlsServer},
};
use rpc_tests::{Authority, Issued, Scratch};
use serde_json::{Value, json};

use crate::{
    python::{Python, Spoken, soon},
    service::{CalcServer, MyCalc},
};

/// What certificates are for: an address, by which one connects here.
const NAMES: [&str; 1] = ["127.0.0.1"];

/// Who connects.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    We,
    Python,
}

/// What both sides are told.
pub(super) struct Road {
    /// Where one listens.
    url: String,
    server: Option<TlsServer>,
    client: Option<TlsClient>,
    /// What Python trusts, and what it shows.
    roots: Option<PathBuf>,
    identity: Option<PathBuf>,
    /// Whether Python asks for a certificate where it listens.
    is_mutual: bool,
    _files: Scratch,
}

pub(super) struct Ends {
    pub(super) session: Session,
    pub(super) python: Python,
    server: Option<ServerHandle>,
}

impl Road {
    /// With certificates of one authority.
    pub(super) fn tls() -> Self {
        let authority = Authority::new();
        let (ours, pythons) = (authority.issue(&NAMES), authority.issue(&NAMES));
        Self::over_tls(ours.server(), authority.trusted(), &authority.pem(), &pythons)
    }

    /// As most Electrum servers do it: there is no authority, and each side knows the certificate of the other.
    pub(super) fn pinned_tls() -> Self {
        let (ours, pythons) = (Issued::by_itself(&NAMES), Issued::by_itself(&NAMES));
        Self::over_tls(ours.server(), pythons.pinned(), &ours.certificate.pem(), &pythons)
    }

    /// Clients show a certificate, too. Gives Python's.
    pub(super) fn mutual_tls() -> (Self, Issued) {
        let authority = Authority::new();
        let (ours, pythons) = (authority.issue(&NAMES), authority.issue(&NAMES));
        let server = ours.server().require_client_certificates(authority.roots()).expect("a root");
        let client = authority.trusted().identity(ours.identity());
        let road = Self::over_tls(server, client, &authority.pem(), &pythons);
        (Self { is_mutual: true, ..road }, pythons)
    }

    pub(super) fn unix() -> Self {
        let files = Scratch::new();
        Self {
            url: format!("unix:{}", files.path("socket").display()),
            server: None,
            client: None,
            roots: None,
            identity: None,
            is_mutual: false,
            _files: files,
        }
    }

    fn over_tls(server: TlsServer, client: TlsClient, roots: &str, pythons: &Issued) -> Self {
        let files = Scratch::new();
        let (roots_file, identity_file) = (files.path("roots.pem"), files.path("identity.pem"));
        fs::write(&roots_file, roots).expect("the directory is ours");
        let identity = pythons.certificate.pem() + &pythons.key.serialize_pem();
        fs::write(&identity_file, identity).expect("the directory is ours");
        Self {
            url: "tls://127.0.0.1:0".to_owned(),
            server: Some(server),
            client: Some(client),
            roots: Some(roots_file),
            identity: Some(identity_file),
            is_mutual: false,
            _files: files,
        }
    }

    /// The first call was made: whoever was answered has been accepted.
    pub(super) async fn open(&self, connects: Side) -> Ends {
        match connects {
            Side::We => {
                let (python, connector) = self.python_serves().await;
                let connector = connector.service(CalcServer::new(MyCalc::default()));
                let session = soon(connector.connect()).await.expect("Python listens");
                assert_eq!(soon(session.call::<i64>("add", (1, 2)).into_future()).await.expect("a sum"), 3);
                Ends { session, python, server: None }
            }
            Side::Python => {
                let server = self.we_serve().await;
                let options = self.options(true, self.is_mutual);
                let mut python = Python::connect_with(server.endpoint(), Spoken::V2, &options).await;
                assert_eq!(python.run(json!(["request", "add", [1, 2]])).await, json!({"result": 3}));
                let session = server.sessions().pop().expect("Python has a session");
                Ends { session, python, server: Some(server) }
            }
        }
    }

    /// A server of Python's, and how one connects to it.
    pub(super) async fn python_serves(&self) -> (Python, Connector) {
        let options = self.options(self.is_mutual, true);
        let (python, url) = Python::serve_with(&self.url, Spoken::V2, &options).await;
        let mut connector = Connector::new(&url).expect("a URL");
        if let Some(tls) = &self.client {
            connector = connector.tls(tls.clone());
        }
        (python, connector)
    }

    async fn we_serve(&self) -> ServerHandle {
        let mut listen = Listen::at(&self.url).expect("a URL");
        if let Some(tls) = &self.server {
            listen = listen.tls(tls.clone());
        }
        let builder = Server::builder().service(CalcServer::new(MyCalc::default()));
        builder.bind(listen).await.expect("it is free").start()
    }

    fn options(&self, roots: bool, identity: bool) -> Vec<&OsStr> {
        let roots = self.roots.iter().filter(|_| roots).map(|file| ("--roots", file));
        let identity = self.identity.iter().filter(|_| identity).map(|file| ("--identity", file));
        roots.chain(identity).flat_map(|(name, file)| [OsStr::new(name), file.as_os_str()]).collect()
    }
}

impl Ends {
    /// We end it, and Python notices. Then nobody is at the place any more.
    pub(super) async fn close(mut self) {
        soon(self.session.close()).await;
        assert_eq!(self.python.run(json!(["ended"])).await, Value::Null);
        self.python.kill().await;
        if let Some(server) = self.server {
            soon(server.shutdown()).await;
        }
    }
}
