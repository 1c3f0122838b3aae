//! The errors of calls and of batches.

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

/// The error of a call. `E` is the error type of the method.
///
/// [`executed`](Self::executed) tells whether the call was executed, and
/// [`guide::errors`](crate::guide::errors) has a table of all variants.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E: Error + 'static = Infallible> {
    /// The method failed with the error type that it declares.
    Service(E),

    /// The peer answered with another error: an unknown method, invalid parameters, a failed
    /// handler.
    ///
    /// An error with the id null names no call. It ends the only call in flight that it can belong
    /// to, and its text says so.
    Rpc(ErrorObject),

    /// No reply came in time. The peer may still execute the call; a late reply is ignored.
    Timeout(Duration),

    /// The session ended before the reply came, or before the call was made.
    Closed {
        /// The reason of the end.
        reason: CloseReason,
        /// True if the transport has taken the first byte of the call. A call that was not sent is
        /// not executed.
        sent: bool,
    },

    /// The parameters could not be serialized as JSON. Nothing was sent.
    Encode {
        /// The method that was called.
        method: String,
        /// The cause.
        source: serde_json::Error,
    },

    /// The message does not fit into a frame: see
    /// [`Framer::finish`](crate::framing::Framer::finish). Nothing was sent.
    Frame {
        /// The method that was called.
        method: String,
        /// The cause.
        source: FrameError,
    },

    /// The protocol version or the transport does not support it. Nothing was sent.
    Unsupported {
        /// The method that was called.
        method: String,
        /// The missing feature.
        source: Unsupported,
    },

    /// The result does not have the expected type.
    Decode {
        /// The method that was called.
        method: String,
        /// The cause.
        source: serde_json::Error,
    },

    /// The peer's reply violates the protocol.
    Protocol {
        /// The method that was called.
        method: String,
        /// The violated rule.
        source: ProtocolError,
    },

    /// The HTTP exchange that carried the call gave no reply. Each cause says whether the call was
    /// executed.
    #[cfg(feature = "http")]
    Http(HttpError),
}

/// The text of this layer only: the [`source`](Error::source) has the rest, and
/// [`chain`](crate::chain) shows all of it. An error of the service is shown as it is.
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
            // Its text is shown as that of this error, so the next in the chain is its source.
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
    /// Whether the call was executed, as far as the error tells: see [`Executed`].
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
            // A server that refuses a connection has not read it, if the refusal says so.
            Self::Closed { reason: CloseReason::Refused(error), sent: true }
                if error.code() == ErrorCode::SERVER_BUSY && error.executed() == Executed::No =>
            {
                Executed::No
            }
            // It is not known what the peer has done with it.
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
    /// The same error for a method that has an error type of its own.
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
    /// The error of a call of `method` whose reply has no value: for callers other than a session
    /// (mocks, load balancers) that read a [`Reply`](crate::Reply) themselves.
    #[cold]
    pub fn of_reply(method: &str, error: ReplyError) -> Self {
        match error {
            ReplyError::Error(object) => Self::of_object(object),
            ReplyError::Protocol(source) => Self::Protocol { method: method.to_owned(), source },
            ReplyError::Decode(source) => Self::Decode { method: method.to_owned(), source },
        }
    }

    /// An error of the peer: the declared error of the method if it is one.
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

/// Lets a handler that makes calls use `?`.
///
/// - An error of the peer is passed on unchanged: code, message and data.
/// - Any other failure becomes an internal error (-32603) with a short message, without method,
///   address or cause. Its `data` says whether the call was executed, as [`ErrorObject::executed`]
///   reads it: `{"executed":false}`, `{"executed":true}`, or `{"executed":null}` if it is not
///   known. The causes are logged at DEBUG.
///
/// A caller takes an error that is passed on for the handler's own. If a handler does more than to
/// forward a call, codes such as -32601 mislead its caller: map them.
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

/// The error of a batch as a whole. Members have their own results, unless the batch was to fail
/// with the first member that fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The protocol version does not support batches, or the batch is empty. Nothing was sent.
    #[error("the batch cannot be sent")]
    Unsupported(#[source] Unsupported),

    /// The batch does not fit into a frame: see [`Framer::finish`](crate::framing::Framer::finish).
    /// Nothing was sent.
    #[error("the batch cannot be sent")]
    Frame(#[source] FrameError),

    /// The session had ended before the batch was sent.
    #[error("the session is closed")]
    Closed(#[source] CloseReason),

    /// There was no capacity in the write buffer for this long. Nothing was sent.
    #[error("the batch could not be sent within {0:?}")]
    Timeout(Duration),

    /// The HTTP exchange that carried the batch gave no reply. Each cause says whether its calls
    /// were executed.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(HttpError),

    /// The parameters of a member could not be serialized as JSON. Nothing was sent.
    #[error("the parameters of `{}`, member {index} of the batch, cannot be sent", escaped(.method))]
    Encode {
        /// The index of the member, from 0.
        index: usize,
        /// The method of the member.
        method: String,
        /// The cause.
        source: serde_json::Error,
    },

    /// A member was polled before it was added to the batch, so it may have been sent by itself. It
    /// was dropped, and is abandoned like any [`Call`](crate::Call) that is dropped. The batch was
    /// not sent.
    #[error(
        "`{}`, member {index} of the batch, was polled before: it was sent by itself, and cannot be sent again; put calls into a \
         batch that were not awaited",
        escaped(.method)
    )]
    Polled {
        /// The index of the member, from 0.
        index: usize,
        /// The method of the member.
        method: String,
    },

    /// A member failed, and the batch was to fail with it. The other members may have been
    /// executed.
    #[error("`{}`, member {index} of the batch, failed", escaped(.method))]
    Member {
        /// The index of the member, from 0.
        index: usize,
        /// The method of the member.
        method: String,
        /// The [`CallError`](crate::CallError) of the method.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl BatchError {
    /// Whether calls of the batch were executed, as far as the error tells: see [`Executed`].
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
