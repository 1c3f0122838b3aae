//! Errors that are sent and received as JSON, violations of the protocol, and whether a failed call
//! was executed.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::shown::escaped;

/// The code of an [`ErrorObject`].
///
/// The five standard codes are those of the JSON-RPC 2.0 specification, section 5.1. The codes -100
/// to -102 are those of aiorpcX and the Electrum servers. All other codes belong to the
/// application, except that the specification reserves -32768 to -32000.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(i64);

impl ErrorCode {
    /// -32700: the message is not JSON.
    pub const PARSE_ERROR: Self = Self(-32700);
    /// -32600: the message is JSON, but not a valid request.
    pub const INVALID_REQUEST: Self = Self(-32600);
    /// -32601: no service has the method.
    pub const METHOD_NOT_FOUND: Self = Self(-32601);
    /// -32602: the parameters do not fit the method.
    pub const INVALID_PARAMS: Self = Self(-32602);
    /// -32603: the handler failed unexpectedly.
    pub const INTERNAL_ERROR: Self = Self(-32603);
    /// -100: the peer sent an error without a code.
    pub const CODE_UNAVAILABLE: Self = Self(-100);
    /// -101: the peer used more than its share of resources, and is being disconnected.
    pub const EXCESSIVE_RESOURCE_USAGE: Self = Self(-101);
    /// -102: too many requests at once, or one that took too long. [`ErrorObject::executed`] tells
    /// them apart.
    pub const SERVER_BUSY: Self = Self(-102);

    /// -32006: the peer has as many subscriptions as it may have (jsonrpsee).
    pub const TOO_MANY_SUBSCRIPTIONS: Self = Self(-32006);
    /// -32800: the peer has cancelled the request (the Language Server Protocol's code). See
    /// [`Cancellation`](crate::Cancellation).
    pub const REQUEST_CANCELLED: Self = Self(-32800);

    /// A code of the application.
    pub const fn new(code: i64) -> Self {
        Self(code)
    }

    /// The number on the wire.
    pub const fn value(self) -> i64 {
        self.0
    }

    /// A short description, if the code is one of the constants here.
    pub const fn description(self) -> Option<&'static str> {
        Some(match self {
            Self::PARSE_ERROR => "parse error",
            Self::INVALID_REQUEST => "invalid request",
            Self::METHOD_NOT_FOUND => "method not found",
            Self::INVALID_PARAMS => "invalid params",
            Self::INTERNAL_ERROR => "internal error",
            Self::CODE_UNAVAILABLE => "code unavailable",
            Self::EXCESSIVE_RESOURCE_USAGE => "excessive resource usage",
            Self::SERVER_BUSY => "server busy",
            Self::TOO_MANY_SUBSCRIPTIONS => "too many subscriptions",
            Self::REQUEST_CANCELLED => "request cancelled",
            _ => return None,
        })
    }
}

