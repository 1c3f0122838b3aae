//! How two sides are connected.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt};
use rpc::{
    Connector, Endpoint, Hooks, HttpClientBuilder, Limits, Listen, Protocol, Server, Session,
    framing::Framer, transport::join_messages,
};
#[cfg(unix)]
use rpc_tests::Scratch;
use rpc_tests::{Authority, CalcServer, Counts, MyCalc, WorkServer, Worker};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use super::sides::{Side, There};
use crate::{
    socks::script::{Script, relays},
    stdio::program_with,
};

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

/// A way to listen, and the way to connect to it: for a session, or for calls over HTTP.
pub(super) struct Road<S: Side = Connector> {
    listen: Box<dyn Fn() -> Listen>,
    connect: Box<dyn Fn(&Endpoint) -> S>,
    /// How long a text may be that is sent.
    pub(super) longest: usize,
    /// Whether what is over the limit ends the session, and is not dropped.
    pub(super) ends_over_the_limit: bool,
    /// Whether it goes by way of a SOCKS proxy.
    is_proxied: bool,
}

/// Where one connects to by way of the proxy. Nobody listens there: what arrives at the server has come by way of it.
const BEHIND_THE_PROXY: (&str, &str) = ("behind.localhost", "behind.localhost:1");

impl Road<HttpClientBuilder> {
    /// Calls are posted, and there is no session. Everything is as it is by default.
    pub(super) fn of_posts(url: &'static str) -> Self {
        Self::listening_at(url)
    }
}

impl Road {
    /// Everything as it is by default.
    pub(super) fn at(url: &'static str) -> Self {
        Self::listening_at(url)
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

    /// At a socket of its own among the files.
    #[cfg(unix)]
    pub(super) fn at_a_file() -> Self {
        let (folder, next) = (Scratch::new(), AtomicU64::new(0));
        let url = move || format!("unix:{}", folder.path(&next.fetch_add(1, Relaxed).to_string()).display());
        Self { listen: Box::new(move || Listen::at(&url()).expect("a URL")), ..Self::at("unix:road") }
    }

    /// By way of a process, which is talked to over its standard input and output, and passes everything on.
    pub(super) fn by_a_process(self) -> Self {
        let connect = |endpoint: &Endpoint| {
            let to = endpoint.socket_addr().expect("an address").to_string();
            Connector::spawn(program_with("pass-on", &to))
        };
        Self { connect: Box::new(connect), ..self }
    }

    /// Over a stream of bytes that the client has opened itself.
    pub(super) fn over_a_stream(self) -> Self {
        Self { connect: Box::new(|endpoint| Connector::over(opened(endpoint))), ..self }
    }

    /// Over a stream and sink of messages that the client has made itself: lines, as the server has them.
    pub(super) fn over_messages(self) -> Self {
        let connect = |endpoint: &Endpoint| {
            let (lines, messages) = Framed::new(opened(endpoint), LinesCodec::new()).split();
            let sink = lines.with(async |message: Bytes| {
                String::from_utf8(message.into())
                    .map_err(|error| LinesCodecError::Io(io::Error::other(error)))
            });
            Connector::over_messages(join_messages(messages.map_ok(Bytes::from), Box::pin(sink)))
        };
        Self { connect: Box::new(connect), ..self }
    }

    /// With a framing on both sides.
    pub(super) fn framed(self, framer: impl Framer) -> Self {
        let there = framer.clone();
        self.listening(move |listen| listen.framer(there.clone()))
            .connecting(move |connector| connector.framer(framer.clone()))
    }

    /// The framing has no room for more.
    pub(super) fn small(self) -> Self {
        Self { longest: 40_000, ..self }
    }

    /// What is over the limit ends the session.
    pub(super) fn strict(self) -> Self {
        Self { ends_over_the_limit: true, ..self }
    }
}

impl<S: Side> Road<S> {
    fn listening_at(url: &'static str) -> Self {
        Self {
            listen: Box::new(move || Listen::at(url).expect("a URL")),
            connect: Box::new(S::to),
            longest: 200_000,
            ends_over_the_limit: false,
            is_proxied: false,
        }
    }

    /// With a certificate that was made on the spot, and that the client trusts.
    pub(super) fn over_tls(self) -> Self {
        let (authority, names) = (Authority::new(), ["127.0.0.1", "::1", "localhost", BEHIND_THE_PROXY.0]);
        let (server, client) = (authority.issue(&names).server(), authority.trusted());
        self.listening(move |listen| listen.tls(server.clone()))
            .connecting(move |side| side.trusting(client.clone()))
    }

    /// By way of a SOCKS proxy, which alone knows where the server is.
    pub(super) fn proxied(self) -> Self {
        Self { is_proxied: true, ..self }
    }

    /// With what a URL cannot say, where one listens.
    pub(super) fn listening(self, with: impl Fn(Listen) -> Listen + 'static) -> Self {
        Self { listen: Box::new(move || with((self.listen)())), ..self }
    }

    /// With what a URL cannot say, where one connects.
    pub(super) fn connecting(self, with: impl Fn(S) -> S + 'static) -> Self {
        Self { connect: Box::new(move |endpoint| with((self.connect)(endpoint))), ..self }
    }

    pub(super) async fn open(&self, versions: Versions) -> S::Sides {
        self.open_with(versions, Limits::client(), Limits::server()).await
    }

    pub(super) async fn open_with(
        &self,
        (there, here): Versions,
        client: Limits,
        server: Limits,
    ) -> S::Sides {
        let (opened, sessions) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let server = Server::builder()
            .service(CalcServer::new(MyCalc))
            .service(WorkServer::new(Worker(Arc::clone(&counts))))
            .limits(server)
            .protocol(there)
            .hooks(Arrivals(opened))
            .bind((self.listen)())
            .await
            .expect("it is free");
        let side = match self.is_proxied {
            true => self.behind_a_proxy(server.endpoint()).await,
            false => (self.connect)(server.endpoint()),
        };
        side.open(here, client, There { handle: server.start(), counts, sessions }).await
    }

    async fn behind_a_proxy(&self, server: &Endpoint) -> S {
        let (name, place) = BEHIND_THE_PROXY;
        let addr = server.socket_addr().expect("an address");
        let proxy = Script::of(relays(name, addr)).await;
        let url = server.to_string().replace(&addr.to_string(), place);
        (self.connect)(&url.parse().expect("a URL")).by_way_of(proxy.proxy("socks5"))
    }
}

impl<S: Side> fmt::Debug for Road<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Road").field("longest", &self.longest).finish_non_exhaustive()
    }
}

/// Connects without the library.
fn opened(endpoint: &Endpoint) -> TcpStream {
    let stream =
        std::net::TcpStream::connect(endpoint.socket_addr().expect("an address")).expect("it listens");
    stream.set_nonblocking(true).expect("a socket");
    TcpStream::from_std(stream).expect("a runtime")
}

struct Arrivals(mpsc::UnboundedSender<Session>);

impl Hooks for Arrivals {
    fn opened(&self, session: &Session) {
        // Where the test is over, nobody waits for one more.
        drop(self.0.send(session.clone()));
    }
}
