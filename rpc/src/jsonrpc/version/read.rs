//! Reading a message in full: what all versions have in common.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{error::Category, value::RawValue};

use super::{elements::Elements, members::Members};
use crate::jsonrpc::{
    ErrorCode, ErrorObject, Id, Malformed, Message, Outcome, RawParams, Request, Response, white_space,
};

/// What one version asks of a message.
pub(super) trait Rules {
    /// Whether a message may be an array of others.
    const BATCHES: bool;

    /// What holds for requests and responses; the reason for which the message is refused.
    fn check(members: &Members<'_>) -> Result<(), String>;

    /// Whether an answer is expected, and under which id: `None` for a notification.
    fn request_id<'a>(members: &Members<'a>) -> Option<Id<'a>>;

    /// The parameters, or what is wrong with them.
    fn params<'a>(members: &Members<'a>) -> Result<RawParams<'a>, String>;

    /// What a response says.
    fn outcome<'a>(members: &Members<'a>) -> Outcome<'a>;
}

/// Reads what one frame holds.
pub(super) fn message<R: Rules>(text: &str) -> Message<'_> {
    // Some peers begin a stream with a byte order mark.
    let text = white_space::trim(text.strip_prefix('\u{feff}').unwrap_or(text));
    if text.starts_with('[') { array::<R>(text) } else { object::<R>(text) }
}

fn array<R: Rules>(text: &str) -> Message<'_> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => unreadable(error.to_string()),
        Ok(_) if R::BATCHES => Message::Batch(Elements::new(text)),
        Ok(_) => refused(Id::NULL, "JSON-RPC 1.0 has no batches".to_owned(), true),
    }
}

/// Reads a message that is no batch.
pub(super) fn object<R: Rules>(text: &str) -> Message<'_> {
    let members: Members<'_> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) => return not_an_object(text, &error),
    };
    let problem = R::check(&members).err();
    if members.is_response() {
        return response::<R>(&members, problem);
    }
    match problem.map_or_else(|| request::<R>(&members), Err) {
        Ok(request) => Message::Request(request),
        Err(problem) => {
            let id = members.id().filter(Id::is_scalar).unwrap_or(Id::NULL);
            refused(id, problem, true)
        }
    }
}

fn request<'a, R: Rules>(members: &Members<'a>) -> Result<Request<'a>, String> {
    let method = members.method.ok_or("`method` is missing")?.get();
    let method =
        string(method).ok_or_else(|| format!("`method` must be a string, not {}", shortened(method)))?;
    if members.result.is_some() || members.error.is_some() {
        return Err("it has a `method` and is also a response".to_owned());
    }
    Ok(Request { id: R::request_id(members), method, params: R::params(members)? })
}

fn response<'a, R: Rules>(members: &Members<'a>, problem: Option<String>) -> Message<'a> {
    let is_error = || members.error.is_some_and(|error| error.get() != "null");
    // Some leave the id out where others write null: the error is about something whose id they could not read.
    match members.id().or_else(|| is_error().then_some(Id::NULL)) {
        Some(id) => {
            let outcome = problem.map_or_else(|| R::outcome(members), Outcome::Malformed);
            Message::Response(Response { id, outcome })
        }
        // It may be the answer to something that we sent; an answer to it could go on for ever.
        None => refused(Id::NULL, "a response without an id".to_owned(), false),
    }
}

/// Parameters where arrays and objects are allowed.
pub(super) fn array_or_object<'a>(members: &Members<'a>) -> Result<RawParams<'a>, String> {
    let params = members.params.map_or("null", RawValue::get);
    // The specification knows no null here, but clients send it for "none", and nothing else can be meant.
    match params.as_bytes() {
        [b'[' | b'{', ..] | b"null" => Ok(RawParams::from_json(params)),
        _ => Err(format!("`params` must be an array or an object, not {}", shortened(params))),
    }
}

/// No version accepts a member that is there twice: parsers differ in which of the two they believe.
pub(super) fn check_twice(members: &Members<'_>) -> Result<(), String> {
    members.twice.map_or(Ok(()), |name| Err(format!("the member `{name}` is there twice")))
}

/// The ids that 2.0 allows.
pub(super) fn check_scalar_id(members: &Members<'_>) -> Result<(), String> {
    match members.id() {
        Some(id) if !id.is_scalar() => {
            Err(format!("`id` must be a string, a number or null, not {}", shortened(id.as_json())))
        }
        _ => Ok(()),
    }
}

/// The text of a JSON string.
pub(super) fn string(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

fn not_an_object<'a>(text: &str, error: &serde_json::Error) -> Message<'a> {
    match error.classify() {
        // It begins like JSON: whether it is, only reading to the end can tell.
        Category::Data => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => refused(Id::NULL, format!("a message is an object, not {}", shortened(text)), true),
            Err(error) => unreadable(error.to_string()),
        },
        _ => unreadable(error.to_string()),
    }
}

pub(super) fn unreadable<'a>(why: String) -> Message<'a> {
    let error = ErrorObject::new(ErrorCode::PARSE_ERROR, format!("parse error: {why}"));
    Message::Malformed(Malformed { id: Id::NULL, error, answer: true })
}

fn refused(id: Id<'_>, why: String, answer: bool) -> Message<'_> {
    Message::Malformed(Malformed { id, error: ErrorObject::invalid_request(why), answer })
}

/// Enough of the peer's text to find it, never all of a large one.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
