//! A caller that records the calls made over it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::session::{BatchItem, Caller, Outgoing, OutgoingBatch};

/// Forwards calls to another caller, and keeps a list of them. Clones share the list.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{rpc_service, testing::{self, Recorder}};
///
/// #[rpc_service]
/// trait Light {
///     async fn dim(&self, room: &str, percent: u8) -> bool;
///     #[rpc(notification)]
///     async fn flash(&self);
/// }
/// # struct Lamp;
/// # impl Light for Lamp {
/// #     async fn dim(&self, _: &str, _: u8) -> bool { true }
/// #     async fn flash(&self) {}
/// # }
/// # let (session, _peer) = testing::pair((), LightServer::new(Lamp));
///
/// // The code under test works over any caller.
/// async fn good_night<C: rpc::Caller>(light: &LightClient<C>) -> Result<(), rpc::CallError> {
///     light.flash().await?;
///     light.dim("hall", 0).await?;
///     Ok(())
/// }
///
/// let recorder = Recorder::new(session);
/// good_night(&LightClient::from(recorder.clone())).await?;
/// assert_eq!(recorder.recorded(), ["flash", r#"dim ["hall",0]"#]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Recorder<C> {
    caller: C,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

/// A call or a notification that went through a [`Recorder`]. It prints as `method params`, or
/// `method` without parameters, and compares with a string in that form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The method's name on the wire.
    pub method: String,
    /// The parameters, as the JSON that was sent; `None` if there were none.
    pub params: Option<String>,
    /// True for a notification, which has no reply.
    pub is_notification: bool,
    /// True for a member of a batch.
    pub in_batch: bool,
}

impl<C> Recorder<C> {
    /// Records the calls and notifications that go through `caller`.
    pub fn new(caller: C) -> Self {
        Self { caller, recorded: Arc::default() }
    }

    /// All calls and notifications so far, in order.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    /// All calls and notifications since the last `take`, in order.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.lock())
    }

    fn record(&self, outgoing: &Outgoing<'_>, is_notification: bool, in_batch: bool) {
        let (method, params) = (outgoing.method().to_owned(), outgoing.params().map(str::to_owned));
        self.lock().push(Recorded { method, params, is_notification, in_batch });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Caller> Caller for Recorder<C> {
    type Call<'a> = C::Call<'a>;
    type Notify<'a> = C::Notify<'a>;
    type Batch<'a> = C::Batch<'a>;

    fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
        self.record(&call, false, false);
        self.caller.call(call)
    }

    fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
        self.record(&notification, true, false);
        self.caller.notify(notification)
    }

    fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
        batch.items().iter().for_each(|item| self.record(item.outgoing(), !BatchItem::is_call(item), true));
        self.caller.batch(batch)
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.params {
            Some(params) => write!(f, "{} {params}", self.method),
            None => f.write_str(&self.method),
        }
    }
}

impl PartialEq<&str> for Recorded {
    fn eq(&self, other: &&str) -> bool {
        self.to_string() == **other
    }
}
