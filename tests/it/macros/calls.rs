//! What a method says of how it is called and run.

use std::{
    sync::mpsc,
    thread::{self, ThreadId},
    time::Duration,
};

use rpc::{CallError, Context, ErrorCode, MethodInfo, RpcError, Session, rpc_service, testing};
use tokio::time::Instant;

use super::recorder::{Recorder, Sent};

#[rpc_service]
trait Slow {
    #[rpc(timeout = "1500ms")]
    async fn never(&self);
    #[rpc(timeout = "2m", idempotent)]
    fn read(&self) -> u8;
    #[rpc(idempotent)]
    fn again(&self, a: u8) -> u8;
    fn once(&self) -> u8;
}

struct MySlow;

impl Slow for MySlow {
    async fn never(&self) {
        std::future::pending::<()>().await;
    }
    fn read(&self) -> u8 {
        1
    }
    fn again(&self, a: u8) -> u8 {
        a
    }
    fn once(&self) -> u8 {
        1
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_says_how_long_to_wait_for_it() {
    let (session, _peer) = testing::pair((), SlowServer::new(MySlow));
    let slow = SlowClient::from(session);
    let start = Instant::now();
    let ended = |outcome: Result<(), CallError>| match outcome {
        Err(CallError::Timeout(after)) => after,
        other => panic!("no timeout: {other:?}"),
    };
    assert_eq!(ended(slow.never().await), Duration::from_millis(1500));
    assert_eq!(start.elapsed(), Duration::from_millis(1500));
    let shorter = Duration::from_millis(20);
    assert_eq!(ended(slow.never().timeout(shorter).await), shorter, "a call wins over its method");
    let waiting = tokio::time::timeout(Duration::from_secs(3600), slow.never().without_timeout());
    // The server ends it, by its own limit.
    assert!(!matches!(waiting.await, Ok(Err(CallError::Timeout(_)))));
}

#[tokio::test]
async fn a_caller_knows_what_may_be_tried_again_and_how_long_to_wait() {
    let recorder = Recorder::answering(1);
    let slow = SlowClient::from(recorder.clone());
    slow.read().await.expect("an answer");
    slow.again(1).await.expect("an answer");
    slow.once().await.expect("an answer");
    slow.read().timeout(Duration::from_secs(1)).await.expect("an answer");
    let sent: Vec<_> = recorder
        .take()
        .into_iter()
        .map(|Sent { method, timeout, idempotent, .. }| (method, timeout, idempotent))
        .collect();
    let named = |method: &str, timeout: Option<u64>, idempotent| {
        (method.to_owned(), timeout.map(Duration::from_secs), idempotent)
    };
    assert_eq!(
        sent,
        [
            named("read", Some(120), true),
            named("again", None, true),
            named("once", None, false),
            named("read", Some(1), true)
        ]
    );
    let methods = SlowServer::<MySlow>::METHODS;
    assert_eq!(methods.iter().map(MethodInfo::is_idempotent).collect::<Vec<_>>(), [false, true, true, false]);
    assert_eq!(methods[0].timeout(), Some(Duration::from_millis(1500)));
    assert_eq!(methods[2].timeout(), None);
}

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
#[error("odd")]
#[rpc(code = 1)]
struct Odd;

#[rpc_service]
trait Blocking {
    /// Waits for the release that `release` sends.
    #[rpc(blocking)]
    fn wait(&self, #[rpc(context)] cx: &Context, text: &str) -> String;
    #[rpc(blocking)]
    fn half(&self, number: u8) -> Result<u8, Odd>;
    #[rpc(blocking, notification)]
    fn tell(&self, text: String);
    #[rpc(blocking)]
    fn panic(&self);
    #[rpc(blocking)]
    fn by_default(&self) -> u8 {
        7
    }
    fn release(&self);
}

/// It blocks whoever does not run it elsewhere.
struct MyBlocking {
    waiting: std::sync::Mutex<mpsc::Receiver<()>>,
    releases: mpsc::Sender<()>,
    told: tokio::sync::mpsc::UnboundedSender<(String, ThreadId)>,
}

impl Blocking for MyBlocking {
    fn wait(&self, cx: &Context, text: &str) -> String {
        self.waiting.lock().expect("nobody panics").recv().expect("the sender is here too");
        format!("{} {text}", cx.method())
    }
    fn half(&self, number: u8) -> Result<u8, Odd> {
        if number.is_multiple_of(2) { Ok(number / 2) } else { Err(Odd) }
    }
    fn tell(&self, text: String) {
        self.told.send((text, thread::current().id())).expect("the test waits for it");
    }
    fn panic(&self) {
        panic!("on a thread of its own");
    }
    fn release(&self) {
        self.releases.send(()).expect("the receiver is here too");
    }
}

type Told = tokio::sync::mpsc::UnboundedReceiver<(String, ThreadId)>;

fn blocking() -> (BlockingClient, Told, Session) {
    let (releases, waiting) = mpsc::channel();
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    let service = MyBlocking { waiting: waiting.into(), releases, told };
    let (session, peer) = testing::pair((), BlockingServer::new(service));
    (BlockingClient::from(session), heard, peer)
}

#[tokio::test]
async fn a_blocking_method_does_not_hold_up_its_session() {
    let (client, _heard, _peer) = blocking();
    let waiting = async { client.wait("x").await };
    let (waited, ()) =
        tokio::join!(waiting, async { client.release().await.expect("it is served meanwhile") });
    assert_eq!(waited.expect("wait"), "wait x");
}

#[tokio::test]
async fn a_blocking_method_answers_and_fails_like_any_other() {
    let (client, mut heard, _peer) = blocking();
    assert_eq!(client.half(4).await.expect("even"), 2);
    assert!(matches!(client.half(3).await, Err(CallError::Service(Odd))));
    assert_eq!(client.by_default().await.expect("by_default"), 7);
    match client.panic().await {
        Err(CallError::Rpc(error)) => assert_eq!(error.code(), ErrorCode::INTERNAL_ERROR),
        other => panic!("not an error: {other:?}"),
    }
    client.tell("line".into()).await.expect("sent");
    let (line, thread) = heard.recv().await.expect("it arrives");
    assert_eq!(line, "line");
    assert_ne!(thread, thread::current().id(), "it has a thread of its own");
}

#[test]
fn a_blocking_method_that_has_no_thread_yet_is_not_run_when_its_session_has_ended() {
    let one_thread =
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).enable_all().build();
    one_thread.expect("a runtime").block_on(async {
        let (releases, waiting) = mpsc::channel();
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let service = MyBlocking { waiting: waiting.into(), releases: releases.clone(), told };
        let (session, peer) = testing::pair((), BlockingServer::new(service));
        let client = BlockingClient::from(session);
        let calls = tokio::spawn(async move {
            let (waited, told) = tokio::join!(async { client.wait("in the only thread").await }, async {
                client.tell("never".into()).await
            });
            assert!(matches!(waited, Err(CallError::Closed { .. })) && told.is_ok());
        });
        while peer.requests_in_flight() < 2 {
            tokio::task::yield_now().await;
        }
        peer.abort();
        peer.closed().await;
        calls.await.expect("both have ended");
        releases.send(()).expect("it waits");
        // The service goes with its last handler.
        drop(peer);
        assert_eq!(heard.recv().await, None);
    });
}
