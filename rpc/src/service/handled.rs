//! What became of a request that was given to a service.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use futures::future::BoxFuture;

use super::working::{InSpan, Working};
use crate::{
    jsonrpc::{ErrorObject, buffer::Buffer},
    session::{Ending, Trace},
};

/// What became of a request: it was answered, or its handler is still at work, or it was refused.
///
/// Made by the functions that generated code calls; what wraps a service passes it on.
pub struct Handled(Outcome);

pub(crate) enum Outcome {
    /// The reply is written, or there is none to write.
    Done(Ending),
    /// The handler waits for something.
    Pending(Box<dyn Working>),
    /// The handler may make a subscription. It answers by itself, under the number that its request is given.
    Subscribing(BoxFuture<'static, ()>, RequestNumber),
    /// The handler was not run: the reply is this error.
    Refused(ErrorObject),
}

impl Outcome {
    /// What is left to do is done inside the span of `trace`. Where nothing is, the trace is ended; else it is given back.
    #[inline]
    pub(crate) fn traced(self, trace: Trace) -> (Self, Trace) {
        match trace.is_some() {
            false => (self, trace),
            true => self.followed_by(trace),
        }
    }

    #[cold]
    fn followed_by(self, mut trace: Trace) -> (Self, Trace) {
        let outcome = match self {
            Self::Done(ending) => {
                trace.take().end(ending);
                Self::Done(ending)
            }
            Self::Pending(handler) => Self::Pending(Box::new(InSpan::new(handler, &trace))),
            Self::Subscribing(handler, number) => Self::Subscribing(Box::pin(trace.around(handler)), number),
            refused @ Self::Refused(_) => refused,
        };
        (outcome, trace)
    }
}

/// What came of a handler that had to wait.
pub(crate) struct Finished {
    /// The reply: a whole message, or nothing.
    pub(crate) reply: Buffer,
    pub(crate) ending: Ending,
}

/// The number that a request is known by while it is worked on, as soon as it has one.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestNumber(Arc<OnceLock<u64>>);

impl RequestNumber {
    pub(crate) fn set(&self, number: u64) {
        // It is set once, before the handler runs.
        let _ = self.0.set(number);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.get().copied().unwrap_or_default()
    }
}

impl Handled {
    pub(super) const fn done(ending: Ending) -> Self {
        Self(Outcome::Done(ending))
    }

    pub(super) const fn pending(handler: Box<dyn Working>) -> Self {
        Self(Outcome::Pending(handler))
    }

    pub(super) fn subscribing(handler: BoxFuture<'static, ()>, request: RequestNumber) -> Self {
        Self(Outcome::Subscribing(handler, request))
    }

    /// The request is answered with `error`, and no handler is run.
    pub const fn refused(error: ErrorObject) -> Self {
        Self(Outcome::Refused(error))
    }

    pub(crate) fn outcome(self) -> Outcome {
        self.0
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Outcome::Done(_) => "Handled::Done",
            Outcome::Pending(_) => "Handled::Pending",
            Outcome::Subscribing(..) => "Handled::Subscribing",
            Outcome::Refused(_) => "Handled::Refused",
        })
    }
}
