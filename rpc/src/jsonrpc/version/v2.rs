//! JSON-RPC 2.0, strict: <https://www.jsonrpc.org/specification>.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{error::Category, value::RawValue};

use super::{members::Members, put, put_u64, unreadable};
use crate::jsonrpc::{ErrorObject, Id, Malformed, Message, Outcome, RawParams, Request, Response};

/// Reads one message in full.
pub(crate) fn read(text: &str) -> Message<'_> {
    // Some peers begin a stream with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let members: Members<'_> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) => return not_an_object(text, &error),
    };
    let is_response = members.method.is_none() && (members.result.is_some() || members.error.is_some());
    let id = members.id.map(|raw| Id::from_json(raw.get()));
    let readable_id = id.filter(Id::is_scalar).unwrap_or(Id::NULL);
    let problem = check(&members, id);
    if is_response {
        let outcome = match problem {
            Some(reason) => Outcome::Malformed(reason),
            None => outcome(&members),
        };
        return match id {
            Some(id) => Message::Response(Response { id, outcome }),
            None => refused(Id::NULL, "a response without an id".to_owned(), false),
        };
    }
    match (problem, method(&members)) {
        (Some(problem), _) | (None, Err(problem)) => refused(readable_id, problem, true),
        (None, Ok((method, params))) => Message::Request(Request { id, method, params }),
    }
}

/// What holds for every message.
fn check(members: &Members<'_>, id: Option<Id<'_>>) -> Option<String> {
    if let Some(name) = members.twice {
        return Some(format!("the member `{name}` is there twice"));
    }
    match members.jsonrpc.map(RawValue::get) {
        Some("\"2.0\"") => {}
        Some(other) if serde_json::from_str::<Cow<'_, str>>(other).is_ok_and(|text| text == "2.0") => {}
        Some(other) => return Some(format!("`jsonrpc` must be \"2.0\", not {}", shortened(other))),
        None => return Some("`jsonrpc` is missing: it must be \"2.0\"".to_owned()),
    }
    match id {
        Some(id) if !id.is_scalar() => {
            Some(format!("`id` must be a string, a number or null, not {}", shortened(id.as_json())))
        }
        _ => None,
    }
}

fn method<'a>(members: &Members<'a>) -> Result<(Cow<'a, str>, RawParams<'a>), String> {
    let method = members.method.ok_or("`method` is missing")?.get();
    let method =
        string(method).ok_or_else(|| format!("`method` must be a string, not {}", shortened(method)))?;
    if members.result.is_some() || members.error.is_some() {
        return Err("it has a `method` and is also a response".to_owned());
    }
    let params = members.params.map_or("null", RawValue::get);
    // The specification knows no null here, but clients send it for "none", and nothing else can be meant.
    match params.as_bytes() {
        [b'[' | b'{', ..] | b"null" => Ok((method, RawParams::from_json(params))),
        _ => Err(format!("`params` must be an array or an object, not {}", shortened(params))),
    }
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

fn error<'a>(error: &RawValue) -> Outcome<'a> {
    match serde_json::from_str::<ErrorObject>(error.get()) {
        Ok(error) => Outcome::Error(error),
        Err(why) => Outcome::Malformed(format!(
            "its `error` is not an error object: {why}: {}",
            shortened(error.get())
        )),
    }
}

fn string(json: &str) -> Option<Cow<'_, str>> {
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

fn refused(id: Id<'_>, why: String, answer: bool) -> Message<'_> {
    Message::Malformed(Malformed { id, error: ErrorObject::invalid_request(why), answer })
}

/// Enough of the peer's text to find it, never all of a large one.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Appends a request of ours. `body` is its method and params: see [`write_body`](crate::jsonrpc::write_body).
pub(crate) fn put_request(out: &mut Vec<u8>, id: u64, body: &[u8]) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    put_u64(out, id);
    out.push(b',');
    out.extend_from_slice(body);
    out.push(b'}');
}

/// Appends a notification. `body` is its method and params.
pub(crate) fn put_notification(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","#);
    out.extend_from_slice(body);
    out.push(b'}');
}

/// Appends everything of a reply that stands before the result; the result and [`end_result`] follow.
pub(crate) fn begin_result(out: &mut Vec<u8>, id: Id<'_>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    id.write(out);
    out.extend_from_slice(br#","result":"#);
}

/// Ends what [`begin_result`] began.
pub(crate) fn end_result(out: &mut Vec<u8>) {
    out.push(b'}');
}

/// Appends a reply that is an error.
pub(crate) fn put_error(out: &mut Vec<u8>, id: Id<'_>, error: &ErrorObject) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    id.write(out);
    out.extend_from_slice(br#","error":"#);
    put(out, error);
    out.push(b'}');
}

/// The response that a scan took apart, whose result began with `rest`.
pub(crate) fn expected_response(rest: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{rest}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_is_written_is_what_the_specification_shows() {
        let mut out = Vec::new();
        put_request(&mut out, 7, br#""method":"m","params":[1]"#);
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":7,"method":"m","params":[1]}"#);
        out.clear();
        put_notification(&mut out, br#""method":"log","params":[]"#);
        assert_eq!(out, br#"{"jsonrpc":"2.0","method":"log","params":[]}"#);
        out.clear();
        begin_result(&mut out, Id::from_json("1.50"));
        out.extend_from_slice(b"3");
        end_result(&mut out);
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":1.50,"result":3}"#);
        out.clear();
        put_error(&mut out, Id::NULL, &ErrorObject::new(-1, "no"));
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}"#);
    }
}
