//! Takes a JSON array apart into the texts of its elements, one by one: a batch is never held as a list.

use crate::jsonrpc::white_space;

/// The elements of a JSON array, as they stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elements<'a> {
    text: &'a str,
    /// Where the next element begins.
    at: usize,
}

impl<'a> Elements<'a> {
    /// `array` must be one JSON array, brackets included: it is not checked here.
    pub(super) fn new(array: &'a str) -> Self {
        let text = array.strip_prefix('[').unwrap_or_default();
        let text = text.strip_suffix(']').unwrap_or_default();
        Self { text, at: 0 }
    }

    /// The same, for a frame that was read before and found to be an array.
    pub(crate) fn of_frame(frame: &'a [u8]) -> Self {
        let text = std::str::from_utf8(frame).unwrap_or_default();
        Self::new(white_space::trim(text.trim_start_matches('\u{feff}')))
    }

    /// Where it stands: what [`skip_to`](Self::skip_to) takes.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// The same array, from `position` on.
    pub(crate) fn skip_to(self, position: usize) -> Self {
        Self { at: position, ..self }
    }

    /// Whether there are more than `limit` of them. It looks no further than it must.
    pub(crate) fn are_more_than(&self, limit: usize) -> bool {
        self.clone().nth(limit).is_some()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = end_of_element(rest.as_bytes());
        // Behind the comma, or behind the end: then the next one is none.
        self.at = self.text.len().min(self.at + end) + usize::from(end < rest.len());
        let element = white_space::trim(&rest[..end]);
        (!element.is_empty()).then_some(element)
    }
}

/// Where the comma behind the first element stands, or the end.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
