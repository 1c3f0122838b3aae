//! Why a call, or a batch of them, gave no value.

use std::{convert::Infallible, error::Error, fmt, time::Duration};

use super::CloseReason;
#[cfg(feature = "http")]
use crate::transport::HttpError;
use crate::{
    framing::FrameError,
    jsonrpc::{
        ErrorCode, ErrorObject, Executed, ProtocolError, ReplyError, RpcError, Unsupported, chain,
        shown::{brief, escaped},
    },
};

/// Why a call did not return what it was made for. `E` is the error type of the method.
///
/// [`executed`](Self::executed) says whether the call was carried out, and
/// [`guide::errors`](crate::guide::errors) has a table of all of them.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E: Error + 'static = Infallible> {
    /// The method failed in a way that it declares.
    Service(E),

    /// The peer answered with an error that is none of the method's own: an unknown method, wrong parameters, a failed handler.
    ///
    /// An error to the id null, which names no call, ends the only call in flight that it can mean, and says so in its text.
    Rpc(ErrorObject),

    /// No reply came in time. The peer may still be working on it; a late reply is ignored.
    Timeout(Duration),

    /// The session ended before the reply came, or had ended before.
    Closed {
        /// Why it ended.
        reason: CloseReason,
        /// Whether the call had left: the transport had taken the first byte of it. One that has not was
        /// not carried out, and will not be.
        sent: bool,
    },

    /// The parameters could not be written as JSON. Nothing was sent.
    Encode {
        /// The method that was called.
        method: String,
        /// What is wrong with them.
        source: serde_json::Error,
    },

    /// The message does not fit into a frame: see [`Framer::finish`](crate::framing::Framer::finish). Nothing was sent.
    Frame {
        /// The method that was called.
        method: String,
        /// What is wrong with the message.
        source: FrameError,
    },

    /// The version that is spoken, or what carries it, has no way to say it. Nothing was sent.
    Unsupported {
        /// The method that was called.
        method: String,
        /// What it has not.
        source: Unsupported,
    },

    /// The result is not of the type that was expected.
    Decode {
        /// The method that was called.
        method: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// The peer's reply breaks the rules of the protocol.
    Protocol {
        /// The method that was called.
        method: String,
        /// Which rule.
        source: ProtocolError,
    },

    /// HTTP, which was to carry the call, brought no reply. Whether the call was carried out is said at each cause.
    #[cfg(feature = "http")]
    Http(HttpError),
}

/// What this layer knows: the rest is said by the [`source`](Error::source), and [`chain`](crate::chain)
/// has all of it. An error of the service's speaks for itself.
impl<E: Error + 'static> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => escaped(error).fmt(f),
            Self::Rpc(_) => f.write_str("the peer answered with an error"),
            Self::Timeout(after) => write!(f, "no reply within {after:?}"),
            Self::Closed { sent: true, .. } => f.write_str("the session is closed"),
            Self::Closed { sent: false, .. } => {
                f.write_str("the session is closed, and the call was not sent")
            }
            Self::Encode { method, .. } => {
                write!(f, "the parameters of `{}` cannot be sent", escaped(method))
            }
            Self::Frame { method, .. } | Self::Unsupported { method, .. } => {
                write!(f, "`{}` cannot be called", escaped(method))
            }
            Self::Decode { method, .. } => {
                write!(f, "the result of `{}` cannot be read", escaped(method))
            }
            Self::Protocol { method, .. } => {
                write!(f, "the reply to `{}` cannot be used", escaped(method))
            }
            #[cfg(feature = "http")]
            Self::Http(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its text is shown as that of this error, so its cause comes next.
            Self::Service(error) => error.source(),
            Self::Rpc(error) => Some(error),
            Self::Timeout(_) => None,
            Self::Closed { reason, .. } => Some(reason),
            Self::Encode { source, .. } | Self::Decode { source, .. } => Some(source),
            Self::Frame { source, .. } => Some(source),
            Self::Unsupported { source, .. } => Some(source),
            Self::Protocol { source, .. } => Some(source),
            #[cfg(feature = "http")]
            Self::Http(error) => error.source(),
        }
    }
}

impl<E: Error + 'static> CallError<E> {
    /// Whether the call was carried out, as far as the error tells: see [`Executed`].
    ///
    /// ```
    /// use rpc::{CallError, Executed};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let (session, _peer) = rpc::testing::pair((), ());
    /// let error: CallError = session.call::<u64>("transfer", (5,)).await.unwrap_err();
    /// // There is no such method: it is safe to ask another server.
    /// assert_eq!(error.executed(), Executed::No);
    /// # }
    /// ```
    pub fn executed(&self) -> Executed {
        match self {
            Self::Service(_) | Self::Decode { .. } => Executed::Yes,
            Self::Rpc(error) => error.executed(),
            // A connection that was refused was not read, if the refusal says so.
            Self::Closed { reason: CloseReason::Refused(error), sent: true }
                if error.code() == ErrorCode::SERVER_BUSY && error.executed() == Executed::No =>
            {
                Executed::No
            }
            // What the peer has done with it is not known.
            Self::Timeout(_) | Self::Closed { sent: true, .. } | Self::Protocol { .. } => Executed::Perhaps,
            Self::Closed { sent: false, .. }
            | Self::Encode { .. }
            | Self::Frame { .. }
            | Self::Unsupported { .. } => Executed::No,
            #[cfg(feature = "http")]
            Self::Http(error) => error.executed(),
        }
    }
}

