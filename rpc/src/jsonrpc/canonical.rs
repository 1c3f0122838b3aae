//! The form in which ids and tokens are compared: one text for all that say the same.
//!
//! An id is a JSON value. A peer may write it in one way in a request and in another one where it
//! refers to the request: PHP escapes every `/`, Python whatever is not ASCII.

use std::borrow::Cow;

/// The text that stands for the JSON value `json` where values are compared.
///
/// Escapes in strings, and white space between the tokens of arrays and objects, make no
/// difference. Numbers are what their texts are, and the members of an object are in the order in
/// which they came: `1` and `1.0` are two values, and so are `{"a":1,"b":2}` and `{"b":2,"a":1}`.
/// A string with escapes that mean no character (`"\ud800"`) stands for itself.
///
/// Nearly always that is the text itself, and then nothing is allocated. It is never longer.
pub(crate) fn canonical(json: &str) -> Cow<'_, str> {
    match json.as_bytes() {
        [b'"', text @ ..] if memchr::memchr(b'\\', text).is_some() => string(json),
        [b'[' | b'{', ..] if json.bytes().any(|byte| byte == b'\\' || byte <= b' ') => {
            Cow::Owned(compound(json))
        }
        _ => Cow::Borrowed(json),
    }
}

/// Whether two texts are one value.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    a == b || (a.as_bytes().first() == b.as_bytes().first() && canonical(a) == canonical(b))
}

fn string(json: &str) -> Cow<'_, str> {
    let text = serde_json::from_str::<Cow<'_, str>>(json);
    match text.and_then(|text| serde_json::to_string(&text)) {
        Ok(canonical) => Cow::Owned(canonical),
        Err(_) => Cow::Borrowed(json),
    }
}

/// An array or an object, however deep: it is not taken apart.
fn compound(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(['"', ' ', '\t', '\n', '\r']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('"') {
            let (text, behind) = rest.split_at(string_length(rest));
            out.push_str(&canonical(text));
            rest = behind;
        } else {
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// How long the string is that `json` begins with, quotes included.
fn string_length(json: &str) -> usize {
    let bytes = json.as_bytes();
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_white_space_make_no_difference() {
        for (a, b) in [
            (r#""a\/b""#, r#""a/b""#),
            (r#""\u0061""#, r#""a""#),
            (r#""\u00e9""#, r#""é""#),
            (r#""\u00E9""#, r#""\u00e9""#),
            (r#""\ud83d\ude00""#, r#""😀""#),
            (r#""\u000a""#, r#""\n""#),
            (r#""\u0022\u005c""#, r#""\"\\""#),
            (r#""\u007f""#, "\"\u{7f}\""),
            (r#"[1,"a/b"]"#, "[ 1 ,\t\r\n\"a\\/b\" ]"),
            (r#"{"a":[{}]}"#, r#"{ "\u0061" : [ { } ] }"#),
            (r#"["\" ",1]"#, r#"["\u0022\u0020", 1]"#),
            (r#"["\\"," "]"#, r#"[ "\u005c" , " " ]"#),
        ] {
            assert!(is_same(a, b) && is_same(b, a), "{a} {b}");
            // The form is a fixed point, so what is compared can be compared again; and none is longer
            // than its text.
            assert_eq!(canonical(&canonical(b)), canonical(b));
            assert!(canonical(a).len() <= a.len() && canonical(b).len() <= b.len());
        }
    }

    #[test]
    fn what_is_another_value_stays_one() {
        let values = [
            "1",
            "1.0",
            "1e0",
            "-0",
            "0",
            "\"1\"",
            "true",
            "null",
            "\"true\"",
            "\"\"",
            "\" \"",
            "\"a\"",
            "\"A\"",
            r#""\\u0061""#,
            r#""a\\/b""#,
            r#""a/b""#,
            "[]",
            "{}",
            "[1]",
            "[1.0]",
            "[\"1\"]",
            "[1,2]",
            "[12]",
            r#"["a b"]"#,
            r#"["ab"]"#,
            r#"{"a":1,"b":2}"#,
            r#"{"b":2,"a":1}"#,
            r#"{"a":"b"}"#,
            r#"["a","b"]"#,
            r#"["a,b"]"#,
            "123456789012345678901234567890",
            "123456789012345678901234567891",
            "1e2",
            "100.0",
        ];
        for (n, a) in values.iter().enumerate() {
            for (m, b) in values.iter().enumerate() {
                assert_eq!(is_same(a, b), n == m, "{a} {b}");
            }
        }
    }

    #[test]
    fn escapes_that_mean_no_character_are_compared_by_their_text() {
        let broken = [
            r#""\ud800""#,
            r#""\uD800""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#""\ud800\/""#,
            r#""\ufffd""#,
            "\"\u{fffd}x\"",
            r#""\x""#,
            r#""\"#,
        ];
        for (n, a) in broken.iter().enumerate() {
            for (m, b) in broken.iter().enumerate() {
                assert_eq!(is_same(a, b), n == m, "{a} {b}");
                let (a, b) = (format!("[ {a}]"), format!("[{b}]"));
                assert_eq!(is_same(&a, &b), n == m, "{a} {b}");
            }
        }
    }

    #[test]
    fn what_has_neither_costs_nothing() {
        for text in ["7", "\"a b/é\"", "null", "[1,\"a\"]", "", "1 "] {
            assert!(matches!(canonical(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn depth_takes_no_stack() {
        let deep = "[ ".repeat(100_000);
        assert_eq!(canonical(&deep).len(), 100_000);
    }
}
