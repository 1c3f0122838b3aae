//! Calls, notifications and batches that are serialized and not sent yet.

use std::{convert::Infallible, fmt, time::Duration};

use serde::{Serialize, ser::Error as _};
use tokio::time::Instant;

use super::{BatchError, CallError, calls::Timeout};
use crate::{
    jsonrpc::{
        Body, EmptyParams, MethodInfo, ParamInfo, buffer::Buffer, clean_json, params::write_params,
        subscription::Token,
    },
    limits::deadline,
};

/// A call or a notification that was not sent yet: the method, its parameters as JSON, and its
/// timeout.
#[derive(Clone)]
pub struct Outgoing<'a> {
    method: &'a str,
    /// The part of the message that does not depend on the id.
    body: Buffer,
    /// The end of the method within the body; parameters follow if there are any.
    method_end: usize,
    empty_params: Option<EmptyParams>,
    timeout: CallTimeout,
    deadline: Option<Instant>,
    idempotent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallTimeout {
    /// The timeout in the session's limits.
    Default,
    Never,
    After(Duration),
}

impl<'a> Outgoing<'a> {
    /// Serializes the parameters: an array (a tuple, a `Vec`), an object (a struct, a map), or `()`
    /// for none: see [`EmptyParams`].
    ///
    /// # Errors
    ///
    /// [`CallError::Encode`] if they cannot be serialized, or are neither an array nor an object.
    pub fn new(method: &'a str, params: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        Self::write(method, params, None, None, CallTimeout::Default, false)
    }

    /// Serializes a call by the descriptor of its method.
    #[inline]
    pub(super) fn of(method: &'a MethodInfo, params: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        let timeout = match method.timeout() {
            Some(after) => CallTimeout::After(after),
            None => CallTimeout::Default,
        };
        let (name, names) = (method.name(), method.names());
        Self::write(name, params, names, method.empty_params(), timeout, method.is_idempotent())
    }

    /// With `names`, a tuple is written as an object with these names.
    fn write(
        method: &'a str,
        params: &(impl Serialize + ?Sized),
        names: Option<&[ParamInfo]>,
        empty_params: Option<EmptyParams>,
        timeout: CallTimeout,
        idempotent: bool,
    ) -> Result<Self, CallError> {
        let mut body = Buffer::new();
        match Body::append(&mut body, method, |out| write_params(out, params, names)) {
            Ok(method_end) => {
                Ok(Self { method, body, method_end, empty_params, timeout, deadline: None, idempotent })
            }
            Err(error) => Err(CallError::Encode { method: method.to_owned(), source: clean_json(error) }),
        }
    }

    /// Inserts a token into the parameters, at `path`.
    pub(super) fn with_token(mut self, token: &Token, path: &str) -> Result<Self, CallError> {
        let Some(params) = token.put_into(self.params().unwrap_or("{}"), path) else {
            let source = serde_json::Error::custom(
                "to be told of progress, send parameters by name: a struct or a map",
            );
            return Err(CallError::Encode { method: self.method.to_owned(), source });
        };
        self.body.truncate(self.method_end);
        let Ok(()) = Body::append_params(&mut self.body, |out| {
            out.extend_from_slice(params.as_bytes());
            Ok::<_, Infallible>(())
        });
        Ok(self)
    }

    /// The name of the method on the wire.
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The parameters, as the JSON text of an array or an object; `None` if there are none.
    pub fn params(&self) -> Option<&str> {
        std::str::from_utf8(Body::params_of(&self.body, self.method_end)?).ok()
    }

    /// The `params` to send without parameters, if the method, its service or a client has chosen
    /// them.
    pub const fn empty_params(&self) -> Option<EmptyParams> {
        self.empty_params
    }

    /// The same message, sent with `empty` if it has no parameters and has not chosen otherwise.
    pub const fn empty_params_or(mut self, empty: EmptyParams) -> Self {
        if self.empty_params.is_none() {
            self.empty_params = Some(empty);
        }
        self
    }

    /// The timeout, if the call or its method has one.
    pub const fn timeout(&self) -> Option<Duration> {
        match self.timeout {
            CallTimeout::After(after) => Some(after),
            CallTimeout::Default | CallTimeout::Never => None,
        }
    }

    /// The deadline, if there is one.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The same message with a deadline. An earlier one is kept.
    ///
    /// The deadline is not sent to the peer: JSON-RPC has no member for it.
    pub fn until(mut self, deadline: Instant) -> Self {
        self.set_deadline(deadline);
        self
    }

    /// See [`until`](Self::until).
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |before| before.min(deadline)));
    }

    pub(super) const fn set_timeout(&mut self, timeout: CallTimeout) {
        self.timeout = timeout;
    }

    /// Whether its deadline has passed: then it is not sent any more.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether calling the method twice has the same effect as calling it once, so that a call with
    /// an unknown outcome may be retried. Methods declare it with `#[rpc(idempotent)]`; it is not
    /// sent to the peer.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The same call, marked as safe to retry.
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The time to wait from now on, with `default` from the session's limits.
    pub(crate) fn timeout_or(&self, default: Option<Duration>) -> Option<Duration> {
        let after = self.own_timeout_or(default).and_then(deadline::finite);
        match self.deadline {
            None => after,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                Some(after.map_or(left, |after| after.min(left)))
            }
        }
    }

    /// The timeout of a wait that began at `since`, or begins now.
    pub(super) fn times_out(&self, since: Option<Instant>, default: Option<Duration>) -> Option<Timeout> {
        let after = self.own_timeout_or(default);
        if after.is_none() && self.deadline.is_none() {
            return None;
        }
        let since = since.unwrap_or_else(Instant::now);
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(since));
        let timeout = Timeout::after(since, after.into_iter().chain(left).min()?)?;
        Some(Timeout { latest: self.deadline, ..timeout })
    }

    const fn own_timeout_or(&self, default: Option<Duration>) -> Option<Duration> {
        match self.timeout {
            CallTimeout::Default => default,
            CallTimeout::Never => None,
            CallTimeout::After(after) => Some(after),
        }
    }

    pub(crate) fn body(&self) -> Body<'_> {
        let body = Body::written(&self.body, self.method_end);
        match self.empty_params {
            Some(empty) => body.with_empty_params(empty),
            None => body,
        }
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("params", &format_args!("{}", self.params().unwrap_or("none")))
            .finish_non_exhaustive()
    }
}

