//! What became of a request that was given to a service.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use futures::future::BoxFuture;

use super::working::Working;
use crate::jsonrpc::ErrorObject;

/// What became of a request: it was answered, or its handler is still at work, or it was refused.
///
/// Made by the functions that generated code calls; what wraps a service passes it on.
pub struct Handled(Outcome);

pub(crate) enum Outcome {
    /// The reply is written, or there is none to write.
    Done,
    /// The handler waits for something.
    Pending(Box<dyn Working>),
    /// The handler may make a subscription. It answers by itself, under the number that its request is given.
    Subscribing(BoxFuture<'static, ()>, RequestNumber),
    /// The handler was not run: the reply is this error.
    Refused(ErrorObject),
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
    pub(super) const fn done() -> Self {
        Self(Outcome::Done)
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
            Outcome::Done => "Handled::Done",
            Outcome::Pending(_) => "Handled::Pending",
            Outcome::Subscribing(..) => "Handled::Subscribing",
            Outcome::Refused(_) => "Handled::Refused",
        })
    }
}
