//! What is logged of a request that is served: a span around its handler, and one event at its end.
//!
//! Whatever makes a [`Trace`] owes it an end. One that is dropped without has been abandoned, so no way that a request may go is
//! without an event. Ending it and dropping it runs code of the user's, a log subscriber's: never under the lock of a session.

use std::any::Any;

use tokio::time::Instant;
use tracing::{Level, Span, level_filters::LevelFilter};

use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Id, UncheckedRequest, shown::brief},
    transport::Endpoint,
};

/// The target of all of it, which users name in their filters.
const TARGET: &str = "rpc::request";

/// The trace of one request, or of one notification. Where nobody listens there is none, and it costs a comparison.
#[derive(Debug)]
pub(crate) struct Trace(Option<Box<Traced>>);

#[derive(Debug)]
struct Traced {
    span: Span,
    began: Instant,
}

/// How the serving of a request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its handler has returned a value.
    Result,
    /// Its handler has returned an error, or what cannot be sent.
    Error(ErrorCode),
    /// Its handler took too long, and was dropped.
    Timeout,
    /// The peer has taken it back.
    Cancelled,
    /// Code of the service's has panicked.
    Panicked,
    /// Nobody waits any more: the session has ended, or the one who asked is gone.
    Abandoned,
}

impl Ending {
    /// That of a handler whose reply is an error with this code, if it is one.
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
    /// That of what is not traced.
    pub(crate) const NONE: Self = Self(None);

    /// Begins that of a request which has come from `peer`.
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

    /// Whether there is one.
    #[inline]
    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Takes it out, and leaves none.
    #[inline]
    pub(crate) const fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Runs code of the service's inside the span.
    pub(crate) fn in_scope<R>(&self, run: impl FnOnce() -> R) -> R {
        let _entered = self.0.as_ref().map(|traced| traced.span.enter());
        run()
    }

    /// The span; a disabled one where there is none.
    pub(crate) fn span(&self) -> Span {
        self.0.as_ref().map_or_else(Span::none, |traced| traced.span.clone())
    }

    /// Logs how the request has ended.
    #[inline]
    pub(crate) fn end(mut self, ending: Ending) {
        if let Some(traced) = self.0.take() {
            traced.end(ending);
        }
    }

    /// Logs that the request was answered with `error`, or was to be, and no handler was run.
    pub(crate) fn refuse(mut self, error: &ErrorObject) {
        let Some(traced) = self.0.take() else { return };
        let outcome = match error.code() {
            ErrorCode::METHOD_NOT_FOUND => "unknown",
            _ => "refused",
        };
        traced.log(outcome, Some(error.code()), Some(error.message()));
    }

    /// It turned out to be no request: what it is has an event of its own.
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

/// Logs that a message from `peer` was refused which is no request, or that was not read.
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

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