impl From<i64> for ErrorCode {
    fn from(code: i64) -> Self {
        Self(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.description() {
            Some(text) => write!(f, "{} ({text})", self.0),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error as it is sent and received: a code, a message for people, and optional data for
/// programs.
///
/// ```
/// use rpc::{ErrorCode, ErrorObject};
///
/// let error = ErrorObject::new(ErrorCode::new(7), "out of stock").with_data(&["apples"]).unwrap();
/// assert_eq!(error.to_string(), "out of stock (code 7)");
/// assert_eq!(error.data::<Vec<String>>().unwrap().unwrap(), ["apples"]);
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct ErrorObject {
    code: ErrorCode,
    message: Cow<'static, str>,
    /// `None` is no member, which differs from a member that is null: see [`present`].
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    /// Whether the error came with the id null, and can only refer to the call that it has ended.
    #[serde(skip)]
    is_to_no_id: bool,
}

/// Appended to the text of an error that came with the id null.
pub(super) const TO_NO_ID: &str =
    ", to the id null: the peer does not say to which call, and this is the only one that it can mean";

/// Deserializes a member that is there, even if it is null: serde's `Option` makes no difference
/// between null and a missing member.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl ErrorObject {
    /// An error without data.
    pub fn new(code: impl Into<ErrorCode>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), message: message.into(), data: None, is_to_no_id: false }
    }

    /// The same error with `data`, or an error if `data` cannot be written as JSON.
    pub fn with_data(mut self, data: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        self.data = Some(serde_json::value::to_raw_value(data)?);
        Ok(self)
    }

    /// The same error with `data`, which is already JSON.
    pub fn with_raw_data(self, data: Box<RawValue>) -> Self {
        Self { data: Some(data), ..self }
    }

    /// The same error, which came with the id null and can only refer to one call.
    pub(super) fn answering_no_id(self) -> Self {
        Self { is_to_no_id: true, ..self }
    }

    /// The code.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message. It is for people: programs should look at the code.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The data, deserialized: `None` if there is none, an error if it has another shape.
    ///
    /// Data of `null` is a value if the type has one for it (an `Option`, `()`, a
    /// [`Value`](serde_json::Value)), and no data if it has none: many peers write `"data":null` in
    /// every error.
    ///
    /// ```
    /// use rpc::ErrorObject;
    ///
    /// let error = ErrorObject::new(7, "out of stock").with_data(&()).unwrap();
    /// assert_eq!(error.data::<Option<String>>().unwrap().unwrap(), None);
    /// assert!(error.data::<String>().is_none());
    /// ```
    pub fn data<T: DeserializeOwned>(&self) -> Option<Result<T, serde_json::Error>> {
        let raw = self.data.as_ref()?.get();
        let data = serde_json::from_str(raw);
        (data.is_ok() || raw != "null").then_some(data)
    }

    /// The data as the JSON text that was received, `null` included; `None` if there was none.
    pub fn raw_data(&self) -> Option<&RawValue> {
        self.data.as_deref()
    }

    pub(crate) fn invalid_request(why: impl fmt::Display) -> Self {
        Self::new(ErrorCode::INVALID_REQUEST, format!("invalid request: {why}"))
    }

    /// The error for a message of `size` bytes, or of more if not all of it has come.
    pub(crate) fn too_large(size: usize, is_whole: bool, limit: usize) -> Self {
        let more = if is_whole { "" } else { " or more" };
        Self::invalid_request(format!(
            "the message has {size} bytes{more}, and the limit is {limit} (`frame_size`): send less at once"
        ))
    }

    /// The error for a request whose handler was dropped after `limit`. The handler may have had
    /// any effect.
    pub(crate) fn took_too_long(limit: Option<Duration>) -> Self {
        // The limits are live: this one may have been removed since the request began.
        let told = limit.map_or_else(
            || "the request took too long, and its handler was dropped".to_owned(),
            |limit| format!("the request took longer than {limit:?} (`Limits::request_timeout`), and its handler was dropped"),
        );
        Self::new(ErrorCode::SERVER_BUSY, told)
    }

    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::INTERNAL_ERROR, "internal error")
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        // The name is untrusted: a huge one is not sent back whole.
        let shown: String = method.chars().take(100).collect();
        let dots = if shown.len() < method.len() { "…" } else { "" };
        Self::new(ErrorCode::METHOD_NOT_FOUND, format!("method `{shown}{dots}` not found"))
    }
}

impl PartialEq for ErrorObject {
    fn eq(&self, other: &Self) -> bool {
        let data = |e: &Self| e.data.as_ref().map(|raw| raw.get().to_owned());
        self.code == other.code && self.message == other.message && data(self) == data(other)
    }
}

impl fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to_no_id = if self.is_to_no_id { TO_NO_ID } else { "" };
        write!(f, "{} (code {}){to_no_id}", escaped(&self.message), self.code.value())
    }
}

/// The data is shown as JSON, with control characters escaped.
impl fmt::Debug for ErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data.as_deref().map(|data| escaped(data.get()));
        let mut fields = f.debug_struct("ErrorObject");
        fields.field("code", &self.code).field("message", &self.message).field("data", &data).finish()
    }
}

impl std::error::Error for ErrorObject {}

/// The peer violated the version of the protocol in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The reply to this call is none that the version allows.
    #[error("the peer's reply is malformed: {}", escaped(.reason))]
    MalformedReply {
        /// Which rule it breaks.
        reason: String,
    },
    /// The reply to this call exceeds the limit, and was dropped.
    #[error(
        "the peer's reply is over the limit of {limit} bytes: {size} bytes of it have come, and were dropped"
    )]
    ReplyTooLarge {
        /// The bytes that had come when the call that it answers was known.
        size: usize,
        /// The limit, in bytes: [`Limits::frame_size`](crate::Limits::frame_size).
        limit: usize,
    },
}

/// Whether a failed call was executed.
///
/// | | the call was | may it be retried? |
/// |---|---|---|
/// | [`No`](Self::No) | refused before a handler started, or never sent | yes, once the reason is gone |
/// | [`Perhaps`](Self::Perhaps) | running, or done, or neither: the error does not tell | if the method is idempotent: see [`MethodInfo::idempotent`](crate::MethodInfo::idempotent) |
/// | [`Yes`](Self::Yes) | handled: the error is the reply of the handler, or its reply could not be read | only as a new call |
///
/// [`guide::errors`](crate::guide::errors) lists it for every error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Executed {
    /// The call was not executed, and will not be.
    No,
    /// The error does not tell.
    Perhaps,
    /// A handler has answered the call.
    Yes,
}

