//! The messages of the language, borrowed from the text they were read from.

use std::borrow::Cow;

use super::{Elements, ErrorObject, Id, RawParams, params::UncheckedParams};

/// One message, as a version of the language reads it.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// Calls a method.
    Request(Request<'a>),
    /// Answers a call of ours.
    Response(Response<'a>),
    /// Several of these at once.
    Batch(Elements<'a>),
    /// Is none of these.
    Malformed(Malformed<'a>),
}

/// A call of a method. `P` are its parameters: checked to be JSON, or not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a, P = RawParams<'a>> {
    /// Comes back in the answer, byte for byte. Without an id it is a notification, which is never answered, whatever becomes of it.
    pub(crate) id: Option<Id<'a>>,
    /// The method's name.
    pub(crate) method: Cow<'a, str>,
    /// Its parameters.
    pub(crate) params: P,
}

/// A request as it is dispatched: decoding its parameters checks them.
pub(crate) type UncheckedRequest<'a> = Request<'a, UncheckedParams<'a>>;

impl<'a> Request<'a> {
    /// The same, as it is dispatched.
    pub(crate) fn into_unchecked(self) -> UncheckedRequest<'a> {
        let Self { id, method, params } = self;
        Request { id, method, params: params.into() }
    }

    /// Whether it says the same as one that was scanned.
    pub(crate) fn is_same(&self, scanned: &UncheckedRequest<'_>) -> bool {
        self.id == scanned.id
            && self.method == scanned.method
            && self.params.as_json() == scanned.params.as_text()
    }
}

/// A message whose envelope was laid out as expected. The scan has not looked into parameters and
/// results: what they are is found out where they are decoded.
#[derive(Debug)]
pub(crate) enum Scanned<'a> {
    Request(UncheckedRequest<'a>),
    /// Its outcome is [`Outcome::Unverified`].
    Response(Response<'a>),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response<'a> {
    /// The id of the call that it answers.
    pub(crate) id: Id<'a>,
    /// What the answer is.
    pub(crate) outcome: Outcome<'a>,
}

impl Response<'_> {
    /// Whether it says that a message as a whole was refused, and not which: the peer could not read its id. Nor may we be able to
    /// read more than that: a peer that refuses our version says so in its own.
    pub(crate) fn refuses_whole_message(&self) -> bool {
        matches!(self.outcome, Outcome::Error(_) | Outcome::Malformed(_)) && self.id == Id::NULL
    }
}

/// What a response says.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// The JSON text of the result.
    Result(&'a str),
    /// What stood behind `"result":`, up to the closing brace, of a message that began as expected. Usually the
    /// result and nothing else; its reader finds out, for nothing, by decoding it (see [`Reply`](super::Reply)).
    Unverified(&'a str),
    /// The error.
    Error(ErrorObject),
    /// Neither, or both: the call has ended all the same.
    Malformed(String),
}

/// A message that the version refuses.
#[derive(Debug)]
pub(crate) struct Malformed<'a> {
    /// The id to answer with: that of the message where it could be read, else null.
    pub(crate) id: Id<'a>,
    /// The answer.
    pub(crate) error: ErrorObject,
    /// False where an answer could itself be taken for a message to answer: a broken response, for one.
    pub(crate) answer: bool,
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
}
