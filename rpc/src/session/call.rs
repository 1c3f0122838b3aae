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

/// A typed call: a future that sends the call when it is first polled.
///
/// `R` is the return type of the method as the trait has it, and `FALLIBLE` is true if that is a
/// `Result` (then its error is returned as [`CallError::Service`]). `'a` is the lifetime of the
/// method's name, `'static` in generated clients.
///
/// The parameters are serialized when the call is made, and the call owns a clone of its caller: it
/// borrows nothing, and can be given to `tokio::spawn`. A session stays open while a call of it is
/// held. Options such as [`timeout`](Self::timeout) are set before the first poll.
///
/// Dropping the call while it is in flight abandons it: the reply is ignored when it comes. A peer
/// that supports cancellation is sent a [`Cancellation`](crate::Cancellation), and drops its
/// handler; any other peer goes on with its work.
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
    /// Named in errors.
    method: &'a str,
    returns: PhantomData<fn() -> R>,
}

impl<'a, C: Caller, R, const FALLIBLE: bool> Call<'a, C, R, FALLIBLE> {
    /// A call of a method with a descriptor. Used by generated clients.
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

    /// A call whose parameters are serialized.
    pub(super) const fn of(stage: Lazy<C, Outgoing<'a>, C::Call<'a>, CallError>, method: &'a str) -> Self {
        Self { stage, method, returns: PhantomData }
    }

    /// Ends the call with [`CallError::Timeout`] if no reply comes within `after`, counted from the
    /// first poll.
    ///
    /// The session keeps the time, so the timeout applies on any executor, even one without a
    /// clock. It does need the session's own runtime to run: nothing is sent while that does not.
    ///
    /// Default: the timeout of the method, from `#[rpc(timeout = "..")]`, or else
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

    /// Ends the call with [`CallError::Timeout`] at `deadline`, if its timeout is not earlier. If
    /// the deadline has passed already, nothing is sent.
    ///
    /// The deadline is not sent to the peer: JSON-RPC has no member for it. A handler passes its
    /// own deadline on with [`Context::within`](crate::Context::within).
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

    /// Removes the timeout: the call waits for its reply as long as the session lives.
    ///
    /// # Panics
    ///
    /// If the call was polled before.
    #[track_caller]
    pub fn without_timeout(mut self) -> Self {
        self.stage.set("without_timeout", |call| call.set_timeout(CallTimeout::Never));
        self
    }

    /// The serialized call, for a batch; `None` if it was polled, and then it is abandoned.
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

/// Methods without an error of their own. (A separate impl, so that
/// `let n: i64 = session.call(..).await?` needs no other type.)
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

/// No field is pinned: the future that it becomes is `Unpin`.
impl<C: Caller, R, const FALLIBLE: bool> Unpin for Call<'_, C, R, FALLIBLE> {}

impl<C: Caller, R, const FALLIBLE: bool> fmt::Debug for Call<'_, C, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Decodes the reply to a call of `method`, which returns `T` or fails with `E`.
#[inline]
pub(super) fn typed<T: DeserializeOwned, E: RpcError>(
    method: &str,
    reply: Result<Reply, CallError>,
) -> Result<T, CallError<E>> {
    reply.map_err(CallError::widen)?.decode().map_err(|error| CallError::of_reply(method, error))
}

/// A notification: a future that hands it over for sending when it is first polled, and waits only
/// for capacity to do so.
///
/// A notification has no reply: `Ok` means that it will be sent in its turn if the session lives,
/// and no more. Like a [`Call`](crate::Call) it has its parameters serialized, owns a clone of its
/// caller, and can be given to `tokio::spawn`.
#[must_use = "a notification is sent when it is awaited"]
pub struct Notify<'a, C: Caller> {
    stage: Lazy<C, Outgoing<'a>, C::Notify<'a>, CallError>,
    method: &'a str,
}

impl<'a, C: Caller> Notify<'a, C> {
    /// A notification of a method with a descriptor. Used by generated clients.
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

    /// The serialized notification, for a batch; `None` if it was polled.
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

/// No field is pinned.
impl<C: Caller> Unpin for Notify<'_, C> {}

impl<C: Caller> fmt::Debug for Notify<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A call, notification, subscription or batch that is serialized when it is made, and sent when it
/// is first polled.
///
/// `O` is the serialized message, which `C` sends, and `F` the future of the reply.
pub(super) enum Lazy<C, O, F, E> {
    Unsent {
        caller: C,
        /// Returned by the first poll if it is an error.
        written: Result<O, E>,
    },
    Sent(F),
    /// Serializing failed, which the first poll has returned; or sending has panicked.
    Gone,
}

impl<C, O, F, E> Lazy<C, O, F, E> {
    /// Sets an option of the message.
    ///
    /// # Panics
    ///
    /// If the message was sent: an option that has silently no effect is worse.
    #[track_caller]
    pub(super) fn set(&mut self, option: &str, set: impl FnOnce(&mut O)) {
        match self {
            Self::Unsent { written: Ok(outgoing), .. } => set(outgoing),
            Self::Unsent { written: Err(_), .. } => {}
            Self::Sent(_) | Self::Gone => too_late(option),
        }
    }

    /// Converts a message that was not sent into another one of the same caller.
    ///
    /// # Panics
    ///
    /// Like [`set`](Self::set).
    #[track_caller]
    pub(super) fn convert<P, G>(self, option: &str, convert: impl FnOnce(O) -> P) -> Lazy<C, P, G, E> {
        match self {
            Self::Unsent { caller, written } => Lazy::Unsent { caller, written: written.map(convert) },
            Self::Sent(_) | Self::Gone => too_late(option),
        }
    }

    /// The message, if it was not sent.
    pub(super) fn into_unsent(self) -> Option<Result<O, E>> {
        match self {
            Self::Unsent { written, .. } => Some(written),
            Self::Sent(_) | Self::Gone => None,
        }
    }
}

impl<C, O, T, E, F: Future<Output = Result<T, E>> + Unpin> Lazy<C, O, F, E> {
    /// Calls `send` on the first poll, then polls the future that it returned. `what` names the
    /// message in the panic of a poll after the end.
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
            // The old value is `Gone`, which has nothing to drop. The check for that would cost
            // more instructions than the rest of this function.
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
