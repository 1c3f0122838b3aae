//! Recognises the messages that nearly every peer sends nearly always, without parsing them.
//!
//! A scan looks at the envelope only and takes what stands where params or a result belong as they are. Whoever decodes them
//! reads that text to its end, so anything unexpected in it (a further member, rubbish) fails there, and the message
//! is then read in full. So a scan may be wrong about a message, but never about one that is served.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::jsonrpc::{
    Id, Message, Outcome, Request, Response,
    message::{Scanned, UncheckedRequest},
    params::UncheckedParams,
    white_space,
};

/// The message, if it is laid out as expected.
pub(super) fn scan(text: &str) -> Option<Scanned<'_>> {
    let rest = text.strip_prefix(r#"{"jsonrpc":"2.0",""#)?;
    match rest.as_bytes().first()? {
        b'i' => {
            let (id, rest) = id(rest.strip_prefix(r#"id":"#)?)?;
            if let Some(rest) = rest.strip_prefix(r#","result":"#) {
                let outcome = Outcome::Unverified(rest.strip_suffix('}')?);
                return Some(Scanned::Response(Response { id, outcome }));
            }
            let (method, rest) = plain_string(rest.strip_prefix(r#","method":"#)?)?;
            request(Some(id), method, rest.strip_suffix('}')?)
        }
        b'm' => {
            let (method, rest) = plain_string(rest.strip_prefix(r#"method":"#)?)?;
            let rest = rest.strip_suffix('}')?;
            // The other usual place of the id is the end. Were this a lookalike inside the params, their text would
            // not be one JSON value, and would fail to decode. (Params end in a bracket, an id does not.)
            if !rest.ends_with(['}', ']'])
                && let Some((rest, id_text)) = rest.rsplit_once(r#","id":"#)
                && let Some((id, "")) = id(id_text)
            {
                return request(Some(id), method, rest);
            }
            // A notification has no id anywhere, which only reading to the end of the params can tell: a request
            // whose id stands where it was not looked for fails to decode, and is read in full.
            request(None, method, rest)
        }
        _ => None,
    }
}

/// A scanned message, where what the scan has not looked at is one JSON value and no more: then
/// nothing can be hidden there.
pub(super) fn checked(scanned: Scanned<'_>) -> Option<Message<'_>> {
    Some(match scanned {
        Scanned::Request(Request { id, method, params }) => {
            Message::Request(Request { id, method, params: params.check()? })
        }
        Scanned::Response(Response { id, outcome: Outcome::Unverified(result) }) => {
            serde_json::from_str::<IgnoredAny>(result).ok()?;
            Message::Response(Response { id, outcome: Outcome::Result(white_space::trim(result)) })
        }
        Scanned::Response(response) => Message::Response(response),
    })
}

/// `rest` is what is left between the method and the end: nothing, or the params.
fn request<'a>(id: Option<Id<'a>>, method: &'a str, rest: &'a str) -> Option<Scanned<'a>> {
    let params = match rest {
        "" => UncheckedParams::NONE,
        _ => params(rest.strip_prefix(r#","params":"#)?)?,
    };
    Some(Scanned::Request(UncheckedRequest { id, method: Cow::Borrowed(method), params }))
}

/// An array or an object, by its first byte. Other values are JSON too, and whoever decodes them might take them.
fn params(text: &str) -> Option<UncheckedParams<'_>> {
    matches!(text.as_bytes(), [b'[' | b'{', ..] | b"null").then(|| UncheckedParams::from_text(text))
}

/// A whole number, or a string without escapes.
fn id(text: &str) -> Option<(Id<'_>, &str)> {
    let end = match text.as_bytes() {
        [b'"', ..] => plain_string(text)?.0.len() + 2,
        [b'1'..=b'9', ..] => text.bytes().take_while(u8::is_ascii_digit).count(),
        _ => return None,
    };
    let (id, rest) = text.split_at(end);
    Some((Id::from_json(id), rest))
}

/// The inside of a string that has no escapes, and what follows it.
fn plain_string(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let end = inside.bytes().position(|c| c == b'"' || c == b'\\' || c < b' ')?;
    let (string, rest) = inside.split_at(end);
    Some((string, rest.strip_prefix('"')?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{Protocol, version::Version};

    /// What a scan says, where it says something, is what reading in full says.
    #[test]
    fn a_scan_agrees_with_reading_in_full() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","id":"a-1","method":"add","params":{"a":1}}"#,
            r#"{"jsonrpc":"2.0","id":12345,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":[{"x":1,"id":7}],"id":"x"}"#,
            r#"{"jsonrpc":"2.0","method":"ping","id":3}"#,
            r#"{"jsonrpc":"2.0","method":"log","params":["x"]}"#,
            r#"{"jsonrpc":"2.0","method":"log"}"#,
        ] {
            let scanned = scan(text).unwrap_or_else(|| panic!("not recognised: {text}"));
            let (Scanned::Request(scanned), Message::Request(read)) =
                (scanned, Version::V2.read_in_full(text.as_bytes()))
            else {
                panic!("no request: {text}")
            };
            assert!(read.is_same(&scanned), "{text}: {scanned:?}");
        }
    }

    /// What was scanned and then checked is what reading in full says: also where more stands there than the scan has seen.
    #[test]
    fn a_checked_scan_says_the_same_as_reading_in_full() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2] }"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","method":"log","params":{"a":[{}]}}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":[1],"id":1,"params":[2],"id":2}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":[1,],"id":1}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":{"a":1},"extra":[],"id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1],"params":[2]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1],"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1]]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":nullx}"#,
            r#"{"jsonrpc":"2.0","id":1,"result": {"a":"}"} }"#,
            r#"{"jsonrpc":"2.0","id":1,"result":5}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":5,"extra":6}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":}"#,
        ] {
            for version in [Version::V2, Version::new(Protocol::Loose), Version::new(Protocol::V1)] {
                let (checked, full) =
                    (version.read_checked(text.as_bytes()), version.read_in_full(text.as_bytes()));
                assert_eq!(format!("{checked:?}"), format!("{full:?}"), "{text}");
            }
        }
    }

    #[test]
    fn what_is_laid_out_otherwise_is_left_to_the_full_reader() {
        for text in [
            r#"{"jsonrpc":"1.0","id":1,"method":"add","params":[1,2]}"#,
            r#"{ "jsonrpc":"2.0","id":1,"method":"add"}"#,
            r#"{"id":1,"jsonrpc":"2.0","method":"add"}"#,
            r#"{"jsonrpc":"2.0","id":-1,"method":"add"}"#,
            r#"{"jsonrpc":"2.0","id":01,"method":"add"}"#,
            r#"{"jsonrpc":"2.0","id":1.0,"method":"add"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"a\u0064d"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"add","params":5}"#,
            r#"{"jsonrpc":"2.0","method":"add","params":"[1]","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}"#,
            "",
            "[]",
        ] {
            assert!(scan(text).is_none(), "{text}");
        }
    }
}
