//! Writing messages.

use serde::Serialize;

use super::{Version, Writes};
use crate::jsonrpc::{EmptyParams, ErrorObject, Id, one_line};

/// Appends `value` as JSON to memory, which cannot fail for the types used here.
pub(crate) fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let written = one_line::write(out, value);
    debug_assert!(written.is_ok(), "a text, a number or an error object was not written");
}

impl Version {
    /// The member for parameters that there are none of, where `wanted` or else the connection says what it is. 1.0 requires it.
    pub(crate) fn no_params(self, wanted: Option<EmptyParams>) -> &'static [u8] {
        match (self.writes, wanted.unwrap_or(self.empty_params)) {
            (Writes::V1, _) | (Writes::V2, EmptyParams::Array) => br#","params":[]"#,
            (Writes::V2, EmptyParams::Object) => br#","params":{}"#,
            (Writes::V2, EmptyParams::Absent) => b"",
        }
    }

    /// Appends a request of ours. `body` is its method and params, in two parts: see [`Body`](crate::jsonrpc::Body).
    pub(crate) fn put_request(self, out: &mut Vec<u8>, id: u64, body: [&[u8]; 2]) {
        let [body, tail] = body;
        match self.writes {
            Writes::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
                put(out, &id);
                out.push(b',');
                out.extend_from_slice(body);
                out.extend_from_slice(tail);
            }
            Writes::V1 => {
                out.push(b'{');
                out.extend_from_slice(body);
                out.extend_from_slice(tail);
                out.extend_from_slice(br#","id":"#);
                put(out, &id);
            }
        }
        out.push(b'}');
    }

    /// Appends a notification. `body` is its method and params.
    pub(crate) fn put_notification(self, out: &mut Vec<u8>, body: &[u8]) {
        self.put_notification_in_parts(out, [body, b""]);
    }

    /// The same, whose method and params are in two parts.
    #[inline]
    pub(crate) fn put_notification_in_parts(self, out: &mut Vec<u8>, [text, tail]: [&[u8]; 2]) {
        match self.writes {
            Writes::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","#);
                out.extend_from_slice(text);
                out.extend_from_slice(tail);
            }
            Writes::V1 => {
                out.push(b'{');
                out.extend_from_slice(text);
                out.extend_from_slice(tail);
                out.extend_from_slice(br#","id":null"#);
            }
        }
        out.push(b'}');
    }

    /// Appends everything of a reply that stands before the result; the result and [`end_result`](Self::end_result) follow.
    pub(crate) fn begin_result(self, out: &mut Vec<u8>, id: Id<'_>) {
        match self.writes {
            Writes::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
                id.write(out);
                out.extend_from_slice(br#","result":"#);
            }
            Writes::V1 => out.extend_from_slice(br#"{"result":"#),
        }
    }

    /// Ends what [`begin_result`](Self::begin_result) began.
    pub(crate) fn end_result(self, out: &mut Vec<u8>, id: Id<'_>) {
        if let Writes::V1 = self.writes {
            out.extend_from_slice(br#","error":null,"id":"#);
            id.write(out);
        }
        out.push(b'}');
    }

    /// Appends a reply that is an error.
    pub(crate) fn put_error(self, out: &mut Vec<u8>, id: Id<'_>, error: &ErrorObject) {
        match self.writes {
            Writes::V2 => {
                out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
                id.write(out);
                out.extend_from_slice(br#","error":"#);
                put(out, error);
            }
            Writes::V1 => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Protocol;

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
}
