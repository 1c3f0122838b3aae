//! What can be called.

use std::{convert::Infallible, sync::Arc};

use serde::de::DeserializeOwned;

use super::{BatchError, CallError, Outgoing, OutgoingBatch};
use crate::jsonrpc::{Reply, RpcError};

/// Anything that calls can be made through: a [`Session`](crate::Session), or what stands in for one.
///
/// Generated clients work over every `Caller` (`CalcClient<C>`), so retrying, balancing or recording is written once, for all
/// services.
///
/// A call owns its caller, so that it can be given to `tokio::spawn`: each is made with a clone, which has to be cheap. Put what is not
/// cheap to clone into an [`Arc`]. What the methods return keeps of the caller what it needs, and borrows nothing but the name of the
/// method. A wrapper names its futures as those of what it wraps, or as boxed ones:
///
/// ```
/// use futures::future::{BoxFuture, FutureExt};
/// use rpc::{CallError, Caller, Outgoing, OutgoingBatch, Reply};
///
/// /// Tries a call that timed out once more.
/// #[derive(Clone)]
/// struct Twice<C>(C);
///
/// impl<C: Caller> Caller for Twice<C> {
///     type Call<'a> = BoxFuture<'a, Result<Reply, CallError>>;
///     type Notify<'a> = C::Notify<'a>;
///     type Batch<'a> = C::Batch<'a>;
///
///     fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
///         let caller = self.0.clone();
///         async move {
///             match caller.call(call.clone()).await {
///                 Err(CallError::Timeout(_)) => caller.call(call).await,
///                 outcome => outcome,
///             }
///         }
///         .boxed()
///     }
///
///     fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
///         self.0.notify(notification)
///     }
///
///     fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
///         self.0.batch(batch)
///     }
/// }
/// ```
pub trait Caller: Clone + Send + Sync + 'static {
    /// A call under way. Dropping it forgets the call.
    type Call<'a>: Future<Output = Result<Reply, CallError>> + Send + Unpin;

    /// A notification under way.
    type Notify<'a>: Future<Output = Result<(), CallError>> + Send + Unpin;

    /// A batch under way, which gives a reply for each of its calls. Dropping it forgets them.
    type Batch<'a>: Future<Output = Result<Vec<Result<Reply, CallError>>, BatchError>> + Send + Unpin;

    /// Makes a call. It is sent when the future is first polled.
    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a>;

    /// Sends a notification, when the future is first polled.
    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a>;

    /// Sends several of them in one message, when the future is first polled.
    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a>;

    /// The same as [`call`](Self::call), for a caller that is not needed any more: a [`Call`](crate::Call) does this with its own when it is
    /// first polled. Where the future keeps the caller, to implement it saves a clone a call.
    fn into_call<'a>(self, call: Outgoing<'a>) -> Self::Call<'a> {
        self.call(call)
    }
}

/// Calls through what is shared.
impl<C: Caller> Caller for Arc<C> {
    type Call<'a> = C::Call<'a>;
    type Notify<'a> = C::Notify<'a>;
    type Batch<'a> = C::Batch<'a>;

    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
        (**self).call(call)
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        (**self).notify(notification)
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        (**self).batch(batch)
    }
}

/// What a method's return type means: a value, or a value and an error.
///
/// `FALLIBLE` says whether the type is a `Result`. It is the compiler that finds out, so aliases count; the macro writes it down
/// and nobody else needs to.
pub trait Returns<const FALLIBLE: bool> {
    /// What travels as the result.
    type Value;
    /// What travels as the error.
    type Error: RpcError;

    /// The two, apart.
    fn into_result(self) -> Result<Self::Value, Self::Error>;
}

impl<T> Returns<false> for T {
    type Value = T;
    type Error = Infallible;

    fn into_result(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E: RpcError> Returns<true> for Result<T, E> {
    type Value = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// What a client can read the reply to: said of the method where it is declared, and not only where it is called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a reply: its caller could not read it",
    label = "this type has no `serde::Deserialize`",
    note = "derive both for a type of yours: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait Readable<const FALLIBLE: bool> {}

impl<T: DeserializeOwned> Readable<false> for T {}

impl<T: DeserializeOwned, E> Readable<true> for Result<T, E> {}
