//! Calls that are awaited elsewhere than on the runtime of their session.

use std::{
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake},
    thread::{self, Thread},
    time::Duration,
};

use futures::{FutureExt as _, future::join};
use rpc::{CallError, Limits, Session, testing};
use rpc_tests::echo;
use serde_json::{Value, json};
use tokio::{runtime::Builder, sync::oneshot};

const LONG: Duration = Duration::from_secs(3_600);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The least executor there can be: one thread, and no clock.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A session on a runtime of its own, whose time passes as soon as there is nothing to do but wait. Dropping it stops the
/// runtime.
struct Elsewhere {
    session: Session,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Elsewhere {
    /// Its peer reads nothing, or serves `echo`.
    fn new(limits: Limits, has_peer: bool) -> Self {
        Self::at_a_pace(limits, has_peer, true)
    }

    fn at_a_pace(limits: Limits, has_peer: bool, time_flies: bool) -> Self {
        let (made, session) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .start_paused(time_flies)
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let (here, there) = rpc::transport::memory(64);
                let session = testing::session(here, (), limits);
                let (peer, silent) = match has_peer {
                    true => (Some(testing::session(there, echo(), Limits::unlimited())), None),
                    false => (None, Some(there)),
                };
                made.send(session).expect("the test waits");
                // Stopped, or the test has failed.
                let _stopped = stopped.await;
                drop((peer, silent));
            });
        });
        let session = session.recv().expect("the thread makes one");
        Self { session, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

fn is_timeout(outcome: Result<Value, CallError>) -> bool {
    matches!(outcome, Err(CallError::Timeout(after)) if after == LONG)
}

#[test]
fn a_call_is_answered_and_times_out_without_a_runtime() {
    let there = Elsewhere::new(Limits::unlimited(), true);
    let answer: Value = block_on(there.session.call("echo", (1,)).into_future()).expect("a reply");
    assert_eq!(answer, json!([1]));
    let silent = Elsewhere::new(Limits::unlimited(), false);
    assert!(is_timeout(block_on(silent.session.call("echo", (1,)).timeout(LONG).into_future())));
}

#[test]
fn a_call_that_waits_for_its_turn_or_for_room_times_out_without_a_runtime() {
    let (mut one, mut few) = (Limits::unlimited(), Limits::unlimited());
    one.calls_in_flight = 1;
    few.outgoing_bytes = 100;
    for limits in [one, few] {
        let silent = Elsewhere::new(limits, false);
        let text = "x".repeat(200);
        let call = || silent.session.call::<Value>("echo", (&text,)).timeout(LONG).into_future();
        let (first, second) = block_on(join(call(), call()));
        assert!(is_timeout(first) && is_timeout(second));
    }
}

#[test]
fn a_call_times_out_on_a_runtime_that_has_no_clock() {
    let mut limits = Limits::unlimited();
    limits.calls_in_flight = 1;
    let silent = Elsewhere::new(limits, false);
    let call = || silent.session.call::<Value>("echo", (1,)).timeout(LONG).into_future();
    let without_time = Builder::new_current_thread().build().expect("a runtime");
    let (first, second) = without_time.block_on(async { join(call(), call()).await });
    assert!(is_timeout(first) && is_timeout(second));
}

#[test]
fn a_call_that_waits_ends_with_the_runtime_of_its_session() {
    let mut limits = Limits::unlimited();
    limits.calls_in_flight = 1;
    let there = Elsewhere::at_a_pace(limits, false, false);
    let session = there.session.clone();
    // The second waits for the place of the first, with a clock of the runtime that stops.
    let call = || session.call::<Value>("echo", (1,)).timeout(LONG).into_future();
    let mut calls = Box::pin(join(call(), call()));
    assert!((&mut calls).now_or_never().is_none());
    drop(there);
    let (first, second) = block_on(calls);
    for ended in [first, second] {
        let ended = ended.expect_err("there is no answer");
        assert!(matches!(ended, CallError::Closed { .. }), "{ended:?}");
    }
}
