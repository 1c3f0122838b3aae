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
    assert_eq!(format!("{:?} {:?}", basic("a", "b").unwrap(), bearer("t").unwrap()), "Sensitive Sensitive");
}
