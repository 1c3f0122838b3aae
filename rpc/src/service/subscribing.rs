//! A handler that makes a stream, as a task: it answers its request by itself, and goes on.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
};

use futures::{FutureExt, future::BoxFuture};
use tracing::Instrument;

use super::panics::panicked;
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, shown::brief},
    session::{Ending, Shared, Trace},
};

/// The number that a request is known by while it is worked on, as soon as it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestNumber(Arc<OnceLock<u64>>);

impl RequestNumber {
    pub(super) fn get(&self) -> u64 {
        self.0.get().copied().unwrap_or_default()
    }
}

/// The handler of a request that may become a subscription.
pub(crate) struct Subscribing {
    method: &'static str,
    handler: BoxFuture<'static, ()>,
    link: Arc<Shared>,
    number: RequestNumber,
    trace: tracing::Span,
}

impl Subscribing {
    pub(super) const fn new(
        method: &'static str,
        handler: BoxFuture<'static, ()>,
        link: Arc<Shared>,
        number: RequestNumber,
    ) -> Self {
        Self { method, handler, link, number, trace: tracing::Span::none() }
    }

    /// The same inside the span of `trace`.
    pub(super) fn inside(self, trace: &Trace) -> Self {
        Self { trace: trace.span(), ..self }
    }

    /// Runs it, for the request of this number.
    pub(crate) fn run(self, number: u64) -> impl Future<Output = ()> + Send {
        let Self { method, handler, link, number: told, trace } = self;
        // It is set once, before the handler runs.
        let _ = told.0.set(number);
        let task = async move {
            let ended = AssertUnwindSafe(handler).catch_unwind().await;
            let error = ended.err().map(|panic| panicked(method, panic));
            // Whatever it left undone: an answer, or the end of its stream.
            let (refusal, ending) = match &error {
                Some(error) => (error.clone(), Ending::Panicked),
                None => (ErrorObject::internal(), Ending::Error(ErrorCode::INTERNAL_ERROR)),
            };
            link.refuse_subscription(number, &refusal, ending);
            end_subscriber(&link, method, number, error.as_ref());
        };
        task.instrument(trace)
    }
}

/// Tells the subscriber that its stream has ended or, where it is not known to take that, the log that it has failed.
pub(super) fn end_subscriber(link: &Shared, method: &str, request: u64, error: Option<&ErrorObject>) {
    if !link.end_subscriber(request, error)
        && let Some(error) = error
    {
        tracing::warn!(
            rpc.system.name = "jsonrpc",
            rpc.method = method,
            session = link.id,
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
