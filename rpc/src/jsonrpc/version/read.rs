//! Reads one message: by a scan, if its envelope is laid out as nearly every peer writes it, or in
//! full.
//!
//! A scan looks at the envelope only, and does not check the text in the place of params or a
//! result. Decoding reads that text to its end, so anything unexpected in it (a further member,
//! garbage) fails there, and the message is then read in full. So a scan may be wrong about a
//! message, but never about one that is served.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};

use crate::jsonrpc::{
    ErrorCode, ErrorObject, Id, Malformed, Message, Outcome, RawParams, Request, Response, UncheckedParams,
    UncheckedRequest,
    json_text::{Elements, trim},
    message::Scanned,
};

/// Scans a message; `None` if it is laid out in any other way.
pub(super) fn scan(text: &str) -> Option<Scanned<'_>> {
    let rest = text.strip_prefix(r#"{"jsonrpc":"2.0",""#)?;
    match rest.as_bytes().first()? {
        b'i' => {
            let (id, rest) = scan_id(rest.strip_prefix(r#"id":"#)?)?;
            if let Some(rest) = rest.strip_prefix(r#","result":"#) {
                let outcome = Outcome::Unverified(rest.strip_suffix('}')?);
                return Some(Scanned::Response(Response { id, outcome }));
            }
            let (method, rest) = plain_string(rest.strip_prefix(r#","method":"#)?)?;
            scan_request(Some(id), method, rest.strip_suffix('}')?)
        }
        b'm' => {
            let (method, rest) = plain_string(rest.strip_prefix(r#"method":"#)?)?;
            let rest = rest.strip_suffix('}')?;
            // The other usual place of the id is the end. If this is a lookalike inside the params,
            // their text is not one JSON value, and decoding it fails. (Params end in a bracket, an
            // id does not.)
            if !rest.ends_with(['}', ']'])
                && let Some((rest, id_text)) = rest.rsplit_once(r#","id":"#)
                && let Some((id, "")) = scan_id(id_text)
            {
                return scan_request(Some(id), method, rest);
            }
            // A notification has no id anywhere, which only reading the params to their end can
            // tell: a request with its id in an unusual place fails to decode, and is read in full.
            scan_request(None, method, rest)
        }
        _ => None,
    }
}

/// Checks that the unread part of a scanned message is exactly one JSON value: then nothing can be
/// hidden in it.
pub(super) fn checked(scanned: Scanned<'_>) -> Option<Message<'_>> {
    Some(match scanned {
        Scanned::Request(Request { id, method, params }) => {
            Message::Request(Request { id, method, params: params.check()? })
        }
        Scanned::Response(Response { id, outcome: Outcome::Unverified(result) }) => {
            serde_json::from_str::<IgnoredAny>(result).ok()?;
            Message::Response(Response { id, outcome: Outcome::Result(trim(result)) })
        }
        Scanned::Response(response) => Message::Response(response),
    })
}

/// `rest` is the text between the method and the end: nothing, or the params.
fn scan_request<'a>(id: Option<Id<'a>>, method: &'a str, rest: &'a str) -> Option<Scanned<'a>> {
    let params = match rest {
        "" => UncheckedParams::NONE,
        _ => scan_params(rest.strip_prefix(r#","params":"#)?)?,
    };
    Some(Scanned::Request(UncheckedRequest { id, method: Cow::Borrowed(method), params }))
}

/// An array or an object, by its first byte. Other values are JSON too, and a decoder might accept
/// them.
fn scan_params(text: &str) -> Option<UncheckedParams<'_>> {
    matches!(text.as_bytes(), [b'[' | b'{', ..] | b"null").then(|| UncheckedParams::from_text(text))
}

/// An integer, or a string without escapes.
fn scan_id(text: &str) -> Option<(Id<'_>, &str)> {
    let end = match text.as_bytes() {
        [b'"', ..] => plain_string(text)?.0.len() + 2,
        [b'1'..=b'9', ..] => text.bytes().take_while(u8::is_ascii_digit).count(),
        _ => return None,
    };
    let (id, rest) = text.split_at(end);
    Some((Id::from_json(id), rest))
}

/// The inside of a string without escapes, and the text after it.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let end = inside.bytes().position(|c| c == b'"' || c == b'\\' || c < b' ')?;
    let (string, rest) = inside.split_at(end);
    Some((string, rest.strip_prefix('"')?))
}

/// The members of a message, unparsed. Members with other names are skipped.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) jsonrpc: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) method: Option<&'a RawValue>,
    pub(super) params: Option<&'a RawValue>,
    pub(super) result: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
    /// The name of a duplicate member. Parsers differ in which of the two they take, so no version
    /// accepts it.
    pub(super) duplicate: Option<&'static str>,
}

impl<'a> Envelope<'a> {
    pub(super) fn id(&self) -> Option<Id<'a>> {
        self.id.map(|raw| Id::from_json(raw.get()))
    }

    /// Whether it is a response, valid or not.
    pub(super) fn is_response(&self) -> bool {
        self.method.is_none() && (self.result.is_some() || self.error.is_some())
    }

    /// The text of `jsonrpc`, if it is a string.
    pub(super) fn version(&self) -> Option<Cow<'a, str>> {
        string(self.jsonrpc?.get())
    }

    pub(super) fn says_2_0(&self) -> bool {
        self.version().as_deref() == Some("2.0")
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            let (name, member) = match &*name {
                "jsonrpc" => ("jsonrpc", &mut envelope.jsonrpc),
                "id" => ("id", &mut envelope.id),
                "method" => ("method", &mut envelope.method),
                "params" => ("params", &mut envelope.params),
                "result" => ("result", &mut envelope.result),
                "error" => ("error", &mut envelope.error),
                _ => continue,
            };
            if member.replace(value).is_some() {
                envelope.duplicate = Some(name);
            }
        }
        Ok(envelope)
    }
}

/// The rules of one version.
pub(super) trait VersionRules {
    /// Whether a message may be an array of messages.
    const BATCHES: bool;

    /// Checks the rules for both requests and responses; the error is the reason to refuse the
    /// message.
    fn check(envelope: &Envelope<'_>) -> Result<(), String>;

    /// The id under which a reply is expected: `None` for a notification.
    fn request_id<'a>(envelope: &Envelope<'a>) -> Option<Id<'a>>;

    /// The parameters, or the reason to refuse them.
    fn params<'a>(envelope: &Envelope<'a>) -> Result<RawParams<'a>, String>;

    /// The outcome of a response.
    fn outcome<'a>(envelope: &Envelope<'a>) -> Outcome<'a>;
}

