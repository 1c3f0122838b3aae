//! What is the user's, and uses sessions whenever it is run.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Wake, Waker},
    time::Duration,
};

use rpc::{
    Session,
    framing::{FrameError, Framed, Framer, NewlineFramer},
};
use serde_json::Value;

/// Runs a test that may hang on a thread of its own, with time that stands still, and gives it up where it does.
pub(super) fn unless_it_hangs<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(test());
        done.send(()).ok();
    });
    match is_done.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        // It has ended, or panicked.
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

/// Everything that takes a lock of the session's.
pub(super) fn use_it(session: &Session) {
    let _ = (session.statistics(), session.is_closed(), session.requests_in_flight(), session.protocol());
    session.add_cost(0.0);
    session.set_limits(&session.limits());
    drop(session.notifications::<Value>("anything"));
    drop(session.clone());
}

thread_local! {
    /// The sessions that are used by whatever is run on this thread.
    static SESSIONS: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
    static IS_USING: Cell<bool> = const { Cell::new(false) };
    static USED: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn use_all() {
    // Using them logs, wakes and drops, too.
    if IS_USING.replace(true) {
        return;
    }
    USED.set(USED.get() + 1);
    SESSIONS.with_borrow(|sessions| sessions.iter().for_each(use_it));
    IS_USING.set(false);
}

pub(super) fn used() -> usize {
    USED.get()
}

/// From here on `session` is used by all that is run.
pub(super) fn watch(session: &Session) {
    SESSIONS.with_borrow_mut(|sessions| sessions.push(session.clone()));
}

/// A subscriber of the log that uses the sessions for each event, and for each span whatever becomes of it.
pub(super) struct Nosy;

impl tracing::Subscriber for Nosy {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("rpc")
    }
    fn event(&self, _: &tracing::Event<'_>) {
        use_all();
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        use_all();
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {
        use_all();
    }
    fn exit(&self, _: &tracing::span::Id) {
        use_all();
    }
    fn clone_span(&self, id: &tracing::span::Id) -> tracing::span::Id {
        use_all();
        id.clone()
    }
    fn try_close(&self, _: tracing::span::Id) -> bool {
        use_all();
        false
    }
}

/// A waker that uses the sessions when it is woken, and when it is dropped.
struct NosyWaker(Waker);

impl Wake for NosyWaker {
    fn wake(self: Arc<Self>) {
        use_all();
        self.0.wake_by_ref();
    }
}

impl Drop for NosyWaker {
    fn drop(&mut self) {
        use_all();
    }
}

/// Polls a future with such wakers, a new one each time.
pub(super) async fn nosily<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let waker = Waker::from(Arc::new(NosyWaker(cx.waker().clone())));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

/// Frames are lines, and finding and marking them uses the sessions.
#[derive(Debug, Clone)]
pub(super) struct NosyFramer(NewlineFramer, usize);

impl NosyFramer {
    /// Messages of more than `limit` bytes do not fit.
    pub(super) fn new(limit: usize) -> Self {
        Self(NewlineFramer::new(), limit)
    }
}

impl Framer for NosyFramer {
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        use_all();
        self.0.next(unread)
    }
    fn begin(&self, _: &mut Vec<u8>) {
        use_all();
    }
    fn finish(&self, out: &mut Vec<u8>, start: usize) -> Result<(), FrameError> {
        use_all();
        let size = out.len() - start;
        match size > self.1 {
            true => Err(FrameError::Invalid(format!("{size} bytes"))),
            false => self.0.finish(out, start),
        }
    }
}
