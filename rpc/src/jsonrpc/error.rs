//! Errors that travel, and errors about what travelled.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::shown::escaped;

/// The code of an [`ErrorObject`].
///
/// The five standard codes are those of the JSON-RPC 2.0 specification, section 5.1. The codes -100 to -102 are
/// those that aiorpcX and the Electrum servers use. Everything else belongs to the application, except that the
/// specification reserves -32768 to -32000.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(i64);

impl ErrorCode {
    /// -32700: the message is not JSON.
    pub const PARSE_ERROR: Self = Self(-32700);
    /// -32600: JSON, but not a request.
    pub const INVALID_REQUEST: Self = Self(-32600);
    /// -32601: nothing here has that method.
    pub const METHOD_NOT_FOUND: Self = Self(-32601);
    /// -32602: the method does not take these parameters.
    pub const INVALID_PARAMS: Self = Self(-32602);
    /// -32603: the handler failed in a way that it had not planned for.
    pub const INTERNAL_ERROR: Self = Self(-32603);
    /// -100: the peer sent an error without a code.
    pub const CODE_UNAVAILABLE: Self = Self(-100);
    /// -101: the peer used more than its share, and is being disconnected.
    pub const EXCESSIVE_RESOURCE_USAGE: Self = Self(-101);
    /// -102: too many requests at once, or one that took too long. See [`ErrorObject::executed`] for which.
    pub const SERVER_BUSY: Self = Self(-102);

    /// -32006: the peer has as many subscriptions as it may have (jsonrpsee).
    pub const TOO_MANY_SUBSCRIPTIONS: Self = Self(-32006);
    /// The one who asked has taken the request back (the Language Server Protocol's code): see [`Cancellation`](crate::Cancellation).
    pub const REQUEST_CANCELLED: Self = Self(-32800);

    /// A code of the application's own.
    pub const fn new(code: i64) -> Self {
        Self(code)
    }

    /// The number on the wire.
    pub const fn value(self) -> i64 {
        self.0
    }

    /// What the code means, where it is one of the constants here.
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

/// An error as it travels: a code, a message for people, and optional data for programs.
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
    /// That there is none and that it is null are two things: see [`present`].
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    /// Whether it came to the id null, and can only mean the call that it has ended.
    #[serde(skip)]
    is_to_no_id: bool,
}

/// What is said of an answer to the id null.
pub(super) const TO_NO_ID: &str =
    ", to the id null: the peer does not say to which call, and this is the only one that it can mean";

/// Reads a member that is there, even if it is null: an `Option` takes null for a member that is
/// missing.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl ErrorObject {
    /// An error without data.
    pub fn new(code: impl Into<ErrorCode>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), message: message.into(), data: None, is_to_no_id: false }
    }

    /// The same error with `data`, or why `data` cannot be written as JSON.
    pub fn with_data(mut self, data: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        self.data = Some(serde_json::value::to_raw_value(data)?);
        Ok(self)
    }

    /// The same error with `data`, which is JSON already.
    pub fn with_raw_data(self, data: Box<RawValue>) -> Self {
        Self { data: Some(data), ..self }
    }

    /// The same error, which came to the id null and can only mean one call.
    pub(super) fn answering_no_id(self) -> Self {
        Self { is_to_no_id: true, ..self }
    }

    /// The code.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message, which is for people: programs look at the code.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The data as a type of yours: `None` where there is none, an error where it has another shape.
    ///
    /// Data of `null` is a value where the type has one for it (an `Option`, `()`, a
    /// [`Value`](serde_json::Value)), and no data where it has none: many peers write
    /// `"data":null` in every error.
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

    /// The data as the JSON text that travelled, `null` included; `None` where there was none.
    pub fn raw_data(&self) -> Option<&RawValue> {
        self.data.as_deref()
    }

    pub(crate) fn invalid_request(why: impl fmt::Display) -> Self {
        Self::new(ErrorCode::INVALID_REQUEST, format!("invalid request: {why}"))
    }

    /// For a message of `size` bytes, or of more where not all of it has come.
    pub(crate) fn too_large(size: usize, is_whole: bool, limit: usize) -> Self {
        let more = if is_whole { "" } else { " or more" };
        Self::invalid_request(format!(
            "the message has {size} bytes{more}, and the limit is {limit} (`frame_size`): send less at once"
        ))
    }

    /// For a request whose handler was dropped at `limit`. It may have done anything.
    pub(crate) fn took_too_long(limit: Option<Duration>) -> Self {
        // The limit may be another one by now.
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
        // A name is the peer's: a huge one is not sent back whole.
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

/// The peer broke the rules of the version that the two sides speak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The reply to this call is not a reply that the version allows.
    #[error("the peer's reply is malformed: {}", escaped(.reason))]
    MalformedReply {
        /// What is wrong with it.
        reason: String,
    },
    /// The reply to this call is larger than what is taken, and was dropped.
    #[error(
        "the peer's reply is over the limit of {limit} bytes: {size} bytes of it have come, and were dropped"
    )]
    ReplyTooLarge {
        /// How many bytes had come when it was known whom it answers.
        size: usize,
        /// [`Limits::frame_size`](crate::Limits::frame_size).
        limit: usize,
    },
}

/// Whether a call that has failed was carried out.
///
/// | | it was | may it be tried again? |
/// |---|---|---|
/// | [`No`](Self::No) | refused before a handler was started, or never left | yes, where the reason has gone |
/// | [`Perhaps`](Self::Perhaps) | under way, or done, or neither: the error does not tell | where doing it twice does what doing it once does: see [`MethodInfo::idempotent`](crate::MethodInfo::idempotent) |
/// | [`Yes`](Self::Yes) | handled: the error is the answer of the handler, or its answer could not be read | as one asks again whose answer was no |
///
/// [`guide::errors`](crate::guide::errors) has it for every error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Executed {
    /// It was not, and will not be.
    No,
    /// The error does not tell.
    Perhaps,
    /// A handler has answered.
    Yes,
}

/// What `data` says of an error whose code may mean both.
#[derive(Deserialize)]
struct ExecutedData {
    executed: bool,
}

impl ErrorObject {
    /// Whether the call that was answered with this error was carried out, as far as it tells.
    ///
    /// The codes of the specification for what cannot be called say that it was not, those of an
    /// application that it was. -101, -102, -32603 and -32800 may mean both. Servers of this crate that have
    /// not started a handler say so in `data`: `{"executed":false}`. Without that the answer is
    /// [`Executed::Perhaps`], as it is for what is reserved for others.
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
            // What the specification reserves (5.1), for itself and for servers.
            code if (-32768..=-32000).contains(&code.value()) => Executed::Perhaps,
            _ => Executed::Yes,
        }
    }

    /// The same error, which says in its `data` that no handler was started: for what refuses a request
    /// with a code that may also mean the contrary, such as [`ErrorCode::SERVER_BUSY`].
    #[must_use]
    pub fn not_executed(self) -> Self {
        self.and_executed(Some(false))
    }

    /// The same, with whatever is known of it.
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
            // It is the application's own.
            assert_eq!(of(code, Some(r#"{"executed":false}"#)), Executed::Yes, "{code}");
        }
    }
}
