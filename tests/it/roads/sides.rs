//! Who calls, and who is called, over any road.

use std::sync::Arc;

use rpc::{
    Caller, CloseReason, Connector, Endpoint, HttpClient, HttpClientBuilder, Limits, Protocol, ServerHandle,
    Session,
    transport::{socks::SocksProxy, stdio::ChildExit, tls::TlsClient},
};
use rpc_tests::{CalcServer, Counts, MyCalc, WorkServer, Worker, soon};
use tokio::sync::mpsc;

/// Who connects, before that.
pub(super) trait Side: Sized + 'static {
    type Sides: Sides;

    fn to(endpoint: &Endpoint) -> Self;

    /// Trusts whom this one trusts.
    fn trusting(self, tls: TlsClient) -> Self;

    fn by_way_of(self, proxy: SocksProxy) -> Self;

    async fn open(self, version: Protocol, limits: Limits, there: There) -> Self::Sides;
}

/// The side that listens.
#[derive(Debug)]
pub(super) struct There {
    pub(super) handle: ServerHandle,
    pub(super) counts: Arc<Counts>,
    /// The sessions that have begun there.
    pub(super) sessions: mpsc::UnboundedReceiver<Session>,
}

/// Two sides that are connected.
pub(super) trait Sides {
    type Caller: Caller + Clone;

    /// Who calls, and what the service counts that is called.
    fn pairs(&self) -> Vec<(&Self::Caller, &Counts)>;

    /// In good order, and nothing is left.
    async fn end(self);
}

/// The two ends of a session.
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
    pub(super) const fn both_ways(&self) -> [(&End, &End); 2] {
        [(&self.near, &self.far), (&self.far, &self.near)]
    }
}

impl Sides for Ends {
    type Caller = Session;

    fn pairs(&self) -> Vec<(&Session, &Counts)> {
        self.both_ways().map(|(caller, called)| (&caller.session, &*called.counts)).into()
    }

    async fn end(self) {
        let Self { near, far, handle } = self;
        soon(handle.shutdown()).await;
        let reason = soon(near.session.closed()).await;
        assert!(is_the_peers(&reason), "{reason}");
        until(|| near.counts.alive() + far.counts.alive() == 0).await;
    }
}

impl Side for Connector {
    type Sides = Ends;

    fn to(endpoint: &Endpoint) -> Self {
        Self::new(&endpoint.to_string()).expect("it printed itself")
    }

    fn trusting(self, tls: TlsClient) -> Self {
        self.tls(tls)
    }

    fn by_way_of(self, proxy: SocksProxy) -> Self {
        self.proxy(proxy)
    }

    /// Both sides serve the same, and each counts for itself.
    async fn open(self, version: Protocol, limits: Limits, mut there: There) -> Ends {
        let counts = Arc::new(Counts::default());
        let connector = self
            .service(CalcServer::new(MyCalc))
            .service(WorkServer::new(Worker(Arc::clone(&counts))))
            .limits(limits)
            .protocol(version);
        let client = soon(connector.connect()).await.expect("the server listens");
        let server = soon(there.sessions.recv()).await.expect("a session for the client");
        Ends {
            near: End { session: client, counts },
            far: End { session: server, counts: there.counts },
            handle: there.handle,
        }
    }
}

/// One that posts, and one that answers.
#[derive(Debug)]
pub(super) struct Posts {
    client: HttpClient,
    there: There,
}

impl Sides for Posts {
    type Caller = HttpClient;

    fn pairs(&self) -> Vec<(&HttpClient, &Counts)> {
        vec![(&self.client, &self.there.counts)]
    }

    async fn end(self) {
        soon(self.there.handle.shutdown()).await;
        until(|| self.there.counts.alive() == 0).await;
    }
}

impl Side for HttpClientBuilder {
    type Sides = Posts;

    fn to(endpoint: &Endpoint) -> Self {
        HttpClient::builder(&endpoint.to_string()).expect("it printed itself")
    }

    fn trusting(self, tls: TlsClient) -> Self {
        self.tls(tls)
    }

    fn by_way_of(self, proxy: SocksProxy) -> Self {
        self.proxy(proxy)
    }

    async fn open(self, version: Protocol, limits: Limits, there: There) -> Posts {
        let client = self.limits(limits).protocol(version).build().expect("nothing is wrong with it");
        Posts { client, there }
    }
}

/// Waits for what the other side does in its own time.
pub(super) async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Whether the peer has closed the connection, with or without a word.
pub(super) fn is_the_peers(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Peer | CloseReason::PeerClosed { .. } | CloseReason::Shutdown => true,
        // A process that has ended well.
        CloseReason::Io(error) => {
            let exit = error.get_ref().and_then(|error| error.downcast_ref::<ChildExit>());
            exit.is_some_and(|exit| exit.status.success())
        }
        _ => false,
    }
}
