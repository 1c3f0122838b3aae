//! Calls, notifications and batches of them, written and not yet sent.

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

/// A call or a notification that was not sent yet: a method, its parameters as JSON, and how long to wait.
#[derive(Clone)]
pub struct Outgoing<'a> {
    method: &'a str,
    /// Everything of the message that does not depend on its id.
    body: Buffer,
    /// Where the method ends in it; the parameters follow, if there are any.
    method_end: usize,
    empty_params: Option<EmptyParams>,
    timeout: CallTimeout,
    deadline: Option<Instant>,
    idempotent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallTimeout {
    /// What the session's limits say.
    Default,
    Never,
    After(Duration),
}

impl<'a> Outgoing<'a> {
    /// Writes the parameters: what serializes as an array (a tuple, a `Vec`) or an object (a struct, a map), or `()` for none: see
    /// [`EmptyParams`].
    ///
    /// # Errors
    ///
    /// [`CallError::Encode`], where they cannot be written, or are neither an array nor an object.
    pub fn new(method: &'a str, params: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        Self::write(method, params, None, None, CallTimeout::Default, false)
    }

    /// The same for a method that is described by a table, and sent as that says.
    #[inline]
    pub(super) fn of(method: &'a MethodInfo, params: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        let timeout = match method.timeout() {
            Some(after) => CallTimeout::After(after),
            None => CallTimeout::Default,
        };
        let (name, names) = (method.name(), method.names());
        Self::write(name, params, names, method.empty_params(), timeout, method.is_idempotent())
    }

    /// With `names`, a tuple is written as an object under them.
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

    /// Puts a token into the parameters, at `path`.
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

    /// The parameters, as the JSON text of an array or an object; `None` where there are none.
    pub fn params(&self) -> Option<&str> {
        std::str::from_utf8(Body::params_of(&self.body, self.method_end)?).ok()
    }

    /// What is sent where there are no parameters, if the method, its service or a client says so.
    pub const fn empty_params(&self) -> Option<EmptyParams> {
        self.empty_params
    }

    /// The same, sent with `empty` where it has no parameters, unless it says something else already.
    pub const fn empty_params_or(mut self, empty: EmptyParams) -> Self {
        if self.empty_params.is_none() {
            self.empty_params = Some(empty);
        }
        self
    }

    /// How long to wait for the reply, where the call or its method says so.
    pub const fn timeout(&self) -> Option<Duration> {
        match self.timeout {
            CallTimeout::After(after) => Some(after),
            CallTimeout::Default | CallTimeout::Never => None,
        }
    }

    /// When it ends at the latest, if that was said.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The same, ending at `deadline` at the latest. One that is earlier stays.
    ///
    /// JSON-RPC has no member for it: it holds here, and the peer is not told.
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

    /// Whether calling the method twice does what calling it once does, so that a call whose outcome is unknown may be made again.
    /// Methods say so with `#[rpc(idempotent)]`; it does not travel.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The same call, which may be made again.
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// How long to wait from now on, given what the session's limits say.
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

    /// Until when to wait, where the wait has begun at `since`, if not now.
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

/// Calls and notifications that will go out together: what a [`Caller`](crate::Caller) is given, and a way to put a batch
/// together without types.
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
    /// It will be answered.
    Call(Outgoing<'a>),
    /// It will not.
    Notification(Outgoing<'a>),
}

impl<'a> OutgoingBatch<'a> {
    /// No messages yet. An empty batch cannot be sent.
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

    /// The same batch, whose messages end at `deadline` at the latest: see [`Outgoing::until`].
    pub fn until(self, deadline: Instant) -> Self {
        self.map(|outgoing| outgoing.until(deadline))
    }

    /// The same batch, with this where a message has no parameters: see [`Outgoing::empty_params_or`].
    pub fn empty_params_or(self, empty: EmptyParams) -> Self {
        self.map(|outgoing| outgoing.empty_params_or(empty))
    }

    /// The same batch, with each of its messages changed.
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

    /// Adds a call; `call` is none where it was polled before.
    pub(super) fn push_call(
        &mut self,
        method: &str,
        call: Option<Result<Outgoing<'a>, CallError>>,
    ) -> Result<(), BatchError> {
        let call = self.unsent(method, call)?;
        self.items.push(BatchItem::Call(call));
        Ok(())
    }

    /// Adds a notification; `notification` is none where it was polled before.
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

    /// Whether it will be answered.
    pub const fn is_call(&self) -> bool {
        matches!(self, Self::Call(_))
    }
}
