//! Writes messages: the envelope of each version, around a method and parameters that are written
//! before.

use serde::Serialize;

use super::{
    EmptyParams, ErrorObject, Id, json_text,
    version::{Version, WireVersion},
};

/// Appends `value` as JSON. Writing the types used here into memory cannot fail.
pub(super) fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let written = json_text::write(out, value);
    debug_assert!(written.is_ok(), "a text, a number or an error object was not written");
}

impl Version {
    /// The member `params` of a message without parameters: as `wanted`, or else as the connection
    /// says. 1.0 requires an array.
    pub(crate) fn no_params(self, wanted: Option<EmptyParams>) -> &'static [u8] {
        match (self.writes, wanted.unwrap_or(self.empty_params)) {
            (WireVersion::V1, _) | (WireVersion::V2, EmptyParams::Array) => br#","params":[]"#,
            (WireVersion::V2, EmptyParams::Object) => br#","params":{}"#,
            (WireVersion::V2, EmptyParams::Absent) => b"",
        }
    }

    /// Appends a request. `body` is the method and the params, in two parts: see
    /// [`Body`](crate::jsonrpc::Body).
    pub(crate) fn put_request(self, out: &mut Vec<u8>, id: u64, body: [&[u8]; 2]) {
        let [body, tail] = body;
        match self.writes {
            WireVersion::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
                put(out, &id);
                out.push(b',');
                out.extend_from_slice(body);
                out.extend_from_slice(tail);
            }
            WireVersion::V1 => {
                out.push(b'{');
                out.extend_from_slice(body);
                out.extend_from_slice(tail);
                out.extend_from_slice(br#","id":"#);
                put(out, &id);
            }
        }
        out.push(b'}');
    }

    /// Appends a notification. `body` is the method and the params.
    pub(crate) fn put_notification(self, out: &mut Vec<u8>, body: &[u8]) {
        self.put_notification_in_parts(out, [body, b""]);
    }

    /// Appends a notification, whose method and params are in two parts.
    #[inline]
    pub(crate) fn put_notification_in_parts(self, out: &mut Vec<u8>, [text, tail]: [&[u8]; 2]) {
        match self.writes {
            WireVersion::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","#);
                out.extend_from_slice(text);
                out.extend_from_slice(tail);
            }
            WireVersion::V1 => {
                out.push(b'{');
                out.extend_from_slice(text);
                out.extend_from_slice(tail);
                out.extend_from_slice(br#","id":null"#);
            }
        }
        out.push(b'}');
    }

    /// Appends the part of a reply before the result. The result and
    /// [`end_result`](Self::end_result) have to follow.
    pub(crate) fn begin_result(self, out: &mut Vec<u8>, id: Id<'_>) {
        match self.writes {
            WireVersion::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
                id.write(out);
                out.extend_from_slice(br#","result":"#);
            }
            WireVersion::V1 => out.extend_from_slice(br#"{"result":"#),
        }
    }

    /// Appends the part of a reply after the result: see [`begin_result`](Self::begin_result).
    pub(crate) fn end_result(self, out: &mut Vec<u8>, id: Id<'_>) {
        if let WireVersion::V1 = self.writes {
            out.extend_from_slice(br#","error":null,"id":"#);
            id.write(out);
        }
        out.push(b'}');
    }

    /// Appends a reply with an error.
    pub(crate) fn put_error(self, out: &mut Vec<u8>, id: Id<'_>, error: &ErrorObject) {
        match self.writes {
            WireVersion::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
                id.write(out);
                out.extend_from_slice(br#","error":"#);
                put(out, error);
            }
            WireVersion::V1 => {
                out.extend_from_slice(br#"{"result":null,"error":"#);
                if self.text_errors {
                    put(out, error.message());
                } else {
                    put(out, error);
                }
                out.extend_from_slice(br#","id":"#);
                id.write(out);
            }
        }
        out.push(b'}');
    }
}

/// The text between the method and the parameters.
const PARAMS: &[u8] = br#","params":"#;

/// The method and the parameters of a message, written and not yet sent.
///
/// They are written apart from the envelope, so that a caller can write them before it takes a lock
/// and without knowing the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'a> {
    text: &'a [u8],
    params: ParamsShape,
    empty: Option<EmptyParams>,
}

/// The kind of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParamsShape {
    /// No parameters: the text has no member for them.
    None,
    Array,
    Object,
}

impl<'a> Body<'a> {
    /// Appends the method and the parameters to `out`, as members of a message.
    ///
    /// # Errors
    ///
    /// Those of `params`, which has to append the JSON text of an array or an object; nothing, or
    /// `null`, without parameters.
    pub fn write<E>(
        out: &'a mut Vec<u8>,
        method: &str,
        params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let start = out.len();
        let end = Self::append(out, method, params)?;
        Ok(Self::written(&out[start..], end - start))
    }

    /// Writes as [`write`](Self::write) does, for callers that keep the text: returns the position
    /// at which the method ends.
    pub(crate) fn append<E>(
        out: &mut Vec<u8>,
        method: &str,
        params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<usize, E> {
        out.extend_from_slice(br#""method":"#);
        put(out, method);
        let end = out.len();
        Self::append_params(out, params)?;
        Ok(end)
    }

    /// Appends the parameters to a text that has the method already.
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

    /// The parameters in a text whose method ends at `method`; `None` if there are none.
    pub(crate) fn params_of(text: &[u8], method: usize) -> Option<&[u8]> {
        text.get(method + PARAMS.len()..)
    }

    /// A body that was written before, whose method ends at `method`.
    pub(crate) fn written(text: &'a [u8], method: usize) -> Self {
        let params = match text.get(method + PARAMS.len()) {
            None => ParamsShape::None,
            Some(b'{') => ParamsShape::Object,
            Some(_) => ParamsShape::Array,
        };
        Self { text, params, empty: None }
    }

    /// The same body, sent with `empty` if there are no parameters, whatever the connection says.
    pub const fn with_empty_params(self, empty: EmptyParams) -> Self {
        Self { empty: Some(empty), ..self }
    }

    /// Whether the parameters are an object.
    pub const fn has_named_params(&self) -> bool {
        matches!(self.params, ParamsShape::Object)
    }

    pub(super) const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The text after the body in a message of `version`.
    pub(super) fn tail(&self, version: Version) -> &'static [u8] {
        match self.params {
            ParamsShape::None => version.no_params(self.empty),
            ParamsShape::Array | ParamsShape::Object => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{Connection, Protocol};

    const V1: Version = Version::new(Protocol::V1);

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn result(version: Version, id: &str) -> String {
        written(|out| {
            version.begin_result(out, Id::from_json(id));
            out.push(b'3');
            version.end_result(out, Id::from_json(id));
        })
    }

    #[test]
    fn version_2_0_is_what_its_specification_shows() {
        let v2 = Version::V2;
        let body = br#""method":"m","params":[1]"#;
        assert_eq!(
            written(|out| v2.put_request(out, 7, [body, b""])),
            r#"{"jsonrpc":"2.0","id":7,"method":"m","params":[1]}"#
        );
        assert_eq!(
            written(|out| v2.put_notification(out, body)),
            r#"{"jsonrpc":"2.0","method":"m","params":[1]}"#
        );
        assert_eq!(result(v2, "1.50"), r#"{"jsonrpc":"2.0","id":1.50,"result":3}"#);
        assert_eq!(
            written(|out| v2.put_error(out, Id::NULL, &ErrorObject::new(-1, "no"))),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}"#
        );
    }

    #[test]
    fn version_1_0_is_what_its_specification_shows() {
        let body = br#""method":"echo","params":["Hello JSON-RPC"]"#;
        assert_eq!(
            written(|out| V1.put_request(out, 1, [body, b""])),
            r#"{"method":"echo","params":["Hello JSON-RPC"],"id":1}"#
        );
        assert_eq!(
            written(|out| V1.put_notification(out, body)),
            r#"{"method":"echo","params":["Hello JSON-RPC"],"id":null}"#
        );
        assert_eq!(result(V1, "[1]"), r#"{"result":3,"error":null,"id":[1]}"#);
        let error = ErrorObject::new(-1, "no").with_data(&1).unwrap();
        assert_eq!(
            written(|out| V1.put_error(out, Id::from_json("1"), &error)),
            r#"{"result":null,"error":{"code":-1,"message":"no","data":1},"id":1}"#
        );
        assert_eq!(
            written(|out| V1.with_text_errors().put_error(out, Id::from_json("1"), &error)),
            r#"{"result":null,"error":"no","id":1}"#
        );
    }

    /// The message that `connection` sends, with `params` as the parameters and `empty` as the
    /// body's own setting.
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
