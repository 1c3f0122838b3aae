//! What becomes of a batch: how the replies to its members are read.
//!
//! Nothing in here knows what the members were made from: a batch under way may be awaited on any task, whatever its members borrowed.

use std::{convert::Infallible, marker::PhantomData};

use serde::de::DeserializeOwned;

use super::BatchError;
use crate::{
    jsonrpc::{Reply, RpcError},
    session::{CallError, call::typed},
};

/// What becomes of a member of a batch.
pub trait MemberShape {
    /// What it is given as.
    type Result;
    /// What it gives if it does not fail.
    type Value;

    /// Reads its reply, which is the next one.
    #[doc(hidden)]
    fn result(replies: &mut BatchReplies<'_>) -> Self::Result;

    /// Reads its reply, which is the next one; fails where it is an error.
    #[doc(hidden)]
    fn value(replies: &mut BatchReplies<'_>) -> Result<Self::Value, BatchError>;
}

/// What becomes of the members of a batch.
pub trait BatchShape: Unpin {
    /// What became of each.
    type Results;
    /// What each gave, if none has failed.
    type Values;

    /// Reads all replies.
    #[doc(hidden)]
    fn results(self, replies: &mut BatchReplies<'_>) -> Self::Results;

    /// Reads all replies; fails with the first that is an error.
    #[doc(hidden)]
    fn values(self, replies: &mut BatchReplies<'_>) -> Result<Self::Values, BatchError>;
}

/// The replies to a batch, in order.
#[derive(Debug)]
pub struct BatchReplies<'a> {
    replies: std::vec::IntoIter<Result<Reply, CallError>>,
    methods: Vec<&'a str>,
    /// The next member.
    index: usize,
}

impl<'a> BatchReplies<'a> {
    pub(super) fn new(replies: Vec<Result<Reply, CallError>>, methods: Vec<&'a str>) -> Self {
        Self { replies: replies.into_iter(), methods, index: 0 }
    }

    /// The reply to the next member, which is a call.
    fn next(&mut self) -> Result<Reply, CallError> {
        self.skip();
        self.replies.next().unwrap_or_else(|| {
            Ok(Reply::malformed("the caller gave fewer replies than there are calls in the batch"))
        })
    }

    /// The reply to the next member, which is a call of a method that returns `T` or fails with `E`.
    fn next_typed<T: DeserializeOwned, E: RpcError>(&mut self) -> Result<T, CallError<E>> {
        let reply = self.next();
        typed(self.method(), reply)
    }

    /// The method of the member that was looked at last.
    fn method(&self) -> &'a str {
        self.methods.get(self.index.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The next member is a notification.
    fn skip(&mut self) {
        self.index += 1;
    }

    /// The member that was looked at last has failed.
    fn failed<E>(&self, error: CallError<E>) -> BatchError
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let index = self.index.saturating_sub(1);
        BatchError::Member { index, method: self.method().to_owned(), source: error.into() }
    }
}

/// A call of a method that returns `R`; `FALLIBLE` says whether that is a `Result`.
#[derive(Debug)]
pub struct Returning<R, const FALLIBLE: bool>(PhantomData<fn() -> R>);

impl<R: DeserializeOwned> MemberShape for Returning<R, false> {
    type Result = Result<R, CallError>;
    type Value = R;

    fn result(replies: &mut BatchReplies<'_>) -> Self::Result {
        replies.next_typed()
    }

    fn value(replies: &mut BatchReplies<'_>) -> Result<R, BatchError> {
        replies.next_typed().map_err(|error: CallError| replies.failed(error))
    }
}

impl<T, E> MemberShape for Returning<Result<T, E>, true>
where
    T: DeserializeOwned,
    E: RpcError + Send + Sync,
{
    type Result = Result<T, CallError<E>>;
    type Value = T;

    fn result(replies: &mut BatchReplies<'_>) -> Self::Result {
        replies.next_typed()
    }

    fn value(replies: &mut BatchReplies<'_>) -> Result<T, BatchError> {
        replies.next_typed().map_err(|error: CallError<E>| replies.failed(error))
    }
}

/// A notification.
#[derive(Debug)]
pub struct Unanswered;

impl MemberShape for Unanswered {
    type Result = ();
    type Value = ();

    fn result(replies: &mut BatchReplies<'_>) {
        replies.skip();
    }

    fn value(replies: &mut BatchReplies<'_>) -> Result<(), BatchError> {
        replies.skip();
        Ok(())
    }
}

/// Members of one kind, as many as there were in a `Vec`.
#[derive(Debug)]
pub struct AnyNumber<M> {
    members: usize,
    kind: PhantomData<fn() -> M>,
}

impl<M> AnyNumber<M> {
    pub(super) const fn of(members: usize) -> Self {
        Self { members, kind: PhantomData }
    }
}

impl<M: MemberShape> BatchShape for AnyNumber<M> {
    type Results = Vec<M::Result>;
    type Values = Vec<M::Value>;

    fn results(self, replies: &mut BatchReplies<'_>) -> Self::Results {
        (0..self.members).map(|_| M::result(replies)).collect()
    }

    fn values(self, replies: &mut BatchReplies<'_>) -> Result<Self::Values, BatchError> {
        (0..self.members).map(|_| M::value(replies)).collect()
    }
}

/// Members of one kind, as many as there were in an array.
#[derive(Debug)]
pub struct Exactly<M, const N: usize>(PhantomData<fn() -> M>);

impl<M, const N: usize> Default for Exactly<M, N> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<M: MemberShape, const N: usize> BatchShape for Exactly<M, N> {
    type Results = [M::Result; N];
    type Values = [M::Value; N];

    fn results(self, replies: &mut BatchReplies<'_>) -> Self::Results {
        std::array::from_fn(|_| M::result(replies))
    }

    fn values(self, replies: &mut BatchReplies<'_>) -> Result<Self::Values, BatchError> {
        let values: Vec<M::Value> = (0..N).map(|_| M::value(replies)).collect::<Result<_, _>>()?;
        match values.try_into() {
            Ok(values) => Ok(values),
            Err(_) => unreachable!("there are {N} of them"),
        }
    }
}

/// The members of an [`OutgoingBatch`](super::OutgoingBatch): replies to the calls, unread; notifications have none.
#[derive(Debug)]
pub struct Untyped {
    are_calls: Vec<bool>,
}

impl Untyped {
    pub(super) fn of(are_calls: impl Iterator<Item = bool>) -> Self {
        Self { are_calls: are_calls.collect() }
    }
}

impl BatchShape for Untyped {
    type Results = Vec<Result<Reply, CallError>>;
    type Values = Vec<Reply>;

    fn results(self, replies: &mut BatchReplies<'_>) -> Self::Results {
        replies.replies.by_ref().collect()
    }

    fn values(self, replies: &mut BatchReplies<'_>) -> Result<Self::Values, BatchError> {
        let mut values = Vec::new();
        for is_call in self.are_calls {
            if is_call {
                let reply = replies.next().map_err(|error| replies.failed(error))?;
                let of_reply = |error| CallError::<Infallible>::of_reply(replies.method(), error);
                values.push(reply.into_result().map_err(|error| replies.failed(of_reply(error)))?);
            } else {
                replies.skip();
            }
        }
        Ok(values)
    }
}

/// Members of different kinds, one each: those of a tuple.
#[derive(Debug)]
pub struct OneEach<M>(PhantomData<fn() -> M>);

impl<M> Default for OneEach<M> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

macro_rules! shapes {
    ($(($($member:ident),+))*) => {$(
        impl<$($member: MemberShape),+> BatchShape for OneEach<($($member,)+)> {
            type Results = ($($member::Result,)+);
            type Values = ($($member::Value,)+);

            fn results(self, replies: &mut BatchReplies<'_>) -> Self::Results {
                ($($member::result(replies),)+)
            }

            fn values(self, replies: &mut BatchReplies<'_>) -> Result<Self::Values, BatchError> {
                Ok(($($member::value(replies)?,)+))
            }
        }
    )*};
}

for_each_tuple!(shapes);
