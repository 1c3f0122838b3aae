//! How two sides are connected, and the two sides of one connection.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use rpc::{
    Connector, Endpoint, Hooks, Limits, Listen, Protocol, Server, ServerHandle, Session, framing::Framer,
};
use rpc_tests::{Authority, CalcServer, Counts, MyCalc, WorkServer, Worker, soon};
use tokio::sync::mpsc;

/// What the server speaks, and what the client does.
pub(super) type Versions = (Protocol, Protocol);

pub(super) const VERSIONS: [Versions; 6] = [
    (Protocol::V2, Protocol::V2),
    (Protocol::V1, Protocol::V1),
    (Protocol::Loose, Protocol::Loose),
    (Protocol::Detect, Protocol::V2),
    (Protocol::Detect, Protocol::V1),
    (Protocol::Loose, Protocol::V2),
];

/// A way to listen, and the way to connect to it.
pub(super) struct Road {
    listen: Box<dyn Fn() -> Listen>,
    connect: Box<dyn Fn(&Endpoint) -> Connector>,
    /// How long a text may be that is sent.
    pub(super) longest: usize,
    /// Whether what is over the limit ends the session, and is not dropped.
    pub(super) ends_over_the_limit: bool,
}

impl Road {
    /// Everything as it is by default.
    pub(super) fn at(url: &'static str) -> Self {
        Self {
            listen: Box::new(move || Listen::at(url).expect("a URL")),
            connect: Box::new(|endpoint| Connector::new(&endpoint.to_string()).expect("it printed itself")),
            longest: 200_000,
            ends_over_the_limit: false,
        }
    }

    /// HTTP is listened for, and WebSocket asked for.
    pub(super) fn upgraded(self) -> Self {
        let connect = |endpoint: &Endpoint| {
            Connector::new(&endpoint.to_string().replace("http://", "ws://")).expect("a URL")
        };
        Self { connect: Box::new(connect), ..self }
    }

    /// At a name of its own in this process.
    pub(super) fn in_memory() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let road = Self::at("memory:road");
        let name = move || format!("memory:road {}", NEXT.fetch_add(1, Relaxed));
        Self { listen: Box::new(move || Listen::at(&name()).expect("a URL")), ..road }
    }

    /// With a certificate that was made on the spot, and that the client trusts.
    pub(super) fn over_tls(self) -> Self {
        let (authority, names) = (Authority::new(), ["127.0.0.1", "::1", "localhost"]);
        let (server, client) = (authority.issue(&names).server(), authority.trusted());
        self.listening(move |listen| listen.tls(server.clone()))
            .connecting(move |connector| connector.tls(client.clone()))
    }

    /// With a framing on both sides.
    pub(super) fn framed(self, framer: impl Framer) -> Self {
        let there = framer.clone();
        self.listening(move |listen| listen.framer(there.clone()))
            .connecting(move |connector| connector.framer(framer.clone()))
    }

    /// With what a URL cannot say, where one listens.
    pub(super) fn listening(self, with: impl Fn(Listen) -> Listen + 'static) -> Self {
        Self { listen: Box::new(move || with((self.listen)())), ..self }
    }

    /// With what a URL cannot say, where one connects.
    pub(super) fn connecting(self, with: impl Fn(Connector) -> Connector + 'static) -> Self {
        Self { connect: Box::new(move |endpoint| with((self.connect)(endpoint))), ..self }
    }

    /// The framing has no room for more.
    pub(super) fn small(self) -> Self {
        Self { longest: 40_000, ..self }
    }

    /// What is over the limit ends the session.
    pub(super) fn strict(self) -> Self {
        Self { ends_over_the_limit: true, ..self }
    }

    pub(super) async fn open(&self, versions: Versions) -> Ends {
        self.open_with(versions, Limits::client(), Limits::server()).await
    }

    /// Both sides serve the same, and each counts for itself.
    pub(super) async fn open_with(&self, (there, here): Versions, client: Limits, server: Limits) -> Ends {
        let (opened, mut sessions) = mpsc::unbounded_channel();
        let (near, far) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
        let server = Server::builder()
            .service(CalcServer::new(MyCalc))
            .service(WorkServer::new(Worker(Arc::clone(&far))))
            .limits(server)
            .protocol(there)
            .hooks(Arrivals(opened))
            .bind((self.listen)())
            .await
            .expect("it is free");
        let connector = (self.connect)(server.endpoint())
            .service(CalcServer::new(MyCalc))
            .service(WorkServer::new(Worker(Arc::clone(&near))))
            .limits(client)
            .protocol(here);
        let handle = server.start();
        let client = soon(connector.connect()).await.expect("the server listens");
        let server = soon(sessions.recv()).await.expect("a session for the client");
        Ends {
            near: End { session: client, counts: near },
            far: End { session: server, counts: far },
            handle,
        }
    }
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Road").field("longest", &self.longest).finish_non_exhaustive()
    }
}

struct Arrivals(mpsc::UnboundedSender<Session>);

impl Hooks for Arrivals {
    fn opened(&self, session: &Session) {
        // Where the test is over, nobody waits for one more.
        drop(self.0.send(session.clone()));
    }
}

/// The two ends of a connection.
#[derive(Debug)]
pub(super) struct Ends {
    /// The side that has connected.
    pub(super) near: End,
    /// The side that has listened.
    pub(super) far: End,
    pub(super) handle: ServerHandle,
}

/// One of them: the session there, and what the service there counts.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) session: Session,
    pub(super) counts: Arc<Counts>,
}

impl Ends {
    /// Who calls, and who is called: both ways. The client begins, because a version is detected by what it says first.
    pub(super) fn both_ways(&self) -> [(&End, &End); 2] {
        [(&self.near, &self.far), (&self.far, &self.near)]
    }
}
