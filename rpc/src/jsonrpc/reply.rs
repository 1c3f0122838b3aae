//! Replies: the reply to a call of this side, until the caller decodes it, and the reply to a
//! request of the peer, written from the result of the method.

use std::{convert::Infallible, error::Error};

use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{
    ErrorCode, ErrorObject, Id, Message, Outcome, ProtocolError,
    buffer::Text,
    error::TO_NO_ID,
    json_text,
    shown::{brief, clean_json},
    version::Version,
};

/// The reply to a call: the text of a result, or an error.
///
/// It is decoded where the typed call is awaited, not where it was received: decoding is the
/// caller's work, and does not delay other replies.
#[derive(Debug, Clone)]
pub struct Reply(ReplyRepr);

#[derive(Debug, Clone)]
enum ReplyRepr {
    Result(Text),
    /// See [`Outcome::Unverified`].
    Unverified(Text),
    Error(Box<ErrorObject>),
    Malformed(Box<str>),
    /// A reply that was dropped: the bytes that had come, and the limit.
    TooLarge(usize, usize),
}

/// Why a reply has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The reply is an error.
    #[error("the peer answered with an error")]
    Error(#[source] ErrorObject),
    /// The version in force does not allow the reply.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// The result is not of the expected type.
    #[error("the result cannot be read")]
    Decode(#[source] serde_json::Error),
}

impl Reply {
    /// A reply with a result, for callers without a session (mocks, load balancers).
    ///
    /// # Errors
    ///
    /// If `value` cannot be written as JSON.
    pub fn result(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        Ok(Self(ReplyRepr::Result(serde_json::to_string(value)?.as_str().into())))
    }

    /// A reply with an error.
    pub fn error(error: ErrorObject) -> Self {
        Self(ReplyRepr::Error(Box::new(error)))
    }

    /// The outcome of a call that the reply to its batch leaves out.
    pub(crate) fn missing_in_batch() -> Self {
        Self::malformed("the reply to the batch has none to this call")
    }

    /// The outcome of a call without a valid reply.
    pub(crate) fn malformed(reason: &str) -> Self {
        Self(ReplyRepr::Malformed(reason.into()))
    }

    /// The outcome of a call whose reply was dropped because it exceeds the limit.
    pub(crate) const fn too_large(size: usize, limit: usize) -> Self {
        Self(ReplyRepr::TooLarge(size, limit))
    }

    pub(crate) fn new(outcome: Outcome<'_>) -> Self {
        Self(match outcome {
            Outcome::Result(text) => ReplyRepr::Result(text.into()),
            Outcome::Unverified(text) => ReplyRepr::Unverified(text.into()),
            Outcome::Error(error) => ReplyRepr::Error(Box::new(error)),
            Outcome::Malformed(reason) => ReplyRepr::Malformed(reason.into()),
        })
    }

    /// The same reply, which has no id and can only refer to one call.
    pub(crate) fn answering_no_id(self) -> Self {
        Self(match self.0 {
            ReplyRepr::Error(error) => ReplyRepr::Error(Box::new(error.answering_no_id())),
            ReplyRepr::Malformed(reason) => ReplyRepr::Malformed(format!("{reason}{TO_NO_ID}").into()),
            other => other,
        })
    }

    /// Whether the peer says that this side costs it too much: it closes the session next.
    pub(crate) fn refuses_session(&self) -> bool {
        matches!(&self.0, ReplyRepr::Error(error) if error.code() == ErrorCode::EXCESSIVE_RESOURCE_USAGE)
    }

    /// Whether the reply is known to be an error.
    pub const fn is_error(&self) -> bool {
        matches!(self.0, ReplyRepr::Error(_) | ReplyRepr::Malformed(_) | ReplyRepr::TooLarge(..))
    }

    /// Whether the reply is known to be malformed.
    #[cfg(feature = "http")]
    pub(crate) const fn is_malformed(&self) -> bool {
        matches!(self.0, ReplyRepr::Malformed(_))
    }

    /// The same reply, unless it is an error.
    ///
    /// # Errors
    ///
    /// If the reply is an error, or violates the protocol.
    pub fn into_result(self) -> Result<Self, ReplyError> {
        match self.0 {
            ReplyRepr::Result(_) => Ok(self),
            ReplyRepr::Unverified(text) => match text.decode::<IgnoredAny>() {
                Ok(_) => Ok(Self(ReplyRepr::Result(text))),
                Err(_) => Self::judge(text.as_str()).into_result(),
            },
            ReplyRepr::Error(error) => Err(ReplyError::Error(*error)),
            ReplyRepr::Malformed(reason) => {
                let reason = reason.into();
                Err(ReplyError::Protocol(ProtocolError::MalformedReply { reason }))
            }
            ReplyRepr::TooLarge(size, limit) => {
                Err(ReplyError::Protocol(ProtocolError::ReplyTooLarge { size, limit }))
            }
        }
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// If the reply is an error, violates the protocol, or has a result that is no `T`.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, ReplyError> {
        match self.0 {
            ReplyRepr::Result(text) => text.decode().map_err(|error| ReplyError::Decode(clean_json(error))),
            ReplyRepr::Unverified(text) => match text.decode() {
                Ok(value) => Ok(value),
                // Something else follows the result, or it has the wrong type: the whole message
                // decides.
                Err(_) => Self::judge(text.as_str()).decode(),
            },
            ReplyRepr::Error(_) | ReplyRepr::Malformed(_) | ReplyRepr::TooLarge(..) => {
                self.into_result()?.decode()
            }
        }
    }

    /// Restores the whole message (everything before `rest` is known) and reads it in full.
    fn judge(rest: &str) -> Self {
        match Version::read_expected_response(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{rest}}}"#)) {
            Message::Response(response) => Self::new(response.outcome),
            Message::Malformed(malformed) => Self(ReplyRepr::Malformed(malformed.error.message().into())),
            Message::Request(_) | Message::Batch(_) => {
                Self(ReplyRepr::Malformed("it is also a request".into()))
            }
        }
    }
}