/// Calls and notifications to be sent in one message: the argument of
/// [`Caller::batch`](crate::Caller::batch), and a way to build a batch without types.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Context, ErrorObject, OutgoingBatch, Params, Router};
///
/// # let router = Router::new().method("add", async |params: Params, _: Context| {
/// #     let (a, b): (i64, i64) = params.parse()?;
/// #     Ok::<_, ErrorObject>(a + b)
/// # }).notification("log", async |_: Params, _: Context| {});
/// # let (session, _peer) = rpc::testing::pair((), router);
/// let batch = OutgoingBatch::new().call("add", &(1, 2))?.notify("log", &("adding",))?.call("add", &(3, 4))?;
///
/// // A reply for each call. Notifications have none.
/// let replies = session.batch(batch).await?;
/// let sums: Vec<i64> = replies.into_iter().map(|reply| reply.unwrap().decode().unwrap()).collect();
/// assert_eq!(sums, [3, 7]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct OutgoingBatch<'a> {
    items: Vec<BatchItem<'a>>,
}

/// One message of a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BatchItem<'a> {
    /// It has a reply.
    Call(Outgoing<'a>),
    /// It has no reply.
    Notification(Outgoing<'a>),
}

impl<'a> OutgoingBatch<'a> {
    /// An empty batch. It cannot be sent before a message is added.
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// The same batch with one more call. Parameters are as for [`Outgoing::new`].
    ///
    /// # Errors
    ///
    /// [`BatchError::Encode`].
    pub fn call(mut self, method: &'a str, params: &(impl Serialize + ?Sized)) -> Result<Self, BatchError> {
        self.push_call(method, Some(Outgoing::new(method, params)))?;
        Ok(self)
    }

    /// The same batch with one more notification. Parameters are as for [`Outgoing::new`].
    ///
    /// # Errors
    ///
    /// [`BatchError::Encode`].
    pub fn notify(mut self, method: &'a str, params: &(impl Serialize + ?Sized)) -> Result<Self, BatchError> {
        self.push_notification(method, Some(Outgoing::new(method, params)))?;
        Ok(self)
    }

    /// The same batch with a deadline for its messages: see [`Outgoing::until`].
    pub fn until(self, deadline: Instant) -> Self {
        self.map(|outgoing| outgoing.until(deadline))
    }

    /// The same batch, with `empty` in messages that have no parameters: see
    /// [`Outgoing::empty_params_or`].
    pub fn empty_params_or(self, empty: EmptyParams) -> Self {
        self.map(|outgoing| outgoing.empty_params_or(empty))
    }

    /// The same batch, with `change` applied to each of its messages.
    pub(in crate::session) fn map(self, mut change: impl FnMut(Outgoing<'a>) -> Outgoing<'a>) -> Self {
        let items = self.items.into_iter().map(|item| match item {
            BatchItem::Call(outgoing) => BatchItem::Call(change(outgoing)),
            BatchItem::Notification(outgoing) => BatchItem::Notification(change(outgoing)),
        });
        Self { items: items.collect() }
    }

    /// Its messages, in order.
    pub fn items(&self) -> &[BatchItem<'a>] {
        &self.items
    }

    /// Adds a call; `None` if it was polled before.
    pub(super) fn push_call(
        &mut self,
        method: &str,
        call: Option<Result<Outgoing<'a>, CallError>>,
    ) -> Result<(), BatchError> {
        let call = self.unsent(method, call)?;
        self.items.push(BatchItem::Call(call));
        Ok(())
    }

    /// Adds a notification; `None` if it was polled before.
    pub(super) fn push_notification(
        &mut self,
        method: &str,
        notification: Option<Result<Outgoing<'a>, CallError>>,
    ) -> Result<(), BatchError> {
        let notification = self.unsent(method, notification)?;
        self.items.push(BatchItem::Notification(notification));
        Ok(())
    }

    pub(super) fn append(&mut self, other: Self) {
        self.items.extend(other.items);
    }

    pub(super) fn methods(&self) -> Vec<&'a str> {
        self.items.iter().map(|item| item.outgoing().method()).collect()
    }

    fn unsent(
        &self,
        method: &str,
        outgoing: Option<Result<Outgoing<'a>, CallError>>,
    ) -> Result<Outgoing<'a>, BatchError> {
        let index = self.items.len();
        match outgoing {
            Some(Ok(outgoing)) => Ok(outgoing),
            Some(Err(CallError::Encode { method, source })) => {
                Err(BatchError::Encode { index, method, source })
            }
            Some(Err(other)) => {
                Err(BatchError::Member { index, method: method.to_owned(), source: other.into() })
            }
            None => Err(BatchError::Polled { index, method: method.to_owned() }),
        }
    }
}

impl<'a> BatchItem<'a> {
    /// The method and its parameters.
    pub const fn outgoing(&self) -> &Outgoing<'a> {
        match self {
            Self::Call(outgoing) | Self::Notification(outgoing) => outgoing,
        }
    }

    /// Whether it has a reply.
    pub const fn is_call(&self) -> bool {
        matches!(self, Self::Call(_))
    }
}
