//! The parameters of a call, owned: what untyped handlers are given.

use serde::de::DeserializeOwned;

use crate::jsonrpc::{ErrorObject, RawParams};

/// The parameters of a call as JSON text, to be read into a type of yours.
#[derive(Debug, Clone)]
pub struct Params {
    method: &'static str,
    text: Option<Box<str>>,
}

impl Params {
    pub(super) fn new(method: &'static str, raw: RawParams<'_>) -> Self {
        Self { method, text: raw.as_json().map(Into::into) }
    }

    /// The JSON text of an array or an object, or `None` where there are no parameters.
    pub fn as_json(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Reads them: a tuple for an array, a struct or a map for an object, `()` for none.
    ///
    /// # Errors
    ///
    /// An [`ErrorObject`] with code -32602 that says what was wrong, ready to be returned with `?`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ErrorObject> {
        let raw = self.text.as_deref().map_or(RawParams::NONE, RawParams::from_json);
        raw.parse(self.method)
    }
}