impl CallError {
    /// The same error, as one of a method that can fail in its own way.
    pub(crate) fn widen<E: Error + 'static>(self) -> CallError<E> {
        match self {
            Self::Service(never) => match never {},
            Self::Rpc(error) => CallError::Rpc(error),
            Self::Timeout(after) => CallError::Timeout(after),
            Self::Closed { reason, sent } => CallError::Closed { reason, sent },
            Self::Encode { method, source } => CallError::Encode { method, source },
            Self::Frame { method, source } => CallError::Frame { method, source },
            Self::Unsupported { method, source } => CallError::Unsupported { method, source },
            Self::Decode { method, source } => CallError::Decode { method, source },
            Self::Protocol { method, source } => CallError::Protocol { method, source },
            #[cfg(feature = "http")]
            Self::Http(error) => CallError::Http(error),
        }
    }
}

impl<E: RpcError> CallError<E> {
    /// What it means to the caller of `method` that its reply gives no value: for callers that are no session
    /// (mocks, balancers) and read a [`Reply`] themselves.
    #[cold]
    pub fn of_reply(method: &str, error: ReplyError) -> Self {
        match error {
            ReplyError::Error(object) => Self::of_object(object),
            ReplyError::Protocol(source) => Self::Protocol { method: method.to_owned(), source },
            ReplyError::Decode(source) => Self::Decode { method: method.to_owned(), source },
        }
    }

    /// An error of the peer's: one that the method declares, or another.
    pub(super) fn of_object(object: ErrorObject) -> Self {
        match E::from_error_object(&object) {
            Some(error) => Self::Service(error),
            None => Self::Rpc(object),
        }
    }
}

const UNUSABLE: &str = "the answer of another peer cannot be used";

#[cfg(feature = "http")]
const fn of_http(error: &HttpError) -> &'static str {
    match error {
        HttpError::Connect { .. } => "another server cannot be reached",
        #[cfg(feature = "socks")]
        HttpError::Socks { .. } => "another server cannot be reached",
        #[cfg(feature = "tls-no-provider")]
        HttpError::Tls { .. } => "another server cannot be reached",
        HttpError::Status { .. }
        | HttpError::TooManyRequests { .. }
        | HttpError::Unavailable { .. }
        | HttpError::Redirect { .. } => "another server has refused a call",
        HttpError::NoReply { .. } | HttpError::TooLarge { .. } => UNUSABLE,
        HttpError::Broken { .. } => "another server has not answered",
    }
}

/// A handler that calls on can use `?`.
///
/// - An error of the peer's is passed on as it is: code, message and data.
/// - Any other failure becomes an internal error (-32603) with a short message, which names no method, address or
///   cause. Its `data` says whether the call was carried out, as [`ErrorObject::executed`] reads it:
///   `{"executed":false}`, `{"executed":true}`, or `{"executed":null}` where that is not known.
///   The causes are logged at DEBUG.
///
/// To pass on an error of the peer's tells the caller that it is the handler's own. Where a handler does more than to
/// call on, codes such as -32601 say too much: map them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use rpc::{ErrorObject, Executed, Session, rpc_service};
///
/// #[rpc_service]
/// trait Store {
///     async fn stock(&self, item: &str) -> Result<u32, ErrorObject>;
/// }
///
/// /// It asks the warehouse.
/// struct Shop {
///     warehouse: Session,
/// }
///
/// impl Store for Shop {
///     async fn stock(&self, item: &str) -> Result<u32, ErrorObject> {
///         Ok(self.warehouse.call::<u32>("count", (item,)).await?)
///     }
/// }
///
/// let (warehouse, _) = rpc::testing::pair((), ());
/// warehouse.abort();
/// let (session, _shop) = rpc::testing::pair((), StoreServer::new(Shop { warehouse }));
/// let error = StoreClient::from(session).stock("apples").await.unwrap_err();
/// assert_eq!(error.to_string(), "the session with another peer is closed (code -32603)");
/// # let rpc::CallError::Service(error) = error else { panic!("{error}") };
/// assert_eq!(error.executed(), Executed::No);
/// # }
/// ```
impl<E: RpcError> From<CallError<E>> for ErrorObject {
    fn from(error: CallError<E>) -> Self {
        let message = match &error {
            CallError::Service(error) => return error.to_error_object(),
            CallError::Rpc(object) => return object.clone(),
            CallError::Timeout(_) => "another peer did not answer in time",
            CallError::Closed { .. } => "the session with another peer is closed",
            CallError::Encode { .. } | CallError::Frame { .. } | CallError::Unsupported { .. } => {
                "a call to another peer cannot be sent"
            }
            CallError::Decode { .. } | CallError::Protocol { .. } => UNUSABLE,
            #[cfg(feature = "http")]
            CallError::Http(error) => of_http(error),
        };
        tracing::debug!(
            rpc.system.name = "jsonrpc",
            error = %brief(chain(&error)),
            "a handler passes on the failure of a call of its own"
        );
        let executed = match error.executed() {
            Executed::No => Some(false),
            Executed::Yes => Some(true),
            Executed::Perhaps => None,
        };
        Self::new(ErrorCode::INTERNAL_ERROR, message).and_executed(executed)
    }
}

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
