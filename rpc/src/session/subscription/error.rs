//! Why a subscription gives no item.

use std::{convert::Infallible, fmt, time::Duration};

use crate::{
    jsonrpc::{ErrorObject, ProtocolError, shown::escaped},
    session::CloseReason,
};

/// What a [`Subscription`](super::Subscription) gives in place of an item. `E` is the error type of the stream's items.
///
/// After [`Lost`](Self::Lost) and [`Decode`](Self::Decode) the subscription goes on; after the others it has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum SubscriptionError<E: std::error::Error + 'static = Infallible> {
    /// The stream failed in a way that it declares.
    Service(E),

    /// The stream failed in another way, or the server ended it: a failed handler, a subscriber that was too slow.
    Rpc(ErrorObject),

    /// Items were dropped, on either side, because they were not taken as fast as they came.
    Lost(u64),

    /// More items came than are kept, and the subscription was to end for that: see [`Overflow::End`](crate::Overflow::End).
    TooSlow(usize),

    /// Work that reports its progress was not heard of in time, neither a report nor its end. The peer was told that nobody waits for it any
    /// more.
    Timeout(Duration),

    /// The reply that was to end the stream breaks the rules of the protocol.
    Protocol(ProtocolError),

    /// The session ended.
    Closed(CloseReason),

    /// An item is not of the type that was expected.
    Decode(serde_json::Error),
}

/// What this layer knows: the rest is said by the [`source`](std::error::Error::source), and [`chain`](crate::chain)
/// has all of it. An error of the service's speaks for itself.
impl<E: std::error::Error + 'static> fmt::Display for SubscriptionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => escaped(error).fmt(f),
            Self::Rpc(_) => f.write_str("the peer ended the subscription with an error"),
            Self::Lost(items) => write!(f, "{items} items were lost"),
            Self::TooSlow(waiting) => {
                write!(f, "the subscription has ended: {waiting} items wait, and none is taken")
            }
            Self::Timeout(after) => write!(f, "no sign of life within {after:?}"),
            Self::Protocol(error) => error.fmt(f),
            Self::Closed(_) => f.write_str("the session is closed"),
            Self::Decode(_) => f.write_str("an item cannot be read"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for SubscriptionError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is shown as that of this error, so its cause comes next.
            Self::Service(error) => error.source(),
            Self::Rpc(error) => Some(error),
            Self::Lost(_) | Self::TooSlow(_) | Self::Timeout(_) => None,
            Self::Protocol(error) => error.source(),
            Self::Closed(reason) => Some(reason),
            Self::Decode(error) => Some(error),
        }
    }
}
