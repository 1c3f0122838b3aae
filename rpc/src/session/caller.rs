//! The interface of everything that calls are made through.

use std::{convert::Infallible, sync::Arc};

use serde::de::DeserializeOwned;

use super::{BatchError, CallError, Outgoing, OutgoingBatch};
use crate::jsonrpc::{Reply, RpcError};

/// Sends calls: a [`Session`](crate::Session), or an adapter or mock in its place.
///
/// Generated clients work with every `Caller` (`CalcClient<C>`), so retrying, load balancing or
/// recording is written once for all services.
///
/// A call owns a clone of its caller, so that it can be given to `tokio::spawn`: cloning has to be
/// cheap. Put a caller that is not into an [`Arc`]. The returned futures own the parts of the
/// caller that they need, and borrow only the name of the method. A wrapper uses the future types
/// of the inner caller, or boxed ones:
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
    /// A call in flight. Dropping it abandons the call.
    type Call<'a>: Future<Output = Result<Reply, CallError>> + Send + Unpin;

    /// A notification on its way.
    type Notify<'a>: Future<Output = Result<(), CallError>> + Send + Unpin;

    /// A batch in flight, which returns a reply for each of its calls. Dropping it abandons them.
    type Batch<'a>: Future<Output = Result<Vec<Result<Reply, CallError>>, BatchError>> + Send + Unpin;

    /// Makes a call, which is sent when the future is first polled.
    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a>;

    /// Sends a notification when the future is first polled.
    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a>;

    /// Sends a batch, in one message, when the future is first polled.
    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a>;

    /// Like [`call`](Self::call), for a caller that is no longer needed: a [`Call`](crate::Call)
    /// uses this on its first poll. Implement it if the future owns the caller: that saves a clone
    /// for each call.
    fn into_call<'a>(self, call: Outgoing<'a>) -> Self::Call<'a> {
        self.call(call)
    }
}

/// Calls through a shared caller.
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

/// The parts of a method's return type: a value, or a value and an error.
///
/// `FALLIBLE` is true if the type is a `Result`. The compiler resolves it, so type aliases work;
/// the macro writes it, and users need not.
pub trait Returns<const FALLIBLE: bool> {
    /// The type of the result on the wire.
    type Value;
    /// The type of the error on the wire.
    type Error: RpcError;

    /// Splits it into value and error.
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

/// A return type that a client can decode the reply to. It makes a missing `Deserialize` an error
/// where the method is declared, and not only where it is called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a reply: its caller could not read it",
    label = "this type has no `serde::Deserialize`",
    note = "derive both for a type of yours: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait Readable<const FALLIBLE: bool> {}

impl<T: DeserializeOwned> Readable<false> for T {}

impl<T: DeserializeOwned, E> Readable<true> for Result<T, E> {}
