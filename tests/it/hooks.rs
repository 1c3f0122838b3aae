//! What the application is told of its sessions.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use rpc::{CloseReason, Hooks, Server, ServerHandle, Session};
use rpc_tests::{Raw, echo, settled};
use tokio::io::DuplexStream;

/// What has happened, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// What was noted since this was asked.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Hooks for Diary {
    fn opened(&self, session: &Session) {
        self.note(format!("opened, {}", if session.is_closed() { "closed" } else { "open" }));
    }

    fn closed(&self, session: &Session, reason: &CloseReason) {
        assert_eq!(session.calls_in_flight(), 0);
        assert!(session.closed().now_or_never().is_none(), "nobody is told before the hook");
        self.note(format!("closed: {reason}"));
    }

    fn over_soft_limit(&self, _: &Session, cost: f64) {
        self.note(format!("soft at {:.0}", cost / 10.0));
    }

    fn over_hard_limit(&self, _: &Session, cost: f64) {
        self.note(format!("hard at {:.0}", cost / 10.0));
    }
}

fn server(hooks: impl Hooks) -> ServerHandle {
    Server::builder().service(echo()).hooks(hooks).build().expect("valid").start()
}

/// A peer of the server's that is played by hand.
fn peer_of(server: &ServerHandle) -> (Raw<DuplexStream>, Session) {
    let (here, there) = rpc::transport::memory(64 << 10);
    let session = server.attach(there);
    (Raw::over(here), session)
}

#[tokio::test(start_paused = true)]
async fn each_session_is_opened_and_closed_once_with_the_reason() {
    let diary = Diary::default();
    let server = server(diary.clone());
    for (end, reason) in [
        (Session::abort as fn(&Session), "aborted by this side"),
        (Session::start_close, "closed by this side"),
    ] {
        let (_peer, session) = peer_of(&server);
        assert_eq!(diary.take(), ["opened, open"]);
        end(&session);
        end(&session);
        session.closed().await;
        assert_eq!(diary.take(), [format!("closed: {reason}")]);
    }
    let (peer, session) = peer_of(&server);
    drop(peer);
    let reason = session.closed().await;
    assert_eq!(diary.take(), ["opened, open".to_owned(), format!("closed: {reason}")]);
    // One that ends as it begins, and one that ends with its server.
    let (here, there) = rpc::transport::memory(16);
    drop(here);
    server.attach(there).closed().await;
    assert_eq!(diary.take().len(), 2);
    let (_peer, _session) = peer_of(&server);
    server.shutdown().await;
    let told = diary.take();
    assert!(
        matches!(&*told, [opened, closed] if opened == "opened, open" && closed.starts_with("closed:")),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_side_that_connects_is_told_too() {
    let diary = Diary::default();
    let (_peer, session) = Raw::peer_with(|connector| connector.hooks(diary.clone())).await;
    assert_eq!(diary.take(), ["opened, open"]);
    session.close().await;
    assert_eq!(diary.take(), ["closed: closed by this side"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_service_cannot_be_made_is_not_opened() {
    let diary = Diary::default();
    let server = Server::builder()
        .session(|_: &Session| -> rpc::Router { panic!("no service for this one") })
        .hooks(diary.clone())
        .bind("tcp://127.0.0.1:0")
        .await
        .expect("a free port")
        .start();
    let mut peer = Raw::connect(server.endpoint()).await;
    peer.expect_end().await;
    assert!(diary.take().is_empty());
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn limits_are_told_once_each_time_they_are_passed() {
    let diary = Diary::default();
    let server = server(diary.clone());
    let (_peer, session) = peer_of(&server);
    diary.take();
    let charge = async |cost: f64| {
        session.add_cost(cost);
        settled().await;
        diary.take()
    };
    // In tens, rounded: seconds that pass meanwhile forgive 2.8 each.
    assert_eq!(charge(1_500.0).await, [""; 0]);
    assert_eq!(charge(1_500.0).await, ["soft at 300"]);
    assert_eq!(charge(1_000.0).await, [""; 0], "it was over it already");
    assert_eq!(charge(-3_000.0).await, [""; 0]);
    assert_eq!(charge(1_500.0).await, ["soft at 250"]);
    assert_eq!(charge(8_000.0).await[0], "hard at 1050");
    session.closed().await;
    assert_eq!(diary.take().len(), 0, "and the end came with it");
}

/// What is stored for the peer costs, as long as it is.
#[derive(Clone, Default)]
struct Stored(Arc<Mutex<f64>>);

impl Hooks for Stored {
    fn extra_cost(&self, _: &Session) -> f64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_application_says_that_a_peer_costs_is_added_and_not_kept() {
    let stored = Stored::default();
    let server = server(stored.clone());
    let (_peer, session) = peer_of(&server);
    let store = |cost| *stored.0.lock().unwrap_or_else(PoisonError::into_inner) = cost;
    session.add_cost(100.0);
    settled().await;
    for extra in [500.0, 500.0, 0.0] {
        store(extra);
        let cost = session.cost();
        assert!((extra + 90.0..=extra + 100.0).contains(&cost), "{cost} with {extra}");
    }
    store(9_950.0);
    session.add_cost(0.0);
    assert!(matches!(session.closed().await, CloseReason::Cost { cost, .. } if cost > 10_000.0));
}

struct Clumsy;

impl Hooks for Clumsy {
    fn opened(&self, _: &Session) {
        panic!("clumsy");
    }

    fn closed(&self, _: &Session, _: &CloseReason) {
        panic!("clumsy");
    }

    fn over_soft_limit(&self, _: &Session, _: f64) {
        panic!("clumsy");
    }

    fn over_hard_limit(&self, _: &Session, _: f64) {
        panic!("clumsy");
    }

    fn extra_cost(&self, _: &Session) -> f64 {
        panic!("clumsy");
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_that_panic_do_their_session_no_harm() {
    let server = server(Clumsy);
    let (mut peer, session) = peer_of(&server);
    session.add_cost(3_000.0);
    settled().await;
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[5]}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":[5]}"#);
    session.add_cost(10_000.0);
    assert!(matches!(session.closed().await, CloseReason::Cost { .. }));
    tokio::time::timeout(Duration::from_secs(1), server.shutdown()).await.expect("the server goes on");
}
