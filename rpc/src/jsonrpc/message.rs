//! Messages and their parameters, borrowed from the text that they were read from.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny};

use super::{
    ErrorCode, ErrorObject, Id,
    json_text::{Elements, is_blank, trim},
};

/// One message, as the version in force reads it.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// A request or a notification.
    Request(Request<'a>),
    /// The reply to a call of this side.
    Response(Response<'a>),
    /// Several messages at once.
    Batch(Elements<'a>),
    /// None of these.
    Malformed(Malformed<'a>),
}

/// A request or a notification. `P` are its parameters: checked to be JSON, or not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a, P = RawParams<'a>> {
    /// The id, which the reply echoes byte for byte. Without an id the message is a notification,
    /// which is never answered, whatever becomes of it.
    pub(crate) id: Option<Id<'a>>,
    /// The name of the method.
    pub(crate) method: Cow<'a, str>,
    /// The parameters.
    pub(crate) params: P,
}

/// A request as it is dispatched: decoding its parameters checks them.
pub(crate) type UncheckedRequest<'a> = Request<'a, UncheckedParams<'a>>;

impl<'a> Request<'a> {
    /// The same request, as it is dispatched.
    pub(crate) fn into_unchecked(self) -> UncheckedRequest<'a> {
        let Self { id, method, params } = self;
        Request { id, method, params: params.into() }
    }

    /// Whether this request equals one that was scanned.
    pub(crate) fn is_same(&self, scanned: &UncheckedRequest<'_>) -> bool {
        self.id == scanned.id
            && self.method == scanned.method
            && self.params.as_json() == scanned.params.as_text()
    }
}

/// A message whose envelope is laid out as nearly every peer writes it. The scan does not look into
/// parameters and results: decoding them checks them.
#[derive(Debug)]
pub(crate) enum Scanned<'a> {
    Request(UncheckedRequest<'a>),
    /// A response whose outcome is [`Outcome::Unverified`].
    Response(Response<'a>),
}

/// A reply.
#[derive(Debug)]
pub(crate) struct Response<'a> {
    /// The id of the call that it answers.
    pub(crate) id: Id<'a>,
    /// The result or the error.
    pub(crate) outcome: Outcome<'a>,
}

impl Response<'_> {
    /// Whether it refuses a message as a whole without saying which one, because the peer could not
    /// read its id. The error itself may be malformed too: a peer that refuses this side's version
    /// says so in its own.
    pub(crate) fn refuses_whole_message(&self) -> bool {
        matches!(self.outcome, Outcome::Error(_) | Outcome::Malformed(_)) && self.id == Id::NULL
    }
}

/// The outcome of a response.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// The JSON text of the result.
    Result(&'a str),
    /// The text after `"result":`, up to the closing brace, of a scanned message. It is usually the
    /// result and nothing else; decoding it finds out, at no cost (see [`Reply`](super::Reply)).
    Unverified(&'a str),
    /// The error.
    Error(ErrorObject),
    /// Neither a result nor an error, or both. The call has ended all the same.
    Malformed(String),
}

/// A message that the version in force does not allow.
#[derive(Debug)]
pub(crate) struct Malformed<'a> {
    /// The id of the answer: that of the message if it could be read, else null.
    pub(crate) id: Id<'a>,
    /// The error of the answer.
    pub(crate) error: ErrorObject,
    /// Whether it is answered. A broken response is not: the peer could take the answer for a
    /// message that has to be answered in turn.
    pub(crate) answer: bool,
}

/// The parameters of a request, as the JSON text that the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawParams<'a>(Option<&'a str>);

/// Parameters that were found by scanning the envelope of a message. Only their first byte was
/// looked at: decoding checks the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UncheckedParams<'a>(Option<&'a str>);

impl<'a> UncheckedParams<'a> {
    pub(crate) const NONE: Self = Self(None);

    /// Takes the text of an array, an object, or `null`, as far as its first byte tells.
    pub(crate) fn from_text(text: &'a str) -> Self {
        Self(RawParams::from_json(text).0)
    }

    /// The text, or `None` without parameters.
    pub(crate) const fn as_text(self) -> Option<&'a str> {
        self.0
    }

    /// Checks them to their end: the parameters, if they are exactly one JSON value.
    pub(crate) fn check(self) -> Option<RawParams<'a>> {
        self.0.is_none_or(is_json).then_some(RawParams(self.0))
    }

    /// The parameters, for a caller that has read them to their end.
    pub(crate) const fn known_as_json(self) -> RawParams<'a> {
        RawParams(self.0)
    }
}

