//! What of a message does not depend on the link that it is sent by.

use crate::jsonrpc::{
    EmptyParams,
    version::{self, Version},
};

/// What stands between the method and the parameters.
const PARAMS: &[u8] = br#","params":"#;

/// The method and the parameters of a message, written and not yet sent.
///
/// They are written apart from the rest so that whoever sends can do it before taking a lock, and without knowing the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'a> {
    text: &'a [u8],
    params: Shape,
    empty: Option<EmptyParams>,
}

/// What the parameters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// There are none, and the text has no member for them.
    None,
    Array,
    Object,
}

impl<'a> Body<'a> {
    /// Appends both to `out`, as members of a message.
    ///
    /// # Errors
    ///
    /// Those of `params`, which appends the JSON text of an array or an object; nothing, or `null`, where there are no parameters.
    pub fn write<E>(
        out: &'a mut Vec<u8>,
        method: &str,
        params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let start = out.len();
        let end = Self::append(out, method, params)?;
        Ok(Self::written(&out[start..], end - start))
    }

    /// What [`write`](Self::write) does, for callers that keep the text: gives the place in it where the method ends.
    pub(crate) fn append<E>(
        out: &mut Vec<u8>,
        method: &str,
        params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<usize, E> {
        out.extend_from_slice(br#""method":"#);
        version::put(out, method);
        let end = out.len();
        Self::append_params(out, params)?;
        Ok(end)
    }

    /// Appends the parameters to what has the method already.
    pub(crate) fn append_params<E>(
        out: &mut Vec<u8>,
        params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = out.len();
        out.extend_from_slice(PARAMS);
        let start = out.len();
        params(out)?;
        if matches!(&out[start..], b"" | b"null") {
            out.truncate(end);
        }
        Ok(())
    }

    /// The parameters in a text whose method ends at `method`; `None` where there are none.
    pub(crate) fn params_of(text: &[u8], method: usize) -> Option<&[u8]> {
        text.get(method + PARAMS.len()..)
    }

    /// What was written before, whose method ends at `method`.
    pub(crate) fn written(text: &'a [u8], method: usize) -> Self {
        let params = match text.get(method + PARAMS.len()) {
            None => Shape::None,
            Some(b'{') => Shape::Object,
            Some(_) => Shape::Array,
        };
        Self { text, params, empty: None }
    }

    /// The same, sent with `empty` where there are no parameters, whatever the connection says.
    pub const fn with_empty_params(self, empty: EmptyParams) -> Self {
        Self { empty: Some(empty), ..self }
    }

    /// Whether the parameters are an object.
    pub const fn has_named_params(&self) -> bool {
        matches!(self.params, Shape::Object)
    }

    pub(super) const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// What follows the text in a message of `version`.
    pub(super) fn tail(&self, version: Version) -> &'static [u8] {
        match self.params {
            Shape::None => version.no_params(self.empty),
            Shape::Array | Shape::Object => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{Connection, Protocol};

    /// What a connection that is made so sends, given what is written for the parameters, and what the body says of none.
    fn sent(connection: &mut Connection<()>, params: &str, empty: Option<EmptyParams>) -> String {
        let (mut text, mut out) = (b"before".to_vec(), Vec::new());
        let Ok(body) = Body::write(&mut text, "m", |out| {
            out.extend_from_slice(params.as_bytes());
            Ok::<_, std::convert::Infallible>(())
        });
        let body = empty.map_or(body, |empty| body.with_empty_params(empty));
        connection.notification(&mut out, body).expect("it can be said");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn no_parameters_are_what_the_body_says_or_else_the_connection() {
        use EmptyParams::{Absent, Array, Object};
        let members = [(Absent, ""), (Array, r#","params":[]"#), (Object, r#","params":{}"#)];
        for none in ["", "null"] {
            for (of_connection, by_default) in members {
                let mut v2 = Connection::new(Protocol::V2).with_empty_params(of_connection);
                let mut v1 = Connection::new(Protocol::V1).with_empty_params(of_connection);
                let expected = |member| format!(r#"{{"jsonrpc":"2.0","method":"m"{member}}}"#);
                assert_eq!(sent(&mut v2, none, None), expected(by_default));
                for (of_body, member) in members {
                    assert_eq!(sent(&mut v2, none, Some(of_body)), expected(member));
                    let of_1_0 = r#"{"method":"m","params":[],"id":null}"#;
                    assert_eq!(sent(&mut v1, none, Some(of_body)), of_1_0);
                }
            }
        }
    }

    #[test]
    fn what_was_written_is_sent_as_it_is() {
        for params in ["[]", "{}", "[null]", r#"{"a":1}"#] {
            for empty in [EmptyParams::Absent, EmptyParams::Array, EmptyParams::Object] {
                let mut v2 = Connection::new(Protocol::V2).with_empty_params(empty);
                let expected = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{params}}}"#);
                assert_eq!(sent(&mut v2, params, Some(empty)), expected);
            }
        }
    }
}
