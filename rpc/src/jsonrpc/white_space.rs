//! What JSON takes for white space: less than ASCII does, which has a form feed as well.

const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The same JSON without the white space around it.
pub(crate) fn trim(json: &str) -> &str {
    match json.as_bytes() {
        // Nearly always there is none.
        [first, .., last] if *first > b' ' && *last > b' ' => json,
        _ => json.trim_matches(WHITE_SPACE),
    }
}

/// Whether there is nothing else.
pub(crate) fn is_blank(json: &str) -> bool {
    trim(json).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_feed_is_none() {
        assert_eq!(trim(" \t\r\n1 2\n "), "1 2");
        assert_eq!(trim("[]\x0c"), "[]\x0c");
        assert!(is_blank(" \n") && !is_blank("\x0c"));
    }
}
