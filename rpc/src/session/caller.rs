//! What can be called.

use std::convert::Infallible;

use serde::de::DeserializeOwned;

use super::{BatchError, CallError, Outgoing, OutgoingBatch};
use crate::jsonrpc::{Reply, RpcError};

/// Anything that calls can be made through: a [`Session`](crate::Session), or what stands in for one.
///
/// Generated clients work over every `Caller` (`CalcClient<C>`), so retrying, balancing or recording is written once, for all
/// services. Such a wrapper names its futures as those of what it wraps, or as boxed ones:
///
/// ```
/// use futures::future::{BoxFuture, FutureExt};
/// use rpc::{CallError, Caller, Outgoing, OutgoingBatch, Reply};
///
/// /// Tries a call that timed out once more.
/// struct Twice<C>(C);
///
/// impl<C: Caller> Caller for Twice<C> {
///     type Call<'a> = BoxFuture<'a, Result<Reply, CallError>> where C: 'a;
///     type Notify<'a> = C::Notify<'a> where C: 'a;
///     type Batch<'a> = C::Batch<'a> where C: 'a;
///
///     fn call<'a>(&'a self, call: Outgoing<'a>) -> Self::Call<'a> {
///         async move {
///             match self.0.call(call.clone()).await {
///                 Err(CallError::Timeout(_)) => self.0.call(call).await,
///                 outcome => outcome,
///             }
///         }
///         .boxed()
///     }
///
///     fn notify<'a>(&'a self, notification: Outgoing<'a>) -> Self::Notify<'a> {
///         self.0.notify(notification)
///     }
///
///     fn batch<'a>(&'a self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
///         self.0.batch(batch)
///     }
/// }
/// ```
pub trait Caller: Send + Sync {
    /// A call under way. Dropping it forgets the call.
    type Call<'a>: Future<Output = Result<Reply, CallError>> + Send + Unpin
    where
        Self: 'a;

    /// A notification under way.
    type Notify<'a>: Future<Output = Result<(), CallError>> + Send + Unpin
    where
        Self: 'a;

    /// A batch under way, which gives a reply for each of its calls. Dropping it forgets them.
    type Batch<'a>: Future<Output = Result<Vec<Result<Reply, CallError>>, BatchError>> + Send + Unpin
    where
        Self: 'a;

    /// Makes a call. It is sent when the future is first polled.
    fn call<'a>(&'a self, call: Outgoing<'a>) -> Self::Call<'a>;

    /// Sends a notification, when the future is first polled.
    fn notify<'a>(&'a self, notification: Outgoing<'a>) -> Self::Notify<'a>;

    /// Sends several of them in one message, when the future is first polled.
    fn batch<'a>(&'a self, batch: OutgoingBatch<'a>) -> Self::Batch<'a>;
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
