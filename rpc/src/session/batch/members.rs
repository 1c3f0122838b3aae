//! The members of a batch, and the shapes by which their replies are read.
//!
//! A shape holds nothing of the members: a batch in flight may be awaited on any task, whatever its
//! members borrowed.

use std::{convert::Infallible, marker::PhantomData};

use serde::de::DeserializeOwned;

use crate::{
    jsonrpc::{Reply, RpcError},
    session::{BatchError, BatchItem, Call, CallError, Caller, Notify, OutgoingBatch, call::typed},
};

/// A member of a batch that is sent through a `C`: a typed call or a notification.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be in a batch",
    label = "neither a call nor a notification",
    note = "a batch takes calls and notifications that were not awaited; a subscription is asked for by itself"
)]
pub trait BatchMember<'a, C>: Sized {
    /// How its reply is read.
    type Shape: MemberShape;

    /// Adds it to the batch.
    #[doc(hidden)]
    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError>;
}

/// The members of a batch that is sent through a `C`: a tuple of up to twelve calls and
/// notifications, a `Vec` or an array of members of one kind, or an [`OutgoingBatch`].
pub trait BatchMembers<'a, C> {
    /// How their replies are read.
    type Shape: BatchShape;

    /// Adds them to the batch.
    #[doc(hidden)]
    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Self::Shape, BatchError>;
}

/// Methods without an error of their own. (The method names of one batch may have different
/// lifetimes.)
impl<'a, 'm: 'a, C: Caller, R: DeserializeOwned> BatchMember<'a, C> for Call<'m, C, R, false> {
    type Shape = Returning<R, false>;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
        let (method, call) = self.into_unsent();
        batch.push_call(method, call)
    }
}

/// Methods that return a `Result`.
impl<'a, 'm: 'a, C, T, E> BatchMember<'a, C> for Call<'m, C, Result<T, E>, true>
where
    C: Caller,
    T: DeserializeOwned,
    E: RpcError + Send + Sync,
{
    type Shape = Returning<Result<T, E>, true>;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
        let (method, call) = self.into_unsent();
        batch.push_call(method, call)
    }
}

/// A notification has no reply.
impl<'a, 'm: 'a, C: Caller> BatchMember<'a, C> for Notify<'m, C> {
    type Shape = NoReply;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError> {
        let (method, notification) = self.into_unsent();
        batch.push_notification(method, notification)
    }
}

impl<'a, C, M: BatchMember<'a, C>> BatchMembers<'a, C> for Vec<M> {
    type Shape = AnyNumber<M::Shape>;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Self::Shape, BatchError> {
        let members = AnyNumber::of(self.len());
        self.into_iter().try_for_each(|member| member.write(batch))?;
        Ok(members)
    }
}

impl<'a, C, M: BatchMember<'a, C>, const N: usize> BatchMembers<'a, C> for [M; N] {
    type Shape = Exactly<M::Shape, N>;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Self::Shape, BatchError> {
        self.into_iter().try_for_each(|member| member.write(batch))?;
        Ok(Exactly::default())
    }
}

/// The replies to the calls, not decoded; notifications have none.
impl<'a, C> BatchMembers<'a, C> for OutgoingBatch<'a> {
    type Shape = Untyped;

    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Untyped, BatchError> {
        let shape = Untyped::of(self.items().iter().map(BatchItem::is_call));
        batch.append(self);
        Ok(shape)
    }
}

macro_rules! members {
    ($(($($member:ident),+))*) => {$(
        impl<'a, C, $($member: BatchMember<'a, C>),+> BatchMembers<'a, C> for ($($member,)+) {
            type Shape = OneEach<($($member::Shape,)+)>;

            fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Self::Shape, BatchError> {
                #[allow(non_snake_case, reason = "the members are named after their types")]
                let ($($member,)+) = self;
                $($member.write(batch)?;)+
                Ok(OneEach::default())
            }
        }
    )*};
}

/// How the reply to one member of a batch is read.
pub trait MemberShape {
    /// The outcome of the member.
    type Result;
    /// The value of the member if it succeeded.
    type Value;

    /// Reads the next reply.
    #[doc(hidden)]
    fn result(replies: &mut BatchReplies<'_>) -> Self::Result;

    /// Reads the next reply, and fails if it is an error.
    #[doc(hidden)]
    fn value(replies: &mut BatchReplies<'_>) -> Result<Self::Value, BatchError>;
}

/// How the replies to all members of a batch are read.
pub trait BatchShape: Unpin {
    /// The outcomes of the members.
    type Results;
    /// The values of the members if all succeeded.
    type Values;

    /// Reads all replies.
    #[doc(hidden)]
    fn results(self, replies: &mut BatchReplies<'_>) -> Self::Results;

    /// Reads all replies, and fails with the first error.
    #[doc(hidden)]
    fn values(self, replies: &mut BatchReplies<'_>) -> Result<Self::Values, BatchError>;
}

/// The replies to a batch, in the order of its members.
#[derive(Debug)]
pub struct BatchReplies<'a> {
    replies: std::vec::IntoIter<Result<Reply, CallError>>,
    methods: Vec<&'a str>,
    /// The index of the next member.
    index: usize,
}

impl<'a> BatchReplies<'a> {
    pub(super) fn new(replies: Vec<Result<Reply, CallError>>, methods: Vec<&'a str>) -> Self {
        Self { replies: replies.into_iter(), methods, index: 0 }
    }

    /// The reply to the next member, which has to be a call.
    fn next(&mut self) -> Result<Reply, CallError> {
        self.skip();
        self.replies.next().unwrap_or_else(|| {
            Ok(Reply::malformed("the caller gave fewer replies than there are calls in the batch"))
        })
    }

    /// The decoded reply to the next member: a call of a method that returns `T` or fails with `E`.
    fn next_typed<T: DeserializeOwned, E: RpcError>(&mut self) -> Result<T, CallError<E>> {
        let reply = self.next();
        typed(self.method(), reply)
    }

    /// The method of the member that was read last.
    fn method(&self) -> &'a str {
        self.methods.get(self.index.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Passes over the next member, which is a notification.
    fn skip(&mut self) {
        self.index += 1;
    }

    /// The error of a batch in which the member that was read last has failed.
    fn failed<E>(&self, error: CallError<E>) -> BatchError
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let index = self.index.saturating_sub(1);
        BatchError::Member { index, method: self.method().to_owned(), source: error.into() }
    }
}

/// A call of a method that returns `R`; `FALLIBLE` is true if that is a `Result`.
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
pub struct NoReply;

impl MemberShape for NoReply {
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

/// The members of a `Vec`: any number, all of one kind.
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

/// The members of an array, all of one kind.
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

/// The members of an [`OutgoingBatch`]: the replies to the calls, not decoded; notifications have
/// none.
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

/// The members of a tuple, each of its own kind.
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

/// Calls `$with!` with the type parameters of tuples of one to twelve members.
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

for_each_tuple!(members);
for_each_tuple!(shapes);
