//! What a batch carries, written and not yet sent.

use serde::Serialize;
use tokio::time::Instant;

use super::BatchError;
use crate::{
    jsonrpc::EmptyParams,
    session::{CallError, Outgoing},
};

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
