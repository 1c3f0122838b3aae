//! Accepting goes on, whatever the socket does.

use std::{
    collections::VecDeque,
    future::{pending, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::Instant;
use tracing::{Level, Metadata, Subscriber, span};

use super::{AcceptBackoff, AppProtocol, Connection, Endpoint, Listener, Policy, Socket};
use crate::{driver::Settings, limits::Limits, service::Services};

/// A socket that returns the given errors, then a peer, and so on, and at the end waits for ever.
#[derive(Debug)]
struct Failing {
    failures: Mutex<VecDeque<Vec<io::Error>>>,
    asked: AtomicUsize,
}

impl Socket for Arc<Failing> {
    fn accept(&self) -> BoxFuture<'_, io::Result<Option<Connection>>> {
        self.asked.fetch_add(1, SeqCst);
        let failure = self.failures.lock().unwrap().front_mut().map(Vec::pop);
        match failure {
            None => Box::pin(pending()),
            Some(Some(error)) => Box::pin(ready(Err(error))),
            Some(None) => {
                self.failures.lock().unwrap().pop_front();
                let (peer, _) = tokio::io::duplex(1);
                Box::pin(ready(Ok(Some(Connection::new(peer, Endpoint::MEMORY)))))
            }
        }
    }
}

/// Accepts one peer for each list of errors. Returns the milliseconds that each took, the number of
/// attempts, and the levels of the log events.
async fn accepted(episodes: Vec<Vec<io::Error>>) -> (Vec<u128>, usize, Vec<Level>) {
    let count = episodes.len();
    let socket = Arc::new(Failing { failures: Mutex::new(episodes.into()), asked: AtomicUsize::new(0) });
    let settings = Settings::new(Limits::server());
    let policy = Arc::new(Policy::new(Services::default(), settings).expect("nothing is wrong with it"));
    let listener = Listener {
        socket: Box::new(Arc::clone(&socket)),
        endpoint: Endpoint::MEMORY,
        handshakes: Arc::new([]),
        framer: None,
        protocol: AppProtocol::Sessions(Arc::clone(&policy)),
        policy,
    };
    let logged = Logged::default();
    let _logging = tracing::subscriber::set_default(logged.clone());
    let mut backoff = AcceptBackoff::new(&listener.endpoint);
    let mut waits = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        drop(
            tokio::time::timeout(Duration::from_secs(3_600), listener.accept(&mut backoff))
                .await
                .expect("a peer"),
        );
        // The timer rounds each pause up to whole milliseconds.
        waits.push(start.elapsed().as_millis() / 10 * 10);
    }
    let levels = logged.0.lock().unwrap().clone();
    (waits, socket.asked.load(SeqCst), levels)
}

fn os(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;
const ENOMEM: i32 = 12;

/// Out of descriptors, buffers or memory: the errors of accept(2) on Linux.
const NOTHING_LEFT: [i32; 4] = [EMFILE, ENFILE, ENOBUFS, ENOMEM];

fn full(n: usize) -> Vec<io::Error> {
    (0..n).map(|n| os(NOTHING_LEFT[n % 4])).collect()
}

#[tokio::test(start_paused = true)]
async fn no_more_descriptors_are_waited_through_and_logged_once() {
    let (waits, asked, levels) = accepted(vec![full(8), vec![], full(1)]).await;
    // 50, 100, 200, 400, 800 ms, and then a second each; and from the start after a peer was
    // accepted.
    assert_eq!(waits, [4_550, 0, 50]);
    assert_eq!(asked, 8 + 1 + 1 + 1 + 1);
    assert_eq!(levels, [Level::WARN, Level::INFO], "once, and once at its end");
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_said_once_a_minute_and_so_is_what_comes_again_and_again() {
    // Four pauses that come to 750 ms, and then a second each: logged at the start, after 60 s and
    // 120 s.
    let (_, _, levels) = accepted(vec![full(150)]).await;
    assert_eq!(levels, [Level::WARN, Level::WARN, Level::WARN, Level::INFO]);
    // One failure for each accepted peer, for 60 s.
    let (waits, _, levels) = accepted((0..1_250).map(|_| full(1)).collect()).await;
    assert!(waits.iter().all(|wait| *wait == 50), "{waits:?}");
    assert_eq!(levels, [Level::WARN, Level::INFO, Level::WARN, Level::INFO]);
}

/// For example a rule of the system that refuses every peer.
#[tokio::test(start_paused = true)]
async fn peers_that_go_without_end_are_waited_for_too() {
    let gone = |n| (0..n).map(|_| io::ErrorKind::PermissionDenied.into()).collect();
    let (waits, asked, levels) = accepted(vec![gone(16), gone(20), gone(16)]).await;
    // 50, 100, 200 and 400 ms behind the sixteenth.
    assert_eq!(waits, [0, 750, 0]);
    assert_eq!(asked, 17 + 21 + 17);
    let said: Vec<_> = levels.into_iter().filter(|level| *level <= Level::INFO).collect();
    assert_eq!(said, [Level::WARN, Level::INFO]);
}

#[tokio::test(start_paused = true)]
async fn peers_that_have_gone_are_passed_over_at_once() {
    let gone = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset].map(io::Error::from);
    let (waits, asked, levels) = accepted(vec![gone.into()]).await;
    assert_eq!((waits[0], asked), (0, 3));
    assert!(levels.iter().all(|level| *level > Level::INFO), "it is nobody's fault here: {levels:?}");
}

/// The levels of the log events on this thread.
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
