//! Ids of requests: kept as the peer wrote them, compared as JSON values, echoed byte for byte.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

use super::{
    json_text::{canonical, is_same},
    shown::escaped,
};

/// The id of a message, as the JSON text on the wire.
///
/// Ids are compared as JSON values: escapes in strings make no difference, nor does white space in
/// the arrays and objects that JSON-RPC 1.0 allows. The members of an object are compared in the
/// order in which they came. `1`, `1.0`, `"1"` and `true` are four ids: numbers are compared by
/// their texts, and nothing is converted. Strings with invalid escapes, such as `"\ud800"`, are
/// compared by their texts too.
///
/// ```
/// use rpc::jsonrpc::Id;
///
/// assert_eq!(Id::from_json(r#""a\/b""#), Id::from_json(r#""a/b""#));
/// assert_ne!(Id::from_json("1"), Id::from_json("1.0"));
/// assert_eq!(Id::from_json(r#""a\/b""#).as_json(), r#""a\/b""#);
/// ```
#[derive(Clone, Copy)]
pub struct Id<'a>(&'a str);

impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        is_same(self.0, other.0)
    }
}

impl Eq for Id<'_> {}

impl Hash for Id<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        canonical(self.0).hash(state);
    }
}

impl<'a> Id<'a> {
    /// The id `null`, which a reply carries if the id of the request could not be read.
    pub const NULL: Id<'static> = Id("null");

    /// Takes the JSON text of an id. The text must be one JSON value: it is not checked here.
    pub const fn from_json(text: &'a str) -> Self {
        Id(text)
    }

    /// The JSON text, for example `7` or `"a"`.
    pub const fn as_json(&self) -> &'a str {
        self.0
    }

    /// Whether JSON-RPC 2.0 allows the id: a string, a number or null.
    pub fn is_scalar(&self) -> bool {
        matches!(self.0.as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9')) || self.0 == "null"
    }

    /// The number, if the text is its shortest decimal form, as in the ids that this crate writes.
    pub(crate) fn as_call(&self) -> Option<u64> {
        let digits = self.0.as_bytes();
        if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && digits.len() > 1) {
            return None;
        }
        digits.iter().try_fold(0u64, |n, &c| c.is_ascii_digit().then(|| n * 10 + u64::from(c - b'0')))
    }

    /// An owned id, which outlives the message that it came in.
    pub fn to_owned(&self) -> RequestId {
        RequestId(match self.as_call() {
            Some(n) => RequestIdRepr::Number(n),
            None => RequestIdRepr::Text(self.0.into()),
        })
    }

    /// The canonical text, by which the id is compared.
    pub(crate) fn known(&self) -> Cow<'a, str> {
        canonical(self.0)
    }

    /// Whether `known` is the canonical text of this id. The work is bounded by the length of this
    /// id, not of `known`: a peer can have one long text compared with many ids.
    pub(crate) fn is_known_as(&self, known: &str) -> bool {
        // A canonical form is never longer than its text.
        known.len() <= self.0.len() && *self.known() == *known
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The JSON text, with control characters escaped. [`as_json`](Self::as_json) returns it unescaped.
impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&escaped(self.0), f)
    }
}

/// The owned id of a request. It is compared like an [`Id`], and is displayed as the JSON text that
/// the peer sent, with control characters escaped: [`to_json`](Self::to_json) returns it unescaped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(RequestIdRepr);

/// Ids are nearly always small integers: those need no allocation.
#[derive(Clone)]
enum RequestIdRepr {
    Number(u64),
    /// Any other id: [`Id::to_owned`] stores no number as text.
    Text(Box<str>),
}

impl PartialEq for RequestIdRepr {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(own), Self::Number(other)) => own == other,
            (Self::Text(own), Self::Text(other)) => is_same(own, other),
            _ => false,
        }
    }
}

impl Eq for RequestIdRepr {}

impl Hash for RequestIdRepr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Number(number) => number.hash(state),
            Self::Text(text) => canonical(text).hash(state),
        }
    }
}

impl RequestId {
    /// The JSON text that the peer sent, byte for byte, for example `7` or `"a"`.
    pub fn to_json(&self) -> String {
        self.with(|id| id.0.to_owned())
    }

    /// Calls `f` with the borrowed id, as the peer wrote it.
    pub(crate) fn with<R>(&self, f: impl FnOnce(Id<'_>) -> R) -> R {
        match &self.0 {
            RequestIdRepr::Text(text) => f(Id(text)),
            RequestIdRepr::Number(n) => {
                // The longest u64 has 20 digits.
                let mut digits = [0; 20];
                let mut start = digits.len();
                let mut n = *n;
                loop {
                    start -= 1;
                    digits[start] = b'0' + (n % 10) as u8;
                    n /= 10;
                    if n == 0 {
                        break;
                    }
                }
                f(Id(std::str::from_utf8(&digits[start..]).unwrap_or_default()))
            }
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|id| fmt::Display::fmt(&id, f))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;

    #[test]
    fn only_the_shortest_decimal_form_is_one_of_our_ids() {
        for (text, call) in
            [("1", Some(1)), ("0", Some(0)), ("9007199254740993", Some(9_007_199_254_740_993))]
        {
            assert_eq!(Id::from_json(text).as_call(), call);
        }
        for text in ["01", "1.0", "1e0", "-1", "\"1\"", "true", "null", "[]", "", "99999999999999999999"] {
            assert_eq!(Id::from_json(text).as_call(), None, "{text}");
        }
    }

    #[test]
    fn ids_are_values_and_numbers_are_their_texts() {
        let hash = |id: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            id(&mut hasher);
            hasher.finish()
        };
        let texts =
            ["1", "1.0", "\"1\"", r#""\u0031""#, "true", r#""a\/b""#, r#""a/b""#, "[1, 2]", "[1,2]", "null"];
        let values = [0, 1, 2, 2, 3, 4, 4, 5, 5, 6];
        for (a, of_a) in texts.map(Id::from_json).iter().zip(values) {
            for (b, of_b) in texts.map(Id::from_json).iter().zip(values) {
                assert_eq!(a == b, of_a == of_b, "{a} {b}");
                assert_eq!(a.to_owned() == b.to_owned(), of_a == of_b, "{a} {b}");
                assert_eq!(a.is_known_as(&b.known()), of_a == of_b, "{a} {b}");
                if of_a == of_b {
                    assert_eq!(hash(&|to| a.hash(to)), hash(&|to| b.hash(to)), "{a} {b}");
                    let (a, b) = (a.to_owned(), b.to_owned());
                    assert_eq!(hash(&|to| a.hash(to)), hash(&|to| b.hash(to)), "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn an_owned_id_prints_the_same_bytes() {
        for text in ["0", "7", "1234567890", "007", "1.50", "\"a\\u0062\"", "-3", "12345678901234567890123"] {
            assert_eq!(Id::from_json(text).to_owned().to_string(), text);
        }
    }

    #[test]
    fn an_owned_id_is_shown_in_one_line_and_kept_as_it_came() {
        let id = Id::from_json("[1,\n\"\x7f\"]").to_owned();
        assert_eq!(id.to_json(), "[1,\n\"\x7f\"]");
        assert_eq!(id.to_string(), r#"[1,\n"\u{7f}"]"#);
        assert_eq!(Id::from_json("42").to_owned().to_json(), "42");
    }
}
