//! The messages of the language, borrowed from the text they were read from.

use std::borrow::Cow;

use super::{Elements, ErrorObject, Id, RawParams};

/// One message, as a version of the language reads it.
#[derive(Debug)]
pub enum Message<'a> {
    /// Calls a method.
    Request(Request<'a>),
    /// Answers a call of ours.
    Response(Response<'a>),
    /// Several of these at once.
    Batch(Elements<'a>),
    /// Is none of these.
    Malformed(Malformed<'a>),
}

/// A call of a method.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Comes back in the answer, byte for byte. Without an id it is a notification, which is never answered, whatever becomes of it.
    pub id: Option<Id<'a>>,
    /// The method's name.
    pub method: Cow<'a, str>,
    /// Its parameters.
    pub params: RawParams<'a>,
}

/// An answer.
#[derive(Debug)]
pub struct Response<'a> {
    /// The id of the call that it answers.
    pub id: Id<'a>,
    /// What the answer is.
    pub outcome: Outcome<'a>,
}

impl Response<'_> {
    /// Whether it says that a message as a whole was refused, and not which: the peer could not read its id.
    pub(crate) fn refuses_whole_message(&self) -> bool {
        matches!(self.outcome, Outcome::Error(_)) && self.id == Id::NULL
    }
}

/// What a response says.
#[derive(Debug)]
pub enum Outcome<'a> {
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
pub struct Malformed<'a> {
    /// The id to answer with: that of the message where it could be read, else null.
    pub id: Id<'a>,
    /// The answer.
    pub error: ErrorObject,
    /// False where an answer could itself be taken for a message to answer: a broken response, for one.
    pub answer: bool,
}
