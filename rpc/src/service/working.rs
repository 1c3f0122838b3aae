//! A handler that did not finish at once: first it is driven to its end, and then its reply is written.
//!
//! The two are apart so that the reply of a handler that has finished is written when there is room to
//! send it, and not before.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use serde::Serialize;

use super::{
    handle::{discard, panicked, put_answer},
    replies::Panic,
};
use crate::{
    jsonrpc::{RequestId, buffer::Buffer, version::Version},
    session::Returns,
};

/// What a task, or a dispatcher, does with a handler.
pub(crate) trait Working: Send {
    /// Ready when the handler has finished.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The reply of a handler that has finished: a whole message, or nothing.
    fn reply(&mut self) -> Buffer;
}

/// The handler of a method.
pub(super) struct AtWork<const FALLIBLE: bool, F, R> {
    pub(super) method: &'static str,
    pub(super) version: Version,
    /// `None` for a notification.
    pub(super) id: Option<RequestId>,
    /// How many bytes its result may have.
    pub(super) limit: usize,
    pub(super) stage: Stage<F, R>,
}

pub(super) enum Stage<F, R> {
    Running(Pin<Box<F>>),
    Finished(Result<R, Panic>),
    Answered,
}

impl<const FALLIBLE: bool, F, R> Working for AtWork<FALLIBLE, F, R>
where
    F: Future<Output = R> + Send,
    R: Returns<FALLIBLE, Value: Serialize> + Send,
{
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Stage::Running(handler) = &mut self.stage else { return Poll::Ready(()) };
        let finished = match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(polled) => Ok(ready!(polled)),
            Err(panic) => Err(panic),
        };
        if let Stage::Running(handler) = std::mem::replace(&mut self.stage, Stage::Finished(finished)) {
            discard(self.method, handler);
        }
        Poll::Ready(())
    }

    fn reply(&mut self) -> Buffer {
        let mut reply = Buffer::new();
        let Stage::Finished(value) = std::mem::replace(&mut self.stage, Stage::Answered) else {
            return reply;
        };
        let Self { method, version, limit, .. } = *self;
        match (&self.id, value) {
            (Some(id), value) => {
                id.with(|id| put_answer(&mut reply, version, id, method, value, limit));
            }
            (None, Err(panic)) => drop(panicked(method, panic)),
            (None, Ok(value)) => discard(method, value),
        }
        reply
    }
}

/// Work to which there is no reply.
pub(crate) struct Unanswered(pub(crate) BoxFuture<'static, ()>);

impl Working for Unanswered {
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }

    fn reply(&mut self) -> Buffer {
        Buffer::new()
    }
}
