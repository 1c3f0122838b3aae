//! Runs handlers: generated code, untyped routes and the handlers of application messages all come
//! down to [`run_handler`].
//!
//! Little of this is generic over the types of a method: the service reads the parameters and makes
//! the future, which is then run, answered and contained as one of many.

use std::{
    fmt,
    marker::PhantomData,
    panic::resume_unwind,
    sync::Arc,
    task::{Context, Waker},
};

use tokio::task::{AbortHandle, spawn_blocking};
use tracing::Span;

use super::{
    peer::RequestPeer,
    reply::{Answer, Replies, ReplyLimit, ReplyValue, discard, returned},
    request::{Handled, Request, ServiceOutcome},
    work::{BoxHandler, Completion, Work},
};
use crate::{
    framing::FrameError,
    jsonrpc::{ErrorObject, MethodInfo, UncheckedParams, params, version::Version},
    session::{Message, MessageSession, Session, Shared},
};

/// The parameters of a request, with the method that names them.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    method: &'a MethodInfo,
    params: UncheckedParams<'a>,
}

impl<'a> Args<'a> {
    pub(super) const fn of(request: &Request<'a>) -> Self {
        Self { method: request.method, params: request.params }
    }

    /// The parameters as the tuple that the method takes, by position or by name.
    pub(crate) fn decode<P: serde::de::DeserializeOwned>(self) -> Result<P, ErrorObject> {
        params::decode(self.method, self.params)
    }
}

/// Reads the parameters of a request, and answers it or makes its future. An error refuses the
/// request. All of this is code of the service, and may panic.
pub(super) type BeginHandler<'b> =
    dyn FnMut(Args<'_>, &mut Answer<'_>) -> Result<Option<BoxHandler>, ErrorObject> + 'b;

/// Serves a request with an `async fn`, whose future is first polled in place.
pub(crate) fn handle<F, V>(
    request: Request<'_>,
    handler: impl FnOnce(Args<'_>) -> Result<F, ErrorObject>,
) -> Handled
where
    F: Future<Output = V> + Send + 'static,
    V: ReplyValue + Send + 'static,
{
    let mut handler = Some(handler);
    run_handler(request, &mut |args, _| match handler.take() {
        Some(handler) => Ok(Some(Box::pin(handler(args)?))),
        None => Ok(None),
    })
}

/// Serves a request with a plain `fn`.
pub(crate) fn handle_now<V: ReplyValue>(
    request: Request<'_>,
    handler: impl FnOnce(Args<'_>) -> Result<V, ErrorObject>,
) -> Handled {
    let mut handler = Some(handler);
    run_handler(request, &mut |args, answer| {
        if let Some(handler) = handler.take() {
            handler(args)?.answer(answer);
        }
        Ok(None)
    })
}

/// Polls a handler once where its request was read, unless it is deferred. A handler that is still
/// pending is returned as [`Work`].
///
/// The waker of the first poll does nothing: the owner of the [`Work`] polls it again at once.
pub(super) fn run_handler(request: Request<'_>, begin: &mut BeginHandler<'_>) -> Handled {
    let args = Args::of(&request);
    let Request { method, id, replies, deferred, traced, .. } = request;
    let method = method.name();
    let mut answer = Answer::new(replies, id, traced);
    // Outside the contained closure, so that it outlives its own panic: its drop is contained, too.
    let mut handler = None;
    let begun = answer.contain(method, |answer| {
        handler = begin(args, answer)?;
        if let Some(future) = &mut handler
            && !deferred
        {
            let mut in_place = Context::from_waker(Waker::noop());
            let mut completion = Completion::Answer(answer);
            if future.as_mut().poll_handler(&mut in_place, &mut completion).is_ready() {
                handler = None;
            }
        }
        Ok(())
    });
    match (begun, handler) {
        (Some(Ok(())), None) => Handled::done(answer.ending()),
        (Some(Err(error)), _) => Handled::refused(error),
        (Some(Ok(())), Some(handler)) => Handled::pending(Work::new(method, handler, &answer)),
        (None, handler) => {
            discard(method, handler);
            Handled::done(answer.ending())
        }
    }
}

/// Runs `handler` on tokio's pool of blocking threads, and returns its value.
///
/// A handler that has begun cannot be stopped. One that still waits for a thread when this future
/// is dropped is never run. A panic of the handler is resumed here.
pub async fn blocking<R: Send + 'static>(handler: impl FnOnce() -> R + Send + 'static) -> R {
    // What the handler logs belongs to the span of its request, on the other thread, too.
    let span = Span::current();
    let task = spawn_blocking(move || span.in_scope(handler));
    let _unless_begun = AbortOnDrop(task.abort_handle());
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down, and drops this future.
            Err(_) => std::future::pending().await,
        },
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The name of application messages in the log.
pub(crate) const MESSAGE: &str = "message";

/// The method under which application messages are dispatched.
const METHOD: MethodInfo = MethodInfo::notification(MESSAGE);

/// Handles the messages of the application's own that a session carries instead of JSON-RPC, as
/// frames.
pub(crate) trait TakesMessages: Send + Sync {
    /// Reads a frame, and polls the handler once in place.
    fn take(&self, frame: &[u8], shared: &Arc<Shared>) -> Result<ServiceOutcome, FrameError>;
}

/// Erases the type of the messages that `handler` takes.
pub(crate) fn takes_messages<M, F>(
    handler: impl Fn(MessageSession<M>, M) -> F + Send + Sync + 'static,
) -> Arc<dyn TakesMessages>
where
    M: Message,
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(MessageHandler { handler, message: PhantomData::<fn(M)> })
}

struct MessageHandler<H, M> {
    handler: H,
    message: PhantomData<fn(M)>,
}

impl<H, M, F> TakesMessages for MessageHandler<H, M>
where
    H: Fn(MessageSession<M>, M) -> F + Send + Sync,
    M: Message,
    F: Future<Output = ()> + Send + 'static,
{
    fn take(&self, frame: &[u8], shared: &Arc<Shared>) -> Result<ServiceOutcome, FrameError> {
        let (mut no_reply, mut unreadable) = (Vec::new(), None);
        let request = Request {
            method: &METHOD,
            id: None,
            params: UncheckedParams::NONE,
            peer: RequestPeer::Session(shared),
            replies: Replies::part(&mut no_reply, Version::V2, ReplyLimit::Bytes(0)),
            deferred: false,
            progress_token: None,
            traced: false,
        };
        let handled = run_handler(request, &mut |_, _| {
            let message = match M::read(frame) {
                Ok(message) => message,
                Err(error) => {
                    unreadable = Some(error);
                    return Ok(None);
                }
            };
            let session = MessageSession::new(Session::new(Arc::clone(shared)));
            let handling = (self.handler)(session, message);
            Ok(Some(Box::pin(async move {
                handling.await;
                returned::<false, _>(())
            })))
        });
        match unreadable {
            Some(error) => Err(error),
            None => Ok(handled.outcome()),
        }
    }
}

impl fmt::Debug for dyn TakesMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakesMessages").finish_non_exhaustive()
    }
}
