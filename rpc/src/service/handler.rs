//! Runs a handler: the arms of generated code and untyped routes come down to this.
//!
//! Little in here knows the types of a method: its arm reads the parameters and makes the future,
//! which is run, answered and contained as one of many.

use std::task::{Context, Waker};

use super::{
    Handled, Request,
    panics::discard,
    reply::{Answer, ReplyValue},
    work::{BoxHandler, Completion, Work},
};
use crate::jsonrpc::{ErrorObject, MethodInfo, UncheckedParams, params};

/// The parameters of a request, and the method that names them.
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

/// Reads the parameters of a request, and answers it or makes the future that will. Errors refuse
/// the request. All of it is code of the service's, and may panic.
pub(super) type Begin<'b> =
    dyn FnMut(Args<'_>, &mut Answer<'_>) -> Result<Option<BoxHandler>, ErrorObject> + 'b;

/// Serves a request with an `async fn`: runs its future as far as it goes without waiting.
pub(crate) fn handle<F, V>(
    request: Request<'_>,
    handler: impl FnOnce(Args<'_>) -> Result<F, ErrorObject>,
) -> Handled
where
    F: Future<Output = V> + Send + 'static,
    V: ReplyValue + Send + 'static,
{
    let mut handler = Some(handler);
    serve(request, &mut |args, _| match handler.take() {
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
    serve(request, &mut |args, answer| {
        if let Some(handler) = handler.take() {
            handler(args)?.answer(answer);
        }
        Ok(None)
    })
}

/// What a service says to an index that it does not have.
pub fn no_such_method(request: Request<'_>) -> Handled {
    Handled::refused(ErrorObject::method_not_found(request.method.name()))
}

/// Polls a handler once where its request was read, unless it is deferred; only one that has to wait
/// is handed on.
///
/// The first poll has a waker that does nothing: whoever takes the future over polls it again at
/// once.
pub(super) fn serve(request: Request<'_>, begin: &mut Begin<'_>) -> Handled {
    let args = Args::of(&request);
    let Request { method, id, replies, deferred, traced, .. } = request;
    let method = method.name();
    let mut answer = Answer::new(replies, id, traced);
    // It outlives a panic of its own: dropping it is contained, too.
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
