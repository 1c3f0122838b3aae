//! What became of a request that was given to a service.

use std::fmt;

use super::{subscribing::Subscribing, work::Work};
use crate::{
    jsonrpc::ErrorObject,
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
    Pending(Work),
    /// The handler may make a subscription. It answers by itself.
    Subscribing(Subscribing),
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
            Self::Pending(work) => Self::Pending(work.inside(&trace)),
            Self::Subscribing(subscribing) => Self::Subscribing(subscribing.inside(&trace)),
            refused @ Self::Refused(_) => refused,
        };
        (outcome, trace)
    }
}

impl Handled {
    pub(super) const fn done(ending: Ending) -> Self {
        Self(Outcome::Done(ending))
    }

    pub(super) const fn pending(work: Work) -> Self {
        Self(Outcome::Pending(work))
    }

    pub(super) const fn subscribing(subscribing: Subscribing) -> Self {
        Self(Outcome::Subscribing(subscribing))
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
            Outcome::Subscribing(_) => "Handled::Subscribing",
            Outcome::Refused(_) => "Handled::Refused",
        })
    }
}
