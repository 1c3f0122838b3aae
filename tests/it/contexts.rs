//! What a handler that has handed work to others is told about its request, and how it keeps work from being dropped with it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::stream;
use rpc::{
    CallError, Context, ErrorObject, Limits, MethodInfo, Params, Router, SubscriptionInfo, SubscriptionStyle,
    testing,
};
use rpc_tests::{Gate, Raw, echo, is_pending, settled, soon};
use serde_json::Value;

type Outcome<T> = Result<T, ErrorObject>;

/// The contexts of the requests so far, kept as work that was handed on would.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Context>>>);

impl Kept {
    fn keep(&self, cx: &Context) {
        self.0.lock().expect("no panic").push(cx.clone());
    }

    fn first(&self) -> Context {
        self.0.lock().expect("no panic").first().expect("a request came").clone()
    }
}

/// `wait` waits at `gate`, `now` returns at once.
fn keeping(kept: &Kept, gate: &Gate) -> Router {
    let (waits, returns, gate) = (kept.clone(), kept.clone(), gate.clone());
    echo()
        .method("wait", move |_: Params, cx: Context| {
            waits.keep(&cx);
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Outcome::Ok(cx.is_cancelled())
            }
        })
        .method("now", move |_: Params, cx: Context| {
            returns.keep(&cx);
            async move { Outcome::Ok(cx.is_cancelled()) }
        })
}

