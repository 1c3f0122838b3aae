//! Typed calls: lazy until awaited.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{CallError, Caller, Outgoing, caller::CallTimeout};
use crate::jsonrpc::{MethodInfo, Reply, ReplyError, RpcError};

/// A call that knows what it returns and was not sent yet. Awaiting it sends it.
///
/// `R` is the return type of the method as the trait has it, `P` the tuple of its parameters, and `FALLIBLE` says whether `R` is a
/// `Result` (then its error comes back as [`CallError::Service`]).
///
/// Dropping the call while it waits forgets it: the reply, when it comes, is ignored.
#[must_use = "a call is sent when it is awaited"]
pub struct Call<'a, C, P, R, const FALLIBLE: bool = false> {
    caller: &'a C,
    outgoing: Outgoing<'a, P>,
    returns: PhantomData<fn() -> R>,
}

impl<'a, C, P, R, const FALLIBLE: bool> Call<'a, C, P, R, FALLIBLE> {
    /// A call of a method that is described by a table. What generated clients do.
    pub const fn to(caller: &'a C, method: &'a MethodInfo, params: P) -> Self {
        Self { caller, outgoing: Outgoing::typed(method, params), returns: PhantomData }
    }

    /// Ends the call with [`CallError::Timeout`] when no reply came within `after`, counted from when it is first awaited.
    ///
    /// Without it, [`Limits::call_timeout`](crate::Limits::call_timeout) holds.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.outgoing.set_timeout(CallTimeout::After(after));
        self
    }

    /// Waits for the reply for as long as the session lives.
    pub fn without_timeout(mut self) -> Self {
        self.outgoing.set_timeout(CallTimeout::Never);
        self
    }
}

impl<'a, C, P, R> Call<'a, C, P, R> {
    /// A call of a method by its name.
    pub const fn untyped(caller: &'a C, method: &'a str, params: P) -> Self {
        Self { caller, outgoing: Outgoing::new(method, params), returns: PhantomData }
    }
}

/// Methods that cannot fail in a way of their own. (Written apart, so that `let n: i64 = session.call(..).await?` says enough.)
impl<'a, C, P, R> IntoFuture for Call<'a, C, P, R, false>
where
    C: Caller,
    P: Serialize + Send + 'a,
    R: DeserializeOwned,
{
    type Output = Result<R, CallError>;
    type IntoFuture = CallFuture<'a, C, P, R, false>;

    fn into_future(self) -> Self::IntoFuture {
        CallFuture { reply: self.caller.call(self.outgoing), returns: PhantomData }
    }
}

/// Methods that return a `Result`.
impl<'a, C, P, T, E> IntoFuture for Call<'a, C, P, Result<T, E>, true>
where
    C: Caller,
    P: Serialize + Send + 'a,
    T: DeserializeOwned,
    E: RpcError + std::error::Error + 'static,
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = CallFuture<'a, C, P, Result<T, E>, true>;

    fn into_future(self) -> Self::IntoFuture {
        CallFuture { reply: self.caller.call(self.outgoing), returns: PhantomData }
    }
}

impl<C, P, R, const FALLIBLE: bool> fmt::Debug for Call<'_, C, P, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.outgoing.method()).finish_non_exhaustive()
    }
}

/// What a [`Call`] becomes when it is awaited.
#[must_use = "a call is sent when it is awaited"]
pub struct CallFuture<'a, C: Caller + 'a, P: Serialize + Send + 'a, R, const FALLIBLE: bool> {
    reply: C::Call<'a, P>,
    returns: PhantomData<fn() -> R>,
}

impl<'a, C, P, R> Future for CallFuture<'a, C, P, R, false>
where
    C: Caller,
    P: Serialize + Send + 'a,
    R: DeserializeOwned,
{
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.reply).poll(cx).map(typed)
    }
}

impl<'a, C, P, T, E> Future for CallFuture<'a, C, P, Result<T, E>, true>
where
    C: Caller,
    P: Serialize + Send + 'a,
    T: DeserializeOwned,
    E: RpcError + std::error::Error + 'static,
{
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.reply).poll(cx).map(typed)
    }
}

/// What a reply means to the caller of a method that returns `T` or fails with `E`.
fn typed<T: DeserializeOwned, E: RpcError + std::error::Error>(
    reply: Result<Reply, CallError>,
) -> Result<T, CallError<E>> {
    reply.map_err(CallError::widen)?.decode().map_err(|error| match error {
        ReplyError::Error(object) => match E::from_error_object(&object) {
            Some(error) => CallError::Service(error),
            None => CallError::Rpc(object),
        },
        ReplyError::Protocol(error) => CallError::Protocol(error),
        ReplyError::Decode(error) => CallError::Decode(error),
    })
}

impl<'a, C: Caller + 'a, P: Serialize + Send + 'a, R, const FALLIBLE: bool> fmt::Debug
    for CallFuture<'a, C, P, R, FALLIBLE>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture").finish_non_exhaustive()
    }
}