/// An error that a method returns and that its caller receives as the same type with the same
/// fields.
///
/// Derive it: [`#[derive(RpcError)]`](macro@crate::RpcError) gives every variant a code, sends the
/// `Display` text as the message, and sends the fields as `data`. Implement it by hand if the shape
/// of a variant on the wire is given. In this example the peer's errors have a code and a message,
/// and no `data` for fields:
///
/// ```
/// use rpc::{ErrorObject, RpcError};
///
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// enum NodeError {
///     #[error("{0}")]
///     BadRequest(String),
/// }
///
/// impl RpcError for NodeError {
///     fn to_error_object(&self) -> ErrorObject {
///         ErrorObject::new(1, self.to_string())
///     }
///
///     fn from_error_object(error: &ErrorObject) -> Option<Self> {
///         (error.code().value() == 1).then(|| Self::BadRequest(error.message().to_owned()))
///     }
/// }
///
/// let error = NodeError::BadRequest("no such block".to_owned());
/// assert_eq!(NodeError::from_error_object(&error.to_error_object()), Some(error));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error that can travel",
    label = "this type has no code on the wire",
    note = "derive it for a type of yours: `#[derive(Debug, thiserror::Error, RpcError)]`, with a `#[rpc(code = ..)]` for each variant",
    note = "`ErrorObject` is an error for those who have no type of their own"
)]
pub trait RpcError: Error + Sized + 'static {
    /// The error to send.
    fn to_error_object(&self) -> ErrorObject;

    /// The value of this type that `error` stands for; `None` if there is none: the caller then
    /// gets [`CallError::Rpc`](crate::CallError::Rpc).
    fn from_error_object(error: &ErrorObject) -> Option<Self>;
}

/// Any error, untyped.
impl RpcError for ErrorObject {
    fn to_error_object(&self) -> ErrorObject {
        self.clone()
    }

    fn from_error_object(error: &ErrorObject) -> Option<Self> {
        Some(error.clone())
    }
}

/// For methods that cannot fail.
impl RpcError for Infallible {
    fn to_error_object(&self) -> ErrorObject {
        match *self {}
    }

    fn from_error_object(_: &ErrorObject) -> Option<Self> {
        None
    }
}

/// Appends the reply to the request `id`. A result that cannot be written, or is larger than
/// `limit` bytes, becomes an error: the request is answered in any case. Returns the code of the
/// error, if the reply is one.
pub(crate) fn put_result<T: Serialize, E: RpcError>(
    out: &mut Vec<u8>,
    version: Version,
    id: Id<'_>,
    result: Result<&T, &E>,
    limit: usize,
) -> Option<ErrorCode> {
    let message = out.len();
    let (size, failed, code) = match result {
        Ok(value) => {
            version.begin_result(out, id);
            let start = out.len();
            let written = json_text::write(out, value);
            let size = out.len() - start;
            version.end_result(out, id);
            (size, written.err(), None)
        }
        Err(error) => {
            let error = error.to_error_object();
            version.put_error(out, id, &error);
            (out.len() - message, None, Some(error.code()))
        }
    };
    if failed.is_some() || size > limit {
        out.truncate(message);
        let error = unsendable(failed, size, limit);
        version.put_error(out, id, &error);
        return Some(error.code());
    }
    code
}

#[cold]
fn unsendable(failed: Option<serde_json::Error>, size: usize, limit: usize) -> ErrorObject {
    match failed {
        // The reason is for the author of the handler, not for the peer.
        Some(error) => {
            tracing::error!(rpc.system.name = "jsonrpc", error = %brief(&error), "a result cannot be written as JSON");
            ErrorObject::internal()
        }
        None => ErrorObject::new(
            ErrorCode::INTERNAL_ERROR,
            format!("the result is too large: it has {size} bytes, and the limit is {limit}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unverified(rest: &str) -> Reply {
        Reply::new(Outcome::Unverified(rest))
    }

    #[test]
    fn what_follows_an_expected_result_is_judged() {
        assert_eq!(unverified("5").decode::<i64>().unwrap(), 5);
        // Extra members are allowed, and so is an error of null beside the result.
        assert_eq!(unverified(r#"5,"extra":[1]"#).decode::<i64>().unwrap(), 5);
        assert!(matches!(unverified(r#"5,"id":2"#).decode::<i64>(), Err(ReplyError::Protocol(_))));
        assert!(matches!(
            unverified(r#"5,"error":{"code":1,"message":"m"}"#).decode::<i64>(),
            Err(ReplyError::Protocol(_))
        ));
        assert!(matches!(unverified("5]").decode::<i64>(), Err(ReplyError::Protocol(_))));
        assert!(matches!(unverified("\"5\"").decode::<i64>(), Err(ReplyError::Decode(_))));
    }

    #[test]
    fn an_error_is_an_error_whatever_is_expected() {
        let reply = Reply::error(ErrorObject::new(7, "no"));
        assert!(matches!(reply.decode::<i64>(), Err(ReplyError::Error(e)) if e.code().value() == 7));
    }
}
