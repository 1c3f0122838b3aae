//! What a batch can be made of, and what becomes of it.

use std::convert::Infallible;

use serde::{Serialize, de::DeserializeOwned};

use super::{BatchError, OutgoingBatch};
use crate::{
    jsonrpc::{ProtocolError, Reply, RpcError},
    session::{Call, CallError, Notify, call::typed},
};

/// A member of a batch that is sent through a `C`: a typed call, or a notification.
pub trait BatchMember<'a, C>: Sized {
    /// What becomes of it.
    type Result;
    /// What it gives if it does not fail.
    type Value;

    /// Writes it down.
    #[doc(hidden)]
    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError>;

    /// Reads its reply, which is the next one.
    #[doc(hidden)]
    fn result(replies: &mut BatchReplies<'a>) -> Self::Result;

    /// Reads its reply, which is the next one; fails where it is an error.
    #[doc(hidden)]
    fn value(replies: &mut BatchReplies<'a>) -> Result<Self::Value, BatchError>;
}

/// The members of a batch that is sent through a `C`: a tuple of up to twelve calls and notifications, or a `Vec` or an array of those
/// of one kind, or an [`OutgoingBatch`].
pub trait BatchMembers<'a, C> {
    /// What became of each.
    type Results;
    /// What each gave, if none has failed.
    type Values;
    /// What has to be known to read the replies.
    #[doc(hidden)]
    type Shape: Unpin;

    /// Writes them down.
    #[doc(hidden)]
    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Self::Shape, BatchError>;

    /// Reads all replies.
    #[doc(hidden)]
    fn results(shape: Self::Shape, replies: &mut BatchReplies<'a>) -> Self::Results;

    /// Reads all replies; fails with the first that is an error.
    #[doc(hidden)]
    fn values(shape: Self::Shape, replies: &mut BatchReplies<'a>) -> Result<Self::Values, BatchError>;
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
            let reason = "the caller gave fewer replies than there are calls in the batch".to_owned();
            Err(CallError::Protocol(ProtocolError::MalformedReply { reason }))
        })
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
        let method = self.methods.get(index).copied().unwrap_or_default().to_owned();
        BatchError::Member { index, method, source: error.into() }
    }
}

/// Methods that cannot fail in a way of their own.
impl<'a, C, P: Serialize, R: DeserializeOwned> BatchMember<'a, C> for Call<'a, C, P, R, false> {
    type Result = Result<R, CallError>;
    type Value = R;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
        batch.push_call(self.written())
    }

    fn result(replies: &mut BatchReplies<'a>) -> Self::Result {
        typed(replies.next())
    }

    fn value(replies: &mut BatchReplies<'a>) -> Result<R, BatchError> {
        typed(replies.next()).map_err(|error: CallError| replies.failed(error))
    }
}

/// Methods that return a `Result`.
impl<'a, C, P, T, E> BatchMember<'a, C> for Call<'a, C, P, Result<T, E>, true>
where
    P: Serialize,
    T: DeserializeOwned,
    E: RpcError + std::error::Error + Send + Sync + 'static,
{
    type Result = Result<T, CallError<E>>;
    type Value = T;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
        batch.push_call(self.written())
    }

    fn result(replies: &mut BatchReplies<'a>) -> Self::Result {
        typed(replies.next())
    }

    fn value(replies: &mut BatchReplies<'a>) -> Result<T, BatchError> {
        typed(replies.next()).map_err(|error: CallError<E>| replies.failed(error))
    }
}

/// Nothing becomes of a notification.
impl<'a, C, P: Serialize> BatchMember<'a, C> for Notify<'a, C, P> {
    type Result = ();
    type Value = ();

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
        batch.push_notification(self.written())
    }

    fn result(replies: &mut BatchReplies<'a>) {
        replies.skip();
    }

    fn value(replies: &mut BatchReplies<'a>) -> Result<(), BatchError> {
        replies.skip();
        Ok(())
    }
}

impl<'a, C, M: BatchMember<'a, C>> BatchMembers<'a, C> for Vec<M> {
    type Results = Vec<M::Result>;
    type Values = Vec<M::Value>;
    type Shape = usize;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<usize, BatchError> {
        let members = self.len();
        self.into_iter().try_for_each(|member| member.write(batch))?;
        Ok(members)
    }

    fn results(members: usize, replies: &mut BatchReplies<'a>) -> Self::Results {
        (0..members).map(|_| M::result(replies)).collect()
    }

    fn values(members: usize, replies: &mut BatchReplies<'a>) -> Result<Self::Values, BatchError> {
        (0..members).map(|_| M::value(replies)).collect()
    }
}

impl<'a, C, M: BatchMember<'a, C>, const N: usize> BatchMembers<'a, C> for [M; N] {
    type Results = [M::Result; N];
    type Values = [M::Value; N];
    type Shape = ();

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
        self.into_iter().try_for_each(|member| member.write(batch))
    }

    fn results((): (), replies: &mut BatchReplies<'a>) -> Self::Results {
        std::array::from_fn(|_| M::result(replies))
    }

    fn values((): (), replies: &mut BatchReplies<'a>) -> Result<Self::Values, BatchError> {
        let values: Vec<M::Value> = (0..N).map(|_| M::value(replies)).collect::<Result<_, _>>()?;
        match values.try_into() {
            Ok(values) => Ok(values),
            Err(_) => unreachable!("there are {N} of them"),
        }
    }
}

/// Replies to the calls, unread; notifications have none.
impl<'a, C> BatchMembers<'a, C> for OutgoingBatch<'a> {
    type Results = Vec<Result<Reply, CallError>>;
    type Values = Vec<Reply>;
    type Shape = Vec<bool>;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Vec<bool>, BatchError> {
        let shape = self.items().iter().map(super::BatchItem::is_call).collect();
        batch.append(self);
        Ok(shape)
    }

    fn results(_: Vec<bool>, replies: &mut BatchReplies<'a>) -> Self::Results {
        replies.replies.by_ref().collect()
    }

    fn values(are_calls: Vec<bool>, replies: &mut BatchReplies<'a>) -> Result<Self::Values, BatchError> {
        let mut values = Vec::new();
        for is_call in are_calls {
            if is_call {
                let reply = replies.next().map_err(|error| replies.failed(error))?;
                values.push(
                    reply
                        .into_result()
                        .map_err(|error| replies.failed(CallError::<Infallible>::from(error)))?,
                );
            } else {
                replies.skip();
            }
        }
        Ok(values)
    }
}

macro_rules! tuples {
    ($(($($member:ident),+))*) => {$(
        impl<'a, C, $($member: BatchMember<'a, C>),+> BatchMembers<'a, C> for ($($member,)+) {
            type Results = ($($member::Result,)+);
            type Values = ($($member::Value,)+);
            type Shape = ();

            fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
                #[allow(non_snake_case, reason = "the members are named after their types")]
                let ($($member,)+) = self;
                $($member.write(batch)?;)+
                Ok(())
            }

            fn results((): (), replies: &mut BatchReplies<'a>) -> Self::Results {
                ($($member::result(replies),)+)
            }

            fn values((): (), replies: &mut BatchReplies<'a>) -> Result<Self::Values, BatchError> {
                Ok(($($member::value(replies)?,)+))
            }
        }
    )*};
}

tuples! {
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
