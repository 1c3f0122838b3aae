//! The header that says who calls.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;

/// `Basic`, as in [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617).
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, &'static str> {
    if user.contains(':') {
        return Err("a user's name has no colon");
    }
    if [user, password].iter().any(|text| text.chars().any(char::is_control)) {
        return Err("names and passwords have no control characters");
    }
    header(&format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
}

/// `Bearer`, as in [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750).
pub(super) fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a token has at least one character, and printable ones of ASCII only");
    }
    header(&format!("Bearer {token}"))
}

/// One that is never shown, and never kept in a table of HTTP/2's.
fn header(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "not printable")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_specifications_show() {
        // RFC 7617, sections 2 and 2.1; RFC 6750, section 2.1.
        assert_eq!(basic("Aladdin", "open sesame").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("test", "123\u{a3}").unwrap(), "Basic dGVzdDoxMjPCow==");
        assert_eq!(bearer("mF_9.B5f-4.1JqM").unwrap(), "Bearer mF_9.B5f-4.1JqM");
    }

    #[test]
    fn what_could_be_read_as_something_else_is_refused() {
        for (user, password) in [("a:b", "c"), ("a\n", "c"), ("a", "c\r\nx: y")] {
            assert!(basic(user, password).is_err(), "{user:?} {password:?}");
        }
        for token in ["", "a b", "a\r\nx: y", "caf\u{e9}"] {
            assert!(bearer(token).is_err(), "{token:?}");
        }
        assert_eq!(basic("", "a:b").unwrap(), "Basic OmE6Yg==");
    }

    #[test]
    fn they_are_not_shown() {
        assert_eq!(
            format!("{:?} {:?}", basic("a", "b").unwrap(), bearer("t").unwrap()),
            "Sensitive Sensitive"
        );
    }
}
