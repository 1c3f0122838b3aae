//! Parameters: written from a tuple, and read into one, by position or by name.
//!
//! A tuple's own serde implementation does the work. What a method's table says (names) is put around it by a
//! serializer and a deserializer of ours, so nothing is generated for each method.

#[macro_use]
mod refuse;

mod decode;
mod empty;
mod encode;
mod given;
mod none;
mod or_default;
mod problem;
mod reader;
mod unknown;
mod with_rest;

use serde::de::{DeserializeOwned, IgnoredAny};

pub(crate) use decode::{decode, from_fields};
pub use empty::EmptyParams;
pub(crate) use encode::{Named, write_params};
pub use or_default::OrDefault;
pub use unknown::UnknownParams;
pub(crate) use unknown::{PassedParams, passed};
pub use with_rest::WithRest;

use super::{ErrorCode, ErrorObject, white_space};

/// The parameters of an incoming call, as the JSON text that the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawParams<'a>(Option<&'a str>);

/// Parameters that were found by scanning the envelope of a message. They begin like JSON; what
/// follows nobody has looked at. Decoding them checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UncheckedParams<'a>(Option<&'a str>);

impl<'a> UncheckedParams<'a> {
    pub(crate) const NONE: Self = Self(None);

    /// The text of an array, an object, or `null`, as far as its first byte says.
    pub(crate) fn from_text(text: &'a str) -> Self {
        Self(RawParams::from_json(text).0)
    }

    /// The text, or `None` where there are no parameters.
    pub(crate) const fn as_text(self) -> Option<&'a str> {
        self.0
    }

    /// Reads them to their end: the parameters, where they are one JSON value and no more.
    pub(crate) fn check(self) -> Option<RawParams<'a>> {
        self.0.is_none_or(is_json).then_some(RawParams(self.0))
    }

    /// The same for a caller that has read them to their end.
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
        let text = white_space::trim(text);
        Self((text != "null").then_some(text))
    }

    /// The text, or `None` where there are no parameters.
    pub const fn as_json(&self) -> Option<&'a str> {
        self.0
    }

    /// Reads them: a tuple for an array, a struct or a map for an object, `()` for none.
    ///
    /// # Errors
    ///
    /// An [`ErrorObject`] with code -32602 that names `method` and says what was wrong.
    pub fn parse<T: DeserializeOwned>(&self, method: &str) -> Result<T, ErrorObject> {
        self.read().map_err(|error| invalid(method, &error))
    }

    /// Reads them. Where there are none, they are an empty list, or else null: the type decides.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.unwrap_or("[]")).or_else(|error| match self.are_none() {
            true => serde_json::from_str("null").map_err(|_| error),
            false => Err(error),
        })
    }

    /// Whether there are none: absent, or an array or an object without anything in it.
    fn are_none(&self) -> bool {
        let inside = |text: &'a str| {
            let array = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            array.or_else(|| text.strip_prefix('{')?.strip_suffix('}'))
        };
        self.0.is_none_or(|text| inside(text).is_some_and(white_space::is_blank))
    }
}

/// Whether the text is one JSON value and no more.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The answer to parameters that do not fit.
pub(crate) fn invalid(method: &str, why: &dyn std::fmt::Display) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, format!("invalid params for `{method}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
