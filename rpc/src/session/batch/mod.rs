//! Batches: several calls in one message, each with a result of its own type.

mod members;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

pub use members::{BatchMember, BatchMembers, BatchReplies, BatchShape, MemberShape};

use super::{BatchError, Caller, OutgoingBatch, call::Lazy};

/// A batch of calls and notifications, sent in one message when it is first polled. Made by
/// [`Session::batch`](crate::Session::batch) and [`Session::try_batch`](crate::Session::try_batch).
/// Dropping it abandons its calls.
///
/// With `ALL` it fails if any member fails. `S` is the shape of its results, independent of the
/// members' types. Like a [`Call`](crate::Call) it owns a clone of its caller, and can be given to
/// `tokio::spawn`.
#[must_use = "a batch is sent when it is awaited"]
pub struct Batch<'a, C: Caller, S, const ALL: bool = false> {
    stage: Lazy<C, OutgoingBatch<'a>, C::Batch<'a>, BatchError>,
    /// How its replies are read; `None` if a member could not be added.
    reading: Option<(S, Vec<&'a str>)>,
}

impl<'a, C: Caller, S: BatchShape> Batch<'a, C, S> {
    /// A batch over any caller. It gives a result for each member.
    pub fn over<M: BatchMembers<'a, C, Shape = S>>(caller: &C, members: M) -> Self {
        Self::of(caller, members)
    }
}

impl<'a, C: Caller, S: BatchShape> Batch<'a, C, S, true> {
    /// A batch over any caller. It gives the values of all members, or the error of the first that
    /// failed.
    pub fn try_over<M: BatchMembers<'a, C, Shape = S>>(caller: &C, members: M) -> Self {
        Self::of(caller, members)
    }
}

impl<'a, C: Caller, S: BatchShape, const ALL: bool> Batch<'a, C, S, ALL> {
    fn of<M: BatchMembers<'a, C, Shape = S>>(caller: &C, members: M) -> Self {
        let mut batch = OutgoingBatch::new();
        let (written, reading) = match members.write(&mut batch) {
            Ok(shape) => {
                let methods = batch.methods();
                (Ok(batch), Some((shape, methods)))
            }
            Err(error) => (Err(error), None),
        };
        Self { stage: Lazy::Unsent { caller: caller.clone(), written }, reading }
    }

    fn poll_replies(&mut self, cx: &mut Context<'_>) -> Poll<Result<(S, BatchReplies<'a>), BatchError>> {
        let replies = ready!(self.stage.poll("batch", |caller, batch| caller.batch(batch), cx))?;
        let Some((shape, methods)) = self.reading.take() else {
            panic!("a batch was polled after it had ended");
        };
        Poll::Ready(Ok((shape, BatchReplies::new(replies, methods))))
    }
}

impl<C: Caller, S: BatchShape> Future for Batch<'_, C, S> {
    type Output = Result<S::Results, BatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (shape, mut replies) = ready!(self.poll_replies(cx))?;
        Poll::Ready(Ok(shape.results(&mut replies)))
    }
}

impl<C: Caller, S: BatchShape> Future for Batch<'_, C, S, true> {
    type Output = Result<S::Values, BatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (shape, mut replies) = ready!(self.poll_replies(cx))?;
        Poll::Ready(shape.values(&mut replies))
    }
}

/// No field is pinned.
impl<C: Caller, S, const ALL: bool> Unpin for Batch<'_, C, S, ALL> {}

impl<C: Caller, S, const ALL: bool> fmt::Debug for Batch<'_, C, S, ALL> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}
