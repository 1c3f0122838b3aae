//! A caller with a deadline.

use tokio::time::Instant;

use super::Outgoing;

/// A caller whose calls all end at a deadline, if they have not before: with
/// [`CallError::Timeout`](crate::CallError::Timeout). Once it has passed nothing is sent any more. Made by
/// [`Context::within`](crate::Context::within) and [`Context::caller`](crate::Context::caller), or with
/// [`new`](Self::new).
///
/// What a call says itself, with [`Call::timeout`](crate::Call::timeout), holds where that is earlier; even one that is to wait for ever ends
/// at the deadline. Of a subscription it is the asking that ends, and not the items; but work that reports its progress ends as a
/// whole. The deadline does not travel: JSON-RPC has no member for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use rpc::{CallError, Within, rpc_service};
/// use tokio::time::Instant;
///
/// #[rpc_service]
/// trait Slow {
///     async fn never(&self);
/// }
///
/// struct Sleeper;
/// impl Slow for Sleeper {
///     async fn never(&self) { std::future::pending().await }
/// }
///
/// let (session, _peer) = rpc::testing::pair((), SlowServer::new(Sleeper));
/// let soon = Within::new(session, Some(Instant::now() + Duration::from_millis(10)));
/// assert!(matches!(SlowClient::from(soon).never().await, Err(CallError::Timeout(_))));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Within<C> {
    caller: C,
    deadline: Option<Instant>,
}

impl<C> Within<C> {
    /// Calls through `caller` until `deadline`; `None` changes nothing.
    pub const fn new(caller: C, deadline: Option<Instant>) -> Self {
        Self { caller, deadline }
    }

    /// When its calls end.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn changed<'a>(&self, outgoing: Outgoing<'a>) -> Outgoing<'a> {
        match self.deadline {
            Some(deadline) => outgoing.until(deadline),
            None => outgoing,
        }
    }
}

calls_through!(Within);
