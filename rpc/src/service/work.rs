//! A handler that did not finish at once: first it is driven to its end, and then its reply is
//! written.
//!
//! The two are apart so that the reply of a handler that has finished is written when there is
//! capacity to send it, and not before.

use std::{
    mem::replace,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tracing::Span;

use super::{
    panics::{Panic, discard},
    reply::{Answer, Replies, ReplyLimit, ReplyValue},
    unreported::{Left, Unreported},
};
use crate::{
    jsonrpc::{Id, RequestId, buffer::Buffer, version::Version},
    session::{Ending, Trace},
};

/// The future of a handler, whatever its method.
pub(super) trait HandlerFuture: Send {
    /// Polls it. The value that it comes to is given to `to`.
    fn poll_handler(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut Completion<'_, '_>) -> Poll<()>;
}

pub(super) type BoxHandler = Pin<Box<dyn HandlerFuture>>;

/// What is done with the value that a handler comes to.
pub(super) enum Completion<'a, 'r> {
    /// It becomes the answer at once.
    Answer(&'a mut Answer<'r>),
    /// It is kept, to become the answer later.
    Keep(Option<Box<dyn ReplyValue + Send>>),
}

impl<F, V> HandlerFuture for F
where
    F: Future<Output = V> + Send,
    V: ReplyValue + Send + 'static,
{
    fn poll_handler(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut Completion<'_, '_>) -> Poll<()> {
        let mut value = ready!(self.poll(cx));
        match to {
            Completion::Answer(answer) => value.answer(answer),
            Completion::Keep(kept) => *kept = Some(Box::new(value)),
        }
        Poll::Ready(())
    }
}

/// What a task, or a dispatcher, does with a handler that has to wait.
pub(crate) struct Work {
    method: &'static str,
    version: Version,
    /// `None` for a notification.
    id: Option<RequestId>,
    /// How many bytes its result may have.
    limit: usize,
    /// Whether the log is told what has come of it.
    traced: bool,
    stage: Stage,
    /// Where its request is traced: all that it does is done inside the span, and so is what it
    /// leaves dropped.
    span: Option<Box<Span>>,
}

enum Stage {
    Running(BoxHandler),
    /// Work that would report its progress, and has nobody to report to.
    Unreported(Unreported),
    Finished(Result<Box<dyn ReplyValue + Send>, Panic>),
    Done,
}

/// What came of a handler that had to wait.
pub(crate) struct Finished {
    /// The reply: a whole message, or nothing.
    pub(crate) reply: Buffer,
    pub(crate) ending: Ending,
}

impl Work {
    pub(super) fn new(method: &'static str, handler: BoxHandler, answer: &Answer<'_>) -> Self {
        Self::of(method, Stage::Running(handler), answer)
    }

    pub(super) fn of_unreported(method: &'static str, handler: Unreported, answer: &Answer<'_>) -> Self {
        Self::of(method, Stage::Unreported(handler), answer)
    }

    fn of(method: &'static str, stage: Stage, answer: &Answer<'_>) -> Self {
        Self {
            method,
            version: answer.version(),
            id: answer.id().map(|id| id.to_owned()),
            limit: answer.limit(),
            traced: answer.is_traced(),
            stage,
            span: None,
        }
    }

    /// The same inside the span of `trace`.
    pub(super) fn inside(mut self, trace: &Trace) -> Self {
        self.span = Some(Box::new(trace.span()));
        self
    }

    fn in_span<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        match self.span.take() {
            None => run(self),
            Some(span) => {
                let done = span.in_scope(|| run(self));
                self.span = Some(span);
                done
            }
        }
    }

    /// Ready when the handler has finished.
    pub(crate) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.in_span(|work| work.poll_stage(cx))
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let handler = match &mut self.stage {
            Stage::Running(handler) => handler,
            Stage::Unreported(unreported) => return unreported.poll_finished(cx),
            Stage::Finished(_) | Stage::Done => return Poll::Ready(()),
        };
        let mut kept = Completion::Keep(None);
        let polled = catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll_handler(cx, &mut kept)));
        let stage = match (polled, kept) {
            (Ok(Poll::Pending), _) => return Poll::Pending,
            (Ok(Poll::Ready(())), Completion::Keep(Some(value))) => Stage::Finished(Ok(value)),
            (Ok(Poll::Ready(())), _) => Stage::Done,
            (Err(panic), _) => Stage::Finished(Err(panic)),
        };
        if let Stage::Running(handler) = replace(&mut self.stage, stage) {
            discard(self.method, handler);
        }
        Poll::Ready(())
    }

    /// What has come of a handler that has finished, with its reply. Once.
    pub(crate) fn finish(&mut self) -> Finished {
        self.in_span(Self::finish_stage)
    }

    fn finish_stage(&mut self) -> Finished {
        let mut reply = Buffer::new();
        let stage = replace(&mut self.stage, Stage::Done);
        let ending = match self.id.take() {
            Some(id) => id.with(|id| self.answer(stage, Some(id), &mut reply)),
            None => self.answer(stage, None, &mut reply),
        };
        Finished { reply, ending }
    }

    fn answer(&self, stage: Stage, id: Option<Id<'_>>, reply: &mut Vec<u8>) -> Ending {
        let mut answer =
            Answer::new(Replies::part(reply, self.version, ReplyLimit::Bytes(self.limit)), id, self.traced);
        match stage {
            Stage::Finished(Ok(mut value)) => {
                answer.contain(self.method, |answer| {
                    value.answer(answer);
                    drop(value);
                });
            }
            Stage::Finished(Err(panic)) => answer.panicked(self.method, panic),
            Stage::Unreported(unreported) => unreported.finish(&mut answer),
            Stage::Running(_) | Stage::Done => {}
        }
        answer.ending()
    }

    /// Where it is left when work that makes steps makes them: its time is counted from the last.
    pub(super) fn steps(&self) -> Option<Left> {
        match &self.stage {
            Stage::Unreported(unreported) => Some(unreported.left.clone()),
            _ => None,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            let stage = replace(&mut self.stage, Stage::Done);
            span.in_scope(|| drop(stage));
        }
    }
}
