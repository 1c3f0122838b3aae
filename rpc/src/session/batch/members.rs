//! What a batch can be made of.

use serde::de::DeserializeOwned;

use super::{
    BatchError, BatchItem, OutgoingBatch,
    shape::{AnyNumber, BatchShape, Exactly, MemberShape, OneEach, Returning, Unanswered, Untyped},
};
use crate::{
    jsonrpc::RpcError,
    session::{Call, Caller, Notify},
};

/// A member of a batch that is sent through a `C`: a typed call, or a notification.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be in a batch",
    label = "neither a call nor a notification",
    note = "a batch takes calls and notifications that were not awaited; a subscription is asked for by itself"
)]
pub trait BatchMember<'a, C>: Sized {
    /// What becomes of it.
    type Shape: MemberShape;

    /// Puts it into the batch.
    #[doc(hidden)]
    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<(), BatchError>;
}

/// The members of a batch that is sent through a `C`: a tuple of up to twelve calls and notifications, or a `Vec` or an array of those
/// of one kind, or an [`OutgoingBatch`].
pub trait BatchMembers<'a, C> {
    /// What becomes of them.
    type Shape: BatchShape;

    /// Puts them into the batch.
    #[doc(hidden)]
    fn write(self, batch: &mut OutgoingBatch<'a>) -> Result<Self::Shape, BatchError>;
}

/// Methods that cannot fail in a way of their own. (The names of the methods of one batch may live differently long.)
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

/// Nothing becomes of a notification.
impl<'a, 'm: 'a, C: Caller> BatchMember<'a, C> for Notify<'m, C> {
    type Shape = Unanswered;

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

/// Replies to the calls, unread; notifications have none.
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

for_each_tuple!(members);
