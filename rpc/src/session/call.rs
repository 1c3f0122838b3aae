//! Typed calls: sent when they are first polled.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{CallError, Caller, Outgoing, caller::Readable, lazy::Lazy, outgoing::CallTimeout};
use crate::jsonrpc::{ErrorObject, MethodInfo, Reply, ReplyError, RpcError};

/// A call that knows what it returns. It is a future, and is sent when it is first polled.
///
/// `R` is the return type of the method as the trait has it, and `FALLIBLE` says whether that is a `Result` (then its error comes
/// back as [`CallError::Service`]). `'a` is the life of the method's name, `'static` in generated clients.
///
/// The parameters are written when the call is made, and the call owns a clone of its caller: it borrows nothing, and can be given to
/// `tokio::spawn`. A session stays open while a call of it is held. Options such as [`timeout`](Self::timeout) are set before the
/// first poll.
///
/// Dropping the call while it waits forgets it: the reply, when it comes, is ignored. A peer that knows how calls are taken back is told,
/// by a [`Cancellation`](crate::Cancellation), and drops its handler; another one works on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures::{FutureExt, future::try_join_all};
/// use rpc::rpc_service;
///
/// #[rpc_service]
/// trait Calc {
///     async fn double(&self, a: i64) -> i64;
///     async fn greet(&self, name: &str) -> String;
/// }
/// # struct MyCalc;
/// # impl Calc for MyCalc {
/// #     async fn double(&self, a: i64) -> i64 { 2 * a }
/// #     async fn greet(&self, name: &str) -> String { format!("Hello, {name}") }
/// # }
/// # let (session, _peer) = rpc::testing::pair((), CalcServer::new(MyCalc));
///
/// let calc = CalcClient::from(session);
/// let name = String::from("Ann");
/// let task = tokio::spawn(calc.greet(&name));
/// let all = try_join_all((1..=3).map(|n| calc.double(n))).await?;
/// let is_even = calc.double(7).map(|doubled| doubled.is_ok_and(|doubled| doubled % 2 == 0));
/// assert_eq!((task.await??.as_str(), &all[..], is_even.await), ("Hello, Ann", &[2, 4, 6][..], true));
/// # Ok(()) }
/// ```
#[must_use = "a call is sent when it is awaited"]
pub struct Call<'a, C: Caller, R, const FALLIBLE: bool = false> {
    stage: Lazy<C, Outgoing<'a>, C::Call<'a>, CallError>,
    /// Errors name it.
    method: &'a str,
    returns: PhantomData<fn() -> R>,
}

impl<'a, C: Caller, R, const FALLIBLE: bool> Call<'a, C, R, FALLIBLE> {
    /// A call of a method that is described by a table. What generated clients do.
    #[inline]
    pub fn to<P>(caller: &C, method: &'a MethodInfo, params: P) -> Self
    where
        P: Serialize,
        R: Readable<FALLIBLE>,
    {
        Self::of(
            Lazy::Unsent { caller: caller.clone(), written: Outgoing::of(method, &params) },
            method.name(),
        )
    }

    /// A call that was written.
    pub(super) const fn of(stage: Lazy<C, Outgoing<'a>, C::Call<'a>, CallError>, method: &'a str) -> Self {
        Self { stage, method, returns: PhantomData }
    }

    /// Ends the call with [`CallError::Timeout`] when no reply came within `after`, counted from when it is first polled.
    ///
    /// The session keeps the time, so that it holds on whatever executor the call is awaited, one without a clock included. What it
    /// takes is that the session's own runtime runs: nothing is sent while it does not.
    ///
    /// Without it, what the method says with `#[rpc(timeout = "..")]` holds, and otherwise
    /// [`Limits::call_timeout`](crate::Limits::call_timeout).
    ///
    /// # Panics
    ///
    /// If the call was polled before.
    #[track_caller]
    pub fn timeout(mut self, after: Duration) -> Self {
        self.stage.set("timeout", |call| call.set_timeout(CallTimeout::After(after)));
        self
    }

    /// Ends the call with [`CallError::Timeout`] at `deadline` at the latest, besides whatever timeout it has. Where that has passed
    /// already, nothing is sent.
    ///
    /// It holds here, and the peer is not told: JSON-RPC has no member for it. Handlers pass their own on with
    /// [`Context::within`](crate::Context::within).
    ///
    /// # Panics
    ///
    /// If the call was polled before.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use rpc::CallError;
    /// use tokio::time::Instant;
    ///
    /// let (session, _peer) = rpc::testing::pair((), ());
    /// let too_late = session.call::<u8>("add", (1, 2)).deadline(Instant::now()).await;
    /// assert!(matches!(too_late, Err(CallError::Timeout(_))));
    /// # }
    /// ```
    #[track_caller]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.stage.set("deadline", |call| call.set_deadline(deadline));
        self
    }

