//! Batches: several calls in one message, each with a result of its own type.

/// Gives `$with` the lists of type parameters of tuples with one to twelve members.
macro_rules! for_each_tuple {
    ($with:ident) => {
        $with! {
            (M1)
            (M1, M2)
            (M1, M2, M3)
            (M1, M2, M3, M4)
            (M1, M2, M3, M4, M5)
            (M1, M2, M3, M4, M5, M6)
            (M1, M2, M3, M4, M5, M6, M7)
            (M1, M2, M3, M4, M5, M6, M7, M8)
            (M1, M2, M3, M4, M5, M6, M7, M8, M9)
            (M1, M2, M3, M4, M5, M6, M7, M8, M9, M10)
            (M1, M2, M3, M4, M5, M6, M7, M8, M9, M10, M11)
            (M1, M2, M3, M4, M5, M6, M7, M8, M9, M10, M11, M12)
        }
    };
}

mod error;
mod members;
mod outgoing;
mod pending;
mod shape;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

pub use error::BatchError;
pub use members::{BatchMember, BatchMembers};
pub use outgoing::{BatchItem, OutgoingBatch};
pub use pending::PendingBatch;
pub use shape::{BatchReplies, BatchShape, MemberShape};

use super::Caller;

/// Several calls that are sent in one message, when it is awaited. Made by [`Session::batch`](crate::Session::batch) and
/// [`Session::try_batch`](crate::Session::try_batch).
///
/// With `ALL`, it fails where any of its members did.
#[must_use = "a batch is sent when it is awaited"]
pub struct Batch<'a, C, M, const ALL: bool = false> {
    caller: &'a C,
    members: M,
}

impl<'a, C, M> Batch<'a, C, M> {
    /// A batch over any caller. It gives a result for each member.
    pub const fn over(caller: &'a C, members: M) -> Self {
        Self { caller, members }
    }
}

impl<'a, C, M> Batch<'a, C, M, true> {
    /// A batch over any caller. It gives the values of all members, or the error of the first that failed.
    pub const fn try_over(caller: &'a C, members: M) -> Self {
        Self { caller, members }
    }
}

impl<'a, C: Caller, M: BatchMembers<'a, C>, const ALL: bool> Batch<'a, C, M, ALL> {
    fn start(self) -> BatchFuture<'a, C, M::Shape, ALL> {
        let mut batch = OutgoingBatch::new();
        BatchFuture(match self.members.write(&mut batch) {
            Ok(shape) => {
                let methods = batch.methods();
                Stage::Sent { sent: self.caller.batch(batch), shape: Some(shape), methods }
            }
            Err(error) => Stage::Failed(Some(error)),
        })
    }
}

impl<'a, C: Caller, M: BatchMembers<'a, C>> IntoFuture for Batch<'a, C, M> {
    type Output = Result<<M::Shape as BatchShape>::Results, BatchError>;
    type IntoFuture = BatchFuture<'a, C, M::Shape, false>;

    fn into_future(self) -> Self::IntoFuture {
        self.start()
    }
}

impl<'a, C: Caller, M: BatchMembers<'a, C>> IntoFuture for Batch<'a, C, M, true> {
    type Output = Result<<M::Shape as BatchShape>::Values, BatchError>;
    type IntoFuture = BatchFuture<'a, C, M::Shape, true>;

    fn into_future(self) -> Self::IntoFuture {
        self.start()
    }
}

impl<C, M, const ALL: bool> fmt::Debug for Batch<'_, C, M, ALL> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

/// What a [`Batch`] becomes when it is awaited. Dropping it forgets its calls.
///
/// Its type says what it gives and not what it was made from, so it may be awaited on any task.
#[must_use = "a batch is sent when it is awaited"]
pub struct BatchFuture<'a, C: Caller + 'a, S, const ALL: bool>(Stage<'a, C::Batch<'a>, S>);

enum Stage<'a, F, S> {
    Sent {
        sent: F,
        shape: Option<S>,
        methods: Vec<&'a str>,
    },
    /// A member could not be written.
    Failed(Option<BatchError>),
}

impl<'a, C: Caller, S: BatchShape, const ALL: bool> BatchFuture<'a, C, S, ALL> {
    fn poll_replies(&mut self, cx: &mut Context<'_>) -> Poll<Result<(S, BatchReplies<'a>), BatchError>> {
        let (replies, shape) = match &mut self.0 {
            Stage::Sent { sent, shape, methods } => {
                let replies = ready!(Pin::new(sent).poll(cx))?;
                (BatchReplies::new(replies, std::mem::take(methods)), shape.take())
            }
            Stage::Failed(error) => match error.take() {
                Some(error) => return Poll::Ready(Err(error)),
                None => panic!("a batch was polled after it had ended"),
            },
        };
        match shape {
            Some(shape) => Poll::Ready(Ok((shape, replies))),
            None => panic!("a batch was polled after it had ended"),
        }
    }
}

impl<C: Caller, S: BatchShape> Future for BatchFuture<'_, C, S, false> {
    type Output = Result<S::Results, BatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (shape, mut replies) = ready!(self.poll_replies(cx))?;
        Poll::Ready(Ok(shape.results(&mut replies)))
    }
}

impl<C: Caller, S: BatchShape> Future for BatchFuture<'_, C, S, true> {
    type Output = Result<S::Values, BatchError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (shape, mut replies) = ready!(self.poll_replies(cx))?;
        Poll::Ready(shape.values(&mut replies))
    }
}

impl<C: Caller, S, const ALL: bool> fmt::Debug for BatchFuture<'_, C, S, ALL> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchFuture").finish_non_exhaustive()
    }
}
