//! Accepting goes on, whatever the socket does.

use std::{
    collections::VecDeque,
    future::pending,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tracing::{Level, Metadata, Subscriber, span};

use super::{Endpoint, Listener, Socket};

/// Fails as it is told, then gives one peer, and so on; then nobody comes any more.
struct Failing {
    failures: Mutex<VecDeque<Vec<io::Error>>>,
    peers: Mutex<Vec<TcpStream>>,
    asked: AtomicUsize,
}

impl Socket for Failing {
    async fn accept(&self) -> io::Result<(TcpStream, Endpoint)> {
        self.asked.fetch_add(1, SeqCst);
        let failure = self.failures.lock().unwrap().front_mut().map(Vec::pop);
        match failure {
            None => pending().await,
            Some(Some(error)) => Err(error),
            Some(None) => {
                self.failures.lock().unwrap().pop_front();
                Ok((self.peers.lock().unwrap().pop().unwrap(), Endpoint::MEMORY))
            }
        }
    }
}

/// What it is like to accept from a socket that fails so: how many milliseconds each peer took, how often it was asked, and what was
/// logged.
async fn accepted(episodes: Vec<Vec<io::Error>>) -> (Vec<u128>, usize, Vec<Level>) {
    let real = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = real.local_addr().unwrap();
    let mut peers = Vec::new();
    for _ in &episodes {
        peers.push(TcpStream::connect(address).await.unwrap());
    }
    // From here on nothing real is waited for.
    tokio::time::pause();
    let count = episodes.len();
    let (failures, peers) = (Mutex::new(episodes.into()), Mutex::new(peers));
    let socket = Failing { failures, peers, asked: AtomicUsize::new(0) };
    let listener = Listener { socket, endpoint: Endpoint::tcp(address) };
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.clone());
    let mut waits = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        drop(tokio::time::timeout(Duration::from_secs(3_600), listener.accept()).await.expect("a peer"));
        // The timer counts in whole milliseconds, each pause rounded up.
        waits.push(start.elapsed().as_millis() / 10 * 10);
    }
    let levels = logged.0.lock().unwrap().clone();
    (waits, listener.socket.asked.load(SeqCst), levels)
}

fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

#[tokio::test]
async fn no_more_descriptors_are_waited_through_and_logged_once() {
    let full = |n| (0..n).map(|n| os([EMFILE, ENFILE][n % 2])).collect();
    let (waits, asked, levels) = accepted(vec![full(8), vec![], full(1)]).await;
    // 50, 100, 200, 400, 800 ms, and then a second each.
    assert_eq!(waits, [4_550, 0, 50]);
    assert_eq!(asked, 8 + 1 + 1 + 1 + 1);
    assert_eq!(
        levels,
        [Level::WARN, Level::INFO, Level::WARN, Level::INFO],
        "once an episode, and once at its end"
    );
}

#[tokio::test]
async fn peers_that_have_gone_are_passed_over_at_once() {
    let gone = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset].map(io::Error::from);
    let (waits, asked, levels) = accepted(vec![gone.into()]).await;
    assert_eq!((waits[0], asked), (0, 3));
    assert!(levels.iter().all(|level| *level > Level::INFO), "it is nobody's fault here: {levels:?}");
}

/// The levels of what was logged on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<Level>>>);

impl Subscriber for Logged {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("rpc")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
