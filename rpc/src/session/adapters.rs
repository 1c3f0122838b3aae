//! Adapters of callers: each changes the messages that pass through it.

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{CallError, Caller, Outgoing, OutgoingBatch, OutgoingSubscription, RawSubscription, Subscriber};
use crate::jsonrpc::EmptyParams;

/// A caller with a deadline: calls that have not ended by then end with
/// [`CallError::Timeout`](crate::CallError::Timeout), and nothing is sent after it. Made by
/// [`Context::within`](crate::Context::within) and [`Context::caller`](crate::Context::caller), or
/// with [`new`](Self::new).
///
/// A timeout of the call itself, set with [`Call::timeout`](crate::Call::timeout), applies if it is
/// earlier; even a call without a timeout ends at the deadline. A subscription has to begin by the
/// deadline, and its items may come later; but work that reports its progress ends as a whole. The
/// deadline is not sent to the peer: JSON-RPC has no member for it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use rpc::{CallError, DeadlineCaller, rpc_service};
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
/// let soon = DeadlineCaller::new(session, Some(Instant::now() + Duration::from_millis(10)));
/// assert!(matches!(SlowClient::from(soon).never().await, Err(CallError::Timeout(_))));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DeadlineCaller<C> {
    caller: C,
    deadline: Option<Instant>,
}

impl<C> DeadlineCaller<C> {
    /// Calls through `caller` until `deadline`; `None` changes nothing.
    pub const fn new(caller: C, deadline: Option<Instant>) -> Self {
        Self { caller, deadline }
    }

    /// The deadline of its calls.
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

/// A caller that sends `params` with every message, `[]` or `{}` where a call has no parameters:
/// for a peer that insists on them while others on the same connection, or other methods, do not. A
/// setting of the method or the service takes precedence (`#[rpc(empty_params = "array")]`); the
/// setting of the connection is used last
/// ([`Connector::empty_params`](crate::Connector::empty_params)).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc::{Context, EmptyParams, ErrorObject, Params, Router, WithEmptyParams, rpc_service};
///
/// #[rpc_service]
/// trait Node {
///     async fn height(&self) -> u64;
/// }
///
/// // It refuses a request without `params`.
/// let strict = Router::new().method("height", async |params: Params, _: Context| {
///     params.as_json().map(|_| 7).ok_or_else(|| ErrorObject::new(-32602, "no params"))
/// });
/// let (session, _peer) = rpc::testing::pair((), strict);
/// assert!(NodeClient::from(session.clone()).height().await.is_err());
///
/// let node = NodeClient::from(WithEmptyParams::new(session, EmptyParams::Array));
/// assert_eq!(node.height().await?, 7);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct WithEmptyParams<C> {
    caller: C,
    empty: EmptyParams,
}

impl<C> WithEmptyParams<C> {
    /// Calls through `caller`, sending `empty` where there are no parameters.
    pub const fn new(caller: C, empty: EmptyParams) -> Self {
        Self { caller, empty }
    }

    /// The `params` of a message without parameters.
    pub const fn empty_params(&self) -> EmptyParams {
        self.empty
    }

    fn changed<'a>(&self, outgoing: Outgoing<'a>) -> Outgoing<'a> {
        outgoing.empty_params_or(self.empty)
    }
}

/// Implements `Caller` and `Subscriber` for `$wrapper<C>`: each message is passed to its `changed`
/// method, then to its field `caller`.
macro_rules! calls_through {
    ($wrapper:ident) => {
        impl<C: Caller> Caller for $wrapper<C> {
            type Call<'a> = C::Call<'a>;
            type Notify<'a> = C::Notify<'a>;
            type Batch<'a> = C::Batch<'a>;

            fn call<'a>(&self, call: Outgoing<'a>) -> Self::Call<'a> {
                self.caller.call(self.changed(call))
            }

            fn notify<'a>(&self, notification: Outgoing<'a>) -> Self::Notify<'a> {
                self.caller.notify(self.changed(notification))
            }

            fn batch<'a>(&self, batch: OutgoingBatch<'a>) -> Self::Batch<'a> {
                self.caller.batch(batch.map(|outgoing| self.changed(outgoing)))
            }

            fn into_call<'a>(self, call: Outgoing<'a>) -> Self::Call<'a> {
                let call = self.changed(call);
                self.caller.into_call(call)
            }
        }

        impl<C: Subscriber> Subscriber for $wrapper<C> {
            fn subscribe<'a>(
                &self,
                subscription: OutgoingSubscription<'a>,
            ) -> BoxFuture<'a, Result<RawSubscription, CallError>> {
                self.caller.subscribe(subscription.map(|outgoing| self.changed(outgoing)))
            }
        }
    };
}

calls_through!(DeadlineCaller);
calls_through!(WithEmptyParams);
