//! Why a batch as a whole gave nothing.

use std::{error::Error, time::Duration};

#[cfg(feature = "http")]
use crate::transport::HttpError;
use crate::{
    framing::FrameError,
    jsonrpc::{Executed, Unsupported, shown::escaped},
    session::{CloseReason, room::NotSent},
};

/// Why a batch as a whole gave nothing. What happened to single members is in their own results, unless one was asked to
/// fail for all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The version that is spoken has no way to say it, or the batch is empty. Nothing was sent.
    #[error("the batch cannot be sent")]
    Unsupported(#[source] Unsupported),

    /// The batch does not fit into a frame: see [`Framer::finish`](crate::framing::Framer::finish). Nothing was sent.
    #[error("the batch cannot be sent")]
    Frame(#[source] FrameError),

    /// The session had ended before the batch was sent.
    #[error("the session is closed")]
    Closed(#[source] CloseReason),

    /// There was no room among the outgoing bytes for so long. Nothing was sent.
    #[error("the batch could not be sent within {0:?}")]
    Timeout(Duration),

    /// HTTP, which was to carry the batch, brought no reply. Whether its calls were carried out is said at each cause.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(HttpError),

    /// The parameters of a member could not be written as JSON. Nothing was sent.
    #[error("the parameters of `{}`, member {index} of the batch, cannot be sent", escaped(.method))]
    Encode {
        /// Its place in the batch, from 0.
        index: usize,
        /// The method that it calls.
        method: String,
        /// What is wrong with them.
        source: serde_json::Error,
    },

    /// A member was polled before it was put into the batch, so that it may have been sent by itself. It was dropped, and is forgotten
    /// like any [`Call`](crate::Call) that is dropped. The batch was not sent.
    #[error(
        "`{}`, member {index} of the batch, was polled before: it was sent by itself, and cannot be sent again; put calls into a \
         batch that were not awaited",
        escaped(.method)
    )]
    Polled {
        /// Its place in the batch, from 0.
        index: usize,
        /// The method that it calls.
        method: String,
    },

    /// A member failed, and the batch was to fail with it. The others may have been carried out.
    #[error("`{}`, member {index} of the batch, failed", escaped(.method))]
    Member {
        /// Its place in the batch, from 0.
        index: usize,
        /// The method that it calls.
        method: String,
        /// The [`CallError`](crate::CallError) of the method.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl BatchError {
    /// Whether calls of the batch were carried out, as far as the error tells: see [`Executed`].
    pub fn executed(&self) -> Executed {
        match self {
            Self::Unsupported(_)
            | Self::Frame(_)
            | Self::Closed(_)
            | Self::Timeout(_)
            | Self::Encode { .. } => Executed::No,
            Self::Polled { .. } | Self::Member { .. } => Executed::Perhaps,
            #[cfg(feature = "http")]
            Self::Http(error) => error.executed(),
        }
    }
}

impl From<NotSent> for BatchError {
    fn from(not_sent: NotSent) -> Self {
        match not_sent {
            NotSent::Closed(reason) => Self::Closed(reason),
            NotSent::Timeout(after) => Self::Timeout(after),
            NotSent::Unsupported(what) => Self::Unsupported(what),
            NotSent::Frame(error) => Self::Frame(error),
        }
    }
}