/// Reads the message in one frame.
pub(super) fn message<R: VersionRules>(text: &str) -> Message<'_> {
    // Some peers begin a stream with a byte order mark.
    let text = trim(text.strip_prefix('\u{feff}').unwrap_or(text));
    if text.starts_with('[') { array::<R>(text) } else { object::<R>(text) }
}

fn array<R: VersionRules>(text: &str) -> Message<'_> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => unreadable(error.to_string()),
        Ok(_) if R::BATCHES => Message::Batch(Elements::new(text)),
        Ok(_) => refused(Id::NULL, "JSON-RPC 1.0 has no batches".to_owned(), true),
    }
}

/// Reads a message that is no batch.
pub(super) fn object<R: VersionRules>(text: &str) -> Message<'_> {
    let envelope: Envelope<'_> = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) => return not_an_object(text, &error),
    };
    let problem = R::check(&envelope).err();
    if envelope.is_response() {
        return response::<R>(&envelope, problem);
    }
    match problem.map_or_else(|| request::<R>(&envelope), Err) {
        Ok(request) => Message::Request(request),
        Err(problem) => {
            let id = envelope.id().filter(Id::is_scalar).unwrap_or(Id::NULL);
            refused(id, problem, true)
        }
    }
}

fn request<'a, R: VersionRules>(envelope: &Envelope<'a>) -> Result<Request<'a>, String> {
    let method = envelope.method.ok_or("`method` is missing")?.get();
    let method =
        string(method).ok_or_else(|| format!("`method` must be a string, not {}", shortened(method)))?;
    if envelope.result.is_some() || envelope.error.is_some() {
        return Err("it has a `method` and is also a response".to_owned());
    }
    Ok(Request { id: R::request_id(envelope), method, params: R::params(envelope)? })
}

fn response<'a, R: VersionRules>(envelope: &Envelope<'a>, problem: Option<String>) -> Message<'a> {
    let is_error = || envelope.error.is_some_and(|error| error.get() != "null");
    // Some peers leave the id out where others write null, if they could not read the id of the
    // request.
    match envelope.id().or_else(|| is_error().then_some(Id::NULL)) {
        Some(id) => {
            let outcome = problem.map_or_else(|| R::outcome(envelope), Outcome::Malformed);
            Message::Response(Response { id, outcome })
        }
        // It may be the reply to a message of this side: answering it could go on for ever.
        None => refused(Id::NULL, "a response without an id".to_owned(), false),
    }
}

/// The parameters, if arrays and objects are allowed.
pub(super) fn array_or_object<'a>(envelope: &Envelope<'a>) -> Result<RawParams<'a>, String> {
    let params = envelope.params.map_or("null", RawValue::get);
    // The specification does not allow null here, but clients send it for no parameters, and it can
    // mean nothing else.
    match params.as_bytes() {
        [b'[' | b'{', ..] | b"null" => Ok(RawParams::from_json(params)),
        _ => Err(format!("`params` must be an array or an object, not {}", shortened(params))),
    }
}

/// Refuses a duplicate member: parsers differ in which of the two they take.
pub(super) fn check_duplicate(envelope: &Envelope<'_>) -> Result<(), String> {
    envelope.duplicate.map_or(Ok(()), |name| Err(format!("the member `{name}` is there twice")))
}

/// Refuses ids that 2.0 does not allow.
pub(super) fn check_scalar_id(envelope: &Envelope<'_>) -> Result<(), String> {
    match envelope.id() {
        Some(id) if !id.is_scalar() => {
            Err(format!("`id` must be a string, a number or null, not {}", shortened(id.as_json())))
        }
        _ => Ok(()),
    }
}

/// The text of a JSON string.
fn string(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}

fn not_an_object<'a>(text: &str, error: &serde_json::Error) -> Message<'a> {
    match error.classify() {
        // It begins like JSON: only reading it to the end tells whether it is.
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

/// Enough of an untrusted text to find it, never all of a large one.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
