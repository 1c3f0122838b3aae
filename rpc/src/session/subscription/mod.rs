//! Subscriptions of this side: streams of items that the peer sends.

mod begin;
mod error;
mod raw;
mod subscribe;

use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Stream, stream::FusedStream};
use serde::de::DeserializeOwned;

pub use error::SubscriptionError;
pub use raw::RawSubscription;
pub use subscribe::{Items, OutgoingSubscription, Subscribe, Subscriber};

use super::subscriptions::{End, Taken};
use crate::jsonrpc::{RpcError, clean_json};

/// The items of a subscription, as a stream. `E` is the error type of items that are `Result`s.
///
/// Dropping it ends the subscription: the peer is told, and stops. The stream ends when the peer's does; where that has failed, or
/// the session ends, the last thing it gives is the error. It keeps the session alive.
///
/// Polling is cancel safe: an item that was not taken is there the next time.
pub struct Subscription<T, E = Infallible> {
    raw: RawSubscription,
    has_ended: bool,
    items: PhantomData<fn() -> (T, E)>,
}

impl<T, E> Subscription<T, E> {
    /// Reads items as `T`, which is not checked before the first one.
    pub const fn new(raw: RawSubscription) -> Self {
        Self { raw, has_ended: false, items: PhantomData }
    }

    /// Ends it, as dropping does.
    pub fn unsubscribe(self) {}
}

impl<T: DeserializeOwned, E: RpcError> Stream for Subscription<T, E> {
    type Item = Result<T, SubscriptionError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let taken = ready!(self.raw.poll_take(cx));
        self.has_ended = matches!(taken, Taken::End(_) | Taken::Nothing);
        Poll::Ready(match taken {
            Taken::Item => {
                Some(self.raw.decode().map_err(|error| SubscriptionError::Decode(clean_json(error))))
            }
            Taken::Lost(items) => Some(Err(SubscriptionError::Lost(items))),
            Taken::Nothing | Taken::End(End::Finished) => None,
            Taken::End(End::TooSlow(waiting)) => Some(Err(SubscriptionError::TooSlow(waiting))),
            Taken::End(End::Broken(error)) => Some(Err(SubscriptionError::Protocol(error))),
            Taken::End(End::Timeout(after)) => Some(Err(SubscriptionError::Timeout(after))),
            Taken::End(End::Closed(reason)) => Some(Err(SubscriptionError::Closed(reason))),
            Taken::End(End::Failed(error)) => Some(Err(match E::from_error_object(&error) {
                Some(error) => SubscriptionError::Service(error),
                None => SubscriptionError::Rpc(error),
            })),
        })
    }
}

impl<T: DeserializeOwned, E: RpcError> FusedStream for Subscription<T, E> {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl<T, E> fmt::Debug for Subscription<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("raw", &self.raw).finish_non_exhaustive()
    }
}
