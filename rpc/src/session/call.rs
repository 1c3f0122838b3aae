//! Typed calls: lazy until awaited.

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
use crate::jsonrpc::{EmptyParams, ErrorObject, MethodInfo, ParamInfo, Reply, ReplyError, RpcError};

/// A call that knows what it returns and was not sent yet. Awaiting it sends it.
///
/// `R` is the return type of the method as the trait has it, `P` the tuple of its parameters, and `FALLIBLE` says whether `R` is a
/// `Result` (then its error comes back as [`CallError::Service`]).
///
/// Dropping the call while it waits forgets it: the reply, when it comes, is ignored. A peer that knows how calls are taken back is told,
/// by a [`Cancellation`](crate::Cancellation), and drops its handler; another one works on.
#[must_use = "a call is sent when it is awaited"]
pub struct Call<'a, C, P, R, const FALLIBLE: bool = false> {
    caller: &'a C,
    method: &'a str,
    params: P,
    /// Set where the parameters are sent by name.
    names: Option<&'static [ParamInfo]>,
    empty_params: Option<EmptyParams>,
    timeout: CallTimeout,
    deadline: Option<Instant>,
    idempotent: bool,
    returns: PhantomData<fn() -> R>,
}

impl<'a, C, P, R, const FALLIBLE: bool> Call<'a, C, P, R, FALLIBLE> {
    /// A call of a method that is described by a table. What generated clients do.
    pub const fn to(caller: &'a C, method: &'a MethodInfo, params: P) -> Self
    where
        P: Serialize,
        R: Readable<FALLIBLE>,
    {
        Self {
            caller,
            method: method.name(),
            params,
            names: method.names(),
            empty_params: method.empty_params(),
            timeout: match method.timeout() {
                Some(after) => CallTimeout::After(after),
                None => CallTimeout::Default,
            },
            deadline: None,
            idempotent: method.is_idempotent(),
            returns: PhantomData,
        }
    }

    /// Ends the call with [`CallError::Timeout`] when no reply came within `after`, counted from when it is first awaited.
    ///
    /// The session keeps the time, so that it holds on whatever executor the call is awaited, one without a clock included. What it
    /// takes is that the session's own runtime runs: nothing is sent while it does not.
    ///
    /// Without it, what the method says with `#[rpc(timeout = "..")]` holds, and otherwise
    /// [`Limits::call_timeout`](crate::Limits::call_timeout).
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = CallTimeout::After(after);
        self
    }

    /// Ends the call with [`CallError::Timeout`] at `deadline` at the latest, besides whatever timeout it has. Where that has passed
    /// already, nothing is sent.
    ///
    /// It holds here, and the peer is not told: JSON-RPC has no member for it. Handlers pass their own on with
    /// [`Context::within`](crate::Context::within).
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
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |before| before.min(deadline)));
        self
    }

    /// Waits for the reply for as long as the session lives.
    pub fn without_timeout(mut self) -> Self {
        self.timeout = CallTimeout::Never;
        self
    }
}

impl<'a, C, P, R, const FALLIBLE: bool> Call<'a, C, P, R, FALLIBLE> {
    /// The call that gives the result of a subscription alone: its items are not asked for.
    pub(super) const fn of_result(
        caller: &'a C,
        method: &'a str,
        params: P,
        names: Option<&'static [ParamInfo]>,
        empty_params: Option<EmptyParams>,
        timeout: CallTimeout,
    ) -> Self {
        Self {
            caller,
            method,
            params,
            names,
            empty_params,
            timeout,
            deadline: None,
            idempotent: false,
            returns: PhantomData,
        }
    }
}

impl<'a, C, P, R> Call<'a, C, P, R> {
    /// A call of a method by its name.
    pub const fn untyped(caller: &'a C, method: &'a str, params: P) -> Self {
        Self {
            caller,
            method,
            params,
            names: None,
            empty_params: None,
            timeout: CallTimeout::Default,
            deadline: None,
            idempotent: false,
            returns: PhantomData,
        }
    }
}

impl<'a, C, P: Serialize, R, const FALLIBLE: bool> Call<'a, C, P, R, FALLIBLE> {
    /// Writes the call down. From here on nothing depends on the parameters any more.
    pub(super) fn written(&self) -> Result<Outgoing<'a>, CallError> {
        let Self { method, params, names, empty_params, timeout, .. } = self;
        let outgoing = Outgoing::write(method, params, *names, *empty_params, *timeout)?;
        let outgoing = if self.idempotent { outgoing.idempotent() } else { outgoing };
        Ok(match self.deadline {
            Some(deadline) => outgoing.until(deadline),
            None => outgoing,
        })
    }
}

impl<'a, C: Caller, P: Serialize, R, const FALLIBLE: bool> Call<'a, C, P, R, FALLIBLE> {
    fn start(self) -> CallFuture<'a, C, R, FALLIBLE> {
        let stage = match self.written() {
            Ok(outgoing) => Stage::Called(self.caller.call(outgoing)),
            Err(error) => Stage::Failed(Some(error)),
        };
        CallFuture { stage, method: self.method, returns: PhantomData }
    }
}

/// Methods that cannot fail in a way of their own. (Written apart, so that `let n: i64 = session.call(..).await?` says enough.)
impl<'a, C: Caller, P: Serialize, R: DeserializeOwned> IntoFuture for Call<'a, C, P, R, false> {
    type Output = Result<R, CallError>;
    type IntoFuture = CallFuture<'a, C, R, false>;

    fn into_future(self) -> Self::IntoFuture {
        self.start()
    }
}

/// Methods that return a `Result`.
impl<'a, C: Caller, P: Serialize, T, E> IntoFuture for Call<'a, C, P, Result<T, E>, true>
where
    T: DeserializeOwned,
    E: RpcError,
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = CallFuture<'a, C, Result<T, E>, true>;

    fn into_future(self) -> Self::IntoFuture {
        self.start()
    }
}

impl<C, P, R, const FALLIBLE: bool> fmt::Debug for Call<'_, C, P, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a [`Call`] becomes when it is awaited.
#[must_use = "a call is sent when it is awaited"]
pub struct CallFuture<'a, C: Caller + 'a, R, const FALLIBLE: bool> {
    stage: Stage<C::Call<'a>>,
    /// Errors name it.
    method: &'a str,
    returns: PhantomData<fn() -> R>,
}

enum Stage<F> {
    Called(F),
    /// The parameters could not be written.
    Failed(Option<CallError>),
}

impl<F: Future<Output = Result<Reply, CallError>> + Unpin> Stage<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, CallError>> {
        match self {
            Self::Called(reply) => Pin::new(reply).poll(cx),
            Self::Failed(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => panic!("a call was polled after it had ended"),
            },
        }
    }
}

impl<C: Caller, R: DeserializeOwned> Future for CallFuture<'_, C, R, false> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let method = self.method;
        self.stage.poll(cx).map(|reply| typed(method, reply))
    }
}

impl<C: Caller, T, E> Future for CallFuture<'_, C, Result<T, E>, true>
where
    T: DeserializeOwned,
    E: RpcError,
{
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let method = self.method;
        self.stage.poll(cx).map(|reply| typed(method, reply))
    }
}

/// What a reply means to the caller of `method`, which returns `T` or fails with `E`.
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

impl<C: Caller, R, const FALLIBLE: bool> fmt::Debug for CallFuture<'_, C, R, FALLIBLE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture").finish_non_exhaustive()
    }
}
