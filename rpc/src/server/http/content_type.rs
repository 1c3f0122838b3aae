//! What a body says that it is.

use http::{HeaderMap, header};

use super::refusal::Refusal;

/// The media types of messages. What browsers let a page post to other hosts without asking first (`text/plain`, forms, and no type at all)
/// must never be one of them.
const ACCEPTED: [&str; 3] = ["application/json", "application/json-rpc", "application/jsonrequest"];

/// Whether the body is said to be JSON, in UTF-8 and as it is.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    if second.is_some() || !first.is_some_and(|of| of.to_str().is_ok_and(is_json)) {
        return Err(Refusal::MediaType(first.map(|of| of.to_str().unwrap_or("(no text)").to_owned())));
    }
    match headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .find(|of| !of.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        Some(of) => Err(Refusal::Encoding(of.to_str().unwrap_or("(no text)").to_owned())),
        None => Ok(()),
    }
}

fn is_json(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    ACCEPTED.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                let charset = charset.trim().trim_matches('"');
                ["utf-8", "utf8"].iter().any(|utf8| charset.eq_ignore_ascii_case(utf8))
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header's value"))).collect()
    }

    #[test]
    fn json_is_taken_by_any_of_its_names() {
        for of in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF8\"",
            "application/json ; v=1 ; charset = utf-8",
            "application/json-rpc",
            "application/jsonrequest",
        ] {
            assert!(check(&headers(&[(header::CONTENT_TYPE, of)])).is_ok(), "{of}");
        }
    }

    #[test]
    fn what_a_page_may_post_anywhere_is_not() {
        for of in [
            "",
            "text/plain",
            "text/plain; application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "application/json; charset=latin1",
            "application/json, text/plain",
            "application/jsonp",
        ] {
            assert!(check(&headers(&[(header::CONTENT_TYPE, of)])).is_err(), "{of}");
        }
        assert!(check(&HeaderMap::new()).is_err());
        let mut twice = headers(&[(header::CONTENT_TYPE, "application/json")]);
        twice.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert!(check(&twice).is_err());
    }

    #[test]
    fn nothing_is_unpacked() {
        let packed =
            |of| headers(&[(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, of)]);
        assert!(check(&packed("identity")).is_ok());
        assert!(matches!(check(&packed("gzip")), Err(Refusal::Encoding(of)) if of == "gzip"));
    }
}
