//! Logging of served requests: a span around the handler, and one event at the end.
//!
//! Every [`Trace`] has one end. One that is dropped counts as abandoned, so every request has its
//! event, whatever happens to it. Ending or dropping a trace runs user code, that of a log
//! subscriber: never do it under the lock of a session.

use std::any::Any;

use tokio::time::Instant;
use tracing::{Level, Span, level_filters::LevelFilter};

use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id, UncheckedRequest, shown::brief},
    transport::Endpoint,
};

/// The log target, which users name in their filters.
const TARGET: &str = "rpc::request";

/// The trace of one request or notification. If it is not logged there is none, which costs one
/// comparison.
#[derive(Debug)]
pub(crate) struct Trace(Option<Box<Traced>>);

#[derive(Debug)]
struct Traced {
    span: Span,
    began: Instant,
}

/// The end of a request that was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its handler returned a value.
    Result,
    /// Its handler returned an error, or a value that cannot be sent.
    Error(ErrorCode),
    /// Its deadline passed, and its handler was dropped.
    Timeout,
    /// The peer cancelled it.
    Cancelled,
    /// The code of the service panicked.
    Panicked,
    /// Nothing waits for the reply any more: the session has ended, or the caller is gone.
    Abandoned,
}

impl Ending {
    /// The ending for a reply with this error code, if it is an error.
    pub(crate) const fn of_reply(code: Option<ErrorCode>) -> Self {
        match code {
            None => Self::Result,
            Some(code) => Self::Error(code),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Error(_) => "error",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Trace {
    /// No trace.
    pub(crate) const NONE: Self = Self(None);

    /// Begins the trace of a request from `peer`.
    #[inline]
    pub(crate) fn begin(request: &UncheckedRequest<'_>, session: u64, peer: &Endpoint) -> Self {
        if Level::DEBUG > LevelFilter::current() {
            return Self::NONE;
        }
        Self::begin_if_wanted(request, session, peer)
    }

    #[cold]
    fn begin_if_wanted(request: &UncheckedRequest<'_>, session: u64, peer: &Endpoint) -> Self {
        let span = tracing::debug_span!(
            target: TARGET,
            "request",
            rpc.system.name = "jsonrpc",
            rpc.method = %brief(&request.method),
            jsonrpc.request.id = request.id.map(|id| tracing::field::display(brief(id))),
            session,
            network.peer.address = %peer,
        );
        Self((!span.is_disabled()).then(|| Box::new(Traced { span, began: Instant::now() })))
    }

    /// Whether the request is traced.
    #[inline]
    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the trace out, and leaves none.
    #[inline]
    pub(crate) const fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Runs code of the service inside the span.
    pub(crate) fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        let _entered = self.0.as_ref().map(|traced| traced.span.enter());
        run()
    }

    /// The span, disabled if there is no trace.
    pub(crate) fn span(&self) -> Span {
        self.0.as_ref().map_or_else(Span::none, |traced| traced.span.clone())
    }

    /// Logs the end of the request.
    #[inline]
    pub(crate) fn end(mut self, ending: Ending) {
        if let Some(traced) = self.0.take() {
            traced.end(ending);
        }
    }

    /// Logs that the request was refused with `error`, without running a handler.
    pub(crate) fn refuse(mut self, error: &ErrorObject) {
        let Some(traced) = self.0.take() else { return };
        let outcome = match error.code() {
            ErrorCode::METHOD_NOT_FOUND => "unknown",
            _ => "refused",
        };
        traced.log(outcome, Some(error.code()), Some(error.message()));
    }

    /// Ends the trace without an event: the message was no request, and has an event of its own.
    pub(crate) fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Trace {
    #[inline]
    fn drop(&mut self) {
        if let Some(traced) = self.0.take() {
            traced.end(Ending::Abandoned);
        }
    }
}

impl Traced {
    #[cold]
    fn end(&self, ending: Ending) {
        let code = match ending {
            Ending::Error(code) => Some(code),
            _ => None,
        };
        self.log(ending.name(), code, None);
    }

    fn log(&self, outcome: &'static str, code: Option<ErrorCode>, error: Option<&str>) {
        self.span.in_scope(|| {
            tracing::debug!(
                target: TARGET,
                outcome,
                rpc.response.status_code = code.map(ErrorCode::value),
                error = error.map(|error| tracing::field::display(brief(error))),
                duration = ?self.began.elapsed(),
                "request"
            );
        });
    }
}

/// Logs a refused message from `peer` that is no request, or that was not read.
pub(crate) fn log_refused(id: Option<Id<'_>>, error: &ErrorObject, session: Option<u64>, peer: &Endpoint) {
    tracing::debug!(
        target: TARGET,
        {
            rpc.system.name = "jsonrpc",
            rpc.response.status_code = error.code().value(),
            jsonrpc.request.id = id.map(|id| tracing::field::display(brief(id))),
            network.peer.address = %peer,
            session,
            error = %brief(error.message()),
        },
        "request refused"
    );
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
