//! The rules of each version for requests and responses.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::read::{Envelope, VersionRules, array_or_object, check_duplicate, check_scalar_id, shortened};
use crate::jsonrpc::{ErrorCode, ErrorObject, Id, Outcome, RawParams, error::present};

/// JSON-RPC 1.0, strict: <https://www.jsonrpc.org/specification_v1>.
pub(super) enum V1Rules {}

impl VersionRules for V1Rules {
    const BATCHES: bool = false;

    fn check(envelope: &Envelope<'_>) -> Result<(), String> {
        check_duplicate(envelope)?;
        envelope.id.map_or(
            Err("`id` is missing: JSON-RPC 1.0 wants one, null for a notification".to_owned()),
            |_| Ok(()),
        )
    }

    fn request_id<'a>(envelope: &Envelope<'a>) -> Option<Id<'a>> {
        envelope.id().filter(|id| *id != Id::NULL)
    }

    fn params<'a>(envelope: &Envelope<'a>) -> Result<RawParams<'a>, String> {
        let params = envelope.params.map_or("null", RawValue::get);
        match params.as_bytes() {
            [b'[', ..] | b"null" => Ok(RawParams::from_json(params)),
            // Some clients write this for no parameters.
            [b'{', inside @ .., b'}'] if inside.trim_ascii().is_empty() => Ok(RawParams::NONE),
            [b'{', ..] => Err("`params` must be an array: JSON-RPC 1.0 has no named parameters".to_owned()),
            _ => Err(format!("`params` must be an array, not {}", shortened(params))),
        }
    }

    fn outcome<'a>(envelope: &Envelope<'a>) -> Outcome<'a> {
        match (envelope.result.map(RawValue::get), envelope.error.filter(|error| error.get() != "null")) {
            // An error is understood without a result beside it.
            (None | Some("null"), Some(error)) => Outcome::Error(lenient_error(error)),
            (Some(result), None) if envelope.error.is_some() => Outcome::Result(result),
            (Some(_), Some(_)) => Outcome::Malformed("one of `result` and `error` must be null".to_owned()),
            _ => Outcome::Malformed("it must have both `result` and `error`".to_owned()),
        }
    }
}

/// JSON-RPC 2.0, strict: <https://www.jsonrpc.org/specification>.
pub(super) enum V2Rules {}

impl VersionRules for V2Rules {
    const BATCHES: bool = true;

    fn check(envelope: &Envelope<'_>) -> Result<(), String> {
        check_duplicate(envelope)?;
        if !envelope.says_2_0() {
            return Err(match envelope.jsonrpc {
                Some(other) => format!("`jsonrpc` must be \"2.0\", not {}", shortened(other.get())),
                None => "`jsonrpc` is missing: it must be \"2.0\"".to_owned(),
            });
        }
        check_scalar_id(envelope)
    }

    fn request_id<'a>(envelope: &Envelope<'a>) -> Option<Id<'a>> {
        envelope.id()
    }

    fn params<'a>(envelope: &Envelope<'a>) -> Result<RawParams<'a>, String> {
        array_or_object(envelope)
    }

    fn outcome<'a>(envelope: &Envelope<'a>) -> Outcome<'a> {
        match (envelope.result, envelope.error) {
            (Some(result), None) => Outcome::Result(result.get()),
            // Many servers send both members, one of them null.
            (Some(result), Some(error)) if error.get() == "null" => Outcome::Result(result.get()),
            (None, Some(error)) => strict_error(error),
            (Some(result), Some(error)) if result.get() == "null" => strict_error(error),
            _ => Outcome::Malformed("it must have exactly one of `result` and `error`".to_owned()),
        }
    }
}

fn strict_error<'a>(error: &RawValue) -> Outcome<'a> {
    match serde_json::from_str::<ErrorObject>(error.get()) {
        Ok(error) => Outcome::Error(error),
        Err(why) => {
            let error = shortened(error.get());
            Outcome::Malformed(format!("its `error` is not an error object: {why}: {error}"))
        }
    }
}

/// Everything that either version allows, and what careless peers send.
pub(super) enum LooseRules {}

impl VersionRules for LooseRules {
    const BATCHES: bool = true;

    fn check(envelope: &Envelope<'_>) -> Result<(), String> {
        check_duplicate(envelope)?;
        check_scalar_id(envelope)
    }

