//! Thousands of sessions at once, on several threads, over pipes that are too narrow for their messages: senders wait for capacity,
//! handlers for permits and for room to reply, calls are given up and sessions end in the middle. What may not happen is that
//! something waits for ever, or is left behind.

use std::time::Duration;

use futures::{Stream, StreamExt as _, future::join_all, stream};
use rpc::{CallError, Limits, Session, rpc_service, testing, transport::memory};
use rpc_tests::Random;
use tokio::time::timeout;

const SESSIONS: u64 = 2_000;
const SENDERS: u64 = 4;
const CALLS: u64 = 6;

/// How long all of it may take: hundreds of times what it does.
const LIMIT: Duration = Duration::from_secs(120);

#[rpc_service]
trait Echo {
    async fn echo(&self, text: &str, turns: u64) -> String;
    #[rpc(notification)]
    async fn note(&self, text: &str);
    #[rpc(subscription)]
    async fn items(&self, number: u64) -> impl Stream<Item = u64>;
}

struct Server;

impl Echo for Server {
    /// Answers after so many turns of other tasks.
    async fn echo(&self, text: &str, turns: u64) -> String {
        yield_for(turns).await;
        text.to_owned()
    }

    async fn note(&self, _text: &str) {}

    async fn items(&self, number: u64) -> impl Stream<Item = u64> {
        stream::iter(0..number)
    }
}

async fn yield_for(turns: u64) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Both sides have room for next to nothing.
fn limits() -> Limits {
    Limits::server().with_outgoing_bytes(300).with_requests_in_flight(3).with_calls_in_flight(5)
}

/// What one sender has seen.
#[derive(Debug, Default)]
struct Seen {
    answered: u64,
    given_up: u64,
    closed: u64,
}

async fn sender(session: Session, mut random: Random) -> Seen {
    let client = EchoClient::from(session.clone());
    let mut seen = Seen::default();
    for call in 0..CALLS {
        let text = "x".repeat(random.below(200) as usize + 1);
        let turns = random.below(4);
        match random.below(12) {
            // The caller loses interest, before or after the call was sent.
            0 | 1 => {
                tokio::select! {
                    biased;
                    () = yield_for(random.below(6)) => seen.given_up += 1,
                    reply = client.echo(&text, 1_000) => seen.note(&text, reply),
                }
            }
            2 => drop(client.note(&text).await),
            3 => items(&client, random.below(20)).await,
            4 if call == CALLS - 1 && random.once_in(3) => drop(session.close().await),
            _ => seen.note(&text, client.echo(&text, turns).await),
        }
    }
    seen
}

impl Seen {
    fn note(&mut self, sent: &str, reply: Result<String, CallError>) {
        match reply {
            Ok(text) => {
                assert_eq!(text, sent, "the reply is that of another call");
                self.answered += 1;
            }
            Err(CallError::Closed { .. }) => self.closed += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A subscription that is read to its end, or left in the middle.
async fn items(client: &EchoClient<Session>, number: u64) {
    let Ok(items) = client.items(number).await else { return };
    let taken: Vec<_> = items.take(10).collect().await;
    for (at, item) in taken.into_iter().enumerate() {
        if let Ok(item) = item {
            assert_eq!(item, at as u64);
        }
    }
}

async fn one_session(seed: u64) -> Seen {
    let mut random = Random::new(seed);
    let (here, there) = memory(random.below(120) as usize + 1);
    let session = testing::session(here, (), limits());
    let peer = testing::session(there, EchoServer::new(Server), limits());
    let senders = (0..SENDERS).map(|_| tokio::spawn(sender(session.clone(), random.split())));
    let mut all = Seen::default();
    for seen in join_all(senders).await {
        let seen = seen.expect("a sender panicked");
        all.answered += seen.answered;
        all.given_up += seen.given_up;
        all.closed += seen.closed;
    }
    // Whatever was given up is taken back, or finishes: permits and places come back.
    session.close().await;
    for (name, side) in [("here", &session), ("there", &peer)] {
        let reason = side.closed().await;
        let left = side.statistics();
        let in_flight = left.calls_in_flight + left.calls_waiting + left.requests_in_flight;
        assert_eq!(in_flight, 0, "{name}, seed {seed}, {reason}: {left:?}");
        let subscriptions = left.subscriptions + left.subscriptions_served;
        assert_eq!(subscriptions, 0, "{name}, seed {seed}, {reason}: {left:?}");
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousands_of_sessions_over_narrow_pipes_end_with_nothing_left_behind() {
    let sessions = (0..SESSIONS).map(|seed| tokio::spawn(one_session(seed)));
    let ended = timeout(LIMIT, join_all(sessions)).await.expect("something waits for ever");
    let mut all = Seen::default();
    for seen in ended {
        let seen = seen.expect("a session panicked");
        all.answered += seen.answered;
        all.given_up += seen.given_up;
        all.closed += seen.closed;
    }
    // It did what it is for: of each there was plenty.
    assert!(all.answered > SESSIONS * SENDERS, "{all:?}");
    assert!(all.given_up > SESSIONS && all.closed > 0, "{all:?}");
}