/// The data of an error whose code does not tell.
#[derive(Deserialize)]
struct ExecutedData {
    executed: bool,
}

impl ErrorObject {
    /// Whether the call that was answered with this error was executed, as far as the error tells.
    ///
    /// The codes that the specification defines for requests that cannot be dispatched say that it
    /// was not, the codes of an application that it was. -101, -102, -32603 and -32800 may mean
    /// either. Servers of this crate that have not started a handler say so in `data`:
    /// `{"executed":false}`. Without that the answer is [`Executed::Perhaps`], as it is for codes
    /// that are reserved for others.
    ///
    /// ```
    /// use rpc::{ErrorCode, ErrorObject, Executed};
    ///
    /// let unknown = ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, "there is no method `x`");
    /// assert_eq!(unknown.executed(), Executed::No);
    /// let busy = ErrorObject::new(ErrorCode::SERVER_BUSY, "try again later");
    /// assert_eq!(busy.executed(), Executed::Perhaps);
    /// assert_eq!(busy.not_executed().executed(), Executed::No);
    /// assert_eq!(ErrorObject::new(7, "out of stock").executed(), Executed::Yes);
    /// ```
    pub fn executed(&self) -> Executed {
        match self.code() {
            ErrorCode::PARSE_ERROR
            | ErrorCode::INVALID_REQUEST
            | ErrorCode::METHOD_NOT_FOUND
            | ErrorCode::INVALID_PARAMS
            | ErrorCode::TOO_MANY_SUBSCRIPTIONS => Executed::No,
            ErrorCode::SERVER_BUSY
            | ErrorCode::EXCESSIVE_RESOURCE_USAGE
            | ErrorCode::REQUEST_CANCELLED
            | ErrorCode::INTERNAL_ERROR => match self.data::<ExecutedData>() {
                Some(Ok(ExecutedData { executed: false })) => Executed::No,
                Some(Ok(ExecutedData { executed: true })) => Executed::Yes,
                _ => Executed::Perhaps,
            },
            ErrorCode::CODE_UNAVAILABLE => Executed::Perhaps,
            // Reserved by the specification (5.1), for itself and for servers.
            code if (-32768..=-32000).contains(&code.value()) => Executed::Perhaps,
            _ => Executed::Yes,
        }
    }

    /// The same error, whose `data` says that no handler was started. Use it to refuse a request
    /// with a code that may also mean the contrary, such as [`ErrorCode::SERVER_BUSY`].
    #[must_use]
    pub fn not_executed(self) -> Self {
        self.and_executed(Some(false))
    }

    /// The same error, whose `data` says whether the call was executed; `None` is unknown.
    pub(crate) fn and_executed(self, executed: Option<bool>) -> Self {
        let says = match executed {
            Some(false) => r#"{"executed":false}"#,
            Some(true) => r#"{"executed":true}"#,
            None => r#"{"executed":null}"#,
        };
        match RawValue::from_string(says.to_owned()) {
            Ok(says) => self.with_raw_data(says),
            Err(_) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_says_it_or_its_data_does() {
        let of = |code: i64, data: Option<&str>| {
            let error = ErrorObject::new(code, "no");
            let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
            data.map_or(error.clone(), |data| error.with_raw_data(raw(data))).executed()
        };
        for code in [-32700, -32600, -32601, -32602, -32006] {
            assert_eq!(of(code, None), Executed::No, "{code}");
            assert_eq!(of(code, Some(r#"{"executed":true}"#)), Executed::No, "{code}");
        }
        for code in [-102, -101, -32603, -32800] {
            for (data, executed) in [
                (None, Executed::Perhaps),
                (Some("null"), Executed::Perhaps),
                (Some(r#""executed""#), Executed::Perhaps),
                (Some(r#"{"executed":null}"#), Executed::Perhaps),
                (Some(r#"{"executed":false}"#), Executed::No),
                (Some(r#"{"more":1,"executed":false}"#), Executed::No),
                (Some(r#"{"executed":true}"#), Executed::Yes),
            ] {
                assert_eq!(of(code, data), executed, "{code}: {data:?}");
            }
        }
        for code in [-100, -32000, -32099, -32768, -32005, -32500] {
            assert_eq!(of(code, None), Executed::Perhaps, "{code}");
        }
        for code in [0, 1, -1, -99, -103, -31999, -32769, i64::MAX, i64::MIN] {
            assert_eq!(of(code, None), Executed::Yes, "{code}");
            // The data is the application's.
            assert_eq!(of(code, Some(r#"{"executed":false}"#)), Executed::Yes, "{code}");
        }
    }
}