impl<'a> From<RawParams<'a>> for UncheckedParams<'a> {
    fn from(params: RawParams<'a>) -> Self {
        Self(params.0)
    }
}

impl<'a> RawParams<'a> {
    /// No parameters: absent and `null` are the same.
    pub const NONE: Self = Self(None);

    /// Takes the text of an array, an object, or `null`.
    pub fn from_json(text: &'a str) -> Self {
        let text = trim(text);
        Self((text != "null").then_some(text))
    }

    /// The text, or `None` without parameters.
    pub const fn as_json(&self) -> Option<&'a str> {
        self.0
    }

    /// Deserializes the parameters: a tuple from an array, a struct or a map from an object, `()`
    /// from none.
    ///
    /// # Errors
    ///
    /// An [`ErrorObject`] with code -32602 that names `method` and says which parameter does not
    /// fit.
    pub fn parse<T: DeserializeOwned>(&self, method: &str) -> Result<T, ErrorObject> {
        self.read().map_err(|error| invalid(method, &error))
    }

    /// Deserializes the parameters. If there are none, an empty list is tried, then null: the type
    /// decides.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.unwrap_or("[]")).or_else(|error| match self.are_none() {
            true => serde_json::from_str("null").map_err(|_| error),
            false => Err(error),
        })
    }

    /// Whether there are no parameters: absent, or an empty array or object.
    pub(super) fn are_none(&self) -> bool {
        let inside = |text: &'a str| {
            let array = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            array.or_else(|| text.strip_prefix('{')?.strip_suffix('}'))
        };
        self.0.is_none_or(|text| inside(text).is_some_and(is_blank))
    }
}

/// Whether the text is exactly one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The error for parameters that do not fit.
pub(crate) fn invalid(method: &str, why: &dyn std::fmt::Display) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, format!("invalid params for `{method}`: {why}"))
}

/// The member `params` of a message for a call without parameters.
///
/// [2.0](https://www.jsonrpc.org/specification#request_object) lets the member be left out, and
/// that is the default: servers of the Model Context Protocol never answer a request whose `params`
/// is an array. Some peers require an array or an object. This can be set for a method or a service
/// (`#[rpc(empty_params = "array")]`), for a client ([`WithEmptyParams`](crate::WithEmptyParams)),
/// or for the connection ([`Connector::empty_params`](crate::Connector::empty_params)). The first
/// of these that is set applies.
///
/// 1.0 [requires](https://www.jsonrpc.org/specification_v1) an array: in that version, `[]` is sent
/// whatever is set here. An empty array or object that the caller passes is sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EmptyParams {
    /// The message has no member `params`.
    #[default]
    Absent,
    /// `"params":[]`
    Array,
    /// `"params":{}`
    Object,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{Protocol, version::Version};

    fn refuses(protocol: Protocol, text: &str) -> bool {
        match Version::new(protocol).read_in_full(text.as_bytes()) {
            Message::Response(response) => response.refuses_whole_message(),
            Message::Malformed(malformed) if !malformed.answer => false,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_error_to_no_id_refuses_a_whole_message_in_whatever_version_it_is() {
        for text in [
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#,
            r#"{"result":null,"error":{"code":-32600,"message":"no"},"id":null}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}"#,
            r#"{"result":null,"error":"no","id":null}"#,
        ] {
            for protocol in [Protocol::V1, Protocol::V2, Protocol::Loose] {
                assert!(refuses(protocol, text), "{protocol:?}: {text}");
            }
        }
    }

    #[test]
    fn an_error_to_an_id_and_a_result_to_none_refuse_nothing() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"result":1,"error":null}"#,
            r#"{"jsonrpc":"2.0","result":1}"#,
        ] {
            for protocol in [Protocol::V1, Protocol::V2, Protocol::Loose] {
                assert!(!refuses(protocol, text), "{protocol:?}: {text}");
            }
        }
    }

    #[test]
    fn no_parameters_are_a_unit_and_an_empty_list() {
        for nothing in ["null", "[]", "{}", " [ ] ", "{\n}"] {
            let params = RawParams::from_json(nothing);
            params.parse::<()>("m").unwrap_or_else(|error| panic!("{nothing}: {error}"));
            assert_eq!(params.parse::<Option<(u8,)>>("m"), Ok(None), "{nothing}");
        }
        assert_eq!(RawParams::NONE.parse("m"), Ok([0u8; 0]));
        for something in ["[null]", "[[]]", r#"{"":null}"#, "[1]"] {
            assert!(RawParams::from_json(something).parse::<()>("m").is_err(), "{something}");
        }
    }
}
