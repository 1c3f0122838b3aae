//! Reads what stands behind `error`, whatever it is: a call must not fail for want of a better error.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::read::shortened;
use crate::jsonrpc::{ErrorCode, ErrorObject, error::present};

/// The error that is meant. aiorpcX's rule: what is missing is made up for, and a code that is missing is -100.
pub(super) fn error(raw: &RawValue) -> ErrorObject {
    let text = raw.get();
    if let Ok(message) = serde_json::from_str::<Cow<'_, str>>(text) {
        return ErrorObject::new(ErrorCode::CODE_UNAVAILABLE, message.into_owned());
    }
    if let Ok(code) = serde_json::from_str::<i64>(text) {
        return ErrorObject::new(code, "the peer sent no message");
    }
    match serde_json::from_str::<Parts<'_>>(text) {
        // A list would be read as the members in their order.
        Ok(parts) if text.starts_with('{') => parts.put_together(),
        _ => ErrorObject::new(ErrorCode::CODE_UNAVAILABLE, shortened(text)),
    }
}

/// The members of an error object, each of any type.
#[derive(serde::Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

impl Parts<'_> {
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
            let error = error(&RawValue::from_string(text.to_owned()).unwrap());
            assert_eq!((error.code().value(), error.message()), (code, message), "{text}");
        }
    }

    #[test]
    fn data_is_kept_as_it_came() {
        let raw = RawValue::from_string(r#"{"data":{"b": 1,"a":2}}"#.to_owned()).unwrap();
        assert_eq!(error(&raw).raw_data().unwrap().get(), r#"{"b": 1,"a":2}"#);
        let raw = RawValue::from_string(r#"{"data": null}"#.to_owned()).unwrap();
        assert_eq!(error(&raw).raw_data().map(RawValue::get), Some("null"));
        let raw = RawValue::from_string("{}".to_owned()).unwrap();
        assert_eq!(error(&raw).raw_data().map(RawValue::get), None);
    }
}