#[tokio::test(start_paused = true)]
async fn a_handler_at_work_is_not_cancelled_and_one_that_has_answered_is() {
    let (kept, gate) = (Kept::default(), Gate::closed());
    let (session, _peer) = testing::pair((), keeping(&kept, &gate));
    let mut waits = Box::pin(session.call::<bool>("wait", ()).into_future());
    assert!(is_pending(&mut waits));
    settled().await;
    let cx = kept.first();
    let mut cancelled = Box::pin(cx.cancelled());
    assert!(!cx.is_cancelled());
    assert!(is_pending(&mut cancelled));
    // Others that come and go make no difference.
    assert!(!session.call::<bool>("now", ()).await.expect("now"));
    assert!(!cx.is_cancelled());
    assert!(is_pending(&mut cancelled));
    gate.open();
    assert!(!waits.await.expect("wait"));
    soon(cancelled).await;
    assert!(cx.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_answered_at_once_is_cancelled_for_what_it_left_behind() {
    let kept = Kept::default();
    let (session, _peer) = testing::pair((), keeping(&kept, &Gate::closed()));
    assert!(!session.call::<bool>("now", ()).await.expect("now"));
    assert!(kept.first().is_cancelled());
    soon(kept.first().cancelled()).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_cancelled() {
    let (kept, gate) = (Kept::default(), Gate::closed());
    let (session, _peer) = testing::pair((), keeping(&kept, &gate));
    let call = session.call::<bool>("wait", ()).without_timeout();
    assert!(matches!(call.await, Err(CallError::Rpc(_))));
    soon(kept.first().cancelled()).await;
    assert_eq!(gate.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_dropped_and_cancelled_when_its_session_ends() {
    for ends in [|session: &rpc::Session| session.abort(), |session: &rpc::Session| session.start_close()] {
        let (kept, gate) = (Kept::default(), Gate::closed());
        let limits = Limits::server();
        let close_timeout = limits.close_timeout.expect("one");
        let (mut peer, session) = Raw::peer_of(keeping(&kept, &gate), limits);
        peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
        settled().await;
        let waits = tokio::spawn(async move { kept.first().cancelled().await });
        settled().await;
        assert!(!waits.is_finished());
        ends(&session);
        tokio::time::sleep(close_timeout + Duration::from_secs(1)).await;
        assert!(waits.is_finished());
        assert_eq!(gate.dropped(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_dropped_and_cancelled_when_its_caller_leaves_and_does_not_wait() {
    let (kept, gate) = (Kept::default(), Gate::closed());
    let (mut peer, session) = Raw::peer_of(keeping(&kept, &gate), Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"wait"}"#).await;
    settled().await;
    // It cannot be told from a peer that has closed only its own side, which is waited for until the reply cannot be written.
    drop(peer);
    session.closed().await;
    settled().await;
    assert!(kept.first().is_cancelled());
    assert_eq!(gate.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_as_its_handler_going_on() {
    let kept = Kept::default();
    let keeps = kept.clone();
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "tick").with_unsubscribe("untick");
    let method = MethodInfo::request("ticks").with_subscription(info);
    let router = Router::new().subscription(method, move |_: Params, cx: Context| {
        keeps.keep(&cx);
        async { Outcome::Ok(stream::pending::<u8>()) }
    });
    let (session, _peer) = testing::pair((), router);
    let ticks = session.subscribe::<Value>("ticks", ()).unsubscribe_with("untick").await.expect("begun");
    settled().await;
    let waits = tokio::spawn(async move { kept.first().cancelled().await });
    settled().await;
    assert!(!waits.is_finished());
    drop(ticks);
    soon(waits).await.expect("no panic");
}

/// `pay` shields a wait at `gate`, and counts when it is done.
fn paying(gate: &Gate, done: &Arc<AtomicUsize>) -> Router {
    let (gate, done) = (gate.clone(), Arc::clone(done));
    echo().method("pay", move |_: Params, cx: Context| {
        let (gate, done) = (gate.clone(), Arc::clone(&done));
        async move {
            let paid = cx.shield(async move {
                gate.pass().await;
                done.fetch_add(1, SeqCst) + 1
            });
            Outcome::Ok(paid.await)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn shielded_work_gives_its_value_to_the_handler() {
    let (gate, done) = (Gate::closed(), Arc::default());
    gate.open();
    let (session, _peer) = testing::pair((), paying(&gate, &done));
    assert_eq!(session.call::<usize>("pay", ()).await.expect("pay"), 1);
}

#[tokio::test(start_paused = true)]
async fn shielded_work_is_finished_although_its_handler_was_dropped() {
    let (gate, done) = (Gate::closed(), Arc::default());
    let (mut peer, session) = Raw::peer_of(paying(&gate, &done), Limits::server());
    peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"pay"}"#).await;
    settled().await;
    session.abort();
    session.closed().await;
    settled().await;
    gate.open();
    settled().await;
    assert_eq!((gate.dropped(), done.load(SeqCst)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_close_in_good_order_waits_for_shielded_work_and_no_longer_than_it_may() {
    for opens in [true, false] {
        let (gate, done) = (Gate::closed(), Arc::default());
        let mut limits = Limits::server();
        limits.request_timeout = Some(Duration::from_secs(1));
        let (mut peer, session) = Raw::peer_of(paying(&gate, &done), limits);
        peer.send(r#"{"jsonrpc":"2.0","id":1,"method":"pay"}"#).await;
        // The handler is given up, and its work is not.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(session.requests_in_flight(), 0);
        session.start_close();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut closed = Box::pin(session.closed());
        assert!(is_pending(&mut closed));
        if opens {
            gate.open();
            soon(closed).await;
            assert_eq!(done.load(SeqCst), 1);
        } else {
            tokio::time::sleep(Duration::from_secs(21)).await;
            assert!(!is_pending(&mut closed));
        }
    }
}

/// Else a peer could have any amount of it begun.
#[tokio::test(start_paused = true)]
async fn shielded_work_takes_up_a_place_until_it_is_done() {
    let (gate, done) = (Gate::closed(), Arc::default());
    let mut limits = Limits::server();
    limits.requests_in_flight = 2;
    limits.request_timeout = Some(Duration::from_secs(1));
    let (mut peer, _session) = Raw::peer_of(paying(&gate, &done), limits);
    for id in 1..=6 {
        peer.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"pay"}}"#)).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(gate.entered(), 2);
    gate.open();
    settled().await;
    assert_eq!(done.load(SeqCst), 6);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_shielded_work_is_its_handlers() {
    let router = echo().method("bad", async |_: Params, cx: Context| {
        cx.shield(async { panic!("a secret") }).await;
        Outcome::Ok(())
    });
    let (mut peer, _session) = Raw::peer_of(router, Limits::server());
    let answer = peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"bad"}"#).await;
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}"#);
}
