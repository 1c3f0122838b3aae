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
use tokio::time::Instant;
use tracing::Span;

use super::{
    Finished,
    handle::{discard, leave, panicked, put_answer},
    replies::Panic,
};
use crate::{
    jsonrpc::{RequestId, buffer::Buffer, version::Version},
    session::{Ending, Returns, Trace},
};

/// What a task, or a dispatcher, does with a handler.
pub(crate) trait Working: Send {
    /// Ready when the handler has finished.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// What has come of a handler that has finished, with its reply. Once.
    fn finish(&mut self) -> Finished;

    /// When work that makes steps has made its last: its time is counted from there.
    fn last_step(&self) -> Option<Instant> {
        None
    }
}

/// The handler of a method.
pub(super) struct AtWork<const FALLIBLE: bool, F, R> {
    pub(super) method: &'static str,
    pub(super) version: Version,
    /// `None` for a notification.
    pub(super) id: Option<RequestId>,
    /// How many bytes its result may have.
    pub(super) limit: usize,
    /// Whether the log is told what has come of it.
    pub(super) traced: bool,
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

    fn finish(&mut self) -> Finished {
        let mut reply = Buffer::new();
        let Stage::Finished(value) = std::mem::replace(&mut self.stage, Stage::Answered) else {
            return Finished { reply, ending: Ending::Abandoned };
        };
        let Self { method, version, limit, traced, .. } = *self;
        let ending = match (&self.id, value) {
            (Some(id), value) => id.with(|id| put_answer(&mut reply, version, id, method, value, limit)),
            (None, Err(panic)) => {
                drop(panicked(method, panic));
                Ending::Panicked
            }
            (None, Ok(value)) => leave(method, value, traced),
        };
        Finished { reply, ending }
    }
}

/// Work to which there is no reply. It says how it has ended.
pub(super) struct Unanswered {
    work: BoxFuture<'static, Ending>,
    ending: Ending,
}

impl Unanswered {
    pub(super) fn new(work: BoxFuture<'static, Ending>) -> Self {
        Self { work, ending: Ending::Abandoned }
    }
}

impl Working for Unanswered {
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.ending = ready!(self.work.as_mut().poll(cx));
        Poll::Ready(())
    }

    fn finish(&mut self) -> Finished {
        Finished { reply: Buffer::new(), ending: self.ending }
    }
}

/// A handler whose request is traced: all that it does is done inside the span, and so is what it leaves dropped.
pub(super) struct InSpan {
    span: Span,
    /// `None` only while it is dropped.
    handler: Option<Box<dyn Working>>,
}

impl InSpan {
    pub(super) fn new(handler: Box<dyn Working>, trace: &Trace) -> Self {
        Self { span: trace.span(), handler: Some(handler) }
    }
}

impl Working for InSpan {
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { span, handler } = self;
        handler.as_mut().map_or(Poll::Ready(()), |handler| span.in_scope(|| handler.poll_finished(cx)))
    }

    fn finish(&mut self) -> Finished {
        let Self { span, handler } = self;
        match handler {
            Some(handler) => span.in_scope(|| handler.finish()),
            None => Finished { reply: Buffer::new(), ending: Ending::Abandoned },
        }
    }

    fn last_step(&self) -> Option<Instant> {
        self.handler.as_ref()?.last_step()
    }
}

impl Drop for InSpan {
    fn drop(&mut self) {
        let handler = self.handler.take();
        self.span.in_scope(|| drop(handler));
    }
}
