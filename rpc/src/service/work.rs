//! Handlers in flight: those that did not finish in place. [`Work`] comes to a value, which becomes
//! the reply; a [`Subscribing`] handler answers by itself and goes on.
//!
//! [`Work`] is driven to its end first, and its reply is written later: when there is capacity to
//! send it, and not before.

use std::{
    fmt,
    mem::replace,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, ready},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::reply::{Answer, PanicPayload, Replies, ReplyLimit, ReplyValue, discard, panicked};
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id, RequestId, buffer::Buffer, shown::brief, version::Version},
    session::{Ending, Shared, Trace},
};

/// The future of a handler, whatever its method.
pub(super) trait HandlerFuture: Send {
    /// Polls the handler. Its value goes to `to`.
    fn poll_handler(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut Completion<'_, '_>) -> Poll<()>;
}

pub(super) type BoxHandler = Pin<Box<dyn HandlerFuture>>;

/// The destination of a handler's value.
pub(super) enum Completion<'a, 'r> {
    /// Written as the answer at once.
    Answer(&'a mut Answer<'r>),
    /// Kept, to be written as the answer later.
    Keep(Option<Box<dyn ReplyValue + Send>>),
}

impl<F, V> HandlerFuture for F
where
    F: Future<Output = V> + Send,
    V: ReplyValue + Send + 'static,
{
    fn poll_handler(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut Completion<'_, '_>) -> Poll<()> {
        let mut value = ready!(self.poll(cx));
        match to {
            Completion::Answer(answer) => value.answer(answer),
            Completion::Keep(kept) => *kept = Some(Box::new(value)),
        }
        Poll::Ready(())
    }
}

/// A handler in flight, driven by a task of a session or by a dispatcher.
pub(crate) struct Work {
    method: &'static str,
    version: Version,
    /// `None` for a notification.
    id: Option<RequestId>,
    /// The limit on the size of the result, in bytes.
    limit: usize,
    /// The log is told how the request ends, also where it is a notification.
    traced: bool,
    stage: WorkStage,
    /// The span of a traced request: the handler is polled and dropped inside it.
    span: Option<Box<Span>>,
}

enum WorkStage {
    Running(BoxHandler),
    /// Work that makes steps, for a request without a session.
    Unreported(UnreportedWork),
    Finished(Result<Box<dyn ReplyValue + Send>, PanicPayload>),
    Done,
}

/// The end of a handler that was in flight.
pub(crate) struct Finished {
    /// The reply as a whole message; empty for a notification.
    pub(crate) reply: Buffer,
    pub(crate) ending: Ending,
}

impl Work {
    pub(super) fn new(method: &'static str, handler: BoxHandler, answer: &Answer<'_>) -> Self {
        Self::of(method, WorkStage::Running(handler), answer)
    }

    pub(super) fn of_unreported(method: &'static str, handler: UnreportedWork, answer: &Answer<'_>) -> Self {
        Self::of(method, WorkStage::Unreported(handler), answer)
    }

    fn of(method: &'static str, stage: WorkStage, answer: &Answer<'_>) -> Self {
        Self {
            method,
            version: answer.version(),
            id: answer.id().map(|id| id.to_owned()),
            limit: answer.limit(),
            traced: answer.is_traced(),
            stage,
            span: None,
        }
    }

    /// Polls and drops the handler inside the span of `trace`.
    pub(super) fn inside(mut self, trace: &Trace) -> Self {
        self.span = Some(Box::new(trace.span()));
        self
    }

    fn in_span<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        match self.span.take() {
            None => run(self),
            Some(span) => {
                let done = span.in_scope(|| run(self));
                self.span = Some(span);
                done
            }
        }
    }

    /// Ready when the handler has finished.
    pub(crate) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.in_span(|work| work.poll_stage(cx))
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let handler = match &mut self.stage {
            WorkStage::Running(handler) => handler,
            WorkStage::Unreported(unreported) => return unreported.poll_finished(cx),
            WorkStage::Finished(_) | WorkStage::Done => return Poll::Ready(()),
        };
        let mut kept = Completion::Keep(None);
        let polled = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll_handler(cx, &mut kept)));
        let stage = match (polled, kept) {
            (Ok(Poll::Pending), _) => return Poll::Pending,
            (Ok(Poll::Ready(())), Completion::Keep(Some(value))) => WorkStage::Finished(Ok(value)),
            (Ok(Poll::Ready(())), _) => WorkStage::Done,
            (Err(panic), _) => WorkStage::Finished(Err(panic)),
        };
        if let WorkStage::Running(handler) = replace(&mut self.stage, stage) {
            discard(self.method, handler);
        }
        Poll::Ready(())
    }

    /// The reply of a handler that has finished, and how its request ended. Once.
    pub(crate) fn finish(&mut self) -> Finished {
        self.in_span(Self::finish_stage)
    }

    fn finish_stage(&mut self) -> Finished {
        let mut reply = Buffer::new();
        let stage = replace(&mut self.stage, WorkStage::Done);
        let ending = match self.id.take() {
            Some(id) => id.with(|id| self.answer(stage, Some(id), &mut reply)),
            None => self.answer(stage, None, &mut reply),
        };
        Finished { reply, ending }
    }

    fn answer(&self, stage: WorkStage, id: Option<Id<'_>>, reply: &mut Vec<u8>) -> Ending {
        let mut answer =
            Answer::new(Replies::part(reply, self.version, ReplyLimit::Bytes(self.limit)), id, self.traced);
        match stage {
            WorkStage::Finished(Ok(mut value)) => {
                answer.contain(self.method, |answer| {
                    value.answer(answer);
                    drop(value);
                });
            }
            WorkStage::Finished(Err(panic)) => answer.panicked(self.method, panic),
            WorkStage::Unreported(unreported) => unreported.finish(&mut answer),
            WorkStage::Running(_) | WorkStage::Done => {}
        }
        answer.ending()
    }

    /// The progress of work that makes steps: its deadline moves with the last of them.
    pub(super) fn progress(&self) -> Option<ProgressResult> {
        match &self.stage {
            WorkStage::Unreported(unreported) => Some(unreported.progress.clone()),
            _ => None,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            let stage = replace(&mut self.stage, WorkStage::Done);
            span.in_scope(|| drop(stage));
        }
    }
}

