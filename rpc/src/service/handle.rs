//! Runs a handler: what the arms of generated code and untyped routes come down to.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Handled, Request,
    replies::Panic,
    working::{AtWork, Stage},
};
use crate::{
    jsonrpc::{ErrorObject, Id, RpcError, result::put_result, shown::brief, version::Version},
    session::{Ending, Returns, panic_message},
};

/// Serves a request with an `async fn`: reads the parameters, and runs the future as far as it goes without waiting.
pub(crate) fn handle<const FALLIBLE: bool, P, F, R>(
    request: Request<'_>,
    handler: impl FnOnce(P) -> F,
) -> Handled
where
    P: DeserializeOwned,
    F: Future<Output = R> + Send + 'static,
    R: Returns<FALLIBLE, Value: Serialize> + Send + 'static,
{
    // Parameters of the user's own types are read by code of the user's.
    match catch_unwind(AssertUnwindSafe(|| request.decode())) {
        Ok(Ok(params)) => start(request, |_| handler(params)),
        Ok(Err(error)) => Handled::refused(error),
        Err(panic) => answer_panic(request, panic),
    }
}

/// Serves a request with a plain `fn`.
pub(crate) fn handle_now<const FALLIBLE: bool, P, R>(
    request: Request<'_>,
    handler: impl FnOnce(P) -> R,
) -> Handled
where
    P: DeserializeOwned,
    R: Returns<FALLIBLE, Value: Serialize>,
{
    match catch_unwind(AssertUnwindSafe(|| request.decode().map(handler))) {
        Ok(Ok(value)) => answer(request, value),
        Ok(Err(error)) => Handled::refused(error),
        Err(panic) => answer_panic(request, panic),
    }
}

/// What a service says to an index that it does not have.
pub fn no_such_method(request: Request<'_>) -> Handled {
    Handled::refused(ErrorObject::method_not_found(request.method.name()))
}

/// Makes the handler's future, and runs it.
pub(super) fn start<const FALLIBLE: bool, F, R>(
    request: Request<'_>,
    make: impl FnOnce(&Request<'_>) -> F,
) -> Handled
where
    F: Future<Output = R> + Send + 'static,
    R: Returns<FALLIBLE, Value: Serialize> + Send + 'static,
{
    match catch_unwind(AssertUnwindSafe(|| Box::pin(make(&request)))) {
        Ok(future) => run(request, future),
        Err(panic) => answer_panic(request, panic),
    }
}

/// Polls the handler once where its request was read; only one that has to wait is handed on.
///
/// The first poll has a waker that does nothing: whoever takes the future over polls it again at once.
fn run<const FALLIBLE: bool, F, R>(request: Request<'_>, mut handler: Pin<Box<F>>) -> Handled
where
    F: Future<Output = R> + Send + 'static,
    R: Returns<FALLIBLE, Value: Serialize> + Send + 'static,
{
    let method = request.method.name();
    let mut in_place = Context::from_waker(Waker::noop());
    let polled = match request.deferred {
        true => Ok(Poll::Pending),
        false => catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(&mut in_place))),
    };
    let finished = match polled {
        Ok(Poll::Ready(value)) => answer(request, value),
        Err(panic) => answer_panic(request, panic),
        Ok(Poll::Pending) => {
            let id = request.id.map(|id| id.to_owned());
            let limit = request.peer().reply_size();
            let (version, traced) = (request.replies.version(), request.traced);
            let stage = Stage::Running(handler);
            return Handled::pending(Box::new(AtWork::<FALLIBLE, F, R> {
                method,
                version,
                id,
                limit,
                traced,
                stage,
            }));
        }
    };
    discard(method, handler);
    finished
}

fn answer<const FALLIBLE: bool, R>(request: Request<'_>, value: R) -> Handled
where
    R: Returns<FALLIBLE, Value: Serialize>,
{
    let Request { method, id, mut replies, traced, .. } = request;
    let Some(id) = id else {
        return Handled::done(leave(method.name(), value, traced));
    };
    let result = value.into_result();
    let ending = match replies.result(id, &result) {
        Ok(code) => Ending::of_reply(code),
        Err(panic) => {
            replies.error(id, &panicked(method.name(), panic));
            Ending::Panicked
        }
    };
    discard(method.name(), result);
    Handled::done(ending)
}

/// Answers a request for which code of the service's has panicked.
#[cold]
pub(super) fn answer_panic(mut request: Request<'_>, panic: Panic) -> Handled {
    let error = panicked(request.method.name(), panic);
    if let Some(id) = request.id {
        request.replies.error(id, &error);
    }
    Handled::done(Ending::Panicked)
}

/// Drops what the handler of a notification has returned. What has come of it only the log is told, if it is `traced`.
pub(super) fn leave<const FALLIBLE: bool, R: Returns<FALLIBLE>>(
    method: &'static str,
    value: R,
    traced: bool,
) -> Ending {
    let result = value.into_result();
    let ending = match &result {
        Err(error) if traced => match catch_unwind(AssertUnwindSafe(|| error.to_error_object())) {
            Ok(error) => Ending::Error(error.code()),
            Err(panic) => {
                drop(panicked(method, panic));
                Ending::Panicked
            }
        },
        _ => Ending::Result,
    };
    discard(method, result);
    ending
}

pub(super) fn put_answer<const FALLIBLE: bool, R>(
    out: &mut Vec<u8>,
    version: Version,
    id: Id<'_>,
    method: &'static str,
    value: Result<R, Panic>,
    limit: usize,
) -> Ending
where
    R: Returns<FALLIBLE, Value: Serialize>,
{
    let written = value.and_then(|value| {
        let result = value.into_result();
        let written = catch_unwind(AssertUnwindSafe(|| put_result(out, version, id, result.as_ref(), limit)));
        discard(method, result);
        written
    });
    match written {
        Ok(code) => Ending::of_reply(code),
        Err(panic) => {
            out.clear();
            version.put_error(out, id, &panicked(method, panic));
            Ending::Panicked
        }
    }
}

/// Tells the log what happened, and the peer nothing.
#[cold]
pub(super) fn panicked(method: &'static str, panic: Panic) -> ErrorObject {
    log_panic(method, &*panic);
    discard(method, panic);
    ErrorObject::internal()
}

pub(super) fn log_panic(method: &'static str, panic: &(dyn Any + Send)) {
    let message = panic_message(panic);
    tracing::error!(rpc.system.name = "jsonrpc", rpc.method = method, panic = %brief(message), "a handler panicked");
}

/// Drops what is the user's: that, too, may panic, and the loop must not. What was answered stands.
pub(super) fn discard<T>(method: &'static str, value: T) {
    if !std::mem::needs_drop::<T>() {
        return;
    }
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        tracing::error!(
            rpc.system.name = "jsonrpc",
            rpc.method = method,
            "dropping what a handler left panicked"
        );
        // Whoever throws such things has to live with the leak.
        std::mem::forget(panic);
    }
}