    /// Waits for the reply for as long as the session lives.
    ///
    /// # Panics
    ///
    /// If the call was polled before.
    #[track_caller]
    pub fn without_timeout(mut self) -> Self {
        self.stage.set("without_timeout", |call| call.set_timeout(CallTimeout::Never));
        self
    }

    /// What is to be sent in a batch; none where it was polled, and is forgotten.
    pub(super) fn into_unsent(self) -> (&'a str, Option<Result<Outgoing<'a>, CallError>>) {
        (self.method, self.stage.into_unsent())
    }

    #[inline]
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, CallError>> {
        self.stage.poll("call", C::into_call, cx)
    }
}

impl<'a, C: Caller, R> Call<'a, C, R> {
    /// A call of a method by its name.
    #[inline]
    pub fn untyped(caller: &C, method: &'a str, params: impl Serialize) -> Self {
        Self::of(Lazy::Unsent { caller: caller.clone(), written: Outgoing::new(method, &params) }, method)
    }
}

/// Methods that cannot fail in a way of their own. (Written apart, so that `let n: i64 = session.call(..).await?` says enough.)
impl<C: Caller, R: DeserializeOwned> Future for Call<'_, C, R, false> {
    type Output = Result<R, CallError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_reply(cx).map(|reply| typed(self.method, reply))
    }
}

/// Methods that return a `Result`.
impl<C: Caller, T, E> Future for Call<'_, C, Result<T, E>, true>
where
    T: DeserializeOwned,
    E: RpcError,
{
    type Output = Result<T, CallError<E>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_reply(cx).map(|reply| typed(self.method, reply))
    }
}

/// Nothing in it is pinned: what it becomes need not be.
impl<C: Caller, R, const FALLIBLE: bool> Unpin for Call<'_, C, R, FALLIBLE> {}

impl<C: Caller, R, const FALLIBLE: bool> fmt::Debug for Call<'_, C, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a reply means to the caller of `method`, which returns `T` or fails with `E`.
#[inline]
pub(super) fn typed<T: DeserializeOwned, E: RpcError>(
    method: &str,
    reply: Result<Reply, CallError>,
) -> Result<T, CallError<E>> {
    reply.map_err(CallError::widen)?.decode().map_err(|error| CallError::of_reply(method, error))
}

impl<E: RpcError> CallError<E> {
    /// What it means to the caller of `method` that its reply gives no value: for callers that are no session
    /// (mocks, balancers) and read a [`Reply`] themselves.
    #[cold]
    pub fn of_reply(method: &str, error: ReplyError) -> Self {
        match error {
            ReplyError::Error(object) => Self::of_object(object),
            ReplyError::Protocol(source) => Self::Protocol { method: method.to_owned(), source },
            ReplyError::Decode(source) => Self::Decode { method: method.to_owned(), source },
        }
    }

    /// An error of the peer's: one that the method declares, or another.
    pub(super) fn of_object(object: ErrorObject) -> Self {
        match E::from_error_object(&object) {
            Some(error) => Self::Service(error),
            None => Self::Rpc(object),
        }
    }
}
