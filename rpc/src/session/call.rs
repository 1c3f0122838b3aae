//! Typed calls and notifications: sent when they are first polled.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{CallError, Caller, Outgoing, caller::Readable, outgoing::CallTimeout};
use crate::jsonrpc::{MethodInfo, Reply, RpcError};

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

/// A notification, which is a future: the first poll hands it over for sending, and what is waited for is only room to do so.
///
/// Nobody answers a notification: `Ok` means that it will leave in its turn if the session lives, no more. Like a
/// [`Call`](crate::Call) it has its parameters written, owns a clone of its caller, and can be given to `tokio::spawn`.
#[must_use = "a notification is sent when it is awaited"]
pub struct Notify<'a, C: Caller> {
    stage: Lazy<C, Outgoing<'a>, C::Notify<'a>, CallError>,
    method: &'a str,
}

impl<'a, C: Caller> Notify<'a, C> {
    /// A notification of a method that is described by a table. What generated clients do.
    pub fn to<P: Serialize>(caller: &C, method: &'a MethodInfo, params: P) -> Self {
        Self {
            stage: Lazy::Unsent { caller: caller.clone(), written: Outgoing::of(method, &params) },
            method: method.name(),
        }
    }

    /// A notification of a method by its name.
    pub fn untyped(caller: &C, method: &'a str, params: impl Serialize) -> Self {
        Self {
            stage: Lazy::Unsent { caller: caller.clone(), written: Outgoing::new(method, &params) },
            method,
        }
    }

    /// What is to be sent in a batch; none where it was polled.
    pub(super) fn into_unsent(self) -> (&'a str, Option<Result<Outgoing<'a>, CallError>>) {
        (self.method, self.stage.into_unsent())
    }
}

impl<C: Caller> Future for Notify<'_, C> {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.stage.poll("notification", |caller, notification| caller.notify(notification), cx)
    }
}

/// Nothing in it is pinned.
impl<C: Caller> Unpin for Notify<'_, C> {}

impl<C: Caller> fmt::Debug for Notify<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What is written when it is made, and sent when it is first polled: a call, a notification, a subscription, a batch.
///
/// How far it has got. `O` is what will be sent by `C`, and `F` the future that it becomes.
pub(super) enum Lazy<C, O, F, E> {
    Unsent {
        caller: C,
        /// The error is given by the first poll.
        written: Result<O, E>,
    },
    Sent(F),
    /// It could not be written, which the first poll has said; or sending it has panicked.
    Gone,
}

impl<C, O, F, E> Lazy<C, O, F, E> {
    /// Sets an option, which takes effect when it is sent.
    ///
    /// # Panics
    ///
    /// Where that is too late: an option that is silently left out is worse.
    #[track_caller]
    pub(super) fn set(&mut self, option: &str, set: impl FnOnce(&mut O)) {
        match self {
            Self::Unsent { written: Ok(outgoing), .. } => set(outgoing),
            Self::Unsent { written: Err(_), .. } => {}
            Self::Sent(_) | Self::Gone => too_late(option),
        }
    }

    /// What was not sent yet, as something else that is sent by the same caller.
    ///
    /// # Panics
    ///
    /// As [`set`](Self::set).
    #[track_caller]
    pub(super) fn convert<P, G>(self, option: &str, convert: impl FnOnce(O) -> P) -> Lazy<C, P, G, E> {
        match self {
            Self::Unsent { caller, written } => Lazy::Unsent { caller, written: written.map(convert) },
            Self::Sent(_) | Self::Gone => too_late(option),
        }
    }

    /// What was not sent yet, for others to send; none where it was polled.
    pub(super) fn into_unsent(self) -> Option<Result<O, E>> {
        match self {
            Self::Unsent { written, .. } => Some(written),
            Self::Sent(_) | Self::Gone => None,
        }
    }
}

impl<C, O, T, E, F: Future<Output = Result<T, E>> + Unpin> Lazy<C, O, F, E> {
    /// Sends it, with `send`, where that was not done, and waits for the outcome. `what` it is
    /// stands in the panic where it is polled again after that.
    #[inline]
    pub(super) fn poll(
        &mut self,
        what: &str,
        send: impl FnOnce(C, O) -> F,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, E>> {
        if !matches!(self, Self::Sent(_)) {
            let Self::Unsent { caller, written } = std::mem::replace(self, Self::Gone) else {
                polled_again(what);
            };
            let sent = Self::Sent(send(caller, written?));
            // What is replaced has nothing to drop; looking whether it has would cost more
            // instructions than all else here.
            std::mem::forget(std::mem::replace(self, sent));
        }
        let Self::Sent(sent) = self else { unreachable!("sent just now") };
        Pin::new(sent).poll(cx)
    }
}

#[cold]
#[track_caller]
fn too_late(option: &str) -> ! {
    panic!("`{option}` is set too late: this was polled before, and is sent without; set it before that")
}

#[cold]
fn polled_again(what: &str) -> ! {
    panic!("a {what} was polled after it had ended")
}
