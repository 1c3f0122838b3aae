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
        assert!(check_content_type(&headers(&[(header::CONTENT_TYPE, of)])).is_ok(), "{of}");
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
        assert!(check_content_type(&headers(&[(header::CONTENT_TYPE, of)])).is_err(), "{of}");
    }
    assert!(check_content_type(&HeaderMap::new()).is_err());
    let mut twice = headers(&[(header::CONTENT_TYPE, "application/json")]);
    twice.append(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    assert!(check_content_type(&twice).is_err());
}

#[test]
fn nothing_is_unpacked() {
    let packed = |of| headers(&[(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, of)]);
    assert!(check_content_type(&packed("identity")).is_ok());
    assert!(matches!(check_content_type(&packed("gzip")), Err(HttpRefusal::Encoding(of)) if of == "gzip"));
}
