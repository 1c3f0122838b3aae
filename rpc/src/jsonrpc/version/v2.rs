//! JSON-RPC 2.0, strict: <https://www.jsonrpc.org/specification>.

use serde_json::value::RawValue;

use super::{
    members::Members,
    read::{Rules, array_or_object, check_scalar_id, check_twice, shortened},
};
use crate::jsonrpc::{ErrorObject, Id, Outcome, RawParams};

pub(super) enum V2 {}

impl Rules for V2 {
    const BATCHES: bool = true;

    fn check(members: &Members<'_>) -> Result<(), String> {
        check_twice(members)?;
        if !members.says_2_0() {
            return Err(match members.jsonrpc {
                Some(other) => format!("`jsonrpc` must be \"2.0\", not {}", shortened(other.get())),
                None => "`jsonrpc` is missing: it must be \"2.0\"".to_owned(),
            });
        }
        check_scalar_id(members)
    }

    fn request_id<'a>(members: &Members<'a>) -> Option<Id<'a>> {
        members.id()
    }

    fn params<'a>(members: &Members<'a>) -> Result<RawParams<'a>, String> {
        array_or_object(members)
    }

    fn outcome<'a>(members: &Members<'a>) -> Outcome<'a> {
        match (members.result, members.error) {
            (Some(result), None) => Outcome::Result(result.get()),
            // Many servers send both, one of them null.
            (Some(result), Some(error)) if error.get() == "null" => Outcome::Result(result.get()),
            (None, Some(error)) => self::error(error),
            (Some(result), Some(error)) if result.get() == "null" => self::error(error),
            _ => Outcome::Malformed("it must have exactly one of `result` and `error`".to_owned()),
        }
    }
}

fn error<'a>(error: &RawValue) -> Outcome<'a> {
    match serde_json::from_str::<ErrorObject>(error.get()) {
        Ok(error) => Outcome::Error(error),
        Err(why) => {
            let error = shortened(error.get());
            Outcome::Malformed(format!("its `error` is not an error object: {why}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::jsonrpc::{Id, Message, Outcome, Response, version::Version};

    fn read(text: &str) -> Message<'_> {
        Version::V2.read_in_full(text.as_bytes())
    }

    fn malformed(text: &str) -> (String, String, bool) {
        match read(text) {
            Message::Malformed(m) => (m.id.to_string(), m.error.to_string(), m.answer),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn requests_in_any_order_with_anything_around() {
        for text in [
            r#"{"method":"add","params":[1],"id":"x","jsonrpc":"2.0"}"#,
            " { \"id\" : \"x\" , \"jsonrpc\":\"2.0\", \"extra\": {\"id\":1}, \"method\":\"a\\u0064d\", \"params\":[1] } ",
            "\u{feff}{\"jsonrpc\":\"2\\u002e0\",\"id\":\"x\",\"method\":\"add\",\"params\":[1]}",
        ] {
            match read(text) {
                Message::Request(request) => {
                    assert_eq!(request.id, Some(Id::from_json("\"x\"")));
                    assert_eq!(request.method, "add");
                    assert_eq!(request.params.as_json(), Some("[1]"));
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_null_id_makes_a_request_and_no_id_a_notification() {
        assert!(
            matches!(read(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#), Message::Request(r) if r.id == Some(Id::NULL))
        );
        assert!(
            matches!(read(r#"{"jsonrpc":"2.0","method":"m","params":null}"#), Message::Request(r) if r.id.is_none())
        );
    }

    #[test]
    fn what_is_no_request_is_answered_with_its_id_where_that_can_be_read() {
        for (text, id, error) in [
            (r#"{"jsonrpc":"2.0","id":1}"#, "1", "`method` is missing (code -32600)"),
            (
                r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#,
                "null",
                "`id` must be a string, a number or null, not []",
            ),
            (r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, "null", "not true"),
            (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, "1", "`method` must be a string, not 1"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":5}"#,
                "1",
                "`params` must be an array or an object, not 5",
            ),
            (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, "1", "`jsonrpc` must be \"2.0\", not \"1.0\""),
            (r#"{"id":1,"method":"m"}"#, "1", "`jsonrpc` is missing"),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, "2", "the member `id` is there twice"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#, "1", "also a response"),
            ("5", "null", "a message is an object, not 5 (code -32600)"),
            ("{", "null", "(code -32700)"),
            ("", "null", "(code -32700)"),
            ("NaN", "null", "(code -32700)"),
            (r#"{"jsonrpc":"2.0","method":"m"} x"#, "null", "(code -32700)"),
        ] {
            let (got_id, got, answer) = malformed(text);
            assert!(got.contains(error), "{text}: {got}");
            assert_eq!(got_id, id, "{text}");
            assert!(answer, "{text}");
        }
    }

    #[test]
    fn a_broken_response_is_never_answered() {
        let (.., answer) = malformed(r#"{"jsonrpc":"2.0","result":1}"#);
        assert!(!answer);
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":"text"}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":null}"#,
            r#"{"id":1,"result":1}"#,
        ] {
            assert!(
                matches!(read(text), Message::Response(Response { outcome: Outcome::Malformed(_), .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn responses() {
        let response = |text| match read(text) {
            Message::Response(response) => response,
            other => panic!("{text}: {other:?}"),
        };
        assert!(matches!(
            response(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).outcome,
            Outcome::Result("null")
        ));
        assert!(matches!(
            response(r#"{"result":5,"error":null,"id":1,"jsonrpc":"2.0"}"#).outcome,
            Outcome::Result("5")
        ));
        let error = response(
            r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-5,"message":"m","x":1,"data":[1]}}"#,
        );
        assert!(
            matches!(error.outcome, Outcome::Error(e) if e.code().value() == -5 && e.raw_data().is_some())
        );
        for (data, raw) in [(r#","data": null "#, Some("null")), ("", None)] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"m"{data}}}}}"#);
            let Message::Response(Response { outcome: Outcome::Error(error), .. }) = read(&text) else {
                panic!("{text}")
            };
            assert_eq!(error.raw_data().map(serde_json::value::RawValue::get), raw);
        }
    }

    #[test]
    fn a_deep_or_huge_message_is_read_without_recursion() {
        let deep = "[".repeat(100_000);
        assert!(malformed(&deep).1.contains("-32700"));
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{deep}}}"#);
        malformed(&text);
        let huge_id = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"m"}}"#, "7".repeat(5000));
        assert!(matches!(read(&huge_id), Message::Request(r) if r.id.unwrap().as_json().len() == 5000));
    }
}