/// The progress and the result of work whose steps are not reported, because its request came
/// without a session. The handler sets it; the dispatcher reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct ProgressResult(Arc<Mutex<ProgressState>>);

#[derive(Debug, Default)]
struct ProgressState {
    result: Option<Result<Vec<u8>, ErrorObject>>,
    panicked: bool,
    last_step: Option<Instant>,
}

impl ProgressResult {
    fn lock(&self) -> MutexGuard<'_, ProgressState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the result of the work: JSON, or an error. The first one stands.
    pub(super) fn finish(&self, result: Result<Vec<u8>, ErrorObject>) {
        self.lock().result.get_or_insert(result);
    }

    /// Sets `error` as the result of a handler that has panicked, unless it has one.
    pub(super) fn panicked(&self, error: ErrorObject) {
        let mut state = self.lock();
        state.result.get_or_insert(Err(error));
        state.panicked = true;
    }

    /// The time of the last step.
    pub(super) fn last_step(&self) -> Option<Instant> {
        self.lock().last_step
    }

    /// Records a step at `now`, from which the request timeout is counted anew.
    pub(super) fn record_step(&self, now: Instant) {
        self.lock().last_step = Some(now);
    }
}

/// The handler of work whose steps are not reported: only its result is sent.
pub(super) struct UnreportedWork {
    pub(super) handler: BoxFuture<'static, ()>,
    pub(super) progress: ProgressResult,
}

impl UnreportedWork {
    pub(super) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.handler.as_mut().poll(cx));
        Poll::Ready(())
    }

    pub(super) fn finish(self, answer: &mut Answer<'_>) {
        let (result, panicked) = {
            let mut state = self.progress.lock();
            (state.result.take(), state.panicked)
        };
        match result.unwrap_or_else(|| Err(ErrorObject::internal())) {
            Ok(json) => answer.write_json(&json),
            Err(error) if panicked => answer.write_error(&error, Ending::Panicked),
            Err(error) => answer.write_error(&error, Ending::Error(error.code())),
        }
    }
}

/// The number of a request in flight, set when the request is given one.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestNumber(Arc<OnceLock<u64>>);

impl RequestNumber {
    pub(super) fn get(&self) -> u64 {
        self.0.get().copied().unwrap_or_default()
    }
}

/// The handler of a request that may begin a subscription, to run as a task.
pub(crate) struct Subscribing {
    method: &'static str,
    handler: BoxFuture<'static, ()>,
    shared: Arc<Shared>,
    number: RequestNumber,
    trace: Span,
}

impl Subscribing {
    pub(super) const fn new(
        method: &'static str,
        handler: BoxFuture<'static, ()>,
        shared: Arc<Shared>,
        number: RequestNumber,
    ) -> Self {
        Self { method, handler, shared, number, trace: Span::none() }
    }

    /// Runs the handler inside the span of `trace`.
    pub(super) fn inside(self, trace: &Trace) -> Self {
        Self { trace: trace.span(), ..self }
    }

    /// Runs the handler, for the request with this number.
    pub(crate) fn run(self, number: u64) -> impl Future<Output = ()> + Send {
        let Self { method, handler, shared, number: known, trace } = self;
        // It is set once, before the handler runs.
        let _ = known.0.set(number);
        let task = async move {
            let ended = AssertUnwindSafe(handler).catch_unwind().await;
            let error = ended.err().map(|panic| panicked(method, panic));
            // Finishes what the handler has left undone: the answer, or the end of its stream.
            let (refusal, ending) = match &error {
                Some(error) => (error.clone(), Ending::Panicked),
                None => (ErrorObject::internal(), Ending::Error(ErrorCode::INTERNAL_ERROR)),
            };
            shared.refuse_subscription(number, &refusal, ending);
            end_subscriber(&shared, method, number, error.as_ref());
        };
        task.instrument(trace)
    }
}

/// Tells the subscriber that its stream has ended. If the peer is not known to take that notice, a
/// failure goes to the log instead.
pub(super) fn end_subscriber(shared: &Shared, method: &str, request: u64, error: Option<&ErrorObject>) {
    if !shared.end_subscriber(request, error)
        && let Some(error) = error
    {
        tracing::warn!(
            rpc.system.name = "jsonrpc",
            rpc.method = method,
            session = shared.id,
            error = %brief(error.message()),
            "a subscription has failed, and its subscriber is not told: it is not known to take notices (`Notices`)"
        );
    }
}

impl fmt::Debug for Subscribing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribing").field("method", &self.method).finish_non_exhaustive()
    }
}
