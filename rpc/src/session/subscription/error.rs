//! Why a subscription gives no item.

use std::{convert::Infallible, time::Duration};

use crate::{
    jsonrpc::{ErrorObject, ProtocolError, shown::escaped},
    session::CloseReason,
};

/// What a [`Subscription`](super::Subscription) gives in place of an item. `E` is the error type of the stream's items.
///
/// After [`Lost`](Self::Lost) and [`Decode`](Self::Decode) the subscription goes on; after the others it has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError<E: std::error::Error + 'static = Infallible> {
    /// The stream failed in a way that it declares.
    #[error("{}", escaped(.0))]
    Service(#[source] E),

    /// The stream failed in another way, or the server ended it: a failed handler, a subscriber that was too slow.
    #[error("the peer ended the subscription with an error: {0}")]
    Rpc(#[source] ErrorObject),

    /// Items were dropped, on either side, because they were not taken as fast as they came.
    #[error("{0} items were lost")]
    Lost(u64),

    /// More items came than are kept, and the subscription was to end for that: see [`Overflow::End`](crate::Overflow::End).
    #[error("the subscription has ended: {0} items wait, and none is taken")]
    TooSlow(usize),

    /// Work that reports its progress was not heard of in time, neither a report nor its end. The peer was told that nobody waits for it any
    /// more.
    #[error("no sign of life within {0:?}")]
    Timeout(Duration),

    /// The reply that was to end the stream breaks the rules of the protocol.
    #[error(transparent)]
    Protocol(ProtocolError),

    /// The session ended.
    #[error("the session is closed: {0}")]
    Closed(#[source] CloseReason),

    /// An item is not of the type that was expected.
    #[error("an item cannot be read: {}", escaped(.0))]
    Decode(#[source] serde_json::Error),
}
