//! JSON as text: white space, the canonical form in which values are compared, the elements of an
//! array, and writing on one line.
//!
//! Nothing here builds a value: a batch is never held as a list, and ids are compared without
//! parsing nearly always.

use std::{borrow::Cow, io};

use serde::Serialize;
use serde_json::{Serializer, ser::Formatter};

const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The JSON without the white space around it. ASCII white space differs: it has a form feed, too.
pub(super) fn trim(json: &str) -> &str {
    match json.as_bytes() {
        // There is nearly always none.
        [first, .., last] if *first > b' ' && *last > b' ' => json,
        _ => json.trim_matches(WHITE_SPACE),
    }
}

/// Whether the text is empty but for white space.
pub(super) fn is_blank(json: &str) -> bool {
    trim(json).is_empty()
}

/// The canonical text of the JSON value `json`, by which ids and tokens are compared.
///
/// A peer may write an id in one way in a request and in another where it refers to the request:
/// PHP escapes every `/`, Python every character that is not ASCII.
///
/// Escapes in strings, and white space between the tokens of arrays and objects, make no
/// difference. Numbers are compared by their texts, and the members of an object in the order in
/// which they came: `1` and `1.0` are two values, and so are `{"a":1,"b":2}` and `{"b":2,"a":1}`. A
/// string with invalid escapes (`"\ud800"`) is its own canonical form.
///
/// The canonical form is nearly always the text itself, which needs no allocation. It is never
/// longer.
pub(super) fn canonical(json: &str) -> Cow<'_, str> {
    match json.as_bytes() {
        [b'"', text @ ..] if memchr::memchr(b'\\', text).is_some() => canonical_string(json),
        [b'[' | b'{', ..] if json.bytes().any(|byte| byte == b'\\' || byte <= b' ') => {
            Cow::Owned(canonical_compound(json))
        }
        _ => Cow::Borrowed(json),
    }
}

/// Whether two texts are the same JSON value.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a == b || (a.as_bytes().first() == b.as_bytes().first() && canonical(a) == canonical(b))
}

fn canonical_string(json: &str) -> Cow<'_, str> {
    let text = serde_json::from_str::<Cow<'_, str>>(json);
    match text.and_then(|text| serde_json::to_string(&text)) {
        Ok(canonical) => Cow::Owned(canonical),
        Err(_) => Cow::Borrowed(json),
    }
}

/// The canonical form of an array or an object. It is not parsed, so its depth costs no stack.
fn canonical_compound(json: &str) -> String {
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

/// The length of the string that `json` begins with, quotes included.
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

/// The elements of a JSON array, as texts, one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elements<'a> {
    text: &'a str,
    /// The position of the next element.
    at: usize,
}

impl<'a> Elements<'a> {
    /// `array` must be one JSON array, brackets included: it is not checked here.
    pub(super) fn new(array: &'a str) -> Self {
        let text = array.strip_prefix('[').unwrap_or_default();
        let text = text.strip_suffix(']').unwrap_or_default();
        Self { text, at: 0 }
    }

    /// The elements of a frame that is known to be an array.
    pub(crate) fn of_frame(frame: &'a [u8]) -> Self {
        let text = std::str::from_utf8(frame).unwrap_or_default();
        Self::new(trim(text.trim_start_matches('\u{feff}')))
    }

    /// The current position, for [`skip_to`](Self::skip_to).
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// The same array, from `position` on.
    pub(crate) fn skip_to(self, position: usize) -> Self {
        Self { at: position, ..self }
    }

    /// Whether there are more than `limit` elements. It looks no further than it has to.
    pub(crate) fn are_more_than(&self, limit: usize) -> bool {
        self.clone().nth(limit).is_some()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = end_of_element(rest.as_bytes());
        // After the comma, or past the end: then there is no next element.
        self.at = self.text.len().min(self.at + end) + usize::from(end < rest.len());
        let element = trim(&rest[..end]);
        (!element.is_empty()).then_some(element)
    }
}

/// The position of the comma after the first element, or the end.
fn end_of_element(json: &[u8]) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    json.len()
}

/// Appends `value` as JSON on one line.
///
/// Every message is written through this function, so none contains a line break, and a framing
/// that ends messages with one need not look for others.
///
/// # Errors
///
/// If the `Serialize` of the value fails. The caller has to cut off what was appended by then.
pub(crate) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, OneLine))
}

/// The compact form, except that JSON which is passed through unparsed (`RawValue`) may contain
/// line breaks.
struct OneLine;

impl Formatter for OneLine {
    fn write_raw_fragment<W: io::Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        // Most fragments are on one line already.
        if memchr::memchr2(b'\n', b'\r', fragment.as_bytes()).is_none() {
            return out.write_all(fragment.as_bytes());
        }
        // Strings escape line breaks, so one in a fragment can only be white space: a blank means
        // the same.
        let mut lines = fragment.split(['\n', '\r']);
        out.write_all(lines.next().unwrap_or_default().as_bytes())?;
        for line in lines {
            out.write_all(b" ")?;
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_form_feed_is_none() {
        assert_eq!(trim(" \t\r\n1 2\n "), "1 2");
        assert_eq!(trim("[]\x0c"), "[]\x0c");
        assert!(is_blank(" \n") && !is_blank("\x0c"));
    }

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
            // The form is a fixed point, so what is compared can be compared again; and none is
            // longer than its text.
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

    fn elements(array: &str) -> Vec<&str> {
        Elements::new(array).collect()
    }

    #[test]
    fn an_array_comes_apart_into_its_elements() {
        assert_eq!(elements("[]"), Vec::<&str>::new());
        assert_eq!(elements("[ \n ]"), Vec::<&str>::new());
        assert_eq!(elements("[1]"), ["1"]);
        assert_eq!(elements("[ 1 , [2,3],\t{\"a\":[4,5]} ]"), ["1", "[2,3]", "{\"a\":[4,5]}"]);
        assert_eq!(elements(r#"["a,b","\",]","\\",""]"#), [r#""a,b""#, r#""\",]""#, r#""\\""#, r#""""#]);
        assert_eq!(elements(r#"["é","語,"]"#), [r#""é""#, r#""語,""#]);
    }

    #[test]
    fn it_can_be_taken_up_where_it_was_left() {
        let all = Elements::new("[1,{\"a\":2},3]");
        let mut first = all.clone();
        assert_eq!(first.next(), Some("1"));
        let rest: Vec<&str> = all.skip_to(first.position()).collect();
        assert_eq!(rest, ["{\"a\":2}", "3"]);
    }

    #[test]
    fn counting_stops_at_the_limit() {
        assert!(!Elements::new("[1,2]").are_more_than(2));
        assert!(Elements::new("[1,2,3]").are_more_than(2));
        assert!(!Elements::new("[]").are_more_than(0));
        assert!(Elements::new("[1]").are_more_than(0));
    }

    #[test]
    fn what_is_no_array_does_no_harm() {
        for text in ["", "[", "]", "[]]", "[,]", "[\"", "[\\"] {
            assert!(elements(text).len() < 3, "{text}");
        }
    }

    #[test]
    fn json_that_is_passed_through_goes_out_on_one_line() {
        let raw = RawValue::from_string("{\n  \"a\": [1,\r\n2]\n}".to_owned()).unwrap();
        let mut out = b">".to_vec();
        write(&mut out, &("x\ny", raw)).unwrap();
        assert_eq!(out, br#">["x\ny",{   "a": [1,  2] }]"#);
    }
}
