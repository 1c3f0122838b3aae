//! Work whose reports nobody can take, because its request came by no session: what is left of it is its result.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::reply::Answer;
use crate::{jsonrpc::ErrorObject, session::Ending};

/// Where the handler leaves what its work has come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Left(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Vec<u8>, ErrorObject>>,
    panicked: bool,
    last_step: Option<Instant>,
}

impl Left {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work has come to `result`: JSON, or an error. The first one stands.
    pub(super) fn finish(&self, result: Result<Vec<u8>, ErrorObject>) {
        self.lock().result.get_or_insert(result);
    }

    /// The handler has panicked, for which `error` is the answer.
    pub(super) fn panicked(&self, error: ErrorObject) {
        let mut state = self.lock();
        state.result.get_or_insert(Err(error));
        state.panicked = true;
    }

    /// When the last step was made.
    pub(super) fn last_step(&self) -> Option<Instant> {
        self.lock().last_step
    }

    /// A step was made at `now`: the time of the work is counted anew.
    pub(super) fn goes_on(&self, now: Instant) {
        self.lock().last_step = Some(now);
    }
}

/// The handler of such work.
pub(super) struct Unreported {
    pub(super) handler: BoxFuture<'static, ()>,
    pub(super) left: Left,
}

impl Unreported {
    pub(super) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.handler.as_mut().poll(cx));
        Poll::Ready(())
    }

    pub(super) fn finish(self, answer: &mut Answer<'_>) {
        let (result, panicked) = {
            let mut state = self.left.lock();
            (state.result.take(), state.panicked)
        };
        match result.unwrap_or_else(|| Err(ErrorObject::internal())) {
            Ok(json) => answer.give_json(&json),
            Err(error) if panicked => answer.give_error(&error, Ending::Panicked),
            Err(error) => answer.give_error(&error, Ending::Error(error.code())),
        }
    }
}