    fn request_id<'a>(envelope: &Envelope<'a>) -> Option<Id<'a>> {
        // An id of null makes a notification in 1.0, and a request in 2.0.
        envelope.id().filter(|id| *id != Id::NULL || envelope.says_2_0())
    }

    fn params<'a>(envelope: &Envelope<'a>) -> Result<RawParams<'a>, String> {
        array_or_object(envelope)
    }

    fn outcome<'a>(envelope: &Envelope<'a>) -> Outcome<'a> {
        match (envelope.result.map(RawValue::get), envelope.error.filter(|error| error.get() != "null")) {
            (Some(result), None) => Outcome::Result(result),
            (None | Some("null"), Some(error)) => Outcome::Error(lenient_error(error)),
            (Some(_), Some(_)) => Outcome::Malformed("it has both a `result` and an `error`".to_owned()),
            (None, None) => Outcome::Malformed("it has neither a `result` nor an `error`".to_owned()),
        }
    }
}

/// Reads any value of `error`, so that a call never fails without the error that the peer meant. As
/// in aiorpcX, missing members get defaults; the default code is -100.
fn lenient_error(raw: &RawValue) -> ErrorObject {
    let text = raw.get();
    if let Ok(message) = serde_json::from_str::<Cow<'_, str>>(text) {
        return ErrorObject::new(ErrorCode::CODE_UNAVAILABLE, message.into_owned());
    }
    if let Ok(code) = serde_json::from_str::<i64>(text) {
        return ErrorObject::new(code, "the peer sent no message");
    }
    match serde_json::from_str::<LenientErrorParts<'_>>(text) {
        // serde would read an array as the members in their order.
        Ok(parts) if text.starts_with('{') => parts.put_together(),
        _ => ErrorObject::new(ErrorCode::CODE_UNAVAILABLE, shortened(text)),
    }
}

/// The members of an error object, each of any type.
#[derive(serde::Deserialize)]
struct LenientErrorParts<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

impl LenientErrorParts<'_> {
    fn put_together(self) -> ErrorObject {
        let code = self.code.and_then(|raw| serde_json::from_str::<i64>(raw.get()).ok());
        let message = match self.message.map(RawValue::get) {
            None => "the peer sent no message".to_owned(),
            Some(raw) => serde_json::from_str(raw).unwrap_or_else(|_| shortened(raw)),
        };
        let error = ErrorObject::new(code.map_or(ErrorCode::CODE_UNAVAILABLE, ErrorCode::new), message);
        match self.data {
            Some(data) => error.with_raw_data(data.to_owned()),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_it_is_it_becomes_an_error() {
        for (text, code, message) in [
            (r#"{"code":-5,"message":"no"}"#, -5, "no"),
            (r#"{"code":-5}"#, -5, "the peer sent no message"),
            (r#"{"message":"no","extra":[1]}"#, -100, "no"),
            (r#"{"code":"x","message":"no"}"#, -100, "no"),
            (r#"{"code":1.5,"message":{"a":1}}"#, -100, r#"{"a":1}"#),
            (r#"{}"#, -100, "the peer sent no message"),
            (r#""out of \"stock\"""#, -100, r#"out of "stock""#),
            ("17", 17, "the peer sent no message"),
            ("true", -100, "true"),
            ("[1,2]", -100, "[1,2]"),
            (r#"[1,"no",2]"#, -100, r#"[1,"no",2]"#),
        ] {
            let error = lenient_error(&RawValue::from_string(text.to_owned()).unwrap());
            assert_eq!((error.code().value(), error.message()), (code, message), "{text}");
        }
    }

    #[test]
    fn data_is_kept_as_it_came() {
        let raw = RawValue::from_string(r#"{"data":{"b": 1,"a":2}}"#.to_owned()).unwrap();
        assert_eq!(lenient_error(&raw).raw_data().unwrap().get(), r#"{"b": 1,"a":2}"#);
        let raw = RawValue::from_string(r#"{"data": null}"#.to_owned()).unwrap();
        assert_eq!(lenient_error(&raw).raw_data().map(RawValue::get), Some("null"));
        let raw = RawValue::from_string("{}".to_owned()).unwrap();
        assert_eq!(lenient_error(&raw).raw_data().map(RawValue::get), None);
    }
}
