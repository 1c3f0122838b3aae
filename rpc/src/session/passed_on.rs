//! The error of a call, as the error of the handler that has made it.

#[cfg(feature = "http")]
use crate::transport::HttpError;
use crate::{
    jsonrpc::{ErrorCode, ErrorObject, Executed, RpcError, chain, shown::brief},
    session::CallError,
};

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
